package metadata

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"seamtag/seam"
)

// Seam's limits of custom_metadata. Keys and strings are counted in characters.
const (
	maxKeys        = 50
	maxKeyLength   = 40
	maxValueLength = 500
)

// RuleError says that what a rule gives cannot be written. Trying again changes nothing until the rules or their data
// change. It names key, expression and kind, and never holds a value.
type RuleError struct {
	Key        string // empty when the object as a whole is at fault
	Expression string // empty when no one expression is at fault
	Kind       string // of the value: string, boolean, number, list, object, null, time; empty when it does not matter
	Problem    string
	OverBudget bool // more keys than Seam takes
}

// Error reads like `tag "plan" (customer.plan): a list cannot be written, …`.
func (e *RuleError) Error() string {
	var b strings.Builder
	b.WriteString("metadata")
	if e.Key != "" {
		b.WriteString(" key " + quoteKey(e.Key))
	}
	if e.Expression != "" {
		b.WriteString(" (" + e.Expression + ")")
	}
	b.WriteString(": " + e.Problem)
	return b.String()
}

// quoteKey keeps an error text short and on one line whatever the key.
func quoteKey(key string) string {
	const shown = 60
	if utf8.RuneCountInString(key) > shown {
		key = string([]rune(key)[:shown]) + "…"
	}
	return strconv.Quote(key)
}

// writable converts the value a rule gave into one that Seam takes, a string or a boolean. nil gives nil.
func writable(key string, t Tag) (any, error) {
	if problem := keyProblem(key); problem != "" {
		return nil, &RuleError{Key: key, Expression: t.Source, Problem: problem}
	}
	if t.Value == nil {
		return nil, nil //nolint:nilnil // no value is a value here: no tag
	}
	if b, ok := t.Value.(bool); ok {
		return b, nil
	}
	text, problem := textOf(t.Value)
	if problem == "" {
		problem = textProblem(text)
	}
	if problem != "" {
		return nil, &RuleError{Key: key, Expression: t.Source, Kind: kindOf(t.Value), Problem: problem}
	}
	if _, is := t.Value.(string); is {
		return t.Value, nil
	}
	return text, nil
}

func keyProblem(key string) string {
	switch n := length(key); {
	case key == "":
		return "the key is empty"
	case !utf8.ValidString(key):
		return "the key is not UTF-8"
	case n > maxKeyLength:
		return fmt.Sprintf("the key has %d characters, Seam takes %d", n, maxKeyLength)
	default:
		return ""
	}
}

// length counts characters as Seam does: its limits are checked by JavaScript, where one outside the basic plane, such as
// an emoji, counts as two (seen on its fake).
func length(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

func textProblem(text string) string {
	if !utf8.ValidString(text) {
		return "the value is not UTF-8"
	}
	if n := length(text); n > maxValueLength {
		return fmt.Sprintf("the value has %d characters, Seam takes %d", n, maxValueLength)
	}
	return ""
}

// textOf is the text form of a string, a number or a time; else the problem.
func textOf(value any) (text, problem string) {
	switch v := value.(type) {
	case string:
		return v, ""
	case json.Number:
		return decimal(v.String())
	case time.Time:
		return v.Format(time.RFC3339Nano), ""
	}
	switch v := reflect.ValueOf(value); {
	case v.Kind() == reflect.String:
		return v.String(), ""
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), ""
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), ""
	case v.CanFloat():
		return floatText(v.Float(), v.Type().Bits())
	default:
		return "", "a value of kind " + kindOf(value) + " cannot be written, Seam takes strings and booleans"
	}
}

func floatText(f float64, bits int) (text, problem string) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "", "the number is not finite"
	}
	return decimal(strconv.FormatFloat(f, 'g', -1, bits))
}

// The kinds of values, as a reader of rules knows them.
const (
	kindNull    = "null"
	kindString  = "string"
	kindBoolean = "boolean"
	kindNumber  = "number"
	kindTime    = "time"
	kindList    = "list"
	kindObject  = "object"
	kindUnknown = "unknown"
)

func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return kindNull
	case json.Number:
		return kindNumber
	case time.Time:
		return kindTime
	}
	return kindOfType(reflect.TypeOf(value))
}

func kindOfType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return kindString
	case reflect.Bool:
		return kindBoolean
	case reflect.Slice, reflect.Array:
		return kindList
	case reflect.Map, reflect.Struct, reflect.Pointer:
		return kindObject
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32,
		reflect.Uint64, reflect.Uintptr, reflect.Float32, reflect.Float64:
		return kindNumber
	default:
		return kindUnknown
	}
}

// equal compares two JSON values. Kinds count: "1", 1 and true are all different.
func equal(a, b any) bool {
	switch x := a.(type) {
	case nil:
		return b == nil
	case string:
		y, ok := b.(string)
		return ok && x == y
	case bool:
		y, ok := b.(bool)
		return ok && x == y
	default:
		return reflect.DeepEqual(a, b)
	}
}

// same compares two objects, a null counting as absent: servers differ in whether they keep one.
func same(a, b seam.Metadata) bool { return covers(a, b) && covers(b, a) }

// covers tells whether a has all that b has.
func covers(a, b seam.Metadata) bool {
	for key, value := range b {
		if !equal(a[key], value) {
			return false
		}
	}
	return true
}
