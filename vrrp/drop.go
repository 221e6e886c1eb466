package vrrp

// A Drop says why a received packet was not acted on.
type Drop string
