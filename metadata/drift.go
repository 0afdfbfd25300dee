package metadata

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"seamtag/seam"
)

// DriftKind is how an account differs from what the rules want.
type DriftKind string

// The kinds of drift.
const (
	DriftMissing    DriftKind = "missing"     // a key is not there
	DriftChanged    DriftKind = "changed"     // a tag has another value than the rules give, or the rules no longer give it
	DriftConflict   DriftKind = "conflict"    // a tag meets a value that seamtag did not write
	DriftOverBudget DriftKind = "over_budget" // more keys than Seam takes
	DriftNoOrigin   DriftKind = "no_origin"   // no webview is known to have connected the account
	DriftRuleError  DriftKind = "rule_error"  // a rule gives what cannot be written
)

// DriftKinds lists all kinds.
func DriftKinds() []DriftKind {
	return []DriftKind{DriftMissing, DriftChanged, DriftConflict, DriftOverBudget, DriftNoOrigin, DriftRuleError}
}

// Drift is one difference between an account and what the rules want. It holds metadata values: for the operator's eyes,
// never for a log.
type Drift struct {
	Kind    DriftKind `json:"kind"`
	Key     string    `json:"key,omitempty"`
	Before  any       `json:"before,omitempty"` // nil: not there
	After   any       `json:"after,omitempty"`  // nil: to be removed, or to be left
	Source  string    `json:"source,omitempty"`
	Problem string    `json:"problem,omitempty"`
	Mends   bool      `json:"mends"` // tagging the account would mend it
}

// Drift compares an account, as just read, with what the rules want. Nothing is written. Its errors are those of Seam and
// of what the rules ask; what the rules themselves do wrong is a drift.
func (t *Tagger) Drift(ctx context.Context, account seam.Account, ledger Ledger) ([]Drift, error) {
	d, err := t.Preview(ctx, account, ledger)
	if broken, ok := errors.AsType[*RuleError](err); ok {
		kind := DriftRuleError
		if broken.OverBudget {
			kind = DriftOverBudget
		}
		return []Drift{{Kind: kind, Key: broken.Key, Source: broken.Expression, Problem: broken.Error()}}, nil
	}
	if err != nil {
		return nil, err
	}
	return d.drift(account.Metadata, ledger), nil
}

// Preview decides as Tag would, on an account as just read, and writes nothing. Seam's webviews are asked only where the
// ledger cannot know: where it is new, or the account is not as it was left.
func (t *Tagger) Preview(ctx context.Context, account seam.Account, ledger Ledger) (Decision, error) {
	in := Input{
		Event:   seam.Event{EventType: TypeCheck, ConnectedAccountID: account.ID, OccurredAt: t.now()},
		Account: account, Ledger: ledger, Rules: t.rules, Now: t.now(),
	}
	if !ledger.Left(account) {
		found, err := t.resolve(ctx, in.Event, ledger)
		if err != nil {
			return Decision{}, fmt.Errorf("resolve webview: %w", err)
		}
		in.Webview, in.WebviewAt, in.WebviewGone = found.webview, found.at, found.gone
	}
	in.Event = dated(in.Event, account, in.WebviewAt, ledger)
	d, _, err := decide(ctx, &in)
	return d, err
}

// Left tells whether an account, as just read, is as it was left when it was last tagged.
func (l Ledger) Left(account seam.Account) bool {
	return !l.isZero() && same(account.Metadata, l.Snapshot)
}

// drift lists what the decision would change, by key.
func (d Decision) drift(present seam.Metadata, ledger Ledger) []Drift {
	var all []Drift
	for key, after := range d.Set {
		kind := DriftChanged
		_, ours := ledger.Owned[key]
		switch {
		case present[key] == nil:
			kind = DriftMissing
		case !ours && !ledger.wrote(key, present[key]):
			kind = DriftConflict
		}
		all = append(all, Drift{Kind: kind, Key: key, Before: present[key], After: after, Source: d.Sources[key], Mends: true})
	}
	for _, key := range d.Restored {
		all = append(all, Drift{Kind: DriftMissing, Key: key, After: d.Metadata[key], Source: d.Sources[key], Mends: true})
	}
	for _, key := range d.Removed {
		all = append(all, Drift{Kind: DriftChanged, Key: key, Before: present[key], Mends: true})
	}
	for _, key := range d.Kept {
		all = append(all, Drift{Kind: DriftConflict, Key: key, Before: present[key], Problem: "another system's value is kept (policy.conflict)"})
	}
	if d.Origin == nil {
		all = append(all, Drift{Kind: DriftNoOrigin, Problem: "no webview is known to have connected the account"})
	}
	slices.SortFunc(all, func(a, b Drift) int { return strings.Compare(a.Key, b.Key) })
	return all
}
