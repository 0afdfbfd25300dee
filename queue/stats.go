package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// Stats counts what is retained, by where it stands.
type Stats struct {
	Waiting  int64            // all that has not ended
	Retrying int64            // of these, what failed before
	Due      int64            // of these, what waits for its time
	Ended    map[Status]int64 // retained, by terminal status
	Reasons  []ReasonCount    // of what ended or is being retried, by status and then the most first
	Oldest   time.Time        // arrival of the oldest that has not ended; zero where there is none
	Paused   *PauseState      // of the workers of any process; nil while none pauses
}

// ReasonCount is how many entries stand in a status for a reason, which may be empty.
type ReasonCount struct {
	Status Status
	Reason string
	Count  int64
}

// Stats reads the counts in two round trips.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	s, err := q.stats(ctx)
	if err != nil {
		return Stats{}, fmt.Errorf("queue: count: %w", err)
	}
	return s, nil
}

func (q *Queue) stats(ctx context.Context) (Stats, error) {
	shelves, err := q.shelves(ctx)
	if err != nil {
		return Stats{}, err
	}
	var open, due *redis.IntCmd
	var oldest *redis.ZSliceCmd
	var paused *redis.StringCmd
	counts := make([]*redis.IntCmd, len(shelves))
	_, err = q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		open, due = p.ZCard(ctx, q.keys.open()), p.ZCard(ctx, q.keys.due())
		oldest = p.ZRangeWithScores(ctx, q.keys.open(), 0, 0)
		paused = p.Get(ctx, q.keys.pause())
		for i, one := range shelves {
			counts[i] = p.ZCard(ctx, q.keys.shelf(one))
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return Stats{}, err
	}
	s := Stats{
		Waiting: open.Val(), Due: due.Val(), Ended: make(map[Status]int64, len(terminal)), Oldest: oldestOf(oldest),
		Paused: parsePause(paused.Val()),
	}
	for _, status := range terminal {
		s.Ended[status] = 0
	}
	for i, one := range shelves {
		s.add(one, counts[i].Val())
	}
	slices.SortFunc(s.Reasons, func(a, b ReasonCount) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return s, nil
}

// add counts one shelf.
func (s *Stats) add(one shelf, n int64) {
	if n == 0 {
		return
	}
	if one.status.Ended() {
		s.Ended[one.status] += n
	} else {
		s.Retrying += n
	}
	for i := range s.Reasons {
		if r := &s.Reasons[i]; r.Status == one.status && r.Reason == one.reason {
			r.Count += n
			return
		}
	}
	s.Reasons = append(s.Reasons, ReasonCount{one.status, one.reason, n})
}

func oldestOf(first *redis.ZSliceCmd) time.Time {
	if z := first.Val(); len(z) > 0 {
		return time.UnixMilli(int64(z[0].Score))
	}
	return time.Time{}
}
