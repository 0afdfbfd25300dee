package queue

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	replayBatch   = 200            // entries that one script call puts back
	replayRunKept = 24 * time.Hour // how long a run that was stopped can be gone on with
)

// ErrReplayMoved is what ReplayMatching answers where another process goes on with the same run.
var ErrReplayMoved = errors.New("queue: another replay of the same events is under way")

// Replay puts ended entries back to work: same id, no second copy of the payload, attempts start anew. It answers how many
// were; entries that have not ended, or that the log no longer holds, are left alone.
func (q *Queue) Replay(ctx context.Context, ids ...string) (int, error) {
	if slices.ContainsFunc(ids, func(id string) bool { return !cursorForm.MatchString(id) }) {
		return 0, ErrNotFound
	}
	total := 0
	for batch := range slices.Chunk(ids, replayBatch) {
		n, err := q.replay(ctx, batch, replayStep{})
		if total += n; err != nil {
			return total, fmt.Errorf("queue: replay: %w", err)
		}
	}
	return total, nil
}

// replayStep is what a batch changes in the progress of a run. Without a key no progress is kept.
type replayStep struct{ key, before, after string }

func (q *Queue) replay(ctx context.Context, ids []string, step replayStep) (int, error) {
	shelves, err := q.shelfKeys(ctx)
	if err != nil {
		return 0, err
	}
	k := q.keys
	keys := []string{k.log(), k.open(), k.due(), k.wake(), k.log()}
	if step.key != "" {
		keys[4] = step.key
	}
	args := make([]any, 0, 3+len(ids))
	args = append(args, step.before, step.after, replayRunKept.Milliseconds())
	for _, id := range ids {
		keys, args = append(keys, k.entry(id)), append(args, id)
	}
	reply, err := q.run(ctx, replayScript, append(keys, shelves...), args...).StringSlice()
	if errors.Is(err, redis.Nil) {
		return 0, ErrReplayMoved
	}
	if err != nil {
		return 0, err
	}
	q.changes.Add(1)
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
	// Run names a replay, so that it can be gone on with after whatever stopped it: how far it came is kept with each batch
	// that is put back, in one step, and is forgotten at its end or after a day. A second replay of that name goes on
	// there, with the times of the first. Default: nothing is kept.
	Run   string
	Batch int // entries put back at once, at most 200; default 200
	// Before is called with each batch before it is put back, to wait or to look at it; its error ends the replay.
	Before func(ctx context.Context, batch []Entry) error
	// After is called with the state so far, once a batch is put back; its error ends the replay.
	After func(Replayed) error
}

// Replayed says how far a replay is.
type Replayed struct {
	Matched  int
	Replayed int
	GoesOn   bool   // an earlier replay of the same name had not come to its end; what it did is not counted here
	Next     string // cursor of what is left; empty at the end
}

// ReplayMatching puts back what has ended and matches, the newest first, each entry once: what is put back and ends again
// keeps its place in the list, which the replay has passed. It answers how far it came, with an error too.
func (q *Queue) ReplayMatching(ctx context.Context, f Filter, o ReplayOptions) (Replayed, error) {
	f.Ended = true
	if o.Batch <= 0 || o.Batch > replayBatch {
		o.Batch = replayBatch
	}
	r := replayRun{q: q, f: f, o: o, state: Replayed{Next: o.Cursor}}
	if err := r.goOn(ctx); err != nil {
		return r.state, err
	}
	if o.DryRun && r.state.Next == "" && o.Before == nil && o.After == nil && f.countable() {
		n, err := q.count(ctx, r.f)
		r.state.Matched = n
		return r.state, err
	}
	for {
		page, err := q.List(ctx, r.f, r.state.Next, o.Batch)
		if err != nil {
			return r.state, err
		}
		if err := r.page(ctx, page); err != nil || page.Next == "" {
			return r.state, err
		}
	}
}

// ForgetReplay lets a replay of that name begin anew.
func (q *Queue) ForgetReplay(ctx context.Context, run string) error {
	if err := q.rdb.Del(ctx, q.keys.run(run)).Err(); err != nil {
		return fmt.Errorf("queue: forget a replay: %w", err)
	}
	return nil
}

// replayRun is a replay under way.
type replayRun struct {
	q     *Queue
	f     Filter
	o     ReplayOptions
	state Replayed
	kept  string // the progress as Redis has it
}

// replayProgress is what is kept of a run.
type replayProgress struct {
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	Next  string    `json:"next"`
	By    string    `json:"by"` // who came so far: a call whose reply was lost knows itself by it
}

// goOn takes up a run of the same name.
func (r *replayRun) goOn(ctx context.Context) error {
	if r.o.Run == "" {
		return nil
	}
	var p replayProgress
	kept, err := r.q.rdb.Get(ctx, r.q.keys.run(r.o.Run)).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return nil
	case err == nil:
		err = json.Unmarshal([]byte(kept), &p)
	}
	if err != nil {
		return fmt.Errorf("queue: read how far the replay is: %w", err)
	}
	r.kept, r.f.Since, r.f.Until, r.state.Next, r.state.GoesOn = kept, p.Since, p.Until, p.Next, true
	return nil
}

func (r *replayRun) page(ctx context.Context, page Page) error {
	if r.o.Before != nil && len(page.Entries) > 0 {
		if err := r.o.Before(ctx, page.Entries); err != nil {
			return err
		}
	}
	if !r.o.DryRun {
		// Begun is done: an interruption in between would leave it unknown how many were put back.
		if err := r.putBack(context.WithoutCancel(ctx), page); err != nil {
			return fmt.Errorf("queue: replay: %w", err)
		}
	}
	r.state.Matched += len(page.Entries)
	r.state.Next = page.Next
	if r.o.After != nil {
		if err := r.o.After(r.state); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

func (r *replayRun) putBack(ctx context.Context, page Page) error {
	ids := make([]string, len(page.Entries))
	for i, e := range page.Entries {
		ids[i] = e.EntryID
	}
	var step replayStep
	if r.o.Run != "" {
		step = replayStep{key: r.q.keys.run(r.o.Run), before: r.kept}
		if page.Next != "" {
			after, err := json.Marshal(replayProgress{Since: r.f.Since, Until: r.f.Until, Next: page.Next, By: rand.Text()})
			if err != nil {
				return err
			}
			step.after = string(after)
		}
	} else if len(ids) == 0 {
		return nil
	}
	n, err := r.q.replay(ctx, ids, step)
	if err != nil {
		return err
	}
	r.state.Replayed += n
	r.kept = step.after
	return nil
}
