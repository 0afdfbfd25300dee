package metadata

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"seamtag/internal/spelling"
)

// formula is a compiled expression.
type formula struct {
	source  string
	program *vm.Program
	lookups []string   // that it names, sorted
	paths   [][]string // of names that it reads, such as customer.plan; the longest ones
}

// formula compiles one expression; nil with an error noted.
func (c *compiler) formula(e Expression) *formula {
	r := &reader{known: c.known}
	program, err := expr.Compile(e.Text, expr.Env(c.types()), expr.DisableBuiltin("now"), expr.Patch(r))
	if r.problem != "" {
		c.failf(e.Place, byteOffset(e.Text, r.at), "%s", r.problem)
		return nil
	}
	if err != nil {
		offset, problem := c.explainSyntax(e.Text, err)
		c.failf(e.Place, offset, "%s", problem)
		return nil
	}
	f := &formula{source: e.Text, program: program, lookups: r.lookups, paths: longest(r.paths)}
	slices.Sort(f.lookups)
	c.noteUnknownFields(e, f.paths)
	return f
}

// types are the names that expressions know. A lookup gives anything; only fields that are always there are typed, as a
// null in a place that was compiled for a string would be an error.
func (c *compiler) types() types.Map {
	names := make(types.Map, len(subjects)+len(c.known))
	for name := range c.known {
		names[name] = types.Any
	}
	maps.Copy(names, subjectTypes())
	return names
}

// explainSyntax is what the compiler says, and where, in bytes.
func (c *compiler) explainSyntax(text string, err error) (offset int, problem string) {
	said, ok := errors.AsType[*file.Error](err)
	if !ok {
		return 0, "not an expression"
	}
	problem = said.Message
	if problem == "unexpected token EOF" {
		return len(text), "the expression ends too early"
	}
	if name, unknown := strings.CutPrefix(problem, "unknown name "); unknown {
		problem = c.explainName(name, strings.Contains(text, name+"("))
	}
	return byteOffset(text, said.From), problem
}

func (c *compiler) explainName(name string, called bool) string {
	if name == "now" {
		return "now() is another value each time, so the account would be written with every event; event.occurred_at says when it happened"
	}
	if hint := spelling.DidYouMean(name, builtin.Names); called && strings.HasPrefix(hint, ",") {
		return "unknown function " + name + hint
	}
	names := slices.Clone(subjects)
	for lookup := range c.known {
		names = append(names, lookup)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return "unknown name " + name + spelling.DidYouMean(name, names)
}

func byteOffset(text string, runes int) int {
	for i := range text {
		if runes == 0 {
			return i
		}
		runes--
	}
	return len(text)
}

// gives is the kind of value that the expression gives, as far as that is known before it runs; else empty.
func (f *formula) gives() string {
	t := f.program.Node().Type()
	switch {
	case t == reflect.TypeFor[time.Time]():
		return kindTime
	case t.Kind() == reflect.Interface:
		return ""
	default:
		return kindOfType(t)
	}
}

// run computes the expression.
func (f *formula) run(machine *vm.VM, names map[string]any) (any, *RuleError) {
	value, err := machine.Run(f.program, names)
	if err != nil {
		// The machine's own words quote values.
		return nil, &RuleError{Expression: f.source, Kind: f.kinds(names), Problem: "cannot be computed, as " + f.kinds(names)}
	}
	return value, nil
}

// kinds tells what kinds of values the expression met, such as "user.name is null".
func (f *formula) kinds(names map[string]any) string {
	if len(f.paths) == 0 {
		return "its parts do not fit together"
	}
	said := make([]string, len(f.paths))
	for i, path := range f.paths {
		var value any = names
		for _, name := range path {
			object, _ := value.(map[string]any)
			value = object[name]
		}
		said[i] = strings.Join(path, ".") + " is " + kindOf(value)
	}
	return strings.Join(said, " and ")
}

// reader walks an expression while it is compiled: it notes the names and makes every a.b mean a?.b, so that what is not
// there is null and not an error.
type reader struct {
	known   map[string]int
	lookups []string
	paths   [][]string
	problem string
	at      int // in characters
}

// Visit implements ast.Visitor; children come before their parents.
func (r *reader) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		r.identifier(n)
	case *ast.MemberNode:
		r.note(n)
		if !n.Optional {
			n.Optional = true
			ast.Patch(node, &ast.ChainNode{Node: n})
		}
	case *ast.CallNode:
		// A method's name is no field that could be absent.
		if chain, ok := n.Callee.(*ast.ChainNode); ok {
			if member, ok := chain.Node.(*ast.MemberNode); ok {
				member.Optional = false
				n.Callee = member
			}
		}
	}
}

func (r *reader) identifier(n *ast.IdentifierNode) {
	if n.Value == "$env" && r.problem == "" {
		r.problem, r.at = "$env is not read here: name event, account, webview, origin or a lookup", n.Location().From
	}
	r.note(n)
	if _, lookup := r.known[n.Value]; lookup && !slices.Contains(r.lookups, n.Value) {
		r.lookups = append(r.lookups, n.Value)
	}
}

func (r *reader) note(n ast.Node) {
	path := r.path(n)
	if path != nil && !slices.ContainsFunc(r.paths, func(p []string) bool { return slices.Equal(p, path) }) {
		r.paths = append(r.paths, path)
	}
}

// path is the names of user.address.city; nil for anything else.
func (r *reader) path(node ast.Node) []string {
	switch n := node.(type) {
	case *ast.IdentifierNode:
		if _, lookup := r.known[n.Value]; lookup || slices.Contains(subjects, n.Value) {
			return []string{n.Value}
		}
	case *ast.ChainNode:
		return r.path(n.Node)
	case *ast.MemberNode:
		name, ok := n.Property.(*ast.StringNode)
		if base := r.path(n.Node); base != nil && ok {
			return append(slices.Clone(base), name.Value)
		}
	}
	return nil
}

// longest leaves out paths that another one goes on from.
func longest(paths [][]string) [][]string {
	return slices.DeleteFunc(slices.Clone(paths), func(short []string) bool {
		return slices.ContainsFunc(paths, func(long []string) bool {
			return len(long) > len(short) && slices.Equal(long[:len(short)], short)
		})
	})
}
