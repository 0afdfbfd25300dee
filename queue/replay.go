package queue

import (
	"context"
	"fmt"
	"slices"
)

// replayBatch is how many entries one script call puts back.
const replayBatch = 200

// Replay puts ended entries back to work: same id, no second copy of the payload, attempts start anew. It answers how many
// were; entries that have not ended, or that the log no longer holds, are left alone.
func (q *Queue) Replay(ctx context.Context, ids ...string) (int, error) {
	if slices.ContainsFunc(ids, func(id string) bool { return !cursorForm.MatchString(id) }) {
		return 0, ErrNotFound
	}
	total := 0
	for batch := range slices.Chunk(ids, replayBatch) {
		n, err := q.replay(ctx, batch)
		if total += n; err != nil {
			return total, fmt.Errorf("queue: replay: %w", err)
		}
	}
	return total, nil
}

func (q *Queue) replay(ctx context.Context, ids []string) (int, error) {
	shelves, err := q.shelfKeys(ctx)
	if err != nil {
		return 0, err
	}
	k := q.keys
	keys := []string{k.log(), k.open(), k.due(), k.wake()}
	args := make([]any, 0, len(ids))
	for _, id := range ids {
		keys, args = append(keys, k.entry(id)), append(args, id)
	}
	reply, err := q.run(ctx, replayScript, append(keys, shelves...), args...).StringSlice()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, r := range reply {
		if r == "1" {
			n++
		}
	}
	return n, nil
}

// ReplayOptions say how to replay what matches a filter. Zero fields take the defaults.
type ReplayOptions struct {
	DryRun bool   // only look
	Cursor string // go on after this entry, as Replayed.Next named it; default: from the newest
	Batch  int    // entries put back at once, at most 200; default 200
	// Before is called with each batch before it is put back, to wait or to look at it; its error ends the replay.
	Before func(ctx context.Context, batch []Entry) error
	// After is called with the state so far, once a batch is put back; its error ends the replay.
	After func(Replayed) error
}

// Replayed says how far a replay is.
type Replayed struct {
	Matched  int
	Replayed int
	Next     string // cursor of what is left; empty at the end
}

// ReplayMatching puts back what has ended and matches, the newest first, each entry once: what is put back and ends again
// keeps its place in the list, which the replay has passed. It answers how far it came, with an error too.
func (q *Queue) ReplayMatching(ctx context.Context, f Filter, o ReplayOptions) (Replayed, error) {
	f.Ended = true
	if o.Batch <= 0 || o.Batch > replayBatch {
		o.Batch = replayBatch
	}
	if o.DryRun && o.Cursor == "" && o.Before == nil && o.After == nil && f.countable() {
		n, err := q.count(ctx, f)
		return Replayed{Matched: n}, err
	}
	state := Replayed{Next: o.Cursor}
	for {
		page, err := q.List(ctx, f, state.Next, o.Batch)
		if err != nil {
			return state, err
		}
		if err := q.replayPage(ctx, page, o, &state); err != nil || page.Next == "" {
			return state, err
		}
	}
}

func (q *Queue) replayPage(ctx context.Context, page Page, o ReplayOptions, state *Replayed) error {
	if o.Before != nil && len(page.Entries) > 0 {
		if err := o.Before(ctx, page.Entries); err != nil {
			return err
		}
	}
	if !o.DryRun {
		ids := make([]string, len(page.Entries))
		for i, e := range page.Entries {
			ids[i] = e.EntryID
		}
		n, err := q.Replay(ctx, ids...)
		if state.Replayed += n; err != nil {
			return err
		}
	}
	state.Matched += len(page.Entries)
	state.Next = page.Next
	if o.After != nil {
		return o.After(*state)
	}
	return nil
}
