package lab

// AtBridge runs f on this goroutine in the network of the bridge, whose ports are
// named after the hosts: what passes from one host to another is filtered there.
func (l *Lab) AtBridge(f func() error) error { return inNamespace(l.bridgeNS, f) }
