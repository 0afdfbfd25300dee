package drill

import (
	"sync"
	"testing"
	"time"
)

const rate = 25 // accounts a second

// drill is one fault, under load.
type drill struct {
	name  string // as the report names the fault
	short bool   // part of the short form
	setup func(t *testing.T) (*stage, func())
}

// TestDrills pulls the plugs. The figures are printed, not asserted; what is asserted is that nothing is lost and no entry
// stays behind.
func TestDrills(t *testing.T) {
	if _, err := binary(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	rows := make([]*row, len(drills))
	var mu sync.Mutex
	t.Run("fault", func(t *testing.T) {
		for i, d := range drills {
			if !d.short && !*all {
				continue
			}
			t.Run(d.name, func(t *testing.T) {
				t.Parallel()
				r := d.run(t)
				mu.Lock()
				defer mu.Unlock()
				rows[i] = r
				t.Log(r)
			})
		}
	})
	text := table(rows, start)
	t.Log("\n" + text)
	if *report != "" && !t.Failed() {
		if err := writeReport(*report, text); err != nil {
			t.Error(err)
		}
	}
}

func (d drill) run(t *testing.T) *row {
	s, fault := d.setup(t)
	s.load.start(rate)
	s.awaitAccepted(4 * rate)
	s.strike()
	fault()
	s.awaitAccepted(4 * rate)
	s.load.finish()
	s.awaitEnds()
	r := s.tally(d.name)
	for _, p := range append(append([]*process(nil), s.webs...), s.workers...) {
		r.stopped = max(r.stopped, p.stop())
	}
	s.checkLogs()
	return r
}

// tally counts what became of everything.
func (s *stage) tally(name string) *row {
	accepted := s.load.acceptedBefore(time.Now())
	states := ask[map[string]accountState](s.seam, "states", accountsOf(accepted))
	r := &row{fault: name, refused: s.load.refused, slowest: s.load.slowest, again: s.load.acceptedAgain(s.fault), goesOn: s.goesOn(accepted)}
	r.sent, r.accepted = len(s.load.messages), len(accepted)
	if r.sent != r.accepted {
		s.t.Errorf("%d messages were sent, %d accepted in the end", r.sent, r.accepted)
	}
	accounts := map[string]bool{}
	for _, m := range accepted {
		state := states[m.account.ID]
		if isTagged(m, states) && !s.overwritten(m, state) {
			r.tagged++
		}
		if !accounts[m.account.ID] {
			accounts[m.account.ID] = true
			r.doubled += max(0, state.Updates-1)
		}
	}
	r.lost = r.accepted - r.tagged
	if r.lost > 0 {
		s.t.Errorf("%d of %d accepted messages are lost", r.lost, r.accepted)
	}
	r.doubled += s.entriesBeyond(accepted)
	for _, w := range s.load.wrong {
		s.t.Errorf("a wrong answer: %s", w)
	}
	return r
}

// overwritten says whether seamtag changed another system's key: a lost update.
func (s *stage) overwritten(m *message, state accountState) bool {
	want := "before"
	if s.load.isRewritten(m.account.ID) {
		want = "after"
	}
	return state.Metadata[foreignKey] != want
}
