// Package lab builds small networks out of network namespaces: a bridge in a
// namespace of its own, and hosts joined to it by veth pairs. Links can be cut
// and healed, processes and sockets are born inside a host.
//
// Nothing is named under /run/netns and nothing touches the network of the
// machine: a namespace is held by a descriptor of this process alone, so that
// a lab vanishes with the process that made it, however that process ends.
//
// Building a lab needs CAP_SYS_ADMIN and CAP_NET_ADMIN; see [ErrNotPermitted].
package lab
