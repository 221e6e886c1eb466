package stage

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/scripts/chaos/plan"
)

// A way is what one host sends to another. An empty name is any host.
type way struct{ from, to string }

// filter loses some of what passes the bridge, by nftables.
type filter struct{ lab *lab.Lab }

// lose begins to lose percent of part on the ways. Each fault has a table of its
// own, by its number.
func (f filter) lose(id int, part string, percent int, ways ...way) error {
	err := f.batch(func(c *nftables.Conn) {
		table := c.AddTable(f.table(id))
		accept := nftables.ChainPolicyAccept
		chain := c.AddChain(&nftables.Chain{
			Name: "forward", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward,
			Priority: nftables.ChainPriorityFilter, Policy: &accept,
		})
		for _, w := range ways {
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: drop(w, part, percent)})
		}
	})
	if err != nil {
		return fmt.Errorf("filter %s at the bridge: %w", part, err)
	}
	return nil
}

// pass undoes lose.
func (f filter) pass(id int) error {
	err := f.batch(func(c *nftables.Conn) { c.DelTable(f.table(id)) })
	if err != nil {
		return fmt.Errorf("remove a filter from the bridge: %w", err)
	}
	return nil
}

func (f filter) table(id int) *nftables.Table {
	return &nftables.Table{Name: fmt.Sprintf("tchaos-%d", id), Family: nftables.TableFamilyBridge}
}

func (f filter) batch(fill func(*nftables.Conn)) error {
	return f.lab.AtBridge(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		fill(c)
		return c.Flush()
	})
}

// protocolVRRP is the number of VRRP in the header of IPv4.
const protocolVRRP = 112

// drop is the rule that loses percent of part on the way.
func drop(w way, part string, percent int) []expr.Any {
	var e []expr.Any
	equal := func(op expr.CmpOp, data []byte) expr.Any { return &expr.Cmp{Op: op, Register: 1, Data: data} }
	if w.from != "" {
		e = append(e, &expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, equal(expr.CmpOpEq, linkName(w.from)))
	}
	if w.to != "" {
		e = append(e, &expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, equal(expr.CmpOpEq, linkName(w.to)))
	}
	if part != plan.Everything {
		// Of IPv4, the heartbeat is one protocol, and all else is gossip.
		op := map[string]expr.CmpOp{plan.Heartbeat: expr.CmpOpEq, plan.Gossip: expr.CmpOpNeq}[part]
		e = append(e,
			&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1}, equal(expr.CmpOpEq, binaryutil.BigEndian.PutUint16(unix.ETH_P_IP)),
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 9, Len: 1}, equal(op, []byte{protocolVRRP}))
	}
	if percent < 100 {
		e = append(e, &expr.Numgen{Register: 1, Modulus: 100, Type: unix.NFT_NG_RANDOM},
			&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
			equal(expr.CmpOpLt, binaryutil.BigEndian.PutUint32(uint32(percent))))
	}
	return append(e, &expr.Verdict{Kind: expr.VerdictDrop})
}

// linkName is a name as the kernel compares it.
func linkName(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}
