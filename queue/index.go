package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// source is where a list reads from: the log, or zsets by arrival, or one entry that a mark names.
type source struct {
	log   bool
	zsets []string
	entry string
}

func (s *source) nowhere() bool { return !s.log && len(s.zsets) == 0 && s.entry == "" }

// where chooses the smallest source that holds all that the filter asks for.
func (q *Queue) where(ctx context.Context, f *Filter) (source, error) {
	switch {
	case f.MessageID != "":
		return q.marked(ctx, q.keys.seen(f.MessageID))
	case f.EventID != "":
		return q.event(ctx, f)
	case f.Key != "":
		return source{zsets: []string{q.keys.index(f.Key)}}, nil
	case f.Status == Queued:
		return source{zsets: []string{q.keys.open()}}, nil
	case f.Status == "" && f.Reason == "" && f.Type == "" && !f.Ended:
		return source{log: true}, nil
	}
	shelves, err := q.shelves(ctx)
	var s source
	for _, one := range shelves {
		if f.wants(one) {
			s.zsets = append(s.zsets, q.keys.shelf(one))
		}
	}
	if f.Status == "" && f.Reason == "" && !f.Ended {
		s.zsets = append(s.zsets, q.keys.open())
	}
	return s, err
}

// marked is the entry that a mark names.
func (q *Queue) marked(ctx context.Context, mark string) (source, error) {
	id, err := q.rdb.Get(ctx, mark).Result()
	if errors.Is(err, redis.Nil) {
		return source{}, nil
	}
	return source{entry: id}, err
}

// event finds an event by its id. Its mark names the latest entry of it; earlier ones, which came under message ids of
// their own, stand in the same account's index.
func (q *Queue) event(ctx context.Context, f *Filter) (source, error) {
	s, err := q.marked(ctx, q.keys.event(f.EventID))
	if err != nil || s.nowhere() {
		return s, err
	}
	entries, err := q.entries(ctx, []string{s.entry})
	if err != nil || len(entries) == 0 || entries[0].Key == "" {
		return s, err
	}
	return source{zsets: []string{q.keys.index(entries[0].Key)}}, nil
}

// wants says whether entries on a shelf can match.
func (f *Filter) wants(s shelf) bool {
	return (f.Status == "" || s.status == f.Status) && (!f.Ended || s.status.Ended()) &&
		(f.Reason == "" || s.reason == shelfReason(f.Reason)) && (f.Type == "" || s.kind == f.Type)
}

// ids answers up to n entry ids after the cursor, newest first; fewer only where there are no more.
func (q *Queue) ids(ctx context.Context, s source, f Filter, cursor string, n int) ([]string, error) {
	switch {
	case s.entry != "" && cursor == "":
		return []string{s.entry}, nil
	case s.entry != "":
		return nil, nil
	case s.log:
		return q.idsOfLog(ctx, f, cursor, n)
	}
	return q.idsOfIndexes(ctx, s.zsets, f, cursor, n)
}

func (q *Queue) idsOfLog(ctx context.Context, f Filter, cursor string, n int) ([]string, error) {
	newest, oldest := "+", "-"
	if !f.Until.IsZero() {
		newest = "(" + strconv.FormatInt(f.Until.UnixMilli(), 10) + "-0"
	}
	if cursor != "" {
		newest = "(" + cursor
	}
	if !f.Since.IsZero() {
		oldest = strconv.FormatInt(f.Since.UnixMilli(), 10)
	}
	messages, err := q.rdb.XRevRangeN(ctx, q.keys.log(), newest, oldest, int64(n)).Result()
	return idsOf(messages), err
}

func idsOf(messages []redis.XMessage) []string {
	ids := make([]string, len(messages))
	for i, m := range messages {
		ids[i] = m.ID
	}
	return ids
}

// span is the range of arrivals that a filter asks for, as the zset commands take it.
func (f *Filter) span() (oldest, newest string) {
	oldest, newest = "-inf", "+inf"
	if !f.Since.IsZero() {
		oldest = strconv.FormatInt(f.Since.UnixMilli(), 10)
	}
	if !f.Until.IsZero() {
		newest = "(" + strconv.FormatInt(f.Until.UnixMilli(), 10)
	}
	return oldest, newest
}

// idsOfIndexes merges zsets by arrival, all read in one round trip.
func (q *Queue) idsOfIndexes(ctx context.Context, zsets []string, f Filter, cursor string, n int) ([]string, error) {
	by := &redis.ZRangeBy{Count: int64(n)}
	by.Min, by.Max = f.span()
	if cursor != "" {
		by.Max, _, _ = strings.Cut(cursor, "-")
	}
	reads := make([]*redis.StringSliceCmd, len(zsets))
	_, err := q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, zset := range zsets {
			reads[i] = p.ZRevRangeByScore(ctx, zset, by)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var ids []string
	for i, zset := range zsets {
		found, err := q.after(ctx, cursor, zset, by, reads[i].Val())
		if err != nil {
			return nil, err
		}
		ids = append(ids, found...)
	}
	slices.SortFunc(ids, newestFirst)
	ids = slices.Compact(ids) // one may be open and on a shelf
	return ids[:min(n, len(ids))], nil
}

// newestFirst orders as a zset does: by arrival, and the members of one millisecond in lexical order.
func newestFirst(a, b string) int {
	if byArrival := arrival(b).Compare(arrival(a)); byArrival != 0 {
		return byArrival
	}
	return strings.Compare(b, a)
}

// after leaves out what the cursor has passed of its own millisecond, and reads on until there are as many ids as asked for.
func (q *Queue) after(ctx context.Context, cursor, zset string, by *redis.ZRangeBy, read []string) ([]string, error) {
	more := *by
	var ids []string
	for {
		for _, id := range read {
			if cursor == "" || newestFirst(cursor, id) < 0 {
				ids = append(ids, id)
			}
		}
		if len(read) < int(by.Count) || len(ids) >= int(by.Count) {
			return ids, nil
		}
		more.Offset += by.Count
		var err error
		if read, err = q.rdb.ZRevRangeByScore(ctx, zset, &more).Result(); err != nil {
			return nil, err
		}
	}
}

// countable says whether the indexes alone hold the answer to how many match.
func (f *Filter) countable() bool {
	return f.Ended && f.Key == "" && f.EventID == "" && f.MessageID == ""
}

// count adds up what stands on the shelves that match.
func (q *Queue) count(ctx context.Context, f Filter) (int, error) {
	f.Since, f.Until = wholeMillis(f.Since), wholeMillis(f.Until)
	from, err := q.where(ctx, &f)
	if err != nil {
		return 0, fmt.Errorf("queue: count: %w", err)
	}
	oldest, newest := f.span()
	counts, err := q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, zset := range from.zsets {
			p.ZCount(ctx, zset, oldest, newest)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("queue: count: %w", err)
	}
	total := 0
	for _, one := range counts {
		if n, ok := one.(*redis.IntCmd); ok {
			total += int(n.Val())
		}
	}
	return total, nil
}
