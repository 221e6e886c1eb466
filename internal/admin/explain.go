package admin

import "time"

// Explanation is what a node needs to say why it does, or does not, own its VIPs.
type Explanation struct {
	At     time.Time `json:"at"` // when Status was taken, by the node's clock
	Status Status    `json:"status"`
	// History is what happened lately on the nodes, in the order of their clocks.
	History []Event `json:"history"`
}
