package metadata

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Definition is what a rules file says, with its texts still to be compiled.
type Definition struct {
	Copy    []Expression // maps of initial values, the later over the earlier; nil for those of DefaultRules
	Tags    []TagDefinition
	Lookups []LookupDefinition
	Policy  Policy
}

// Expression is an expr-lang text and the place it came from.
type Expression struct {
	Text  string
	Place Place // may be nil
}

// Place makes a problem into an error that says where in the file it is; offset is in bytes of the text.
type Place interface {
	Fault(offset int, problem string) error
}

// TagDefinition is a key that seamtag owns.
type TagDefinition struct {
	Key   string
	Place Place // of the key; may be nil
	Value Expression
}

// LookupDefinition is a lookup as the rules name it.
type LookupDefinition struct {
	Name    string
	System  string // sql, http, redis or table, for Explain
	Place   Place  // of the name; may be nil
	Params  []Expression
	Missing Missed
	Lookup  Lookup
}

// Missed is what follows from a lookup that finds nothing, as the rules file spells it.
type Missed string

// The choices of Missed.
const (
	MissedRetry Missed = "retry"
	MissedEmpty Missed = "empty"
	MissedSkip  Missed = "skip"
	MissedDead  Missed = "dead"
)

// Compile turns a definition into rules: every expression is compiled and type-checked, every lookup that a tag, a copy or
// another such lookup names has its turn, and circles are refused. The error joins all that is wrong.
func Compile(d Definition) (*Rules, error) {
	c := &compiler{definition: &d, rules: &Rules{policy: d.Policy}}
	c.names()
	c.copies()
	c.tags()
	c.lookups()
	c.order()
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	return c.rules, nil
}

type compiler struct {
	definition *Definition
	known      map[string]int // lookup name → its index
	rules      *Rules
	all        []lookupRule // by index, needed or not
	errs       []error
}

func (c *compiler) failf(at Place, offset int, format string, args ...any) {
	c.errs = append(c.errs, fault(at, offset, fmt.Sprintf(format, args...)))
}

func withArticle(kind string) string {
	if kind == kindObject {
		return "an " + kind
	}
	return "a " + kind
}

func fault(at Place, offset int, problem string) error {
	if at == nil {
		return errors.New(problem)
	}
	return at.Fault(offset, problem)
}

// names checks the names of lookups: each is a name in expressions.
func (c *compiler) names() {
	c.known = make(map[string]int, len(c.definition.Lookups))
	for i, l := range c.definition.Lookups {
		switch {
		case !isName(l.Name):
			c.failf(l.Place, 0, "%q is no name for a lookup: expressions need letters, digits and _, not a digit first", l.Name)
		case slices.Contains(subjects, l.Name):
			c.failf(l.Place, 0, "%q names what Seam knows in expressions: give the lookup another name", l.Name)
		case slices.Contains(reserved, l.Name):
			c.failf(l.Place, 0, "%q is a word of the expressions themselves: give the lookup another name", l.Name)
		}
		c.known[l.Name] = i
	}
}

func (c *compiler) copies() {
	if c.definition.Copy == nil {
		c.rules.copies = DefaultRules().copies
		return
	}
	for _, e := range c.definition.Copy {
		if e.Text == copyOrigin || e.Text == copyWebview {
			c.rules.copies = append(c.rules.copies, copyRule{source: e.Text})
			continue
		}
		f := c.formula(e)
		if f == nil {
			continue
		}
		if kind := f.gives(); kind != "" && kind != kindObject {
			c.failf(e.Place, 0, "copy wants a map, such as webview.custom_metadata; this gives %s", withArticle(kind))
		}
		c.rules.copies = append(c.rules.copies, copyRule{source: e.Text, formula: f})
	}
}

func (c *compiler) tags() {
	for _, t := range c.definition.Tags {
		if problem := keyProblem(t.Key); problem != "" {
			c.failf(t.Place, 0, "tag %s: %s", quoteKey(t.Key), problem)
		}
		f := c.formula(t.Value)
		if f == nil {
			continue
		}
		switch kind := f.gives(); kind {
		case kindObject, kindList:
			c.failf(t.Value.Place, 0, "tag %s: this gives %s; a tag is a string, a boolean, a number or a time", quoteKey(t.Key), withArticle(kind))
		case kindUnknown:
			c.failf(t.Value.Place, 0, "tag %s: this gives neither a string nor a boolean, a number or a time", quoteKey(t.Key))
		}
		c.rules.tags = append(c.rules.tags, tagRule{key: t.Key, formula: f})
	}
	slices.SortStableFunc(c.rules.tags, func(a, b tagRule) int { return strings.Compare(a.key, b.key) })
}

func (c *compiler) lookups() {
	c.all = make([]lookupRule, len(c.definition.Lookups))
	for i, l := range c.definition.Lookups {
		rule := lookupRule{name: l.Name, system: l.System, missing: l.Missing, lookup: l.Lookup}
		for _, p := range l.Params {
			f := c.formula(p)
			if f == nil {
				continue
			}
			if kind := f.gives(); kind == kindObject || kind == kindList {
				c.failf(p.Place, 0, "lookup %q: a parameter is one value, this gives %s", l.Name, withArticle(kind))
			}
			rule.params = append(rule.params, f)
			rule.uses = append(rule.uses, f.lookups...)
		}
		slices.Sort(rule.uses)
		rule.uses = slices.Compact(rule.uses)
		c.all[i] = rule
	}
}
