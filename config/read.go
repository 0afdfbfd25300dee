package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxRules bounds a rules file in bytes.
const maxRules = 1 << 20

// ReadRules reads a rules file. environ is as os.Environ gives it. The error joins one *RulesError for each thing that is
// wrong, and holds no value of the environment.
func ReadRules(file string, environ []string) (Rules, error) {
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxRules {
		return Rules{}, &RulesError{File: file, Problem: fmt.Sprintf("the file has %d bytes, at most %d are read", info.Size(), maxRules)}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return Rules{}, &RulesError{File: file, Problem: "cannot be read: " + errors.Unwrap(err).Error()}
	}
	return ParseRules(file, data, environ)
}

// ParseRules reads the text of a rules file; file names it in errors.
func ParseRules(file string, data []byte, environ []string) (Rules, error) {
	src := newSource(file, data)
	body, err := parse(src, data)
	if err != nil {
		return Rules{}, err
	}
	src.parsed = true
	findSecrets(src, body)
	d := &decoder{source: src, env: environment(environ), keys: map[string]place{}}
	rules := defaultRules()
	d.object(body, reflect.ValueOf(&rules).Elem(), theFile)
	if d.errs == nil {
		check(d, &rules)
	}
	d.sort()
	return rules, d.err()
}

// parse is the one document of a file.
func parse(src *source, data []byte) (ast.Node, error) {
	if bytes.IndexByte(data, 0) >= 0 {
		return nil, src.whole("the file is not text: it holds a NUL byte")
	}
	file, err := parser.ParseBytes(data, 0)
	if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok {
		at := place{source: src, line: syntax.Token.Position.Line, column: max(1, syntax.Token.Position.Column)}
		return nil, at.faultf("not YAML: %s", syntax.Message)
	}
	if err != nil {
		return nil, src.whole("not YAML")
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case body != nil:
			at := doc.Body.GetToken().Position
			return nil, place{source: src, line: at.Line, column: max(1, at.Column)}.faultf("a second document: a rules file is one")
		default:
			body = doc.Body
		}
	}
	if body == nil {
		return nil, src.whole("the file is empty: it needs version: 1")
	}
	return body, nil
}

func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			env[name] = value
		}
	}
	return env
}

// findSecrets notes every value that may be a secret before any line of the file is shown.
func findSecrets(src *source, body ast.Node) {
	ast.Walk(&secretFinder{src}, body)
}

type secretFinder struct{ source *source }

// Visit implements ast.Visitor.
func (f *secretFinder) Visit(node ast.Node) ast.Visitor {
	pair, ok := node.(*ast.MappingValueNode)
	if !ok {
		return f
	}
	switch key, _ := scalarText(pair.Key); key {
	case "dsn", "bearer", "password":
		f.note(pair.Value)
	case "headers":
		if headers, ok := pair.Value.(*ast.MappingNode); ok {
			for _, header := range headers.Values {
				f.note(header.Value)
			}
		}
	}
	return f
}

func (f *secretFinder) note(value ast.Node) {
	if _, ok := scalarText(value); ok {
		f.source.secrets = append(f.source.secrets, (&decoder{source: f.source}).placeOf(value))
	}
}

// check finds what is wrong between keys that are each right by themselves.
func check(d *decoder, r *Rules) {
	for _, item := range r.Lookups {
		checkLookup(d, item)
	}
	if r.Events != nil && len(r.Events) == 0 {
		d.failf(d.keys["events"], "the list is empty, so nothing would be worked on")
	}
	p := r.Policy
	if p.Budget == "drop" && len(p.Drop) == 0 {
		d.failf(d.keys["budget"], "budget: drop needs drop: the list of keys to do without, first one first")
	}
	if p.Budget != "drop" && len(p.Drop) > 0 {
		d.add(p.Drop[0].Fault(0, "drop is only read with budget: drop"))
	}
}

func checkLookup(d *decoder, item Item[Lookup]) {
	l := &item.Value
	var given []string
	for name, is := range map[string]bool{"sql": l.SQL != nil, "http": l.HTTP != nil, "redis": l.Redis != nil, "table": l.Table != nil} {
		if is {
			given = append(given, name)
		}
	}
	slices.Sort(given)
	switch len(given) {
	case 0:
		d.add(item.Name.Fault(0, fmt.Sprintf("lookup %q asks nobody: want one of sql, http, redis or table", item.Name.raw)))
	case 1:
	default:
		d.add(item.Name.Fault(0, fmt.Sprintf("lookup %q asks %s: want one of them, and a lookup for each",
			item.Name.raw, strings.Join(given, " and "))))
	}
	if r := l.Redis; r != nil {
		forms := 0
		for _, form := range []Template{r.Hash, r.String, r.JSON} {
			if form.IsSet() {
				forms++
			}
		}
		if forms != 1 {
			d.add(item.Name.Fault(0, fmt.Sprintf("lookup %q needs exactly one of hash, string and json", item.Name.raw)))
		}
	}
}

// sort brings what was found into the order of the file.
func (d *decoder) sort() {
	slices.SortStableFunc(d.errs, func(a, b error) int {
		x, y := RulesErrors(a), RulesErrors(b)
		if len(x) == 0 || len(y) == 0 {
			return 0
		}
		if x[0].Line != y[0].Line {
			return x[0].Line - y[0].Line
		}
		return x[0].Column - y[0].Column
	})
}
