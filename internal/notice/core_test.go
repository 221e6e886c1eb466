package notice

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// story drives a core by steps, and keeps what it did as text.
type story struct {
	c   *core
	now time.Time
	did []string

	dials  int // asked for so far
	events []Event
}

func newStory() *story {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &story{c: newCore("peer:1", start), now: start}
}

func (s *story) take(out output) {
	if out.dial > 0 {
		s.dials++
		s.did = append(s.did, "dial within "+out.dial.String())
	}
	s.events = append(s.events, out.events...)
	for _, e := range out.events {
		s.did = append(s.did, e.Kind.String()+": "+e.Evidence)
	}
}

func named(name string) process {
	return process{boot: bootID([]byte(name + "                ")[:16]), node: name}
}

// step is one input. "wait D" moves the time by D, with the ticks that are due.
func (s *story) step(text string) {
	verb, arg, _ := strings.Cut(text, " ")
	outcomeOf := map[string]outcome{"refused": refused, "silent": silent, "abandoned": abandoned, "rejected": rejected}
	switch verb {
	case "wait":
		d, err := time.ParseDuration(arg)
		if err != nil {
			panic(err)
		}
		until := s.now.Add(d)
		for at := s.c.next(); !at.IsZero() && !at.After(until); at = s.c.next() {
			if at.After(s.now) {
				s.now = at
			}
			s.take(s.c.tick(s.now))
		}
		s.now = until
	case "tick":
		s.take(s.c.tick(s.now))
	case "answered":
		s.take(s.c.dialed(s.now, result{outcome: answered, peer: named(arg)}))
	case "refused", "silent", "abandoned", "rejected":
		s.take(s.c.dialed(s.now, result{outcome: outcomeOf[verb], detail: verb}))
	case "closed":
		s.take(s.c.ended(s.now, ending{endClosed, "EOF"}))
	case "goodbye":
		s.take(s.c.ended(s.now, ending{endGoodbye, `"stop"`}))
	case "timeout":
		s.take(s.c.ended(s.now, ending{endOther, "timeout"}))
	case "greeted":
		s.take(s.c.greeted(s.now, named(arg)))
	case "contradicted":
		s.take(s.c.contradicted(s.now))
	case "failed":
		s.take(s.c.failed(s.now, "bad key"))
	case "deaf":
		s.take(s.c.deaf(s.now, "port in use"))
	case "hearing":
		s.take(s.c.hearing())
	default:
		panic(text)
	}
}

func TestVerdicts(t *testing.T) {
	const (
		session      = `connected: session with "a" at peer:1`
		died         = `died: the session with "a" at peer:1 ended (EOF), then: refused`
		proof        = "dial within 50ms"
		dial         = "dial within 1s"
		unproven     = ` (the timers alone would notice its death)`
		distrustedBy = `distrusted: %s after its death was taken as proven: refusals prove nothing until a session has lasted 1m0s (hint: let TCP to peer:1 through the firewall)`
		heard        = `"a" at peer:1 was heard alive`
		disbelieved  = `lost: the session with "a" at peer:1 ended (EOF), then: refused; but such a proof was wrong before`
	)
	for name, tc := range map[string]struct{ steps, want []string }{
		"an end and a refusal are a death": {
			[]string{"tick", "answered a", "wait 5s", "closed", "refused"},
			[]string{dial, session, proof, died},
		},
		"after a death the peer is called again, quietly": {
			[]string{"tick", "answered a", "wait 5s", "closed", "refused", "wait 100ms", "refused", "wait 200ms", "answered b"},
			[]string{dial, session, proof, died, dial, dial, `connected: session with "b" at peer:1`},
		},
		"a refusal without a session proves nothing, and is told once": {
			[]string{"tick", "refused", "wait 100ms", "refused", "wait 200ms", "refused"},
			[]string{dial, "unreachable: no session with peer:1: refused" + unproven, dial, dial},
		},
		"silence without a session, too": {
			[]string{"tick", "silent", "wait 100ms", "silent"},
			[]string{dial, "unreachable: no session with peer:1: silent" + unproven, dial},
		},
		"the pause doubles to five seconds": {
			[]string{"tick", "refused", "wait 99ms", "wait 1ms", "silent", "wait 199ms", "wait 1ms", "refused", "wait 400ms", "refused",
				"wait 800ms", "refused", "wait 1600ms", "refused", "wait 3200ms", "refused", "wait 4999ms", "wait 1ms", "refused", "wait 5s"},
			[]string{dial, "unreachable: no session with peer:1: refused" + unproven, dial, "unreachable: no session with peer:1: silent" + unproven,
				dial, dial, dial, dial, dial, dial, dial},
		},
		"no answer proves nothing": {
			[]string{"tick", "answered a", "wait 5s", "closed", "wait 1s", "silent"},
			[]string{dial, session, proof, `lost: the session with "a" at peer:1 ended (EOF), and proves nothing: silent`},
		},
		"a lost packet does not hide a death": {
			[]string{"tick", "answered a", "wait 5s", "closed", "wait 50ms", "silent", "wait 1ms", "refused"},
			[]string{dial, session, proof, proof, died},
		},
		"a listener that is still being closed does not hide a death": {
			[]string{"tick", "answered a", "wait 5s", "closed", "abandoned", "wait 1ms", "abandoned", "wait 2ms", "refused"},
			[]string{dial, session, proof, proof, proof, died},
		},
		"a refusal after the doubt proves nothing": {
			[]string{"tick", "answered a", "wait 5s", "closed", "wait 1s", "silent", "wait 100ms", "refused"},
			[]string{dial, session, proof, `lost: the session with "a" at peer:1 ended (EOF), and proves nothing: silent`, dial,
				"unreachable: no session with peer:1: refused" + unproven},
		},
		"a forged reset proves nothing": {
			[]string{"tick", "answered a", "wait 5s", "closed", "answered a"},
			[]string{dial, session, proof, `lost: the session with "a" at peer:1 ended (EOF), and the same process answers again`, session},
		},
		"a restart is a death": {
			[]string{"tick", "answered a", "wait 5s", "closed", "answered b"},
			[]string{dial, session, proof, `died: restarted: another process of "b" at peer:1 answers`, `connected: session with "b" at peer:1`},
		},
		"a restart shows behind half a session": {
			[]string{"tick", "answered a", "wait 1h", "greeted b", "answered b"},
			[]string{dial, session, dial, `died: restarted: another process of "b" at peer:1 answers`, `connected: session with "b" at peer:1`},
		},
		"a greeting alone is no proof": {
			[]string{"tick", "answered a", "wait 1h", "greeted b", "answered a"},
			[]string{dial, session, dial},
		},
		"who greets and cannot be reached is called again": {
			[]string{"tick", "answered a", "wait 1h", "greeted b", "silent", "wait 100ms", "answered b"},
			[]string{dial, session, dial, dial, `died: restarted: another process of "b" at peer:1 answers`, `connected: session with "b" at peer:1`},
		},
		"the process of the session may call too": {
			[]string{"tick", "answered a", "greeted a"},
			[]string{dial, session},
		},
		"a greeting ends the pause": {
			[]string{"tick", "refused", "wait 10ms", "greeted a", "answered a"},
			[]string{dial, "unreachable: no session with peer:1: refused" + unproven, dial, session},
		},
		"a refusal asked for before the end proves nothing": {
			[]string{"tick", "answered a", "wait 5s", "greeted b", "closed", "refused", "refused"},
			[]string{dial, session, dial, proof, died},
		},
		"a goodbye is no death, and what follows is no news": {
			[]string{"tick", "answered a", "wait 5s", "goodbye", "wait 100ms", "refused", "wait 200ms", "refused"},
			[]string{dial, session, `goodbye: "a" at peer:1 left: "stop"`, dial, dial},
		},
		"a timeout of the kernel is no death": {
			[]string{"tick", "answered a", "wait 5s", "timeout", "wait 100ms", "refused"},
			[]string{dial, session, `lost: the session with "a" at peer:1 ended (timeout), and proves nothing`, dial, "unreachable: no session with peer:1: refused" + unproven},
		},
		"a firewall that rejects is believed once": {
			[]string{"tick", "answered a", "wait 5s", "closed", "refused", "wait 99ms", "contradicted", "wait 1ms", "contradicted", "contradicted",
				"answered a", "wait 59s", "closed", "refused"},
			[]string{dial, session, proof, died, dial, fmt.Sprintf(distrustedBy, heard), session, proof, disbelieved},
		},
		"and again after a minute": {
			[]string{"tick", "answered a", "wait 5s", "closed", "refused", "wait 100ms", "contradicted", "answered a", "wait 60s", "closed", "refused"},
			[]string{dial, session, proof, died, dial, fmt.Sprintf(distrustedBy, heard), session, proof, died},
		},
		"the dead who answer contradict": {
			[]string{"tick", "answered a", "wait 5s", "closed", "refused", "wait 100ms", "answered a", "closed", "refused"},
			[]string{dial, session, proof, died, dial, fmt.Sprintf(distrustedBy, `the same process of "a" at peer:1 answers again`), session, proof, disbelieved},
		},
		"the dead who call contradict": {
			[]string{"tick", "answered a", "wait 5s", "closed", "refused", "wait 99ms", "greeted a", "wait 1ms", "greeted a"},
			[]string{dial, session, proof, died, dial, fmt.Sprintf(distrustedBy, `the same process of "a" at peer:1 called`)},
		},
		"a new process does not contradict": {
			[]string{"tick", "answered a", "wait 5s", "closed", "refused", "wait 50ms", "greeted b", "wait 1s", "contradicted", "answered b", "contradicted"},
			[]string{dial, session, proof, died, dial, `connected: session with "b" at peer:1`},
		},
		"nothing to contradict": {
			[]string{"tick", "contradicted", "answered a", "wait 5s", "contradicted"},
			[]string{dial, session},
		},
		"a session that always ends at once is not called for at once": {
			[]string{"tick", "answered a", "closed", "answered a", "closed", "wait 99ms", "wait 1ms", "answered a", "closed", "wait 199ms", "wait 1ms", "answered a", "wait 1s", "closed"},
			[]string{dial, session, proof,
				`lost: the session with "a" at peer:1 ended (EOF), and the same process answers again`, session, proof,
				`lost: the session with "a" at peer:1 ended (EOF), and the same process answers again`, session, proof,
				`lost: the session with "a" at peer:1 ended (EOF), and the same process answers again`, session, proof},
		},
		"processes that always die at once are dead at once": {
			[]string{"tick", "answered a", "closed", "refused", "wait 100ms", "answered b", "closed", "refused", "wait 100ms", "answered c", "closed"},
			[]string{dial, session, proof, died,
				dial, `connected: session with "b" at peer:1`, proof, `died: the session with "b" at peer:1 ended (EOF), then: refused`,
				dial, `connected: session with "c" at peer:1`, proof},
		},
		"a wrong key is told once": {
			[]string{"tick", "rejected", "failed", "wait 100ms", "rejected", "wait 200ms", "answered a", "failed", "wait 60s", "failed", "failed"},
			[]string{dial, "rejected: no session with peer:1: rejected" + unproven, dial, dial, session, "rejected: bad key"},
		},
		"a port in use is told once": {
			[]string{"deaf", "deaf", "hearing", "deaf"},
			[]string{
				"deaf: port in use: this node's own death would go unannounced (hint: the timers still serve; free the port)",
				"deaf: port in use: this node's own death would go unannounced (hint: the timers still serve; free the port)",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory()
			for _, step := range tc.steps {
				s.step(step)
			}
			if diff := cmp.Diff(tc.want, s.did); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestNoOrderOfInputsInventsADeath puts inputs in random order, as far as the
// sockets can: a session ends only when there is one, a dial only when it began.
func TestNoOrderOfInputsInventsADeath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := model{story: newStory()}
		for range rapid.IntRange(1, 200).Draw(t, "length") {
			step := rapid.SampledFrom(m.possible()).Draw(t, "step")
			dials, events := m.dials, len(m.events)
			m.step(step)
			if err := m.judge(step, m.events[events:], m.dials-dials); err != "" {
				t.Fatalf("%s; the last of what it did:\n%s", err, strings.Join(m.did[max(0, len(m.did)-10):], "\n"))
			}
		}
	})
}

// model is what can be known of a core from outside.
type model struct {
	*story
	dialing   bool
	late      bool      // the dial under way began after the end of the session
	session   bool      // there is one
	since     time.Time // of it
	peer      string    // of the newest session
	open      bool      // it ended without a goodbye, and no verdict was given
	untrusted bool
}

func (m *model) possible() []string {
	all := []string{"wait 1ms", "wait 60ms", "wait 6s", "wait 70s", "contradicted", "failed", "deaf", "hearing", "greeted a", "greeted b"}
	if m.session {
		all = append(all, "closed", "closed", "goodbye", "timeout")
	}
	if m.dialing {
		all = append(all, "refused", "refused", "silent", "abandoned", "rejected", "answered a", "answered b")
	}
	return all
}

// judge returns what is wrong with the events and dials that followed from step.
func (m *model) judge(step string, events []Event, dials int) string {
	verb, arg, _ := strings.Cut(step, " ")
	if slices.Contains([]string{"refused", "silent", "abandoned", "rejected", "answered"}, verb) {
		m.dialing = false
	}
	for _, e := range events {
		switch e.Kind {
		case Died:
			proven := verb == "refused" && m.open && m.late && !m.untrusted
			restarted := verb == "answered" && arg != m.peer && (m.open || m.session)
			if !proven && !restarted {
				return fmt.Sprintf("%q is no proof of a death: %+v", step, *m)
			}
			m.open = false
		case Lost, Goodbye:
			m.open = false
		case Distrusted:
			m.untrusted = true
		}
	}
	switch verb {
	case "answered":
		if !m.session || arg != m.peer {
			m.since = m.now
		}
		m.session, m.peer, m.open = true, arg, false
	case "closed", "goodbye", "timeout":
		m.session, m.open, m.late = false, verb == "closed", false
		m.untrusted = m.untrusted && m.now.Sub(m.since) < stableAfter
	}
	if dials > 1 || dials == 1 && m.dialing {
		return "two dials at a time"
	}
	if dials == 1 {
		m.dialing, m.late = true, !m.session
	}
	if !m.session && !m.dialing && m.c.next().IsZero() {
		return fmt.Sprintf("after %q there is no session, and none is sought", step)
	}
	return ""
}
