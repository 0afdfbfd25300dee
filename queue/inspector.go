package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
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
	Status    Status
	Ended     bool // only what has ended, in whichever status
	Key       string
	Type      string
	Reason    string
	EventID   string
	MessageID string
	Since     time.Time // arrival, inclusive
	Until     time.Time // arrival, exclusive
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

// Read reads entries, in the order of their ids; those that the log no longer holds are left out.
func (q *Queue) Read(ctx context.Context, ids ...string) ([]Entry, error) {
	entries, err := q.entries(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("queue: read entries: %w", err)
	}
	return entries, nil
}

// Newer reads up to n entries that arrived after the one with this id, the oldest of them first; "0-0" is before all.
func (q *Queue) Newer(ctx context.Context, after string, n int) ([]Entry, error) {
	if !cursorForm.MatchString(after) {
		return nil, ErrCursor
	}
	messages, err := q.rdb.XRangeN(ctx, q.keys.log(), "("+after, "+", int64(n)).Result()
	if err != nil {
		return nil, fmt.Errorf("queue: read what came after %s: %w", after, err)
	}
	return q.Read(ctx, idsOf(messages)...)
}

// List reads entries, newest first, from the smallest indexes that hold what the filter asks for. It looks at no more than
// 2,000 entries for a page, so that its time is bounded whatever is retained.
func (q *Queue) List(ctx context.Context, f Filter, cursor string, limit int) (Page, error) {
	if cursor != "" && !cursorForm.MatchString(cursor) {
		return Page{}, ErrCursor
	}
	if limit <= 0 || limit > maxPage {
		limit = maxPage
	}
	page, err := q.list(ctx, f, cursor, limit)
	if err != nil {
		return Page{}, fmt.Errorf("queue: list: %w", err)
	}
	return page, nil
}

func (q *Queue) list(ctx context.Context, f Filter, cursor string, limit int) (Page, error) {
	f.Since, f.Until = wholeMillis(f.Since), wholeMillis(f.Until)
	from, err := q.where(ctx, &f)
	if err != nil || from.nowhere() {
		return Page{}, err
	}
	page := Page{Next: cursor}
	n := max(limit+1, 50) // one more shows whether there is a next page
	for scanned := 0; scanned < maxScan; scanned += n {
		ids, err := q.ids(ctx, from, f, page.Next, n)
		if err != nil {
			return Page{}, err
		}
		entries, err := q.entries(ctx, ids)
		if err != nil {
			return Page{}, err
		}
		for _, e := range entries {
			if !f.Matches(&e) {
				continue
			}
			if len(page.Entries) == limit {
				page.Next = page.Entries[limit-1].EntryID
				return page, nil
			}
			page.Entries = append(page.Entries, e)
		}
		if len(ids) < n {
			page.Next = ""
			return page, nil
		}
		page.Next = ids[n-1]
	}
	return page, nil
}

// wholeMillis is the first millisecond that is not before t: arrivals have no finer time.
func wholeMillis(t time.Time) time.Time {
	if whole := t.Truncate(time.Millisecond); !whole.Equal(t) {
		return whole.Add(time.Millisecond)
	}
	return t
}

// Matches says whether an entry is one that the filter asks for.
func (f *Filter) Matches(e *Entry) bool {
	at := arrival(e.EntryID)
	return is(f.Status, e.Status) && (!f.Ended || e.Status.Ended()) && is(f.Key, e.Key) && is(f.Type, e.Type) &&
		is(f.Reason, e.Reason) && is(f.EventID, e.EventID) && is(f.MessageID, e.ID) &&
		!at.Before(f.Since) && (f.Until.IsZero() || at.Before(f.Until))
}

// is says whether what was asked for is what there is; nothing asked for is anything.
func is[T ~string](asked, there T) bool { return asked == "" || asked == there }

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
