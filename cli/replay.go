package cli

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"seamtag/config"
	"seamtag/queue"
)

const replayHelp = `Put ended events back to work: all that match, the newest first.

An event keeps its id, its attempts start anew and its history stays. Workers look at its account again, so what is right
already is left as it is. Events that have not ended are not touched.

Look first: --dry-run counts, and on a terminal the count comes before the question anyway. --plan also reads each account
and shows what tagging it would change; that costs calls to Seam.

--rate is how fast events are put back. Live events keep a quarter of the workers to themselves; where calls to Seam are
what is short (two to four an event, SEAMTAG_SEAM_RATE in all), choose a rate that leaves room, such as 2/s.

It can be interrupted at any time. The same command within a day goes on where it stopped, and puts nothing back twice;
--from-start begins anew.`

type replayOptions struct {
	since, until                         when
	ids                                  []string
	account, status, reason, kind        string
	dryRun, plan, yes, fromStart, asJSON bool
	rate                                 config.Rate
}

func newReplay(p Process) *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use: "replay", Short: "Put ended events back to work", Long: replayHelp, Args: noArgs,
		Example: "  seamtag replay --status dead --since 7d --dry-run\n  seamtag replay --reason rule_error --yes\n" +
			"  seamtag replay --id 1795448580917-0 --yes",
		RunE: func(cmd *cobra.Command, _ []string) error { return replay(cmd.Context(), p, o) },
	}
	f := cmd.Flags()
	f.Var(&o.since, "since", "received from this "+whenHelp)
	f.Var(&o.until, "until", "received before this time")
	f.StringSliceVar(&o.ids, "id", nil, "this event: its id, message id or event id; may be repeated")
	f.StringVar(&o.account, "account", "", "of this connected account id")
	f.StringVar(&o.status, "status", "", "tagged, unchanged, skipped or dead; default: each of them")
	f.StringVar(&o.reason, "reason", "", "that ended for this reason, such as rule_error")
	f.StringVar(&o.kind, "type", "", "of this event type")
	f.BoolVar(&o.dryRun, "dry-run", false, "count what would be put back")
	f.BoolVar(&o.plan, "plan", false, "show what tagging the accounts would change")
	f.BoolVar(&o.yes, "yes", false, "do not ask")
	f.BoolVar(&o.fromStart, "from-start", false, "do not go on where an earlier replay of the same events was stopped")
	rateFlag(cmd, &o.rate)
	jsonFlag(cmd, &o.asJSON)
	return cmd
}

// replayReport is what replay prints.
type replayReport struct {
	Matched  int  `json:"matched"`
	Replayed int  `json:"replayed"`
	DryRun   bool `json:"dry_run"`
}

func (o *replayOptions) check(p Process) error {
	switch {
	case o.status != "" && !queue.Status(o.status).Ended():
		return usage(fmt.Errorf("--status %s: only what has ended is put back: tagged, unchanged, skipped or dead", o.status))
	case !o.since.IsZero() && !o.until.IsZero() && !o.since.Before(o.until.Time):
		return usage(fmt.Errorf("--since %s is not before --until %s", o.since.String(), o.until.String()))
	case len(o.ids) > 0 && strings.Join(o.choices(), "") != "":
		return usage(errors.New("--id names events by itself: leave the other choices out"))
	case !o.dryRun && !o.yes && !(isTerminal(p.Stderr) && typesIn(p.Stdin)):
		return usage(errors.New("nobody can be asked here: say --yes, or look first with --dry-run"))
	}
	return nil
}

func (o *replayOptions) filter() queue.Filter {
	return queue.Filter{
		Status: queue.Status(o.status), Key: o.account, Reason: o.reason, Type: o.kind, Since: o.since.Time, Until: o.until.Time,
	}
}

// choices are what was asked for, in the words of who asked.
func (o *replayOptions) choices() []string {
	return []string{o.since.given, o.until.given, o.account, o.status, o.reason, o.kind}
}

// run names the replay: the same choices in the same words are the same one.
func (o *replayOptions) run() string {
	sum := sha256.Sum256([]byte(strings.Join(o.choices(), "\x00")))
	return hex.EncodeToString(sum[:8])
}

func replay(ctx context.Context, p Process, o replayOptions) error {
	if err := o.check(p); err != nil {
		return err
	}
	c, err := load(p)
	if err != nil {
		return err
	}
	q, err := openQueue(ctx, &c)
	if err != nil {
		return err
	}
	defer func() { _ = q.Close() }()
	r := &replayer{p: p, o: o, config: &c, queue: q, progress: newProgress(p), out: newOutput(p, o.asJSON)}
	if len(o.ids) > 0 {
		return r.named(ctx)
	}
	return r.matching(ctx)
}

// replayer puts events back.
type replayer struct {
	p        Process
	o        replayOptions
	config   *config.Config
	queue    *queue.Queue
	progress *progress
	out      *output
}

// matching puts back what the filter asks for.
func (r *replayer) matching(ctx context.Context) error {
	if r.o.fromStart && !r.o.dryRun {
		if err := r.queue.ForgetReplay(ctx, r.o.run()); err != nil {
			return err
		}
	}
	total, err := r.look(ctx)
	if err != nil || r.o.dryRun {
		return err
	}
	if ok, err := r.confirmed(ctx, total); !ok {
		return err
	}
	o := queue.ReplayOptions{Run: r.o.run(), Batch: batchOf(r.o.rate)}
	pace := rate.NewLimiter(rate.Limit(r.o.rate.PerSecond()), o.Batch)
	o.Before = func(ctx context.Context, batch []queue.Entry) error { return pace.WaitN(ctx, len(batch)) }
	o.After = func(done queue.Replayed) error {
		r.progress.show("put back", done.Replayed, total)
		return nil
	}
	done, err := r.queue.ReplayMatching(ctx, r.o.filter(), o)
	r.progress.done()
	return errors.Join(r.report(done), goOn(err, "seamtag "+strings.Join(r.p.Args, " ")))
}

// batchOf is how many events are put back together: a fifth of a second's worth.
func batchOf(r config.Rate) int { return max(1, min(200, int(r.PerSecond()/5))) }

// look counts what would be put back, where somebody wants to know.
func (r *replayer) look(ctx context.Context) (total int, err error) {
	watched := r.progress.w != nil
	if !r.o.dryRun && !r.o.plan && !watched {
		return 0, nil
	}
	accounts := map[string]bool{}
	o := queue.ReplayOptions{DryRun: true, Run: r.o.run()}
	if r.o.fromStart {
		o.Run = ""
	}
	if r.o.plan || !r.o.asJSON {
		o.Before = func(_ context.Context, batch []queue.Entry) error {
			for i := range batch {
				if key := batch[i].Key; key != "" {
					accounts[key] = true
				}
			}
			return nil
		}
		o.After = func(done queue.Replayed) error {
			r.progress.show("looked at", done.Matched, 0)
			return nil
		}
	}
	found, err := r.queue.ReplayMatching(ctx, r.o.filter(), o)
	r.progress.done()
	if err != nil {
		return 0, err
	}
	return found.Matched, r.tell(ctx, found, accounts)
}

// tell says what was found.
func (r *replayer) tell(ctx context.Context, found queue.Replayed, accounts map[string]bool) error {
	if r.o.plan {
		if err := r.showPlan(ctx, accounts); err != nil {
			return err
		}
	}
	report := replayReport{Matched: found.Matched, DryRun: true}
	text := fmt.Sprintf("%d ended events of %d accounts match", found.Matched, len(accounts))
	if found.GoesOn {
		text += "; an earlier replay was stopped before these (--from-start takes all)"
	}
	if !r.o.dryRun {
		if r.o.asJSON {
			return nil // one line at the end
		}
		_, err := fmt.Fprintln(r.p.Stderr, text)
		return printed(err)
	}
	return r.out.one(report, text)
}

// confirmed asks, unless told not to.
func (r *replayer) confirmed(ctx context.Context, total int) (bool, error) {
	if r.o.yes {
		return true, nil
	}
	if total == 0 {
		return false, r.report(queue.Replayed{})
	}
	pace, err := r.o.rate.MarshalText()
	if err != nil {
		return false, err
	}
	if _, err := fmt.Fprintf(r.p.Stderr, "put them back to work at %s? [y/N] ", pace); err != nil {
		return false, printed(err)
	}
	answer, err := readLine(ctx, r.p.Stdin)
	if err != nil {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		return false, errors.New("nothing was put back")
	}
	return true, nil
}

// readLine reads what a person types, or nothing should ctx end before.
func readLine(ctx context.Context, from io.Reader) (string, error) {
	line := make(chan string, 1)
	go func() { // a read from a terminal cannot be ended: it stays behind until the process ends
		text, _ := bufio.NewReader(from).ReadString('\n')
		line <- text
	}()
	select {
	case text := <-line:
		return strings.TrimSpace(text), nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func (r *replayer) report(done queue.Replayed) error {
	text := fmt.Sprintf("%d matched, %d put back", done.Matched, done.Replayed)
	if done.GoesOn {
		text += ", going on where an earlier replay was stopped"
	}
	return r.out.one(replayReport{Matched: done.Matched, Replayed: done.Replayed}, text)
}

// named puts back the events that were named.
func (r *replayer) named(ctx context.Context) error {
	var ids []string
	accounts := map[string]bool{}
	for _, name := range r.o.ids {
		e, err := r.find(ctx, name)
		if err != nil {
			return err
		}
		if !e.Status.Ended() {
			_, err := fmt.Fprintf(r.p.Stderr, "event %s has not ended: its status is %s\n", e.EntryID, e.Status)
			if err != nil {
				return printed(err)
			}
			continue
		}
		ids = append(ids, e.EntryID)
		if e.Key != "" {
			accounts[e.Key] = true
		}
	}
	if r.o.dryRun || r.o.plan || !r.o.yes {
		if err := r.tell(ctx, queue.Replayed{Matched: len(ids)}, accounts); err != nil || r.o.dryRun {
			return err
		}
	}
	if ok, err := r.confirmed(ctx, len(ids)); !ok {
		return err
	}
	n, err := r.queue.Replay(ctx, ids...)
	if err != nil {
		return err
	}
	return r.report(queue.Replayed{Matched: len(ids), Replayed: n})
}

// find finds an event by its id, its message id or its event id.
func (r *replayer) find(ctx context.Context, name string) (queue.Entry, error) {
	e, err := r.queue.Entry(ctx, name)
	if !errors.Is(err, queue.ErrNotFound) {
		return e, err
	}
	for _, f := range []queue.Filter{{MessageID: name}, {EventID: name}} {
		page, err := r.queue.List(ctx, f, "", 1)
		if err != nil {
			return queue.Entry{}, err
		}
		if len(page.Entries) > 0 {
			return page.Entries[0], nil
		}
	}
	return queue.Entry{}, fmt.Errorf("no event is known by %q", name)
}
