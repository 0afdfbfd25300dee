package metadata

import (
	"context"
	"errors"
	"slices"
	"time"

	"seamtag/seam"
)

// Change is what becomes of a key.
type Change string

// The changes.
const (
	ChangeSet      Change = "set"      // written
	ChangeKept     Change = "kept"     // present, and stays as it is
	ChangeRemoved  Change = "removed"  // a tag of ours that the rules no longer give
	ChangeRestored Change = "restored" // comes back after a reconnect
	ChangeAbsent   Change = "absent"   // the rules name it, and it is not there
	ChangeWaits    Change = "waits"    // cannot be computed now
)

// Key explains one key of an account's metadata.
type Key struct {
	Key     string   `json:"key"`
	Change  Change   `json:"change"`
	Owned   bool     `json:"owned"`
	Before  any      `json:"before,omitempty"`
	After   any      `json:"after,omitempty"`
	Source  string   `json:"source,omitempty"`  // the expression or map it comes from
	Lookups []string `json:"lookups,omitempty"` // that its expression names
	Why     string   `json:"why,omitempty"`     // in words, where the change does not say it all; never a value
}

// Asked explains one lookup.
type Asked struct {
	Lookup     string  `json:"lookup"`
	System     string  `json:"system,omitempty"`
	Found      bool    `json:"found"`
	Cached     bool    `json:"cached"`
	AgeSeconds float64 `json:"age_seconds"` // since the system said it
	TookMS     int64   `json:"took_ms"`
	Missing    Missed  `json:"missing"` // what follows when nothing is found
	Error      string  `json:"error,omitempty"`
}

// Explanation is what tagging an account now would do.
type Explanation struct {
	Status    Status // StatusTagged where it would write; empty with Err
	Reason    string
	Err       error // what stands in the way, as Tag would answer it
	WebviewID string
	OriginID  string
	Keys      []Key // sorted; every key that is there or that the rules name
	Lookups   []Asked
}

// Explain computes what Tag would do, and writes nothing. Its error says that the account or its webview could not be read.
func (t *Tagger) Explain(ctx context.Context, ev seam.Event, ledger Ledger) (Explanation, error) {
	in, err := t.read(ctx, ev, ledger)
	if errors.Is(err, errAccountGone) {
		return Explanation{Status: StatusSkipped, Reason: ReasonAccountGone}, nil
	}
	if err != nil {
		return Explanation{}, err
	}
	d, got, err := decide(ctx, &in)
	x := Explanation{Status: StatusUnchanged, Lookups: in.Rules.explainLookups(got.asked)}
	v := see(&in)
	x.OriginID, x.WebviewID = v.origin.id(), v.latest.id()
	switch {
	case skips(err):
		x.Status, x.Reason = StatusSkipped, ReasonLookupMissing
	case err != nil:
		x.Status, x.Err = "", err
	case d.Changed:
		x.Status = StatusTagged
	}
	e := explainer{in: &in, views: v, got: got, decision: d, decided: err == nil}
	x.Keys = e.keys()
	return x, nil
}

// provenance is the explanation that is kept with an entry: of the keys that the rules name, with values of owned ones
// only.
func provenance(in *Input, d Decision, got computed) ([]Key, []Asked) {
	if !in.Rules.computes() {
		return nil, nil // then the sources of the result say it all
	}
	e := explainer{in: in, views: see(in), got: got, decision: d, decided: true}
	keys := e.keys()
	keys = slices.DeleteFunc(keys, func(k Key) bool { return k.Source == "" && k.Change == ChangeKept })
	for i := range keys {
		if !keys[i].Owned {
			keys[i].Before, keys[i].After = nil, nil
		}
	}
	return keys, in.Rules.explainLookups(got.asked)
}

func (r *Rules) explainLookups(all []asked) []Asked {
	list := make([]Asked, 0, len(all))
	for i, a := range all {
		rule := &r.lookups[i]
		one := Asked{
			Lookup: rule.name, System: rule.system, Found: a.failed == nil && !a.answer.Missing, Missing: rule.missing,
			Cached: a.answer.Cached, AgeSeconds: a.answer.Age.Round(time.Millisecond).Seconds(), TookMS: a.took.Milliseconds(),
		}
		if a.failed != nil {
			one.Error = a.failed.Error()
		}
		list = append(list, one)
	}
	return list
}

// explainer tells the story of every key.
type explainer struct {
	in       *Input
	views    views
	got      computed
	decision Decision
	decided  bool // else only what could be computed is known
}

func (e *explainer) keys() []Key {
	present := e.in.Account.Metadata
	initial := e.in.Rules.initial(e.views, e.got.copies)
	tags := make(map[string]*tagRule, len(e.in.Rules.tags))
	for i := range e.in.Rules.tags {
		tags[e.in.Rules.tags[i].key] = &e.in.Rules.tags[i]
	}
	names := sortedKeys(present)
	names = append(names, sortedKeys(initial)...)
	names = append(names, sortedKeys(tags)...)
	names = append(names, e.decision.Restored...)
	slices.Sort(names)
	keys := make([]Key, 0, len(names))
	for _, name := range slices.Compact(names) {
		k := e.key(name)
		if rule := tags[name]; rule != nil {
			k.Source, k.Lookups = rule.source, rule.lookups
			e.explainTag(&k, rule)
		} else if given, ok := initial[name]; ok {
			e.explainInitial(&k, given)
		}
		if k.Change != ChangeKept || present[name] != nil {
			keys = append(keys, k)
		}
	}
	return keys
}

// key is what the decision says of a key.
func (e *explainer) key(name string) Key {
	k := Key{Key: name, Before: e.in.Account.Metadata[name]}
	if !e.decided {
		_, k.Owned = e.in.Ledger.Owned[name]
		k.Change, k.After = ChangeKept, k.Before
		if k.Before == nil {
			k.Change = ChangeAbsent
		}
		return k
	}
	_, k.Owned = e.decision.ledger.Owned[name]
	k.After = e.decision.Metadata[name]
	_, set := e.decision.Set[name]
	switch {
	case set:
		k.Change = ChangeSet
	case slices.Contains(e.decision.Removed, name):
		k.Change, k.Why = ChangeRemoved, "seamtag wrote it, and the rules no longer give it"
	case slices.Contains(e.decision.Restored, name):
		k.Change, k.Source, k.Why = ChangeRestored, sourceLedger, "a reconnect had wiped it"
	case k.After == nil:
		k.Change = ChangeAbsent
	default:
		k.Change = ChangeKept
	}
	return k
}

// explainTag says why a tag is not there, or not the rules' own.
func (e *explainer) explainTag(k *Key, rule *tagRule) {
	given, isComputed := e.got.tags[k.Key]
	policy := e.in.Rules.policy
	switch {
	case !isComputed && e.got.failed[k.Key] != nil:
		k.Change, k.Why = ChangeWaits, e.got.failed[k.Key].Error()
	case !isComputed:
		k.Change, k.Why = ChangeWaits, "a lookup that it needs has no answer"
	case !e.decided:
	case len(policy.Allow) > 0 && !slices.Contains(policy.Allow, k.Key):
		k.Why = joined(k.Why, "policy.allow does not list it")
	case slices.Contains(e.decision.Dropped, k.Key):
		k.Why = joined(k.Why, "left out for the budget of 50 keys, as policy.drop says")
	case given.Value == nil:
		k.Why = joined(k.Why, "the expression gives null: "+rule.kinds(e.got.names))
	case !k.Owned && k.Change == ChangeKept && policy.Conflict == ConflictKeep:
		k.Why = "somebody else wrote it, and policy.conflict is keep"
	case !k.Owned && k.Change == ChangeKept:
		k.Why = "somebody else wrote the same value"
	}
}

// explainInitial says why an initial value is not there.
func (e *explainer) explainInitial(k *Key, given Tag) {
	policy := e.in.Rules.policy
	if k.Source == "" && (k.Change == ChangeSet || k.Change == ChangeAbsent) {
		k.Source = given.Source
	}
	switch {
	case !e.decided || k.Change != ChangeAbsent:
	case len(policy.Allow) > 0 && !slices.Contains(policy.Allow, k.Key):
		k.Why = "policy.allow does not list it"
	case slices.Contains(e.decision.Dropped, k.Key):
		k.Why = "left out for the budget of 50 keys, as policy.drop says"
	case e.in.Ledger.remembers(k.Key):
		k.Why = "it was there before and somebody deleted it: copy gives a key one chance"
	default:
		k.Why = "the event is older than what is known of the account"
	}
}

func joined(first, second string) string {
	if first == "" {
		return second
	}
	return first + "; " + second
}
