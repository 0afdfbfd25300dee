package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"seamtag/handlers"
	"seamtag/metadata"
	"seamtag/queue"
)

const eventsShowHelp = `Show one event: what it is, what was written and where each value came from, and each attempt.

Name it by its id in seamtag, by Seam's event id or by its message id (svix-id).`

func newEventsShow(p Process) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show <id>", Short: "Show one event", Long: eventsShowHelp, Args: oneArg,
		Example: "  seamtag events show 1795446000000-0\n  seamtag events show msg_2xJd0bnGrNyCBhzEqMYHZRfQ3pL --json",
		RunE:    func(cmd *cobra.Command, args []string) error { return showEvent(cmd.Context(), p, args[0], asJSON) },
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// shownEvent is what show prints as JSON: the event as the admin API answers it, and its history.
type shownEvent struct {
	handlers.Event

	EndedAt *time.Time      `json:"ended_at"` // null while it has not ended
	Replays int             `json:"replays"`
	History []queue.Attempt `json:"history"` // oldest first
}

func showEvent(ctx context.Context, p Process, id string, asJSON bool) error {
	q, err := openQueueAlone(ctx, p)
	if err != nil {
		return err
	}
	defer func() { _ = q.Close() }()
	e, err := findEvent(ctx, q, id)
	if err != nil {
		return err
	}
	o := newOutput(p, asJSON)
	if o.json {
		v := shownEvent{Event: handlers.NewEvent(&e), Replays: e.Replays, History: e.History}
		if !e.EndedAt.IsZero() {
			ended := e.EndedAt.UTC()
			v.EndedAt = &ended
		}
		return o.one(v, "")
	}
	return errors.Join(o.facts(factsOf(&e)), o.written(e.Result), o.attempts(e.History))
}

// findEvent finds an event by any of its ids.
func findEvent(ctx context.Context, q *queue.Queue, id string) (queue.Entry, error) {
	e, err := q.Entry(ctx, id)
	if !errors.Is(err, queue.ErrNotFound) {
		return e, err
	}
	for _, f := range []queue.Filter{{EventID: id}, {MessageID: id}} {
		page, err := q.List(ctx, f, "", 1)
		if err != nil {
			return queue.Entry{}, err
		}
		if len(page.Entries) > 0 {
			return page.Entries[0], nil
		}
	}
	return queue.Entry{}, fmt.Errorf("there is no event %q: it never was, or SEAMTAG_RETENTION has passed", id)
}

// fact is one line about an event.
type fact struct {
	cell

	name string
}

func factsOf(e *queue.Entry) []fact {
	tries := fmt.Sprintf("%d, in %s and %s",
		e.Attempts, counted(e.Deliveries, "delivery", "deliveries"), plural(e.Replays, "replay"))
	all := []fact{
		{cell{e.EntryID, bold}, "event"},
		{cell{string(e.Status), styleOf(e.Status)}, "status"},
		{cell{e.Reason, plain}, "reason"},
		{cell{e.Error, red}, "error"},
		{cell{shownTime(e.ReceivedAt), plain}, "received"},
		{cell{shownTime(e.EndedAt), plain}, "ended"},
		{cell{e.Type, plain}, "type"},
		{cell{e.Key, plain}, "account"},
		{cell{e.Webview, plain}, "webview"},
		{cell{e.Workspace, plain}, "workspace"},
		{cell{e.EventID, plain}, "event id"},
		{cell{e.ID, plain}, "message id"},
		{cell{tries, plain}, "attempts"},
	}
	return slices.DeleteFunc(all, func(f fact) bool { return f.text == "" && (f.name == "reason" || f.name == "error") })
}

func (o *output) facts(all []fact) error {
	var b strings.Builder
	for _, f := range all {
		fmt.Fprintf(&b, "%s %s\n", o.paint(faint, fmt.Sprintf("%-10s", f.name)), o.paint(f.style, printable(dash(f.text))))
	}
	_, err := io.WriteString(o.w, b.String())
	return printed(err)
}

// written shows what was written to the account.
func (o *output) written(result json.RawMessage) error {
	var r metadata.Result
	if len(result) > 0 {
		if err := json.Unmarshal(result, &r); err != nil {
			return fmt.Errorf("the event's result cannot be read: %w", err)
		}
	}
	t := o.table("KEY", "VALUE", "FROM")
	for _, key := range slices.Sorted(maps.Keys(r.Set)) {
		if err := t.add(nil, cells(key, fmt.Sprint(r.Set[key]), dash(r.Sources[key]))...); err != nil {
			return err
		}
	}
	for _, key := range r.Removed {
		if err := t.add(nil, cells(key, "(removed)", dash(r.Sources[key]))...); err != nil {
			return err
		}
	}
	return o.section(t)
}

// attempts shows what became of each attempt.
func (o *output) attempts(history []queue.Attempt) error {
	t := o.table("ATTEMPT", "TOOK", "ENDED", "REASON", "ERROR", "WORKER")
	for _, a := range history {
		took := (time.Duration(a.TookMS) * time.Millisecond).String()
		row := cells(shownTime(a.At), took, string(a.Status), dash(a.Reason), dash(a.Error), dash(a.Worker))
		row[2].style = styleOf(a.Status)
		if err := t.add(nil, row...); err != nil {
			return err
		}
	}
	return o.section(t)
}

// section shows a table after an empty line, and nothing where it has no rows.
func (o *output) section(t *table) error {
	if len(t.rows) == 0 {
		return nil
	}
	_, err := io.WriteString(o.w, "\n")
	return errors.Join(printed(err), t.flush())
}
