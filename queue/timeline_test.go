package queue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/internal/parts"
	"seamtag/queue"
)

func TestATimelineCountsEachEntryOnceWhereItStands(t *testing.T) {
	q := open(t, parts.Redis(t))
	p := publisher(t, q)
	for n := range 8 {
		publish(t, p, message(n))
	}
	consume(t, q, quick(func(_ context.Context, d *queue.Delivery) (queue.Outcome, error) {
		switch d.ID {
		case "msg_1", "msg_2":
			return queue.Outcome{}, queue.Permanent("rejected", errors.New("no"))
		case "msg_3":
			return queue.Outcome{}, queue.Permanent("rule_error", errors.New("no"))
		case "msg_4":
			return queue.Outcome{}, queue.After(time.Hour, "seam_unavailable", errors.New("not yet"))
		}
		return queue.Outcome{Status: queue.Tagged}, nil
	}))
	await(t, "all but one ended", func() bool {
		s, err := q.Stats(t.Context())
		return err == nil && s.Waiting == 1 && s.Retrying == 1
	})
	from := time.Now().Truncate(time.Hour).Add(-3 * time.Hour)
	buckets, err := q.Timeline(t.Context(), from, time.Hour, 5)
	if err != nil {
		t.Fatal(err)
	}
	sum := queue.Bucket{Ended: map[queue.Status]int64{}}
	for i, b := range buckets {
		if want := from.Add(time.Duration(i) * time.Hour); !b.Start.Equal(want) {
			t.Errorf("step %d begins at %s, want %s", i, b.Start, want)
		}
		if (i < 2 || i > 4) && b.Accepted() != 0 {
			t.Errorf("step %d counts %d entries", i, b.Accepted())
		}
		sum.Waiting += b.Waiting
		for s, n := range b.Ended {
			sum.Ended[s] += n
		}
	}
	if diff := cmp.Diff(queue.Bucket{Waiting: 1, Ended: map[queue.Status]int64{queue.Tagged: 4, queue.Dead: 3}}, sum); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if sum.Accepted() != 8 {
		t.Errorf("%d accepted, want 8", sum.Accepted())
	}
}

func TestANoteIsSeenByOthersUntilItsTimeIsOver(t *testing.T) {
	r := parts.Redis(t)
	one, other := open(t, r), open(t, r)
	if noted, err := other.Noted(t.Context(), "a"); noted || err != nil {
		t.Fatalf("before: %v, %v", noted, err)
	}
	if err := one.Note(t.Context(), "a", time.Hour); err != nil {
		t.Fatal(err)
	}
	if noted, err := other.Noted(t.Context(), "a"); !noted || err != nil {
		t.Errorf("after: %v, %v", noted, err)
	}
	if noted, _ := other.Noted(t.Context(), "b"); noted {
		t.Error("another name is noted too")
	}
	if err := one.Note(t.Context(), "short", time.Millisecond); err != nil {
		t.Fatal(err)
	}
	await(t, "the short note is forgotten", func() bool {
		noted, err := other.Noted(t.Context(), "short")
		return err == nil && !noted
	})
}
