package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"seamtag/internal/spelling"
)

// decoder fills a struct from YAML, as the struct's tags say, and gathers all that is wrong.
type decoder struct {
	source *source
	env    map[string]string
	keys   map[string]place // of the keys of policy and of the file itself
	errs   []error
}

func (d *decoder) failf(at place, format string, args ...any) {
	d.errs = append(d.errs, at.faultf(format, args...))
}

func (d *decoder) add(err error) {
	if err != nil {
		d.errs = append(d.errs, err)
	}
}

// placeOf is where a node's own text starts.
func (d *decoder) placeOf(node ast.Node) place {
	switch n := node.(type) {
	case *ast.LiteralNode:
		return place{source: d.source, line: n.Start.Position.Line, column: n.Start.Position.Column, block: true}
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return d.placeOf(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return d.placeOf(n.Key)
	}
	position := node.GetToken().Position
	at := place{source: d.source, line: position.Line, column: max(1, position.Column)}
	if text, ok := node.(*ast.StringNode); ok {
		return at.near(text.Value)
	}
	return at
}

// decode reads node into value, which is settable. what names it in errors.
func (d *decoder) decode(node ast.Node, value reflect.Value, what string, tag reflect.StructTag) {
	if node = d.plain(node); node == nil {
		return
	}
	switch target := value.Addr().Interface().(type) {
	case *Text:
		d.text(node, target, what, verbatim, tag)
	case *Template:
		d.text(node, &target.Text, what, doubleBraces, tag)
	case *Expression:
		d.expression(node, target, what)
	case encoding.TextUnmarshaler:
		d.unmarshal(node, target, what)
	default:
		d.decodeKind(node, value, what, tag)
	}
}

func (d *decoder) decodeKind(node ast.Node, value reflect.Value, what string, tag reflect.StructTag) {
	switch value.Kind() {
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		d.object(node, value.Elem(), what)
	case reflect.Struct:
		d.object(node, value, what)
	case reflect.Slice:
		if isItem(value.Type().Elem()) {
			d.items(node, value, what, tag)
		} else {
			d.list(node, value, what, tag)
		}
	case reflect.Int:
		d.number(node, value, what, tag)
	case reflect.Bool:
		d.boolean(node, value, what)
	case reflect.String:
		d.choice(node, value, what, strings.Fields(tag.Get("oneof")))
	default:
		panic("config: a field of kind " + value.Kind().String() + " in the rules")
	}
}

// plain refuses what makes a file mean other than it reads, and unwraps what does not matter.
func (d *decoder) plain(node ast.Node) ast.Node {
	switch n := node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		d.failf(d.placeOf(node), "anchors and aliases are not read here: write the value out")
		return nil
	case *ast.TagNode:
		d.failf(d.placeOf(node), "YAML tags such as %s are not read here: leave it out", n.GetToken().Value)
		return nil
	case *ast.MappingKeyNode:
		d.failf(d.placeOf(node), "keys with a question mark are not read here: write key: value")
		return nil
	}
	return node
}

// pairs are the entries of a map; a null has none.
func (d *decoder) pairs(node ast.Node, what string) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.NullNode:
		return nil
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	default:
		d.failf(d.placeOf(node), "%s is %s, want keys with values", what, kind(node))
		return nil
	}
}

// yes is a boolean of YAML, and of the tags of the rules' structs.
const yes = "true"

// theFile is what errors call the outermost map.
const theFile = "the file"

// object reads the keys of a struct.
func (d *decoder) object(node ast.Node, value reflect.Value, what string) {
	fields := fieldsOf(value.Type())
	seen := map[string]bool{}
	for _, pair := range d.pairs(node, what) {
		key, ok := d.key(pair)
		if !ok {
			continue
		}
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == key.raw })
		if i < 0 {
			d.add(key.Fault(0, fmt.Sprintf("unknown key %q in %s%s", key.raw, what, spelling.DidYouMean(key.raw, namesOf(fields)))))
			continue
		}
		if !d.isNew(seen, key) {
			continue
		}
		if what == theFile || what == "policy" {
			d.keys[key.raw] = key.place
		}
		d.decode(pair.Value, value.Field(fields[i].index), key.raw, fields[i].tag)
	}
	for _, f := range fields {
		if f.tag.Get("need") == yes && !seen[f.name] {
			d.failf(d.placeOf(node), "%s needs %s: %s", what, f.name, f.tag.Get("doc"))
		}
	}
}

// isNew refuses a key that was there before: which one would win?
func (d *decoder) isNew(seen map[string]bool, key Text) bool {
	if seen[key.raw] {
		d.add(key.Fault(0, fmt.Sprintf("%q is given twice", key.raw)))
		return false
	}
	seen[key.raw] = true
	return true
}

func (d *decoder) key(pair *ast.MappingValueNode) (Text, bool) {
	node := d.plain(pair.Key)
	if node == nil {
		return Text{}, false
	}
	raw, ok := scalarText(node)
	if !ok {
		d.failf(d.placeOf(node), "a key is a word, not %s", kind(node))
		return Text{}, false
	}
	return Text{raw: raw, value: raw, place: d.placeOf(node)}, true
}

// items reads a map of free names.
func (d *decoder) items(node ast.Node, value reflect.Value, what string, tag reflect.StructTag) {
	seen := map[string]bool{}
	value.Set(reflect.MakeSlice(value.Type(), 0, 0))
	for _, pair := range d.pairs(node, what) {
		key, ok := d.key(pair)
		if !ok || !d.isNew(seen, key) {
			continue
		}
		item := reflect.New(value.Type().Elem()).Elem()
		item.FieldByName("Name").Set(reflect.ValueOf(key))
		if lookup, ok := reflect.TypeAssert[*Lookup](item.FieldByName("Value").Addr()); ok {
			*lookup = defaultLookup()
		}
		d.decode(pair.Value, item.FieldByName("Value"), fmt.Sprintf("%s %q", strings.TrimSuffix(what, "s"), key.raw), tag)
		value.Set(reflect.Append(value, item))
	}
}

func (d *decoder) list(node ast.Node, value reflect.Value, what string, tag reflect.StructTag) {
	value.Set(reflect.MakeSlice(value.Type(), 0, 0))
	if _, ok := node.(*ast.NullNode); ok {
		return
	}
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		d.failf(d.placeOf(node), "%s is %s, want a list such as [a, b]", what, kind(node))
		return
	}
	for i, element := range sequence.Values {
		item := reflect.New(value.Type().Elem()).Elem()
		d.decode(element, item, fmt.Sprintf("%s %d", what, i+1), tag)
		value.Set(reflect.Append(value, item))
	}
}

func (d *decoder) text(node ast.Node, target *Text, what string, escape func(string) string, tag reflect.StructTag) {
	raw, ok := scalarText(node)
	_, null := node.(*ast.NullNode)
	if !ok || null || raw == "" {
		d.failf(d.placeOf(node), "%s is %s, want a text", what, kind(node))
		return
	}
	written := Text{raw: raw, place: d.placeOf(node), secret: tag.Get("secret") == yes}
	var err error
	*target, err = written.substituted(d.env, escape)
	d.add(err)
}

// expression takes true and 12 as what they are: expressions too.
func (d *decoder) expression(node ast.Node, target *Expression, what string) {
	raw, ok := scalarText(node)
	if _, null := node.(*ast.NullNode); !ok || null || strings.TrimSpace(raw) == "" {
		d.failf(d.placeOf(node), "%s is %s, want an expression such as user.id, or '\"text\"' for a text", what, kind(node))
		return
	}
	at := d.placeOf(node)
	if i := strings.Index(raw, "${"); i >= 0 {
		d.add(at.inside(raw, i).faultf("%s: the environment is not read in expressions, only in the settings of lookups", what))
		return
	}
	*target = Expression{Text{raw: raw, value: raw, place: at}}
}

// scalar is the text of a value that is neither a text nor an expression, with the environment put in.
func (d *decoder) scalar(node ast.Node, what, want string) (Text, bool) {
	raw, ok := scalarText(node)
	if _, null := node.(*ast.NullNode); !ok || null {
		d.failf(d.placeOf(node), "%s is %s, want %s", what, kind(node), want)
		return Text{}, false
	}
	t, err := Text{raw: raw, place: d.placeOf(node)}.substituted(d.env, verbatim)
	d.add(err)
	return t, err == nil
}

func (d *decoder) unmarshal(node ast.Node, target encoding.TextUnmarshaler, what string) {
	t, ok := d.scalar(node, what, "a duration such as 30s")
	if !ok {
		return
	}
	if err := target.UnmarshalText([]byte(t.value)); err != nil {
		d.add(t.Fault(0, what+": "+withoutValue(t, err)))
	}
}

// withoutValue keeps what the environment gave out of an error.
func withoutValue(t Text, err error) string {
	if len(t.pieces) == 0 {
		return err.Error()
	}
	return "the value of " + t.raw + " is not of the right form"
}

func (d *decoder) number(node ast.Node, value reflect.Value, what string, tag reflect.StructTag) {
	least, most := tag.Get("min"), tag.Get("max")
	want := fmt.Sprintf("a number from %s to %s", least, most)
	if least == most {
		want = least
	}
	t, ok := d.scalar(node, what, want)
	if !ok {
		return
	}
	from, _ := strconv.Atoi(least)
	to, _ := strconv.Atoi(most)
	n, err := strconv.Atoi(t.value)
	if err != nil || n < from || n > to {
		d.add(t.Fault(0, fmt.Sprintf("%s is %s, want %s", what, t.raw, want)))
		return
	}
	value.SetInt(int64(n))
}

func (d *decoder) boolean(node ast.Node, value reflect.Value, what string) {
	t, ok := d.scalar(node, what, "true or false")
	switch {
	case !ok:
	case t.value == yes || t.value == "false":
		value.SetBool(t.value == yes)
	default:
		d.add(t.Fault(0, fmt.Sprintf("%s is %q, want true or false", what, t.raw)))
	}
}

func (d *decoder) choice(node ast.Node, value reflect.Value, what string, words []string) {
	t, ok := d.scalar(node, what, spelling.OrList(words))
	switch {
	case !ok:
	case slices.Contains(words, t.value):
		value.SetString(t.value)
	default:
		d.add(t.Fault(0, fmt.Sprintf("%s is %q: want %s", what, t.raw, spelling.OrList(words))))
	}
}

// scalarText is the text of a scalar, as written; false for lists and maps.
func scalarText(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimSuffix(n.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode, *ast.NullNode:
		return node.GetToken().Value, true
	default:
		return "", false
	}
}

// kind names a node as a reader of YAML knows it.
func kind(node ast.Node) string {
	switch n := node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a map"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "empty"
	case *ast.StringNode:
		if n.Value == "" {
			return "empty"
		}
		return "a text"
	case *ast.LiteralNode:
		return "a text"
	case *ast.BoolNode:
		return "true or false"
	default:
		return "a number"
	}
}

// field is one key of a struct.
type field struct {
	name  string
	index int
	tag   reflect.StructTag
	kind  reflect.Type
}

func fieldsOf(t reflect.Type) []field {
	fields := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		fields = append(fields, field{name: f.Tag.Get("yaml"), index: i, tag: f.Tag, kind: f.Type})
	}
	return fields
}

func namesOf(fields []field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

func isItem(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && strings.HasPrefix(t.Name(), "Item[")
}

func (d *decoder) err() error { return errors.Join(d.errs...) }
