package stage

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/scripts/chaos/plan"
	"github.com/tandemlb/tandem/vrrp"
)

// TestBadAdvertisementsAreRefused has a virtual router, as the nodes have one, look at
// what is thrown at them: one that it accepted would be a fault of this program.
func TestBadAdvertisementsAreRefused(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	r, err := vrrp.NewRouter(vrrp.Params{
		VRID: routerID, Version: 3, Priority: 150, Interval: Advertise, Preempt: true, Self: addressOf(plan.LB2),
		Addresses: []netip.Addr{VIP()},
	})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	r.Startup(now)
	reasons := map[vrrp.Drop]int{}
	for range 5000 {
		b := badAdvertisement(rng)
		p, err := vrrp.ParseIPv4(b)
		if err == nil {
			_, err = r.Accept(p)
		}
		if err == nil {
			t.Fatalf("% x is accepted", b)
		}
		reasons[vrrp.DropOf(err)]++
	}
	if len(reasons) < 5 {
		t.Errorf("they are refused for %v alone", reasons)
	}
}

// TestConfigsAreWhatTheyAreSaidToBe has the nodes' own parser judge the configs.
func TestConfigsAreWhatTheyAreSaidToBe(t *testing.T) {
	s := &Stage{Options: Options{Dir: t.TempDir()}}
	if err := writeSecrets(s.Dir); err != nil {
		t.Fatal(err)
	}
	for variant := range 6 {
		text := s.config(variant)
		if _, err := config.Parse("good.yaml", []byte(text)); err != nil {
			t.Errorf("variant %d: %v", variant, err)
		}
		if text == s.config(variant+1) {
			t.Errorf("variants %d and %d are the same", variant, variant+1)
		}
	}
}

func TestIDsOfAProcess(t *testing.T) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := idIn(status, "Uid:"); err != nil || int(id) != os.Getuid() {
		t.Errorf("user %d, %v", id, err)
	}
	if _, err := idIn([]byte("Name:\tx\n"), "Uid:"); err == nil {
		t.Error("a status without a user has one")
	}
	self, ok := identify(os.Getpid())
	if !ok || !self.alive() || (identity{}).alive() {
		t.Error("who is alive is confused")
	}
	self.start--
	if self.alive() {
		t.Error("another process of the same number is taken for this one")
	}
	if _, ok := identify(1 << 30); ok {
		t.Error("a number that nobody has is a process")
	}
}

func TestStatusIsSummedUp(t *testing.T) {
	s := &admin.Status{Fit: true, Panics: 2, Worker: admin.Process{PID: 7}, VIPs: []admin.VIP{{Role: vrrp.Backup, Priority: 150}},
		Pools: []admin.Pool{{Servers: []admin.Server{{Checked: true, Health: "up"}, {Health: "unknown"}}}}}
	if got := stateOf(s); !got.Ready || !got.ServersUp || got.Panics != 2 || got.Priority != 150 || got.Role != "backup" {
		t.Errorf("state %+v", got)
	}
	s.Pools[0].Servers[0].Health = "down"
	s.VIPs[0].Role = vrrp.Init
	if got := stateOf(s); got.Ready || got.ServersUp {
		t.Errorf("state %+v", got)
	}
	if got := stateOf(&admin.Status{Fit: true}); got.Ready {
		t.Error("a node without a virtual router is ready")
	}
}

func TestNoHostIsMissing(t *testing.T) {
	var names []string
	for _, h := range hosts() {
		names = append(names, h.Name)
	}
	if len(names) != 7 || !strings.HasPrefix(addressOf("s2").String(), "10.77.0.") {
		t.Errorf("hosts %v", names)
	}
}
