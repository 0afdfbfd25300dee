package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"seamtag/handlers"
	"seamtag/queue"
)

const eventsHelp = `Find events, and see what became of them.

Every event that a webhook brought is kept for SEAMTAG_RETENTION after it arrived, with its end: tagged, unchanged, skipped
or dead. What has not ended is queued, or retrying after a failure.`

func newEvents(p Process) *cobra.Command {
	cmd := &cobra.Command{Use: "events", Short: "Find events, and see what became of them", Long: eventsHelp, Args: noArgs}
	cmd.Example = "  seamtag events list --status dead\n  seamtag events show 1795446000000-0\n  seamtag events tail"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(newEventsList(p), newEventsShow(p), newEventsTail(p))
	return cmd
}

// eventFilter is what events are narrowed by.
type eventFilter struct {
	status, account, reason, kind string
}

func (f *eventFilter) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.status, "status", "", "only these: "+strings.Join(statusWords(), ", "))
	// It fails where there is no such flag.
	_ = cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(statusWords(), cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringVar(&f.account, "account", "", "only those of this connected account")
	cmd.Flags().StringVar(&f.reason, "reason", "", "only those with this reason, such as rejected")
	cmd.Flags().StringVar(&f.kind, "type", "", "only those of this event type")
}

func (f *eventFilter) filter() (queue.Filter, error) {
	if f.status != "" && !slices.Contains(statusWords(), f.status) {
		return queue.Filter{}, usage(fmt.Errorf("--status %s: want one of %s", f.status, strings.Join(statusWords(), ", ")))
	}
	return queue.Filter{Status: queue.Status(f.status), Key: f.account, Reason: f.reason, Type: f.kind}, nil
}

func statusWords() []string {
	words := make([]string, 0, len(queue.Statuses()))
	for _, s := range queue.Statuses() {
		words = append(words, string(s))
	}
	return words
}

const eventsListHelp = `List events, the newest first.

With --json each line is an event as the admin API answers it. --since and --until are about the time of arrival.`

type eventsListOptions struct {
	eventFilter

	since, until       when
	eventID, messageID string
	limit              int
	json               bool
}

func newEventsList(p Process) *cobra.Command {
	var o eventsListOptions
	cmd := &cobra.Command{
		Use: "list", Short: "List events, the newest first", Long: eventsListHelp, Args: noArgs,
		Example: "  seamtag events list --status dead --reason rejected\n" +
			"  seamtag events list --account 7d6a9d0f-3c1e-4a05-a3a4-6d0a4f5f2b6e --since 36h\n" +
			"  seamtag events list --since 7d --limit 0 --json",
		RunE: func(cmd *cobra.Command, _ []string) error { return listEvents(cmd.Context(), p, o) },
	}
	o.flags(cmd)
	cmd.Flags().Var(&o.since, "since", "only those that arrived since this "+whenHelp)
	cmd.Flags().Var(&o.until, "until", "only those that arrived before this time")
	cmd.Flags().StringVar(&o.eventID, "event", "", "only those with this event id of Seam's")
	cmd.Flags().StringVar(&o.messageID, "message", "", "only the one with this message id (svix-id)")
	cmd.Flags().IntVar(&o.limit, "limit", 50, "how many at most; 0 lists all")
	jsonFlag(cmd, &o.json)
	return cmd
}

// eventsPage is how many events are read at once.
const eventsPage = 200

func listEvents(ctx context.Context, p Process, o eventsListOptions) error {
	f, err := o.filter()
	if err != nil {
		return err
	}
	if o.limit < 0 {
		return usage(fmt.Errorf("--limit %d: want 0 or more", o.limit))
	}
	f.Since, f.Until, f.EventID, f.MessageID = o.since.Time, o.until.Time, o.eventID, o.messageID
	q, err := openQueueAlone(ctx, p)
	if err != nil {
		return err
	}
	defer func() { _ = q.Close() }()
	t := newEventTable(newOutput(p, o.json))
	for listed, cursor := 0, ""; ; {
		n := eventsPage
		if o.limit > 0 {
			n = min(n, o.limit-listed)
		}
		page, err := q.List(ctx, f, cursor, n)
		if err != nil {
			return err
		}
		if err := t.show(page.Entries...); err != nil {
			return err
		}
		listed, cursor = listed+len(page.Entries), page.Next
		if cursor == "" {
			return nil
		}
		if o.limit > 0 && listed >= o.limit {
			return more(p, o)
		}
	}
}

// more says on a terminal that the list goes on.
func more(p Process, o eventsListOptions) error {
	if o.json || !isTerminal(p.Stderr) {
		return nil
	}
	_, err := fmt.Fprintf(p.Stderr, "these are the newest %d; --limit 0 lists all\n", o.limit)
	return printed(err)
}

// eventTable shows events as rows.
type eventTable struct{ t *table }

func newEventTable(o *output) *eventTable {
	return &eventTable{o.table("ID", "RECEIVED", "STATUS", "REASON", "TRIES", "TYPE", "ACCOUNT")}
}

func (t *eventTable) show(entries ...queue.Entry) error {
	for i := range entries {
		e := &entries[i]
		row := cells(e.EntryID, shownTime(e.ReceivedAt), string(e.Status), dash(e.Reason), strconv.Itoa(e.Attempts), dash(e.Type), dash(e.Key))
		row[2].style = styleOf(e.Status)
		if err := t.t.add(handlers.NewEvent(e), row...); err != nil {
			return err
		}
	}
	return t.t.flush()
}

func styleOf(s queue.Status) style {
	switch s {
	case queue.Tagged:
		return green
	case queue.Retrying:
		return yellow
	case queue.Dead:
		return red
	case queue.Queued:
		return cyan
	case queue.Unchanged, queue.Skipped:
		return faint
	}
	return plain
}

func shownTime(t time.Time) string {
	if t.IsZero() {
		return dash("")
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
