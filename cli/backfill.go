package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"seamtag/config"
	"seamtag/queue"
	"seamtag/seam"
)

const backfillHelp = `Queue what no webhook brought.

Source events asks Seam for its events since a time and queues those that the log has not seen, by their event id: also one
that came by webhook is known. Source accounts lists all connected accounts and queues those that were never tagged. Workers
then do with them what they do with any event, so running it again queues nothing twice and writes nothing twice.

--rate is how fast events are queued. Workers make about three calls to Seam for each, at SEAMTAG_SEAM_RATE in all: with
the default of 10/s they work off about 3 a second, and what webhooks bring meanwhile waits behind what was queued before.
Where that matters, choose --rate 2/s.

It can be interrupted at any time; the same command goes on.`

type backfillOptions struct {
	since, until when
	source       string
	dryRun, json bool
	rate         config.Rate
}

const (
	sourceEvents   = "events"
	sourceAccounts = "accounts"
)

func newBackfill(p Process) *cobra.Command {
	var o backfillOptions
	cmd := &cobra.Command{
		Use: "backfill", Short: "Queue what no webhook brought", Long: backfillHelp, Args: noArgs,
		Example: "  seamtag backfill --since 36h --dry-run\n  seamtag backfill --since 2026-11-01 --until 2026-11-08\n" +
			"  seamtag backfill --source accounts --rate 2/s",
		RunE: func(cmd *cobra.Command, _ []string) error { return backfill(cmd.Context(), p, o) },
	}
	f := cmd.Flags()
	f.Var(&o.since, "since", "events from this "+whenHelp)
	f.Var(&o.until, "until", "events before this time; default: now")
	f.StringVar(&o.source, "source", sourceEvents, "events or accounts")
	f.BoolVar(&o.dryRun, "dry-run", false, "count what would be queued")
	rateFlag(cmd, &o.rate)
	jsonFlag(cmd, &o.json)
	return cmd
}

// rateFlag adds the flag that every command has that queues many events.
func rateFlag(cmd *cobra.Command, rate *config.Rate) {
	cmd.Flags().TextVar(rate, "rate", config.Rate{Calls: 50, Per: time.Second}, "queue at most so many events, N/s or N/m")
}

// backfillReport is what backfill prints.
type backfillReport struct {
	Found   int  `json:"found"`
	Already int  `json:"already"`
	Queued  int  `json:"queued"`
	DryRun  bool `json:"dry_run"`
	Failed  int  `json:"failed,omitempty"`
}

func (r backfillReport) text() string {
	queued := "queued"
	if r.DryRun {
		queued = "would be queued"
	}
	text := fmt.Sprintf("%d found, %d already known, %d %s", r.Found, r.Already, r.Queued, queued)
	if r.Failed > 0 {
		text += fmt.Sprintf(", %d failed", r.Failed)
	}
	return text
}

func (o *backfillOptions) check(now time.Time) error {
	switch {
	case o.source != sourceEvents && o.source != sourceAccounts:
		return usage(fmt.Errorf("--source %s: want events or accounts", o.source))
	case o.source == sourceAccounts:
		if !o.since.IsZero() || !o.until.IsZero() {
			return usage(errors.New("--since and --until are for --source events: accounts are listed without a time"))
		}
		return nil
	case o.since.IsZero():
		return usage(errors.New("--since is required: how far to go back, a " + whenHelp))
	}
	if o.until.IsZero() || o.until.After(now) {
		o.until.Time = now // what comes from now on is brought by webhooks, and the list must not move
	}
	if !o.since.Before(o.until.Time) {
		return usage(fmt.Errorf("--since %s is not before --until %s", o.since.String(), o.until.String()))
	}
	return nil
}

func backfill(ctx context.Context, p Process, o backfillOptions) error {
	if err := o.check(time.Now()); err != nil {
		return err
	}
	op, err := openOperation(ctx, p)
	if err != nil {
		return err
	}
	defer op.close()
	b := &backfiller{
		operation: op, intake: newIntake(op.queue, op.publisher, o.rate.PerSecond()), progress: newProgress(p),
		report: backfillReport{DryRun: o.dryRun},
	}
	if o.source == sourceAccounts {
		err = goOn(b.accounts(ctx), "seamtag backfill --source accounts")
	} else {
		b.reached = o.since.Time
		err = b.events(ctx, o.since.Time, o.until.Time)
		err = goOn(err, fmt.Sprintf("seamtag backfill --since %s --until %s", b.reached.UTC().Format(time.RFC3339Nano), o.until.String()))
	}
	b.progress.done()
	return errors.Join(newOutput(p, o.json).one(b.report, b.report.text()), err)
}

// backfiller queues what is missing, page by page.
type backfiller struct {
	*operation

	intake   *intake
	progress *progress
	report   backfillReport
	reached  time.Time // all events before are done
}

func (b *backfiller) events(ctx context.Context, since, until time.Time) error {
	types := b.rules.events
	window := since
	return b.seam.EachEvent(ctx, seam.EventQuery{Types: types, Since: since, Until: until},
		func(events []seam.Event, reached time.Time) error {
			if reached.After(window) {
				b.reached, window = window, reached
			}
			messages, err := backfilled(events, types, time.Now())
			if err != nil {
				return err
			}
			return b.take(ctx, messages)
		})
}

func (b *backfiller) accounts(ctx context.Context) error {
	return b.seam.EachAccount(ctx, func(accounts []seam.Account) error {
		states, err := b.queue.States(ctx, idsOf(accounts)...)
		if err != nil {
			return err
		}
		messages := make([]queue.Message, 0, len(accounts))
		for i, account := range accounts {
			ledger, err := readLedger(states[i], account.ID)
			if err != nil {
				return err
			}
			if !ledger.OccurredAt.IsZero() {
				b.report.Found++
				b.report.Already++
				continue
			}
			m, err := check("backfill_account_"+account.ID, account, time.Now()) // the same each time: known again
			if err != nil {
				return err
			}
			messages = append(messages, m)
		}
		return b.take(ctx, messages)
	})
}

func idsOf(accounts []seam.Account) []string {
	ids := make([]string, len(accounts))
	for i := range accounts {
		ids[i] = accounts[i].ID
	}
	return ids
}

// take queues what is not known of a page, or counts it.
func (b *backfiller) take(ctx context.Context, messages []queue.Message) error {
	defer func() { b.progress.show("looked at", b.report.Found, 0) }()
	if b.report.DryRun {
		return b.count(ctx, messages)
	}
	t, err := b.intake.queueOnce(ctx, messages)
	b.report.Found += t.queued + t.already + t.failed
	b.report.Queued += t.queued
	b.report.Already += t.already
	b.report.Failed += t.failed
	return err
}

func (b *backfiller) count(ctx context.Context, messages []queue.Message) error {
	fresh, err := b.intake.unknown(ctx, messages)
	if err != nil {
		return err
	}
	b.report.Found += len(messages)
	b.report.Queued += len(fresh)
	b.report.Already += len(messages) - len(fresh)
	return nil
}
