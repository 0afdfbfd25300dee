package metadata

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/expr-lang/expr/vm"

	"seamtag/seam"
)

// Lookup asks one of the user's systems. What it answers is shared: it is never changed here.
type Lookup interface {
	Ask(ctx context.Context, params []any) (Answer, error)
}

// Answer is what a Lookup knows.
type Answer struct {
	Value   any
	Missing bool          // the system has nothing, or a parameter was null
	Cached  bool          // nobody was asked for it
	Age     time.Duration // since the system said it
}

// MissingError says that a lookup found nothing, and that the rules do not go on without it.
type MissingError struct {
	Lookup string
	Then   Missed // retry, skip or dead
}

// Error names the lookup.
func (e *MissingError) Error() string {
	return fmt.Sprintf("lookup %s found nothing (missing: %s)", e.Lookup, e.Then)
}

type tagRule struct {
	*formula

	key string
}

type lookupRule struct {
	name, system string
	params       []*formula
	uses         []string // lookups that the parameters name
	after        []int    // the same, as indexes among the rules' lookups
	missing      Missed
	lookup       Lookup
}

// computed is what the rules give for one account at one moment.
type computed struct {
	tags   map[string]Tag
	copies map[string]any   // by source, those that are no webview's metadata
	asked  []asked          // as the rules' lookups
	names  map[string]any   // what the expressions knew
	failed map[string]error // tags whose expression failed, by key
}

// asked is how one lookup went.
type asked struct {
	answer Answer
	took   time.Duration
	failed error // what ends the event; nil when the rules can go on
}

// decide computes what the rules give and plans. What could be computed is answered with an error too.
func decide(ctx context.Context, in *Input) (Decision, computed, error) {
	var got computed
	if in.Rules.computes() {
		var err error
		if got, err = in.Rules.compute(ctx, in); err != nil {
			return Decision{}, got, err
		}
		in.Tags, in.Copies = got.tags, got.copies
	}
	d, err := Plan(*in)
	if err != nil {
		return Decision{}, got, fmt.Errorf("plan: %w", err)
	}
	return d, got, nil
}

// compute asks the lookups and computes the expressions. The error is that of the first lookup, in the rules' order, that
// did not answer, else of the first expression that failed.
func (r *Rules) compute(ctx context.Context, in *Input) (computed, error) {
	machine := &vm.VM{}
	got := computed{names: r.subjects(in, see(in)), tags: make(map[string]Tag, len(r.tags))}
	got.asked = r.ask(ctx, machine, got.names)
	var errs firstError
	for i := range got.asked {
		errs.note(got.asked[i].failed)
	}
	for i := range r.tags {
		errs.note(r.computeTag(machine, &r.tags[i], &got))
	}
	for _, c := range r.copies {
		errs.note(r.computeCopy(machine, c, &got))
	}
	return got, errs.err
}

// firstError keeps the first.
type firstError struct{ err error }

func (f *firstError) note(err error) {
	if f.err == nil {
		f.err = err
	}
}

func (r *Rules) computeTag(machine *vm.VM, t *tagRule, got *computed) error {
	if r.waits(t.formula, got.asked) {
		return nil
	}
	value, err := t.run(machine, got.names)
	if err == nil {
		got.tags[t.key] = Tag{Value: value, Source: t.source}
		return nil
	}
	err.Key = t.key
	if got.failed == nil {
		got.failed = map[string]error{}
	}
	got.failed[t.key] = err
	return err
}

func (r *Rules) computeCopy(machine *vm.VM, c copyRule, got *computed) error {
	if c.formula == nil || r.waits(c.formula, got.asked) {
		return nil
	}
	value, err := c.run(machine, got.names)
	if err != nil {
		return err
	}
	if got.copies == nil {
		got.copies = map[string]any{}
	}
	got.copies[c.source] = value
	return c.accept(value)
}

// computes tells whether anything has to be: what copy takes from webviews has not.
func (r *Rules) computes() bool {
	return len(r.tags) > 0 || slices.ContainsFunc(r.copies, func(c copyRule) bool { return c.formula != nil })
}

// waits tells whether a lookup that the formula names has no answer.
func (r *Rules) waits(f *formula, all []asked) bool {
	for i := range r.lookups {
		if all[i].failed == nil {
			continue
		}
		if slices.Contains(f.lookups, r.lookups[i].name) {
			return true
		}
	}
	return false
}

// subjects are the names of an expression but for the lookups.
func (r *Rules) subjects(in *Input, v views) map[string]any {
	names := make(map[string]any, len(subjects)+len(r.lookups))
	names["event"] = eventObject(in.Event)
	names["account"] = accountObject(in.Account)
	names["webview"], names["origin"] = v.latest.object(), v.origin.object()
	return names
}

// object is nil, without a type, where there is no webview.
func (s *Sighting) object() any {
	if s == nil || s.Object == nil {
		return nil
	}
	return Plain(s.Object)
}

func eventObject(ev seam.Event) any {
	if ev.Raw != nil {
		return Plain(ev.Raw)
	}
	object := map[string]any{
		fieldEventID: ev.EventID, fieldEventType: ev.EventType, fieldAccountID: ev.ConnectedAccountID,
		"occurred_at": ev.OccurredAt.Format(time.RFC3339Nano),
	}
	if ev.ConnectWebviewID != "" {
		object["connect_webview_id"] = ev.ConnectWebviewID
	}
	return object
}

func accountObject(a seam.Account) any {
	if a.Raw != nil {
		return Plain(a.Raw)
	}
	object := map[string]any{fieldAccountID: a.ID, fieldMetadata: Plain(map[string]any(a.Metadata))}
	if a.CustomerKey != "" {
		object["customer_key"] = a.CustomerKey
	}
	return object
}

// ask asks every lookup once those that it takes from have answered: one at a time where each needs the one before, else at
// the same time. A lookup that cannot be asked for want of another fails like that one.
func (r *Rules) ask(ctx context.Context, machine *vm.VM, names map[string]any) []asked {
	all := make([]asked, len(r.lookups))
	if r.oneByOne() {
		for i := range r.lookups {
			all[i] = r.askOne(ctx, machine, i, all, names)
			names[r.lookups[i].name] = all[i].answer.Value
		}
		return all
	}
	var mu sync.Mutex // of names
	done := make([]chan struct{}, len(all))
	for i := range done {
		done[i] = make(chan struct{})
	}
	var group sync.WaitGroup
	for i := range r.lookups {
		group.Go(func() {
			defer close(done[i])
			for _, before := range r.lookups[i].after {
				<-done[before]
			}
			mu.Lock()
			seen := maps.Clone(names)
			mu.Unlock()
			all[i] = r.askOne(ctx, &vm.VM{}, i, all, seen)
			mu.Lock()
			names[r.lookups[i].name] = all[i].answer.Value
			mu.Unlock()
		})
	}
	group.Wait()
	return all
}

// oneByOne tells whether nothing could be asked at the same time.
func (r *Rules) oneByOne() bool {
	for i := range r.lookups {
		if i > 0 && !slices.Contains(r.lookups[i].after, i-1) {
			return false
		}
	}
	return true
}

func (r *Rules) askOne(ctx context.Context, machine *vm.VM, i int, all []asked, names map[string]any) asked {
	rule := &r.lookups[i]
	for _, before := range rule.after {
		if all[before].failed != nil {
			return asked{failed: all[before].failed}
		}
	}
	params := make([]any, len(rule.params))
	for n, f := range rule.params {
		value, err := f.parameter(machine, names)
		if err != nil {
			return asked{failed: fmt.Errorf("lookup %s: %w", rule.name, err)}
		}
		params[n] = value
	}
	started := time.Now()
	answer, err := rule.lookup.Ask(ctx, params)
	got := asked{answer: answer, took: time.Since(started), failed: err}
	if err != nil || !answer.Missing {
		return got
	}
	got.answer.Value = nil
	if rule.missing == MissedEmpty {
		got.answer.Value = map[string]any{}
	} else {
		got.failed = &MissingError{Lookup: rule.name, Then: rule.missing}
	}
	return got
}

// parameter computes a value to ask with, and refuses what no system takes as one.
func (f *formula) parameter(machine *vm.VM, names map[string]any) (any, error) {
	value, ruleErr := f.run(machine, names)
	if ruleErr != nil {
		return nil, ruleErr
	}
	if kind := kindOf(value); kind == kindList || kind == kindObject {
		return nil, &RuleError{Expression: f.source, Kind: kind, Problem: "a parameter is one value, not " + withArticle(kind)}
	}
	return value, nil
}
