package proxy

import "reflect"

// Equal reports whether p and q are alike: the same servers in the same order,
// balanced, checked and bounded alike.
func (p Pool) Equal(q Pool) bool { return reflect.DeepEqual(p, q) }
