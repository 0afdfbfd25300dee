package metadata

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/expr-lang/expr/vm"

	"seamtag/seam"
)

// Lookup asks one of the user's systems. What it answers is shared: it is never changed here.
type Lookup interface {
	Ask(ctx context.Context, params []any) (Answer, error)
	// Recall answers without asking anybody, where that is possible.
	Recall(ctx context.Context, params []any) (answer Answer, ok bool)
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
	state  askState
}

// decide computes what the rules give and plans. What could be computed is answered with an error too.
func decide(ctx context.Context, in *Input) (Decision, computed, error) {
	in.Event.OccurredAt = stamp(in.Event.OccurredAt)
	v := see(in)
	var got computed
	if in.Rules.computes() {
		var err error
		if got, err = in.Rules.compute(ctx, in, v); err != nil {
			return Decision{}, got, err
		}
		in.Tags, in.Copies = got.tags, got.copies
	}
	d, err := plan(in, v)
	if err != nil {
		return Decision{}, got, fmt.Errorf("plan: %w", err)
	}
	return d, got, nil
}

// compute asks the lookups and computes the expressions. The error is that of the first lookup, in the rules' order, that
// did not answer, else of the first expression that failed.
func (r *Rules) compute(ctx context.Context, in *Input, v views) (computed, error) {
	machine, _ := r.machines.Get().(*vm.VM)
	if machine == nil {
		machine = &vm.VM{}
	}
	defer r.machines.Put(machine)
	got := computed{names: r.subjects(in, v), tags: make(map[string]Tag, len(r.tags))}
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
		fieldOccurredAt: ev.OccurredAt.Format(time.RFC3339Nano),
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
