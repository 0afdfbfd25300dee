package metadata

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"seamtag/seam"
)

// Seam is what tagging asks of Seam; *seam.Client has it.
type Seam interface {
	Account(ctx context.Context, id string) (seam.Account, error)
	Webview(ctx context.Context, id string) (seam.Webview, error)
	UpdateMetadata(ctx context.Context, id string, md seam.Metadata) error
	Events(ctx context.Context, q seam.EventQuery) ([]seam.Event, error)
	Webviews(ctx context.Context, q seam.WebviewQuery) (seam.WebviewPage, error)
}

// Options of a Tagger. Seam is required.
type Options struct {
	Seam  Seam
	Rules *Rules           // DefaultRules()
	Now   func() time.Time // time.Now
}

// Tagger tags accounts. It is safe for concurrent use by callers that hold different accounts.
type Tagger struct {
	seam     Seam
	rules    *Rules
	now      func() time.Time
	webviews *webviewIndex
}

// New returns a Tagger; nothing is called yet.
func New(o Options) *Tagger {
	if o.Rules == nil {
		o.Rules = DefaultRules()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Tagger{seam: o.Seam, rules: o.Rules, now: o.Now, webviews: newWebviewIndex(o.Seam, o.Now)}
}

// Tag brings one account into the state that the rules want. The caller holds the account; fence is called right
// before an update is sent and returns nil while that is still so.
//
// The ledger handed back is to be kept with the event's end. With an error it is the one handed in, but for tags whose
// update has been sent with an unknown outcome: keep it then too where that is possible, so that they are known as ours.
// Errors are those of Seam, of fence and of lookups, *RuleError, *MissingError and ErrContended, wrapped.
func (t *Tagger) Tag(ctx context.Context, ev seam.Event, ledger Ledger, fence func() error) (Result, Ledger, error) {
	if ev.ConnectedAccountID == "" {
		return newResult(StatusSkipped, ReasonNoAccount), ledger, nil
	}
	result, after, err := t.tag(ctx, ev, ledger, fence)
	switch {
	case errors.Is(err, errAccountGone):
		return newResult(StatusSkipped, ReasonAccountGone), ledger, nil
	case skips(err):
		return newResult(StatusSkipped, ReasonLookupMissing), after, nil
	case err != nil:
		return newResult("", ""), after, err
	default:
		return result, after, nil
	}
}

func (t *Tagger) tag(ctx context.Context, ev seam.Event, ledger Ledger, fence func() error) (Result, Ledger, error) {
	in, err := t.read(ctx, ev, ledger)
	if err != nil {
		return Result{}, ledger, err
	}
	return t.write(ctx, in, fence)
}

// skips tells whether a lookup found nothing whose rule says to leave the account as it is.
func skips(err error) bool {
	missing, ok := errors.AsType[*MissingError](err)
	return ok && missing.Then == MissedSkip
}

var errAccountGone = errors.New("the account is gone")

// read gathers the account and its webview, in parallel.
func (t *Tagger) read(ctx context.Context, ev seam.Event, ledger Ledger) (Input, error) {
	in := Input{Event: ev, Ledger: ledger, Rules: t.rules, Now: t.now()}
	var found resolved
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		in.Account, err = t.account(ctx, ev.ConnectedAccountID)
		return err
	})
	group.Go(func() (err error) {
		if found, err = t.resolve(ctx, ev, ledger); err != nil {
			return fmt.Errorf("resolve webview: %w", err)
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return Input{}, err //nolint:wrapcheck // both say what they were doing
	}
	in.Webview, in.WebviewAt, in.WebviewGone = found.webview, found.at, found.gone
	in.Event = dated(in.Event, in.Account, in.WebviewAt, ledger)
	return in, nil
}

// account reads an account; errAccountGone when there is none.
func (t *Tagger) account(ctx context.Context, id string) (seam.Account, error) {
	account, err := t.seam.Account(ctx, id)
	if errors.Is(err, seam.ErrNotFound) {
		return seam.Account{}, errAccountGone
	}
	if err != nil {
		return seam.Account{}, fmt.Errorf("read account: %w", err)
	}
	return account, nil
}
