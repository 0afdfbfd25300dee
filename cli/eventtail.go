package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"seamtag/queue"
)

const eventsTailHelp = `Follow events: a line when one arrives, and one each time its status changes, until interrupted.

It looks once a second and shows an event's status at that moment, so one that ends within a second is shown once.`

type eventsTailOptions struct {
	eventFilter

	lines int
	json  bool
}

func newEventsTail(p Process) *cobra.Command {
	var o eventsTailOptions
	cmd := &cobra.Command{
		Use: "tail", Short: "Follow events as they arrive and end", Long: eventsTailHelp, Args: noArgs,
		Example: "  seamtag events tail\n  seamtag events tail --status dead --lines 0 --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return tailEvents(cmd.Context(), p, o, time.Second) },
	}
	o.flags(cmd)
	cmd.Flags().IntVar(&o.lines, "lines", 10, "how many that are there already to show first")
	jsonFlag(cmd, &o.json)
	return cmd
}

func tailEvents(ctx context.Context, p Process, o eventsTailOptions, every time.Duration) error {
	f, err := o.filter()
	if err != nil {
		return err
	}
	if o.lines < 0 {
		return usage(fmt.Errorf("--lines %d: want 0 or more", o.lines))
	}
	q, err := openQueueAlone(ctx, p)
	if err != nil {
		return err
	}
	defer func() { _ = q.Close() }()
	t := &tail{q: q, f: f, table: newEventTable(newOutput(p, o.json)), open: map[string]seenState{}}
	err = t.begin(ctx, o.lines)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for err == nil {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			err = t.look(ctx)
		}
	}
	if ctx.Err() != nil {
		return nil // interrupted while it looked: that is how it ends
	}
	return err
}

// mostFollowed is how many events that have not ended are followed: of more, the oldest are let go.
const mostFollowed = 5000

// tail follows events.
type tail struct {
	q     *queue.Queue
	f     queue.Filter
	table *eventTable
	after string               // the newest event that was looked at
	open  map[string]seenState // what has not ended, by id
}

// seenState is what of an event makes a new line when it changes.
type seenState struct {
	status   queue.Status
	attempts int
}

// begin shows the newest events that are there, the oldest of them first.
func (t *tail) begin(ctx context.Context, lines int) error {
	newest, err := t.q.List(ctx, queue.Filter{}, "", 1)
	if err != nil {
		return err
	}
	t.after = "0-0"
	if len(newest.Entries) > 0 {
		t.after = newest.Entries[0].EntryID
	}
	if lines == 0 {
		return nil
	}
	page, err := t.q.List(ctx, t.f, "", lines)
	if err != nil {
		return err
	}
	slices.Reverse(page.Entries)
	return t.take(page.Entries)
}

// look shows what arrived, and what changed of that which had not ended.
func (t *tail) look(ctx context.Context) error {
	ids := make([]string, 0, len(t.open))
	for id := range t.open {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for len(ids) > mostFollowed {
		delete(t.open, ids[0])
		ids = ids[1:]
	}
	changed, err := t.q.Read(ctx, ids...)
	if err != nil {
		return err
	}
	if err := t.take(changed); err != nil {
		return err
	}
	for {
		entries, err := t.q.Newer(ctx, t.after, eventsPage)
		if err != nil {
			return err
		}
		if err := t.take(entries); err != nil || len(entries) == 0 {
			return err
		}
		t.after = entries[len(entries)-1].EntryID
	}
}

// take shows the events that are new or have changed, and remembers those that have not ended.
func (t *tail) take(entries []queue.Entry) error {
	var shown []queue.Entry
	for _, e := range entries {
		state := seenState{e.Status, e.Attempts}
		if before, known := t.open[e.EntryID]; known && before == state {
			continue
		}
		if t.open[e.EntryID] = state; e.Status.Ended() {
			delete(t.open, e.EntryID)
		}
		if t.f.Matches(&e) {
			shown = append(shown, e)
		}
	}
	return t.table.show(shown...)
}
