package metadata

import (
	"fmt"
	"slices"
	"strings"
)

// order keeps the lookups that are needed, each after those whose answers it takes. Circles are refused, also among
// lookups that nothing needs.
func (c *compiler) order() {
	g := graph{compiler: c, state: make([]visit, len(c.all))}
	for i := range c.all {
		if !g.walk(i, nil) {
			return
		}
	}
	needed := c.needed()
	position := map[string]int{}
	for _, i := range g.sorted {
		rule := c.all[i]
		if !needed[rule.name] {
			continue
		}
		for _, name := range rule.uses {
			rule.after = append(rule.after, position[name])
		}
		position[rule.name] = len(c.rules.lookups)
		c.rules.lookups = append(c.rules.lookups, rule)
	}
	for _, l := range c.definition.Lookups {
		if !needed[l.Name] {
			c.rules.notes = append(c.rules.notes, fmt.Sprintf("lookup %q is never asked: no tag, copy or other lookup uses it", l.Name))
		}
	}
}

type visit int

const (
	fresh visit = iota
	onTheWay
	done
)

// graph walks lookups depth first.
type graph struct {
	*compiler

	state  []visit
	sorted []int
}

// walk puts lookup i after all that it uses; path are the names that led to it.
func (g *graph) walk(i int, path []string) bool {
	rule := &g.all[i]
	path = append(path, rule.name)
	switch g.state[i] {
	case done:
		return true
	case onTheWay:
		circle := path[slices.Index(path, rule.name):]
		g.failf(g.definition.Lookups[i].Place, 0, "lookups go in a circle: %s", strings.Join(circle, " → "))
		return false
	case fresh:
	}
	g.state[i] = onTheWay
	for _, name := range rule.uses {
		if !g.walk(g.known[name], path) {
			return false
		}
	}
	g.state[i] = done
	g.sorted = append(g.sorted, i)
	return true
}

// needed are the lookups that a tag or a copy names, and those that these name.
func (c *compiler) needed() map[string]bool {
	needed := map[string]bool{}
	var need func(names []string)
	need = func(names []string) {
		for _, name := range names {
			if !needed[name] {
				needed[name] = true
				need(c.all[c.known[name]].uses)
			}
		}
	}
	for _, t := range c.rules.tags {
		need(t.lookups)
	}
	for _, r := range c.rules.copies {
		if r.formula != nil {
			need(r.lookups)
		}
	}
	return needed
}
