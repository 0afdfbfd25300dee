package metadata

import "sync"

// Rules say what an account is to carry. They are read-only once made and safe for concurrent use.
type Rules struct {
	copies  []copyRule
	tags    []tagRule    // by key
	lookups []lookupRule // those that are needed, each after those that it takes from
	policy  Policy
	notes   []string

	machines sync.Pool // of *vm.VM: one computes one account
}

// Policy is how rules meet what is already there. The zero Policy is not the default: see DefaultPolicy.
type Policy struct {
	Conflict Conflict // a tag meets a value that seamtag did not write
	Budget   Budget   // more than 50 keys
	Prune    bool     // remove tags that seamtag wrote and the rules no longer give
	Restore  bool     // bring back what a reconnect wiped
	Drop     []string // with BudgetDrop: the keys to do without, first one first
	Allow    []string // when not empty, the only keys that copy and tags may ever write
}

// Conflict is a choice of Policy.
type Conflict string

// Budget is a choice of Policy.
type Budget string

// The choices of Policy, as the rules file spells them.
const (
	ConflictOverwrite Conflict = "overwrite"
	ConflictKeep      Conflict = "keep"
	BudgetFail        Budget   = "fail"
	BudgetDrop        Budget   = "drop"
)

// DefaultPolicy is what a rules file without a policy section means.
func DefaultPolicy() Policy {
	return Policy{Conflict: ConflictOverwrite, Budget: BudgetFail, Prune: true, Restore: true}
}

// DefaultRules is what holds without a rules file: the metadata of the first and of the latest webview as initial
// values, no tags.
func DefaultRules() *Rules {
	return &Rules{
		copies: []copyRule{{source: copyOrigin}, {source: copyWebview}},
		policy: DefaultPolicy(),
	}
}

// copyRule names one map of initial values.
type copyRule struct {
	*formula // nil for the two that need no computing

	source string
}

const (
	copyOrigin  = "origin.custom_metadata"
	copyWebview = "webview.custom_metadata"
)

// values is the map that the rule names; copies are those that had to be computed.
func (c copyRule) values(v views, copies map[string]any) map[string]any {
	if c.formula != nil {
		object, _ := Plain(copies[c.source]).(map[string]any)
		return object
	}
	if c.source == copyOrigin {
		return v.origin.metadata()
	}
	return v.latest.metadata()
}

// accept refuses what is no map. Null gives nothing.
func (c copyRule) accept(value any) error {
	if kind := kindOf(value); kind != kindNull && kind != kindObject {
		return &RuleError{Expression: c.source, Kind: kind, Problem: "copy wants a map, this is " + withArticle(kind)}
	}
	return nil
}

// Tag is the value a rule computed for a key that seamtag owns. A nil value is no tag.
type Tag struct {
	Value  any
	Source string // the expression, for errors and for the result
}

// initial gathers the values of copy, the later map over the earlier. A null or an empty key gives nothing.
func (r *Rules) initial(v views, copies map[string]any) map[string]Tag {
	values := make(map[string]Tag)
	for _, c := range r.copies {
		for key, value := range c.values(v, copies) {
			if key != "" && value != nil {
				values[key] = Tag{Value: value, Source: c.source}
			}
		}
	}
	return values
}
