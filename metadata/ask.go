package metadata

import (
	"context"
	"fmt"
	"time"

	"github.com/expr-lang/expr/vm"
)

// asking asks the lookups of one account: each once those that it takes from have answered, and at the same time what does
// not wait for each other. Only asking itself runs beside; all the rest is done by one goroutine.
type asking struct {
	*Rules

	machine *vm.VM
	names   map[string]any // gets each answer
	all     []asked
	flying  int
	landed  chan landing
}

type askState int8

const (
	waiting askState = iota
	flying
	answered
)

// question is a lookup that is ready to be asked.
type question struct {
	index  int
	params []any
}

type landing struct {
	index int
	asked asked
}

func (r *Rules) ask(ctx context.Context, machine *vm.VM, names map[string]any) []asked {
	a := asking{Rules: r, machine: machine, names: names, all: make([]asked, len(r.lookups))}
	for {
		ready := a.ready(ctx)
		switch {
		case len(ready) == 0 && a.flying == 0:
			return a.all
		case len(ready) == 1 && a.flying == 0:
			a.land(landing{ready[0].index, a.question(ctx, ready[0])})
		default:
			a.depart(ctx, ready)
			a.land(<-a.landed)
			a.flying--
		}
	}
}

// ready are the questions that can be asked now. What needs no asking is answered on the way.
func (a *asking) ready(ctx context.Context) []question {
	var ready []question
	for i := range a.lookups {
		if a.all[i].state != waiting || !a.hasAll(i) {
			continue
		}
		params, err := a.params(i)
		if err != nil {
			a.land(landing{i, asked{failed: err}})
			continue
		}
		if answer, ok := a.lookups[i].lookup.Recall(ctx, params); ok {
			a.land(landing{i, a.judge(i, asked{answer: answer})})
			continue
		}
		a.all[i].state = flying
		ready = append(ready, question{i, params})
	}
	return ready
}

// hasAll tells whether all that lookup i takes from have answered.
func (a *asking) hasAll(i int) bool {
	for _, before := range a.lookups[i].after {
		if a.all[before].state != answered {
			return false
		}
	}
	return true
}

// params computes the parameters of lookup i. One that takes from a lookup without an answer fails like that one.
func (a *asking) params(i int) ([]any, error) {
	rule := &a.lookups[i]
	for _, before := range rule.after {
		if err := a.all[before].failed; err != nil {
			return nil, err
		}
	}
	params := make([]any, len(rule.params))
	for n, f := range rule.params {
		value, err := f.parameter(a.machine, a.names)
		if err != nil {
			return nil, fmt.Errorf("lookup %s: %w", rule.name, err)
		}
		params[n] = value
	}
	return params, nil
}

func (a *asking) depart(ctx context.Context, ready []question) {
	if a.landed == nil {
		a.landed = make(chan landing, len(a.lookups))
	}
	for _, q := range ready {
		a.flying++
		go func() { a.landed <- landing{q.index, a.question(ctx, q)} }()
	}
}

func (a *asking) question(ctx context.Context, q question) asked {
	started := time.Now()
	answer, err := a.lookups[q.index].lookup.Ask(ctx, q.params)
	return a.judge(q.index, asked{answer: answer, took: time.Since(started), failed: err})
}

// judge is what the rules make of an answer.
func (a *asking) judge(i int, got asked) asked {
	if got.failed != nil || !got.answer.Missing {
		return got
	}
	rule := &a.lookups[i]
	got.answer.Value = nil
	if rule.missing == MissedEmpty {
		got.answer.Value = map[string]any{}
	} else {
		got.failed = &MissingError{Lookup: rule.name, Then: rule.missing}
	}
	return got
}

func (a *asking) land(l landing) {
	l.asked.state = answered
	a.all[l.index] = l.asked
	a.names[a.lookups[l.index].name] = l.asked.answer.Value
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
