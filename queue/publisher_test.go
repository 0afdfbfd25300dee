package queue

import (
	"testing"
	"time"

	"seamtag/internal/parts"
)

// An id can be in one batch twice: Svix repeats a delivery while the first still waits for company.
func TestOneBatchWithAnIDTwiceIsOneEntry(t *testing.T) {
	q, err := Open(Options{URL: parts.Redis(t).URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	p := NewPublisher(q)
	defer p.Close()
	var calls []*publishCall
	for _, id := range []string{"msg_a", "msg_b", "msg_a", "msg_a"} {
		calls = append(calls, &publishCall{
			m: Message{ID: id, Body: []byte("{}")}, deadline: time.Now().Add(time.Minute), done: make(chan publishResult, 1),
		})
	}
	p.flush(calls)
	var got []Receipt
	for _, c := range calls {
		r := <-c.done
		if r.err != nil {
			t.Fatal(r.err)
		}
		got = append(got, r.receipt)
	}
	if got[0].Duplicate || got[1].Duplicate || got[0].EntryID == got[1].EntryID {
		t.Errorf("two ids are not two entries: %+v", got)
	}
	for _, again := range got[2:] {
		if want := (Receipt{EntryID: got[0].EntryID, Duplicate: true}); again != want {
			t.Errorf("the same id again is %+v, want %+v", again, want)
		}
	}
	stats, err := q.Stats(t.Context())
	if err != nil || stats.Waiting != 2 {
		t.Errorf("%d entries wait (%v), want 2", stats.Waiting, err)
	}
}
