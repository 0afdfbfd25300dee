package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Entry is one message with all that is known of it.
type Entry struct {
	Message

	EntryID    string
	Status     Status
	Reason     string
	Error      string
	Attempts   int // since the last replay
	Deliveries int
	Replays    int
	EndedAt    time.Time // zero while it has not ended
	Result     json.RawMessage
	History    []Attempt
}

// Filter narrows a list. Zero fields do not.
type Filter struct {
	Status Status
	Key    string
	Type   string
	Reason string
	Since  time.Time // arrival, inclusive
	Until  time.Time // arrival, exclusive
}

// Page is a part of a list, newest first.
type Page struct {
	Entries []Entry
	Next    string // cursor of the next page; empty at the end. A page can be short, or empty, and yet have a next one.
}

const (
	maxPage = 500
	maxScan = 2000 // entries looked at for one page: what bounds the time of a list
)

var cursorForm = regexp.MustCompile(`^[0-9]{1,16}-[0-9]{1,20}$`)

// ErrCursor is what List answers for a cursor that it did not give out.
var ErrCursor = errors.New("queue: not a cursor of this list")

// Entry reads one entry.
func (q *Queue) Entry(ctx context.Context, id string) (Entry, error) {
	if !cursorForm.MatchString(id) {
		return Entry{}, ErrNotFound
	}
	entries, err := q.entries(ctx, []string{id})
	if err != nil {
		return Entry{}, fmt.Errorf("queue: read entry %s: %w", id, err)
	}
	if len(entries) == 0 {
		return Entry{}, ErrNotFound
	}
	return entries[0], nil
}

// List reads entries, newest first, from the smallest index that holds what the filter asks for.
func (q *Queue) List(ctx context.Context, f Filter, cursor string, limit int) (Page, error) {
	if cursor != "" && !cursorForm.MatchString(cursor) {
		return Page{}, ErrCursor
	}
	if limit <= 0 || limit > maxPage {
		limit = maxPage
	}
	page := Page{Next: cursor}
	for scanned := 0; scanned < maxScan && len(page.Entries) < limit; {
		ids, err := q.ids(ctx, f, page.Next, min(max(limit, 50), maxPage))
		if err != nil {
			return Page{}, fmt.Errorf("queue: list: %w", err)
		}
		if len(ids) == 0 {
			page.Next = ""
			return page, nil
		}
		entries, err := q.entries(ctx, ids)
		if err != nil {
			return Page{}, fmt.Errorf("queue: list: %w", err)
		}
		page.Next = ids[len(ids)-1]
		for _, e := range entries {
			if !f.matches(&e) {
				continue
			}
			if page.Entries = append(page.Entries, e); len(page.Entries) == limit {
				page.Next = e.EntryID
				break
			}
		}
		scanned += len(ids)
	}
	return page, nil
}

func (f *Filter) matches(e *Entry) bool {
	return (f.Status == "" || e.Status == f.Status) && (f.Key == "" || e.Key == f.Key) &&
		(f.Type == "" || e.Type == f.Type) && (f.Reason == "" || e.Reason == f.Reason)
}

// ids answers up to n entry ids before the cursor, newest first.
func (q *Queue) ids(ctx context.Context, f Filter, cursor string, n int) ([]string, error) {
	switch {
	case f.Key != "":
		return q.idsOfIndex(ctx, q.keys.index(f.Key), f, cursor, n)
	case f.Status.Ended():
		return q.idsOfIndex(ctx, q.keys.ended(f.Status), f, cursor, n)
	case f.Status != "":
		return q.idsOfIndex(ctx, q.keys.open(), f, cursor, n)
	}
	return q.idsOfLog(ctx, f, cursor, n)
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
	ids := make([]string, 0, len(messages))
	for _, m := range messages {
		ids = append(ids, m.ID)
	}
	return ids, err
}

// idsOfIndex reads a zset by arrival. Members of one millisecond are in lexical order, so the cursor's own millisecond is
// read again and what came before is left out.
func (q *Queue) idsOfIndex(ctx context.Context, key string, f Filter, cursor string, n int) ([]string, error) {
	by := &redis.ZRangeBy{Min: "-inf", Max: "+inf", Count: int64(n)}
	if !f.Since.IsZero() {
		by.Min = strconv.FormatInt(f.Since.UnixMilli(), 10)
	}
	if !f.Until.IsZero() {
		by.Max = "(" + strconv.FormatInt(f.Until.UnixMilli(), 10)
	}
	cursorMS, _, _ := strings.Cut(cursor, "-")
	if cursor != "" {
		by.Max = cursorMS
	}
	for {
		ids, err := q.rdb.ZRevRangeByScore(ctx, key, by).Result()
		if err != nil || cursor == "" {
			return ids, err
		}
		left := ids[:0:0]
		for _, id := range ids {
			if ms, _, _ := strings.Cut(id, "-"); ms != cursorMS || id < cursor {
				left = append(left, id)
			}
		}
		if len(left) > 0 || len(ids) < int(by.Count) {
			return left, nil
		}
		by.Offset += by.Count // a millisecond with more entries than one read
	}
}

// entries reads log entries and records in one round trip. Ids that the log no longer holds are left out.
func (q *Queue) entries(ctx context.Context, ids []string) ([]Entry, error) {
	logs := make([]*redis.XMessageSliceCmd, len(ids))
	records := make([]*redis.MapStringStringCmd, len(ids))
	_, err := q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			logs[i] = p.XRangeN(ctx, q.keys.log(), id, id, 1)
			records[i] = p.HGetAll(ctx, q.keys.entry(id))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(ids))
	for i, id := range ids {
		if found := logs[i].Val(); len(found) == 1 {
			entries = append(entries, entryOf(id, stringValues(found[0].Values), parseRecord(records[i].Val())))
		}
	}
	return entries, nil
}

func entryOf(id string, fields map[string]string, r record) Entry {
	return Entry{
		Message: messageOf(fields), EntryID: id, Status: r.Status, Reason: r.Reason, Error: r.Error, Attempts: r.Attempts,
		Deliveries: r.Deliveries, Replays: r.Replays, EndedAt: r.EndedAt, Result: r.Result, History: r.History,
	}
}

// Stats counts what is retained, by where it stands.
type Stats struct {
	Waiting int64            // all that has not ended
	Due     int64            // of these, what waits for its time
	Ended   map[Status]int64 // retained, by terminal status
	Oldest  time.Time        // arrival of the oldest that has not ended; zero where there is none
}

// Stats reads the counts in one round trip.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	var open, due *redis.IntCmd
	var oldest *redis.ZSliceCmd
	ended := make(map[Status]*redis.IntCmd, len(terminal))
	_, err := q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		open, due = p.ZCard(ctx, q.keys.open()), p.ZCard(ctx, q.keys.due())
		oldest = p.ZRangeWithScores(ctx, q.keys.open(), 0, 0)
		for _, s := range terminal {
			ended[s] = p.ZCard(ctx, q.keys.ended(s))
		}
		return nil
	})
	if err != nil {
		return Stats{}, fmt.Errorf("queue: count: %w", err)
	}
	s := Stats{Waiting: open.Val(), Due: due.Val(), Ended: make(map[Status]int64, len(terminal)), Oldest: oldestOf(oldest)}
	for status, n := range ended {
		s.Ended[status] = n.Val()
	}
	return s, nil
}

func oldestOf(first *redis.ZSliceCmd) time.Time {
	if z := first.Val(); len(z) > 0 {
		return time.UnixMilli(int64(z[0].Score))
	}
	return time.Time{}
}

// Replay puts ended entries back to work: same id, no second copy of the payload, attempts start anew. It answers how many
// were; entries that have not ended, or that the log no longer holds, are left alone.
func (q *Queue) Replay(ctx context.Context, ids ...string) (int, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	k := q.keys
	keys := append([]string{k.log(), k.open(), k.due(), k.wake()}, k.allEnded()...)
	args := make([]any, 0, len(ids))
	for _, id := range ids {
		if !cursorForm.MatchString(id) {
			return 0, ErrNotFound
		}
		keys, args = append(keys, k.entry(id)), append(args, id)
	}
	reply, err := replayScript.Run(ctx, q.rdb, keys, args...).StringSlice()
	if err != nil {
		return 0, fmt.Errorf("queue: replay: %w", err)
	}
	n := 0
	for _, r := range reply {
		if r == "1" {
			n++
		}
	}
	return n, nil
}
