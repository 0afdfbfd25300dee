package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/internal/parts"
	"seamtag/queue"
)

// walk reads a whole list, some entries a page, and answers their message ids.
func walk(t *testing.T, q *queue.Queue, f queue.Filter, limit int) []string {
	t.Helper()
	var ids []string
	for cursor := ""; ; {
		page, err := q.List(t.Context(), f, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			ids = append(ids, e.ID)
		}
		if cursor = page.Next; cursor == "" {
			return ids
		}
	}
}

func TestEntriesAreFoundWhereTheyStand(t *testing.T) {
	q := open(t, parts.Redis(t))
	p := publisher(t, q)
	for n := range 12 { // in this order: one after the other
		m := message(n)
		m.Type = []string{"connected_account.connected", "connected_account.created"}[n%2]
		publish(t, p, m)
	}
	var mended atomic.Bool
	consume(t, q, quick(func(_ context.Context, d *queue.Delivery) (queue.Outcome, error) {
		switch d.ID {
		case "msg_1", "msg_2":
			return queue.Outcome{}, queue.Permanent("rejected", errors.New("no"))
		case "msg_3":
			return queue.Outcome{}, queue.Permanent("rule:odd", errors.New("no"))
		case "msg_4":
			return queue.Outcome{Status: queue.Skipped, Reason: "account_gone"}, nil
		case "msg_5", "msg_6":
			if !mended.Load() {
				return queue.Outcome{}, queue.After(time.Hour, "seam_unavailable", errors.New("not yet"))
			}
		}
		return queue.Outcome{Status: queue.Tagged}, nil
	}))
	await(t, "all but two ended", func() bool {
		s, err := q.Stats(t.Context())
		return err == nil && s.Waiting == 2 && s.Retrying == 2
	})
	for name, tt := range map[string]struct {
		f    queue.Filter
		want []string
	}{
		"a reason":            {queue.Filter{Reason: "rejected"}, []string{"msg_2", "msg_1"}},
		"a reason of others":  {queue.Filter{Reason: "rule:odd"}, []string{"msg_3"}},
		"a reason and type":   {queue.Filter{Reason: "rejected", Type: "connected_account.created"}, []string{"msg_1"}},
		"a reason to wait":    {queue.Filter{Reason: "seam_unavailable"}, []string{"msg_6", "msg_5"}},
		"retrying":            {queue.Filter{Status: queue.Retrying}, []string{"msg_6", "msg_5"}},
		"dead":                {queue.Filter{Status: queue.Dead}, []string{"msg_3", "msg_2", "msg_1"}},
		"a type":              {queue.Filter{Type: "connected_account.created"}, []string{"msg_11", "msg_9", "msg_7", "msg_5", "msg_3", "msg_1"}},
		"ended of a type":     {queue.Filter{Type: "connected_account.created", Ended: true}, []string{"msg_11", "msg_9", "msg_7", "msg_3", "msg_1"}},
		"of another status":   {queue.Filter{Reason: "account_gone", Status: queue.Dead}, nil},
		"an account's reason": {queue.Filter{Key: message(2).Key, Reason: "rejected"}, []string{"msg_2"}},
	} {
		for _, limit := range []int{1, 2, 100} {
			if diff := cmp.Diff(tt.want, walk(t, q, tt.f, limit)); diff != "" {
				t.Errorf("%s, %d a page (-want +got):\n%s", name, limit, diff)
			}
		}
	}
	s, err := q.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []queue.ReasonCount{
		{Status: queue.Dead, Reason: "rejected", Count: 2},
		{Status: queue.Dead, Reason: "rule_odd", Count: 1},
		{Status: queue.Retrying, Reason: "seam_unavailable", Count: 2},
		{Status: queue.Skipped, Reason: "account_gone", Count: 1},
		{Status: queue.Tagged, Count: 6},
	}
	if diff := cmp.Diff(want, s.Reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

func TestTheSameEventUnderTwoMessagesIsFoundTwice(t *testing.T) {
	q := open(t, parts.Redis(t))
	p := publisher(t, q)
	a, b := message(1), message(2)
	b.EventID, b.Key = a.EventID, a.Key
	publish(t, p, a)
	publish(t, p, b)
	if diff := cmp.Diff([]string{"msg_2", "msg_1"}, walk(t, q, queue.Filter{EventID: a.EventID}, 1)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c := message(3)
	c.Key = "" // of no account
	publish(t, p, c)
	if diff := cmp.Diff([]string{"msg_3"}, walk(t, q, queue.Filter{EventID: c.EventID}, 1)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAPageSaysWhetherAnotherFollows(t *testing.T) {
	q := open(t, parts.Redis(t))
	p := publisher(t, q)
	for n := range 60 {
		publish(t, p, message(n))
	}
	for _, f := range []queue.Filter{{}, {Status: queue.Queued}, {Type: "connected_account.connected"}} {
		for limit, want := range map[int]bool{59: true, 60: false, 61: false, 1: true} {
			page, err := q.List(t.Context(), f, "", limit)
			if err != nil || (page.Next != "") != want || len(page.Entries) != min(limit, 60) {
				t.Errorf("%+v, %d a page: %d entries, next %q, %v", f, limit, len(page.Entries), page.Next, err)
			}
		}
	}
}

// replayed has some entries dead and some tagged, with a handler that tags all from then on.
func replayed(t *testing.T, total int) (*queue.Queue, *atomic.Int64) {
	t.Helper()
	q := open(t, parts.Redis(t))
	p := publisher(t, q)
	var mended atomic.Bool
	runs := &atomic.Int64{}
	for n := range total {
		publish(t, p, message(n))
	}
	consume(t, q, quick(func(_ context.Context, d *queue.Delivery) (queue.Outcome, error) {
		if mended.Load() {
			runs.Add(1)
			return queue.Outcome{Status: queue.Unchanged}, nil
		}
		var n int
		if _, err := fmt.Sscanf(d.ID, "msg_%d", &n); err != nil || n%3 == 0 {
			return queue.Outcome{}, queue.Permanent("rejected", errors.New("no"))
		}
		return queue.Outcome{Status: queue.Tagged}, nil
	}))
	await(t, "all ended", func() bool { s, err := q.Stats(t.Context()); return err == nil && s.Waiting == 0 })
	mended.Store(true)
	return q, runs
}

func TestReplayMatchingPutsBackEachOnce(t *testing.T) {
	const total = 90
	q, runs := replayed(t, total)
	dead := queue.Filter{Status: queue.Dead}
	dry, err := q.ReplayMatching(t.Context(), dead, queue.ReplayOptions{DryRun: true})
	if want := (queue.Replayed{Matched: total / 3}); err != nil || dry != want {
		t.Errorf("dry run %+v, %v; want %+v", dry, err, want)
	}
	looked := 0
	dry, err = q.ReplayMatching(t.Context(), dead, queue.ReplayOptions{DryRun: true, Before: func(_ context.Context, batch []queue.Entry) error {
		looked += len(batch)
		return nil
	}})
	if err != nil || dry.Matched != total/3 || looked != total/3 || runs.Load() != 0 {
		t.Errorf("dry run %+v, %v, looked at %d, ran %d", dry, err, looked, runs.Load())
	}
	done, err := q.ReplayMatching(t.Context(), queue.Filter{}, queue.ReplayOptions{Batch: 7}) // while they end again
	if want := (queue.Replayed{Matched: total, Replayed: total}); err != nil || done != want {
		t.Errorf("%+v, %v; want %+v", done, err, want)
	}
	await(t, "all ended again", func() bool { s, err := q.Stats(t.Context()); return err == nil && s.Ended[queue.Unchanged] == total })
	if runs.Load() != total {
		t.Errorf("%d runs, want %d", runs.Load(), total)
	}
}

func TestReplayMatchingGoesOnWhereItStopped(t *testing.T) {
	const total = 60
	q, runs := replayed(t, total)
	interrupted := errors.New("interrupted")
	first, err := q.ReplayMatching(t.Context(), queue.Filter{}, queue.ReplayOptions{Batch: 10, After: func(r queue.Replayed) error {
		if r.Matched == 30 {
			return interrupted
		}
		return nil
	}})
	if !errors.Is(err, interrupted) || first.Replayed != 30 || first.Next == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	rest, err := q.ReplayMatching(t.Context(), queue.Filter{}, queue.ReplayOptions{Cursor: first.Next})
	if err != nil || rest.Replayed != 30 || rest.Next != "" {
		t.Errorf("%+v, %v", rest, err)
	}
	await(t, "all ended again", func() bool { s, err := q.Stats(t.Context()); return err == nil && s.Ended[queue.Unchanged] == total })
	if runs.Load() != total {
		t.Errorf("%d runs, want %d", runs.Load(), total)
	}
}

func TestAReplayedEntryForgetsItsEnd(t *testing.T) {
	q, _ := replayed(t, 1)
	page, err := q.List(t.Context(), queue.Filter{}, "", 1)
	if err != nil || len(page.Entries) != 1 {
		t.Fatal(page, err)
	}
	if e := page.Entries[0]; e.Reason != "rejected" || e.Error == "" || e.EndedAt.IsZero() {
		t.Errorf("before: %+v", e)
	}
	if n, err := q.Replay(t.Context(), page.Entries[0].EntryID); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	e := awaitStatus(t, q, page.Entries[0].EntryID, queue.Unchanged)
	if e.Reason != "" || e.Error != "" || e.Replays != 1 || len(e.History) != 2 {
		t.Errorf("after: %+v", e)
	}
}

func TestANamedReplayIsGoneOnWithOnce(t *testing.T) {
	q := open(t, parts.Redis(t))
	p := publisher(t, q)
	const total = 50
	for n := range total {
		publish(t, p, message(n))
	}
	consume(t, q, quick(tag))
	drained := func() {
		await(t, "drained", func() bool { s, err := q.Stats(t.Context()); return err == nil && s.Waiting == 0 })
	}
	drained()
	run := queue.ReplayOptions{Run: "all", Batch: 10}
	killed := run
	killed.After = func(queue.Replayed) error { return errors.New("killed") }
	if done, err := q.ReplayMatching(t.Context(), queue.Filter{}, killed); err == nil || done.Replayed != 10 || done.GoesOn {
		t.Fatalf("first: %+v, %v", done, err)
	}
	drained() // what was put back has ended again, and would match again
	if done, err := q.ReplayMatching(t.Context(), queue.Filter{}, queue.ReplayOptions{Run: "all", DryRun: true}); err != nil || done.Matched != 40 || !done.GoesOn {
		t.Errorf("a look in between: %+v, %v", done, err)
	}
	overtaken := run
	overtaken.Before = func(ctx context.Context, _ []queue.Entry) error { // somebody else goes on with it first
		done, err := q.ReplayMatching(ctx, queue.Filter{}, killed)
		if done.Replayed != 10 {
			t.Errorf("the other process: %+v, %v", done, err)
		}
		return nil
	}
	if done, err := q.ReplayMatching(t.Context(), queue.Filter{}, overtaken); !errors.Is(err, queue.ErrReplayMoved) || done.Replayed != 0 {
		t.Errorf("overtaken: %+v, %v", done, err)
	}
	if done, err := q.ReplayMatching(t.Context(), queue.Filter{}, run); err != nil || done.Replayed != 30 || !done.GoesOn {
		t.Errorf("the rest: %+v, %v", done, err)
	}
	drained()
	page, err := q.List(t.Context(), queue.Filter{}, "", total)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page.Entries {
		if e.Replays != 1 {
			t.Errorf("%s was put back %d times", e.EntryID, e.Replays)
		}
	}
	if err := q.ForgetReplay(t.Context(), "all"); err != nil {
		t.Error(err)
	}
	if done, err := q.ReplayMatching(t.Context(), queue.Filter{}, run); err != nil || done.Replayed != total || done.GoesOn {
		t.Errorf("at its end it begins anew: %+v, %v", done, err)
	}
}
