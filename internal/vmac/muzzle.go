package vmac

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Verdicts of a traffic control program.
const (
	pass = 0xffffffff // TC_ACT_UNSPEC: ask the next filter
	drop = 2          // TC_ACT_SHOT
)

// leaving is the filter of what the interface of an IPv6 router may not send: it
// says that it leaves a multicast group. The kernel says so when an address goes,
// be it that its lease ran out on a dead node. By then the address is the peer's:
// a switch that learns from this frame where the MAC address is would send the
// peer's traffic here. That it joins is said when the address comes, from where
// it is, and tells the switches who wants solicitations for the address.
//
// Offsets are those of Ethernet, of an IPv6 header of 40 bytes and of the router
// alert option of 8 that comes with every MLD message (RFC 3810, section 5).
var leaving = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.ETH_P_IPV6, SkipTrue: 12},
	bpf.LoadAbsolute{Off: 14 + 6, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_HOPOPTS, SkipTrue: 10},
	bpf.LoadAbsolute{Off: 14 + 40, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_ICMPV6, SkipTrue: 8},
	bpf.LoadAbsolute{Off: 14 + 40 + 8, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 132, SkipTrue: 5},    // MLDv1 done
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 143, SkipTrue: 5}, // MLDv2 report; its first record is:
	bpf.LoadAbsolute{Off: 14 + 40 + 8 + 8, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 2, SkipTrue: 3}, // a member of the group
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 4, SkipTrue: 2}, // a member from now on
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 5, SkipTrue: 1}, // with more sources
	bpf.RetConstant{Val: drop},
	bpf.RetConstant{Val: pass},
}

// muzzle attaches the filter to what an interface sends.
func (v *Macvlans) muzzle(link netlink.Link) error {
	index := link.Attrs().Index
	program, err := bpf.Assemble(leaving)
	if err != nil {
		return fmt.Errorf("assemble the filter of MLD: %w", err)
	}
	var ops bytes.Buffer
	if err := binary.Write(&ops, binary.NativeEndian, program); err != nil {
		return fmt.Errorf("encode the filter of MLD: %w", err)
	}
	if err := v.nl.QdiscReplace(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}); err != nil {
		return fmt.Errorf("add clsact: %w", explainFilter(err))
	}
	req := nl.NewNetlinkRequest(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK)
	req.AddData(&nl.TcMsg{
		Ifindex: int32(index),
		Handle:  1,
		Parent:  netlink.HANDLE_MIN_EGRESS,
		Info:    netlink.MakeHandle(1, nl.Swap16(unix.ETH_P_ALL)), // of first priority
	})
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("bpf")))
	options := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	options.AddRtAttr(nl.TCA_BPF_OPS_LEN, nl.Uint16Attr(uint16(len(program))))
	options.AddRtAttr(nl.TCA_BPF_OPS, ops.Bytes())
	options.AddRtAttr(nl.TCA_BPF_FLAGS, nl.Uint32Attr(nl.TCA_BPF_FLAG_ACT_DIRECT))
	req.AddData(options)
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return fmt.Errorf("add the filter of MLD: %w", explainFilter(err))
	}
	return nil
}

func explainFilter(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w: the kernel cannot filter what an interface sends: load the modules sch_ingress and cls_bpf or leave virtual_mac out", err)
	}
	return err
}
