package admin

import "strconv"

// ServerChange is what an operator wants of a server of a pool, on one node.
type ServerChange struct {
	Pool   string `json:"pool"`
	Server string `json:"server"`           // name or address
	Verb   string `json:"verb"`             // ready | drain | maint | weight | add | remove
	Weight int    `json:"weight,omitempty"` // of weight
}

// Text is how the change is written on a command line.
func (c ServerChange) Text() string {
	if c.Verb == "weight" {
		return "weight=" + strconv.Itoa(c.Weight)
	}
	return c.Verb
}

// RuntimeChange is how a server differs from the config, by what operators said at
// runtime.
type RuntimeChange struct {
	Pool    string `json:"pool"`
	Server  string `json:"server"`
	Added   bool   `json:"added,omitempty"`
	Removed bool   `json:"removed,omitempty"`
	State   string `json:"state,omitempty"`  // empty: as in the config
	Weight  *int   `json:"weight,omitempty"` // nil: as in the config
}
