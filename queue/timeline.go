package queue

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Bucket counts the entries that arrived within one step of a timeline, by where they stand now.
type Bucket struct {
	Start   time.Time
	Waiting int64            // not ended yet
	Ended   map[Status]int64 // by terminal status
}

// Accepted is the count of all that arrived.
func (b *Bucket) Accepted() int64 {
	n := b.Waiting
	for _, ended := range b.Ended {
		n += ended
	}
	return n
}

// Timeline counts retained entries by arrival, in n steps from a time on, the oldest first. Nothing is written for it at any
// other time: it counts ranges of the indexes, each at logarithmic cost, and only of those that hold something of the time.
func (q *Queue) Timeline(ctx context.Context, from time.Time, step time.Duration, n int) ([]Bucket, error) {
	buckets, err := q.timeline(ctx, from, step, n)
	if err != nil {
		return nil, fmt.Errorf("queue: count by arrival: %w", err)
	}
	return buckets, nil
}

func (q *Queue) timeline(ctx context.Context, from time.Time, step time.Duration, n int) ([]Bucket, error) {
	used, err := q.indexesWithin(ctx, from, from.Add(time.Duration(n)*step))
	if err != nil {
		return nil, err
	}
	buckets := make([]Bucket, n)
	counts := make([][]*redis.IntCmd, n)
	_, err = q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range n {
			buckets[i] = Bucket{Start: from.Add(time.Duration(i) * step), Ended: make(map[Status]int64, len(terminal))}
			for _, one := range used {
				counts[i] = append(counts[i], one.within(ctx, p, buckets[i].Start, buckets[i].Start.Add(step)))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range buckets {
		for j, count := range counts[i] {
			buckets[i].add(used[j].status, count.Val())
		}
	}
	return buckets, nil
}

func (b *Bucket) add(s Status, n int64) {
	if s.Ended() {
		b.Ended[s] += n
	} else {
		b.Waiting += n
	}
}

// arrivals is an index by arrival, and the status of what stands in it.
type arrivals struct {
	zset   string
	status Status
}

func (a *arrivals) within(ctx context.Context, p redis.Pipeliner, since, until time.Time) *redis.IntCmd {
	return p.ZCount(ctx, a.zset, strconv.FormatInt(since.UnixMilli(), 10), "("+strconv.FormatInt(until.UnixMilli(), 10))
}

// indexesWithin are the indexes that hold something of a time, each entry in one of them.
func (q *Queue) indexesWithin(ctx context.Context, since, until time.Time) ([]arrivals, error) {
	shelves, err := q.shelves(ctx)
	if err != nil {
		return nil, err
	}
	all := []arrivals{{q.keys.open(), Queued}}
	for _, one := range shelves {
		if one.status.Ended() { // what is being retried is open as well
			all = append(all, arrivals{q.keys.shelf(one), one.status})
		}
	}
	counts := make([]*redis.IntCmd, len(all))
	_, err = q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range all {
			counts[i] = all[i].within(ctx, p, since, until)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var used []arrivals
	for i, count := range counts {
		if count.Val() > 0 {
			used = append(used, all[i])
		}
	}
	return used, nil
}
