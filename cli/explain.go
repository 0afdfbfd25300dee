package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"seamtag/metadata"
	"seamtag/queue"
	"seamtag/seam"
)

const explainHelp = `Compute what the rules give one account, and write nothing.

For every key that is there or that the rules name: the value before and after, whether seamtag owns it, the expression,
the lookups behind it, and why it is not there. Lookups are asked as a worker would ask them. The account and its webview
are read from Seam, and what seamtag remembers of the account from Redis.

Expressions see the account's newest event in the log, else one of type ` + metadata.TypeCheck + `.`

func newExplain(p Process) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "explain <connected_account_id>", Short: "Show what the rules give an account, and why", Long: explainHelp, Args: oneArg,
		Example: "  seamtag explain 7d6a9d0f-3c1e-4a05-a3a4-6d0a4f5f2b6e",
		RunE: func(cmd *cobra.Command, args []string) error {
			return explain(cmd.Context(), p, args[0], newOutput(p, asJSON))
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// explained is what explain prints with --json.
type explained struct {
	Account string           `json:"connected_account_id"`
	Webview string           `json:"webview,omitempty"` // the latest known
	Origin  string           `json:"origin,omitempty"`  // the first known
	Event   explainedEvent   `json:"event"`
	Status  queue.Status     `json:"status"` // how an event would end now, or queued where it would wait for the API key
	Reason  string           `json:"reason,omitempty"`
	Error   string           `json:"error,omitempty"`
	Keys    []metadata.Key   `json:"keys"`
	Lookups []metadata.Asked `json:"lookups"`
}

// explainedEvent is the event that the expressions saw.
type explainedEvent struct {
	ID   string    `json:"event_id,omitempty"` // empty: none of the account is in the log
	Type string    `json:"event_type"`
	At   time.Time `json:"occurred_at"`
}

func explain(ctx context.Context, p Process, account string, out *output) error {
	op, err := openOperation(ctx, p)
	if err != nil {
		return err
	}
	defer op.close()
	ev, err := newestEvent(ctx, op.queue, account)
	if err != nil {
		return err
	}
	state, err := op.queue.State(ctx, account)
	if err != nil {
		return err
	}
	ledger, err := metadata.ParseLedger(state)
	if err != nil {
		return err
	}
	x, err := op.rules.tagger.Explain(ctx, ev, ledger)
	if err != nil {
		return fmt.Errorf("explain %s: %w", account, err)
	}
	e := explainedOf(account, ev, x)
	return out.one(e, e.text(out))
}

// newestEvent is the account's newest event in the log, else a check.
func newestEvent(ctx context.Context, q *queue.Queue, account string) (seam.Event, error) {
	page, err := q.List(ctx, queue.Filter{Key: account}, "", 1)
	if err != nil {
		return seam.Event{}, err
	}
	for i := range page.Entries {
		if ev, err := seam.ParseEvent(page.Entries[i].Body); err == nil {
			return ev, nil
		}
	}
	return seam.Event{EventType: metadata.TypeCheck, ConnectedAccountID: account, OccurredAt: time.Now()}, nil
}

func explainedOf(account string, ev seam.Event, x metadata.Explanation) explained {
	e := explained{
		Account: account, Webview: x.WebviewID, Origin: x.OriginID,
		Event:  explainedEvent{ID: ev.EventID, Type: ev.EventType, At: ev.OccurredAt},
		Status: queue.Status(x.Status), Reason: x.Reason,
		Keys: append([]metadata.Key{}, x.Keys...), Lookups: append([]metadata.Asked{}, x.Lookups...),
	}
	if x.Err != nil {
		then := instruct(x.Err)
		e.Status, e.Reason, e.Error = queue.StatusAfter(then), queue.ReasonOf(then), x.Err.Error()
	}
	return e
}

func (e explained) text(out *output) string {
	var b strings.Builder
	fmt.Fprintf(&b, "account  %s\nwebview  %s, the first was %s\nevent    %s %s\noutcome  %s", e.Account, dash(e.Webview), dash(e.Origin),
		e.Event.Type, dash(e.Event.ID), out.paint(bold, string(e.Status)))
	if e.Reason != "" {
		fmt.Fprintf(&b, " (%s)", e.Reason)
	}
	if e.Error != "" {
		b.WriteString(": " + printable(e.Error))
	}
	b.WriteString("\n")
	for _, l := range e.Lookups {
		fmt.Fprintf(&b, "\nlookup   %s: %s", l.Lookup, describeAsked(l))
	}
	if len(e.Lookups) > 0 {
		b.WriteString("\n")
	}
	for _, k := range e.Keys {
		b.WriteString("\n" + describeKey(out, k))
	}
	return b.String()
}

func describeAsked(l metadata.Asked) string {
	switch {
	case l.Error != "":
		return printable(l.Error)
	case !l.Found:
		return fmt.Sprintf("%s found nothing (missing: %s)", l.System, l.Missing)
	case l.Cached:
		return fmt.Sprintf("%s, remembered for %gs", l.System, l.AgeSeconds)
	default:
		return fmt.Sprintf("%s, asked just now in %d ms", l.System, l.TookMS)
	}
}

func describeKey(out *output, k metadata.Key) string {
	styles := map[metadata.Change]style{
		metadata.ChangeSet: green, metadata.ChangeRestored: green, metadata.ChangeRemoved: red, metadata.ChangeWaits: yellow,
	}
	owner := "not seamtag's"
	if k.Owned {
		owner = "seamtag's"
	}
	text := fmt.Sprintf("%-9s%s: %s → %s, %s", k.Change, k.Key, valueText(k.Before), valueText(k.After), owner)
	text = out.paint(styles[k.Change], printable(text))
	if k.Source != "" {
		text += "\n         = " + printable(k.Source)
	}
	if len(k.Lookups) > 0 {
		text += "  [" + strings.Join(k.Lookups, ", ") + "]"
	}
	if k.Why != "" {
		text += "\n         " + printable(k.Why)
	}
	return text
}

// valueText tells a text from a boolean.
func valueText(value any) string {
	switch v := value.(type) {
	case nil:
		return "–"
	case string:
		return fmt.Sprintf("%q", v)
	default:
		return fmt.Sprint(v)
	}
}
