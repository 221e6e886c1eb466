package report

import (
	"strings"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/vrrp"
)

// fewRouters is how many virtual routers Line gives the reasons of.
const fewRouters = 3

// Line says in one line what the node is, and why: what somebody reads who asks the
// service manager.
func Line(fit ipc.Fitness, routers []ipc.RouterState) string {
	var parts []string
	switch {
	case !fit.Fit:
		parts = append(parts, "unfit: "+fit.Reason)
	case fit.Demoted:
		parts = append(parts, "demoted: "+fit.Reason)
	case len(routers) == 0:
		return "serving, without a VIP"
	}
	as := map[vrrp.Role]string{vrrp.Active: "active for", vrrp.Backup: "backup for", vrrp.Init: "not taking part in"}
	for _, role := range []vrrp.Role{vrrp.Active, vrrp.Backup, vrrp.Init} {
		var of []string
		for _, r := range routers {
			if r.Status.Role != role {
				continue
			}
			text := r.Name
			if why := because(r); why != "" && len(routers) <= fewRouters {
				text += " (" + why + ")"
			}
			of = append(of, text)
		}
		if len(of) > 0 {
			parts = append(parts, as[role]+" "+strings.Join(of, ", "))
		}
	}
	return strings.Join(parts, "; ")
}

func because(r ipc.RouterState) string {
	if r.Error != "" {
		return r.Error
	}
	return string(r.Status.Reason)
}
