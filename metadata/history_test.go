package metadata

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/seam"
)

// FuzzHistory plays a history of one account: connects, reconnects that wipe, another writer, deliveries late, twice
// and out of order. However it goes, in the end
//
//   - what the other writer put there last is there, unless it or a later webview changed it;
//   - the tag is there, as the rules have it;
//   - and one more delivery of any event changes nothing.
func FuzzHistory(f *testing.F) {
	for _, seed := range []string{"", "wsdrdd", "srsdsdrd", "ssrrdddd", "xsrxdrsxd"} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, ops []byte, reverse bool) { playHistory(t, ops, reverse) })
}

func TestRandomHistories(t *testing.T) {
	random := rand.New(rand.NewPCG(2026, 11))
	for range 1000 {
		ops := make([]byte, random.IntN(24))
		for i := range ops {
			ops[i] = byte(random.UintN(256))
		}
		playHistory(t, ops, random.IntN(2) == 0)
		if t.Failed() {
			t.Logf("history %v", ops)
			return
		}
	}
}

// history is an account, what its writers expect of it, and the events still on their way.
type history struct {
	t       *testing.T
	world   *world
	tagger  *Tagger
	ledger  Ledger
	hour    int
	waiting []seam.Event
	all     []seam.Event
	others  seam.Metadata // what the other writer expects
	// seenLoss: an event was tagged while reconnects were on their way.
	seenLoss bool
}

func playHistory(t *testing.T, ops []byte, reverse bool) {
	h := &history{t: t, world: newWorld(), others: seam.Metadata{}}
	h.tagger = New(Options{Seam: h.world, Now: func() time.Time { return hourAt(h.hour) }})
	h.connect(seam.Metadata{"user_id": "u0"})
	h.deliver(0)
	for _, op := range ops {
		h.step(op)
	}
	for len(h.waiting) > 0 {
		next := 0
		if reverse {
			next = len(h.waiting) - 1
		}
		h.deliver(next)
	}
	h.check()
}

func (h *history) step(op byte) {
	key := fmt.Sprintf("other%d", op>>4%3)
	switch op % 5 {
	case 0: // another writer sets a key, and some event makes us look; never while a reconnect is on its way
		h.settle()
		h.world.metadata[key], h.others[key] = fmt.Sprint(h.hour), fmt.Sprint(h.hour)
		h.tag(h.all[len(h.all)-1])
	case 1: // it deletes one of several
		h.settle()
		if len(h.others) < 2 || h.others[key] == nil {
			return
		}
		delete(h.world.metadata, key)
		delete(h.others, key)
		h.tag(h.all[len(h.all)-1])
	case 2: // a reconnect; not where an event from before an earlier one saw its loss, which only that one explains
		if h.seenLoss {
			h.settle()
		}
		h.connect(seam.Metadata{"user_id": fmt.Sprintf("u%d", len(h.all))})
	case 3: // one event is delivered, any of those waiting
		if len(h.waiting) > 0 {
			h.deliver(int(op>>3) % len(h.waiting))
		}
	case 4: // one that was delivered before comes again, or for the first time
		h.tag(h.all[int(op>>3)%len(h.all)])
		h.seenLoss = len(h.waiting) > 0
	}
}

func (h *history) connect(md seam.Metadata) {
	h.hour++
	id := fmt.Sprintf("w%02d", len(h.all))
	h.world.addWebview(id, h.hour, md)
	h.world.connect(id)
	ev := connected(id, h.hour)
	h.waiting, h.all = append(h.waiting, ev), append(h.all, ev)
}

// settle delivers what is on its way.
func (h *history) settle() {
	for len(h.waiting) > 0 {
		h.deliver(0)
	}
	h.hour++
	h.seenLoss = false
}

func (h *history) deliver(i int) {
	ev := h.waiting[i]
	h.waiting = append(h.waiting[:i:i], h.waiting[i+1:]...)
	h.tag(ev)
}

func (h *history) tag(ev seam.Event) Result {
	h.t.Helper()
	in, err := h.tagger.read(h.t.Context(), ev, h.ledger)
	if err != nil {
		h.t.Fatal(err)
	}
	in.Tags = map[string]Tag{"origin_id": {Value: see(&in).origin.id(), Source: "origin.connect_webview_id"}}
	result, ledger, err := h.tagger.write(h.t.Context(), in, held)
	if err != nil {
		h.t.Fatal(err)
	}
	if h.ledger, err = ParseLedger(ledger.Encode()); err != nil {
		h.t.Fatal(err)
	}
	return result
}

func (h *history) check() {
	h.t.Helper()
	want := h.others.Clone()
	want["user_id"] = fmt.Sprintf("u%d", len(h.all)-1)
	want["origin_id"] = "w00"
	if diff := cmp.Diff(want, h.world.metadata); diff != "" {
		h.t.Errorf("in the end (-want +got):\n%s", diff)
	}
	for _, ev := range h.all {
		if r := h.tag(ev); r.Status != StatusUnchanged {
			h.t.Errorf("one more delivery: %s, set %v, restored %v, removed %v", r.Status, r.Set, r.Restored, r.Removed)
		}
	}
}
