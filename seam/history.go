package seam

import (
	"context"
	"time"
)

const (
	historyPage   = 500                 // events of one call: Seam's default, and as many as it gives
	firstWindow   = 24 * time.Hour      // grows where little happened, shrinks where much did
	longestWindow = 64 * 24 * time.Hour // a quiet year takes a dozen calls
	fewEvents     = historyPage / 2     // in a window: the next one may be twice as long
	manyEvents    = 8 * historyPage     // in a window: the next one is half as long
	boundOverlap  = time.Millisecond    // Seam's bounds are exclusive, and its timestamps have at least this precision
)

// EachEvent visits all events that the query asks for, page by page, those of an earlier time window first; within a
// window in the order that Seam gives them. An event is visited once. Until is required, and not to be later than now: the
// list of a window does not move then, so that offsets into it hold. Limit and Offset are ignored. reached is the end
// of the window that the page belongs to: all before the one reached last has been visited.
func (c *Client) EachEvent(ctx context.Context, q EventQuery, visit func(events []Event, reached time.Time) error) error {
	seen, before := map[string]bool{}, map[string]bool{} // ids of this window and the one before, which overlap a little
	length := firstWindow
	for begin := q.Since; begin.Before(q.Until); {
		end := begin.Add(length)
		if end.After(q.Until) {
			end = q.Until
		}
		window := q
		window.Since, window.Until = begin.Add(-boundOverlap), end
		page := func(events []Event) error { return visit(events, end) }
		if err := c.eachOfWindow(ctx, window, seen, before, page); err != nil {
			return err
		}
		switch n := len(seen); {
		case n < fewEvents:
			length = min(2*length, longestWindow)
		case n > manyEvents:
			length = max(length/2, time.Minute)
		}
		seen, before = map[string]bool{}, seen
		begin = end
	}
	return nil
}

// eachOfWindow pages until a page brings no event that was not seen: the end of the list, or a server that does not page.
func (c *Client) eachOfWindow(ctx context.Context, q EventQuery, seen, before map[string]bool, visit func([]Event) error) error {
	q.Limit, q.Offset = historyPage, 0
	for {
		var events []Event
		var received int
		err := Persist(ctx, func() (err error) {
			events, received, err = c.events(ctx, q)
			return err
		})
		if err != nil {
			return err
		}
		fresh := events[:0]
		for _, ev := range events {
			if !seen[ev.EventID] && !before[ev.EventID] {
				fresh = append(fresh, ev)
			}
			seen[ev.EventID] = true
		}
		if len(fresh) == 0 {
			return nil
		}
		if err := visit(fresh); err != nil {
			return err
		}
		q.Offset += received
	}
}

// EachAccount visits all connected accounts of the workspace, page by page.
func (c *Client) EachAccount(ctx context.Context, visit func([]Account) error) error {
	q := AccountQuery{Limit: historyPage}
	for {
		var page AccountPage
		err := Persist(ctx, func() (err error) {
			page, err = c.Accounts(ctx, q)
			return err
		})
		if err != nil {
			return err
		}
		if err := visit(page.Accounts); err != nil {
			return err
		}
		if page.NextCursor == "" || page.NextCursor == q.Cursor {
			return nil
		}
		q.Cursor = page.NextCursor
	}
}
