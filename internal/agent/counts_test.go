package agent

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/vrrp"
)

func TestWhatIsDoneToTheAddressesIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLAN(t)
		lb1 := n.start("lb1", router("192.0.2.11", 200))
		time.Sleep(time.Minute + time.Second)
		s := lb1.state()
		lease := router("192.0.2.11", 200).Lease
		if s.Status.Role != vrrp.Active {
			t.Fatalf("it is %v", s.Status.Role)
		}
		if least := uint64(time.Minute / (lease / renewalsPerLease)); s.Lease.Renewals < least || s.Lease.Renewals > least+8 {
			t.Errorf("%d renewals in a minute, want about %d", s.Lease.Renewals, least)
		}
		announced := uint64(len(n.seen("announce")))
		time.Sleep(reportEvery + time.Millisecond) // what it reports may be that old
		later := announced + uint64(len(n.seen("announce")))
		if got := lb1.state().Lease.Announcements; got < announced || got > later || announced < 5 {
			t.Errorf("counted %d announcements of %d to %d", got, announced, later)
		}
		if s.Lease.Errors != 0 || s.Lease.Losses != 0 {
			t.Errorf("counted %+v", s.Lease)
		}
		n.mu.Lock()
		delays := lb1.reported.Delays
		if delays.Count() < 600 || delays.Quantile(1) > time.Millisecond {
			t.Errorf("%d turns, the latest %v late: want one each 100 ms, in time", delays.Count(), delays.Quantile(1))
		}
		lb1.holdErr = errors.New("no such device")
		n.mu.Unlock()

		t.Log("# renewals fail, until it gives the addresses up")
		time.Sleep(lease)
		if s := lb1.state(); s.Lease.Errors == 0 {
			t.Errorf("counted %+v after errors", s.Lease)
		}
		n.mu.Lock()
		lb1.holdErr = nil
		n.mu.Unlock()
		lb1.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Reason: "unfit"}}
		synctest.Wait()
		if s := lb1.state(); s.Lease.Losses != 1 {
			t.Errorf("counted %d losses, want 1", s.Lease.Losses)
		}
	})
}
