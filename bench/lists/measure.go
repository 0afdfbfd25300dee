package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"seamtag/queue"
)

// timing is how long calls of one kind took.
type timing struct {
	name          string
	p50, p99, max time.Duration
	found         float64 // entries a call, on average
}

const pageSize = 50

// measure calls each kind of list, search and count again and again, with other words each time.
func measure(ctx context.Context, q *queue.Queue, s settings) ([]timing, error) {
	newest, err := q.List(ctx, queue.Filter{}, "", 1)
	if err != nil {
		return nil, err
	}
	oldest, err := q.Newer(ctx, "0-0", 1)
	if err != nil {
		return nil, err
	}
	from, to := arrival(oldest[0].EntryID), arrival(newest.Entries[0].EntryID)
	moment := func() time.Time { return from.Add(rand.N(to.Sub(from))) }
	anywhere := func() string { return fmt.Sprintf("%d-0", moment().UnixMilli()) }
	list := func(f func() (queue.Filter, string)) func() (int, error) {
		return func() (int, error) {
			filter, cursor := f()
			page, err := q.List(ctx, filter, cursor, pageSize)
			return len(page.Entries), err
		}
	}
	some := func() queue.Message { return message(rand.IntN(s.entries)) }
	calls := []struct {
		name string
		call func() (int, error)
	}{
		{"the newest", list(func() (queue.Filter, string) { return queue.Filter{}, "" })},
		{"any page of all", list(func() (queue.Filter, string) { return queue.Filter{}, anywhere() })},
		{"any page of a status", list(func() (queue.Filter, string) { return queue.Filter{Status: queue.Unchanged}, anywhere() })},
		{"any page of the dead", list(func() (queue.Filter, string) { return queue.Filter{Status: queue.Dead}, anywhere() })},
		{"a rare reason", list(func() (queue.Filter, string) { return queue.Filter{Reason: "rule_error"}, "" })},
		{"any page of a type", list(func() (queue.Filter, string) { return queue.Filter{Type: kinds[3]}, anywhere() })},
		{"a type and a status", list(func() (queue.Filter, string) {
			return queue.Filter{Type: kinds[3], Status: queue.Dead}, ""
		})},
		{"an account", list(func() (queue.Filter, string) { return queue.Filter{Key: some().Key}, "" })},
		{"a second of a status", list(func() (queue.Filter, string) {
			at := moment()
			return queue.Filter{Status: queue.Tagged, Since: at, Until: at.Add(time.Second)}, ""
		})},
		{"an event id", list(func() (queue.Filter, string) { return queue.Filter{EventID: some().EventID}, "" })},
		{"a message id", list(func() (queue.Filter, string) { return queue.Filter{MessageID: some().ID}, "" })},
		{"what nothing matches", list(func() (queue.Filter, string) { return queue.Filter{Key: some().Key, Reason: "nothing"}, "" })},
		{"the counts", func() (int, error) { _, err := q.Stats(ctx); return 0, err }},
		{"a dry run over all dead", func() (int, error) {
			r, err := q.ReplayMatching(ctx, queue.Filter{Status: queue.Dead}, queue.ReplayOptions{DryRun: true})
			return r.Matched, err
		}},
	}
	var timings []timing
	for _, c := range calls {
		t, err := repeat(c.name, s.rounds, c.call)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		timings = append(timings, t)
	}
	return timings, nil
}

func repeat(name string, rounds int, call func() (int, error)) (timing, error) {
	took := make([]time.Duration, rounds)
	found := 0
	for i := range rounds {
		began := time.Now()
		n, err := call()
		if err != nil {
			return timing{}, err
		}
		took[i] = time.Since(began)
		found += n
	}
	slices.Sort(took)
	return timing{
		name: name, p50: took[rounds/2], p99: took[rounds*99/100], max: took[rounds-1], found: float64(found) / float64(rounds),
	}, nil
}

func arrival(id string) time.Time {
	var ms int64
	_, _ = fmt.Sscanf(id, "%d-", &ms) // our own ids
	return time.UnixMilli(ms)
}
