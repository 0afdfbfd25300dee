package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"seamtag/config"
	"seamtag/metadata"
	"seamtag/seam"
)

const reconcileHelp = `Compare every account with what the rules want, and say where they differ.

Nothing is written to Seam. With --fix, each account that tagging would mend is queued, and a worker does with it what it does
with any event; run it again later to see that nothing is left.

Kinds of drift: missing (a key is not there), changed (a tag has another value than the rules give, or is no longer given),
conflict (a tag meets a value that seamtag did not write), over_budget (more keys than Seam takes), no_origin (no webview is
known to have connected the account), rule_error (a rule gives what cannot be written). Leave some out with --ignore.

Exit code 3 says that there is drift that --fix did not queue the repair of. What is printed holds metadata values.`

type reconcileOptions struct {
	fix, json bool
	account   string
	sample    int
	since     when
	ignore    []string
	rate      config.Rate
}

func newReconcile(p Process) *cobra.Command {
	var o reconcileOptions
	cmd := &cobra.Command{
		Use: "reconcile", Short: "Compare every account with what the rules want", Long: reconcileHelp, Args: noArgs,
		Example: "  seamtag reconcile\n  seamtag reconcile --fix --rate 2/s\n  seamtag reconcile --sample 200 --ignore no_origin\n" +
			"  seamtag reconcile --account 7d6a9d0f-3c1e-4a05-a3a4-6d0a4f5f2b6e --json",
		RunE: func(cmd *cobra.Command, _ []string) error { return reconcile(cmd.Context(), p, o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.fix, "fix", false, "queue the repairs")
	f.StringVar(&o.account, "account", "", "only this connected account")
	f.IntVar(&o.sample, "sample", 0, "only so many accounts, chosen by chance")
	f.Var(&o.since, "since", "only accounts made or connected since this "+whenHelp)
	f.StringSliceVar(&o.ignore, "ignore", nil, "kinds of drift to leave out, by comma")
	rateFlag(cmd, &o.rate)
	jsonFlag(cmd, &o.json)
	return cmd
}

func (o *reconcileOptions) check() error {
	switch {
	case o.sample < 0:
		return usage(fmt.Errorf("--sample %d: want at least 1", o.sample))
	case o.account != "" && (o.sample > 0 || !o.since.IsZero()):
		return usage(errors.New("--account names one account: leave out --sample and --since"))
	}
	for _, kind := range o.ignore {
		if !slices.Contains(metadata.DriftKinds(), metadata.DriftKind(kind)) {
			return usage(fmt.Errorf("--ignore %s: want one of %v", kind, metadata.DriftKinds()))
		}
	}
	return nil
}

func reconcile(ctx context.Context, p Process, o reconcileOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	op, err := openOperation(ctx, p)
	if err != nil {
		return err
	}
	defer op.close()
	r := &reconciler{
		operation: op, o: o, tagger: op.rules.tagger, out: newOutput(p, o.json), progress: newProgress(p),
		intake: newIntake(op.queue, op.publisher, o.rate.PerSecond()), summary: driftSummary{Kinds: map[metadata.DriftKind]int{}},
	}
	err = r.run(ctx)
	r.progress.done()
	err = errors.Join(r.out.one(r.summary, r.summary.text()), err)
	if err != nil {
		return err
	}
	return r.verdict()
}

// driftLine is an account that drifts.
type driftLine struct {
	Account string               `json:"connected_account_id"`
	Kinds   []metadata.DriftKind `json:"kinds"`
	Drift   []metadata.Drift     `json:"drift"`
	Repair  string               `json:"repair,omitempty"` // queued, or waiting: an event of this account is in work already
}

// driftSummary is the last line.
type driftSummary struct {
	Accounts int                        `json:"accounts"`
	Drifting int                        `json:"drifting"`
	Kinds    map[metadata.DriftKind]int `json:"by_kind"` // accounts
	Queued   int                        `json:"queued"`
	Waiting  int                        `json:"waiting"`
	Failed   int                        `json:"failed"` // accounts that could not be compared, as a lookup or Seam failed
}

func (s *driftSummary) text() string {
	parts := []string{plural(s.Accounts, "account") + " compared", fmt.Sprintf("%d drifting", s.Drifting)}
	kinds := make([]string, 0, len(s.Kinds))
	for _, kind := range slices.Sorted(maps.Keys(s.Kinds)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, s.Kinds[kind]))
	}
	if len(kinds) > 0 {
		parts[1] += " (" + strings.Join(kinds, ", ") + ")"
	}
	for _, more := range []struct {
		n    int
		what string
	}{{s.Queued, "repairs queued"}, {s.Waiting, "in work already"}, {s.Failed, "could not be compared"}} {
		if more.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", more.n, more.what))
		}
	}
	return strings.Join(parts, ", ")
}

// reconciler compares page by page, so that it needs no more memory for many accounts than for few.
type reconciler struct {
	*operation

	o        reconcileOptions
	tagger   *metadata.Tagger
	intake   *intake
	out      *output
	progress *progress
	summary  driftSummary
	failure  error // the first account that could not be compared
}

func (r *reconciler) run(ctx context.Context) error {
	switch {
	case r.o.account != "":
		account, err := r.seam.Account(ctx, r.o.account)
		if err != nil {
			return fmt.Errorf("read account: %w", err)
		}
		return r.page(ctx, []seam.Account{account})
	case r.o.sample > 0:
		return r.sampled(ctx)
	}
	return r.seam.EachAccount(ctx, func(accounts []seam.Account) error { return r.page(ctx, accounts) })
}

// sampled keeps each account with the same chance (reservoir sampling), and compares those in the end.
func (r *reconciler) sampled(ctx context.Context) error {
	var chosen []seam.Account
	seen := 0
	err := r.seam.EachAccount(ctx, func(accounts []seam.Account) error {
		for _, account := range accounts {
			if seen++; len(chosen) < r.o.sample {
				chosen = append(chosen, account)
			} else if n := rand.IntN(seen); n < r.o.sample { //nolint:gosec // a sample needs no secrecy
				chosen[n] = account
			}
		}
		r.progress.show("accounts listed", seen, 0)
		return nil
	})
	if err != nil {
		return err
	}
	return r.page(ctx, chosen)
}

// page compares some accounts side by side, and prints those that drift in their order.
func (r *reconciler) page(ctx context.Context, accounts []seam.Account) error {
	states, err := r.queue.States(ctx, idsOf(accounts)...)
	if err != nil {
		return err
	}
	drifts := make([][]metadata.Drift, len(accounts))
	errs := make([]error, len(accounts))
	group, comparing := errgroup.WithContext(ctx)
	group.SetLimit(int(r.config.Concurrency))
	for i, account := range accounts {
		group.Go(func() error {
			drifts[i], errs[i] = r.compare(comparing, account, states[i])
			if errors.Is(errs[i], seam.ErrUnauthorized) || comparing.Err() != nil {
				return errs[i] // the same for every account
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err //nolint:wrapcheck // compare says what it was doing
	}
	for i := range accounts {
		if err := r.note(ctx, accounts[i], drifts[i], errs[i]); err != nil {
			return err
		}
	}
	return nil
}

var errLeftOut = errors.New("not among the accounts asked for")

// compare tells how an account drifts. Where it is not as seamtag left it, it may have been tagged since the list was read:
// then it is read once more.
func (r *reconciler) compare(ctx context.Context, account seam.Account, state []byte) ([]metadata.Drift, error) {
	ledger, err := readLedger(state, account.ID)
	if err != nil {
		return nil, err
	}
	if since := r.o.since; !since.IsZero() && account.CreatedAt.Before(since.Time) && ledger.OccurredAt.Before(since.Time) {
		return nil, errLeftOut
	}
	drift, err := r.drift(ctx, account, ledger)
	if err != nil || len(drift) == 0 || ledger.Left(account) {
		return drift, err
	}
	if state, err = r.queue.State(ctx, account.ID); err != nil {
		return nil, err
	}
	if ledger, err = readLedger(state, account.ID); err != nil {
		return nil, err
	}
	id := account.ID
	err = seam.Persist(ctx, func() (err error) {
		account, err = r.seam.Account(ctx, id)
		return err
	})
	if errors.Is(err, seam.ErrNotFound) {
		return nil, errLeftOut
	}
	if err != nil {
		return nil, fmt.Errorf("read account %s: %w", id, err)
	}
	return r.drift(ctx, account, ledger)
}

func (r *reconciler) drift(ctx context.Context, account seam.Account, ledger metadata.Ledger) (drift []metadata.Drift, err error) {
	err = seam.Persist(ctx, func() (err error) {
		drift, err = r.tagger.Drift(ctx, account, ledger)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("account %s: %w", account.ID, err)
	}
	return slices.DeleteFunc(drift, func(d metadata.Drift) bool { return slices.Contains(r.o.ignore, string(d.Kind)) }), nil
}

// note counts an account, queues its repair and prints it.
func (r *reconciler) note(ctx context.Context, account seam.Account, drift []metadata.Drift, err error) error {
	if errors.Is(err, errLeftOut) {
		return nil
	}
	r.summary.Accounts++
	r.progress.show("accounts", r.summary.Accounts, 0)
	if err != nil {
		r.summary.Failed++
		r.failure = cmp.Or(r.failure, err)
		return nil
	}
	if len(drift) == 0 {
		return nil
	}
	line := driftLine{Account: account.ID, Drift: drift, Kinds: kindsOf(drift)}
	r.summary.Drifting++
	for _, kind := range line.Kinds {
		r.summary.Kinds[kind]++
	}
	if r.o.fix && slices.ContainsFunc(drift, func(d metadata.Drift) bool { return d.Mends }) {
		if line.Repair, err = r.repair(ctx, account); err != nil {
			return err
		}
	}
	r.progress.done()
	return r.out.one(line, line.text())
}

func kindsOf(drift []metadata.Drift) []metadata.DriftKind {
	kinds := make([]metadata.DriftKind, 0, len(drift))
	for _, d := range drift {
		kinds = append(kinds, d.Kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// repair queues a check of the account, unless an event of it is in work: that will do the same.
func (r *reconciler) repair(ctx context.Context, account seam.Account) (string, error) {
	waits, err := r.queue.Open(ctx, account.ID)
	if err != nil {
		return "", err
	}
	if waits {
		r.summary.Waiting++
		return "waiting", nil
	}
	now := time.Now()
	m, err := check(fmt.Sprintf("reconcile_%s_%d", account.ID, now.UnixNano()), account, now)
	if err != nil {
		return "", err
	}
	if err := r.intake.pace.Wait(ctx); err != nil {
		return "", context.Cause(ctx)
	}
	if _, err := r.publisher.Publish(ctx, m); err != nil {
		return "", err
	}
	r.summary.Queued++
	return "queued", nil
}

// text is the account as a person reads it.
func (l *driftLine) text() string {
	parts := make([]string, len(l.Drift))
	for i, d := range l.Drift {
		parts[i] = driftText(d)
	}
	text := l.Account + "  " + strings.Join(parts, "; ")
	if l.Repair != "" {
		text += "  [" + l.Repair + "]"
	}
	return printable(text)
}

func driftText(d metadata.Drift) string {
	text := string(d.Kind)
	if d.Key != "" {
		text += " " + d.Key
	}
	if d.Problem != "" {
		return text + ": " + d.Problem
	}
	text += fmt.Sprintf(": %s → %s", shown(d.Before), shown(d.After))
	if d.Source != "" {
		text += " (" + d.Source + ")"
	}
	return text
}

// shown is a value as JSON shows it; nothing is a dash.
func shown(v any) string {
	if v == nil {
		return dash("")
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("a %T", v)
	}
	return string(text)
}

// driftError is drift that is not mended: exit code 3.
type driftError struct {
	accounts int
	fixed    bool // the rest was queued
}

func (d *driftError) Error() string {
	if d.fixed {
		return "drift in " + plural(d.accounts, "account") + " that tagging cannot mend: the lines without a repair say why"
	}
	return "drift in " + plural(d.accounts, "account") + "; queue the repairs with: seamtag reconcile --fix"
}

// verdict is what the exit code says.
func (r *reconciler) verdict() error {
	if left := r.summary.Drifting - r.summary.Queued - r.summary.Waiting; left > 0 {
		return &driftError{left, r.o.fix}
	}
	if r.failure != nil {
		return fmt.Errorf("%s could not be compared: %w", plural(r.summary.Failed, "account"), r.failure)
	}
	return nil
}
