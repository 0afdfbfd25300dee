package config

import (
	"regexp"
	"slices"
	"strings"
)

// Text is a string of the rules file, with `${NAME}` replaced by what the environment holds.
type Text struct {
	raw    string // as the file has it
	value  string // with the environment put in
	pieces []piece
	place  place
	secret bool
}

// piece is a part of a text that stands for a variable.
type piece struct{ raw, rawEnd, value, valueEnd int }

// Reveal is the value itself, which may hold secrets.
func (t Text) Reveal() string { return t.value }

// String is the value as the file has it: variables by name, and masked where the field may hold a secret.
func (t Text) String() string {
	if t.secret {
		return hide(t.raw)
	}
	return t.raw
}

// GoString keeps secrets out of %#v.
func (t Text) GoString() string { return t.String() }

// IsSet tells whether the file gives the text.
func (t Text) IsSet() bool { return t.place.source != nil }

// Fault is an error at a byte of the value; its column is right wherever the file spells the value as it reads.
func (t Text) Fault(offset int, problem string) error {
	return t.place.inside(t.raw, t.rawOffset(offset)).faultf("%s", problem)
}

func (t Text) rawOffset(offset int) int {
	for _, p := range slices.Backward(t.pieces) {
		switch {
		case offset >= p.valueEnd:
			return p.rawEnd + offset - p.valueEnd
		case offset >= p.value:
			return p.raw
		}
	}
	return offset
}

// Template is a Text with expressions in braces. Braces that came from the environment are doubled: they are text.
type Template struct{ Text }

// Expression is an expression of the rules. The environment is not read here: a value could change what is computed.
type Expression struct{ Text }

var variableForm = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// substituted is the text with the environment put in. `$${` stands for `${` itself.
func (t Text) substituted(env map[string]string, escape func(string) string) (Text, error) {
	if !strings.Contains(t.raw, "${") {
		t.value = t.raw
		return t, nil
	}
	var out strings.Builder
	put := func(from, to int, value string) {
		start := out.Len()
		out.WriteString(value)
		t.pieces = append(t.pieces, piece{raw: from, rawEnd: to, value: start, valueEnd: out.Len()})
	}
	for i := 0; i < len(t.raw); {
		if strings.HasPrefix(t.raw[i:], "$${") {
			put(i, i+3, "$"+escape("{"))
			i += 3
			continue
		}
		if !strings.HasPrefix(t.raw[i:], "${") {
			out.WriteByte(t.raw[i])
			i++
			continue
		}
		found := variableForm.FindStringSubmatch(t.raw[i:])
		at := t.place.inside(t.raw, i)
		if found == nil {
			return Text{}, at.faultf("a variable is written ${NAME}; write $${ for ${ itself")
		}
		value := env[found[1]]
		if value == "" {
			return Text{}, at.faultf("%s is not set in the environment", found[1])
		}
		put(i, i+len(found[0]), escape(value))
		i += len(found[0])
	}
	t.value = out.String()
	return t, nil
}

func verbatim(s string) string { return s }

func doubleBraces(s string) string { return strings.NewReplacer("{", "{{", "}", "}}").Replace(s) }
