package lookup

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// Place is where a template's text goes, and so how its values are escaped.
type Place int

// The places.
const (
	Path   Place = iota // one segment of a URL's path, or a part of one
	Query               // a value in a URL's query
	Header              // a header's value; control characters are refused
	Key                 // a Redis key or another text that is one argument: as it is
	Body                // a JSON body: each value becomes one JSON value, text with its quotes
)

// Template is text with expressions in braces: "https://crm.internal/customers/{user.id}". The expressions are opaque
// here; whoever compiles them passes their values in the same order. "{{" and "}}" stand for a brace.
type Template struct {
	literals    []string // one more than expressions
	expressions []string
	offsets     []int
}

// TemplateError is a text that is no template.
type TemplateError struct {
	Offset  int // the byte at which it is wrong, from 0
	Problem string
}

// Error names the byte, from 1.
func (e *TemplateError) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset+1, e.Problem) }

// ParseTemplate cuts text into literals and expressions, and also returns the expressions in order. Its error is a
// *TemplateError.
func ParseTemplate(text string) (Template, []string, error) {
	var template Template
	var literal strings.Builder
	for i := 0; i < len(text); {
		switch {
		case strings.HasPrefix(text[i:], "{{"), strings.HasPrefix(text[i:], "}}"):
			literal.WriteByte(text[i])
			i += 2
		case text[i] == '}':
			return Template{}, nil, &TemplateError{Offset: i, Problem: "a closing brace without an opening one; write }} for a brace"}
		case text[i] == '{':
			end, err := expressionEnd(text, i+1)
			if err != nil {
				return Template{}, nil, err
			}
			template.literals = append(template.literals, literal.String())
			template.expressions = append(template.expressions, strings.TrimSpace(text[i+1:end]))
			template.offsets = append(template.offsets, i+1)
			literal.Reset()
			i = end + 1
		default:
			literal.WriteByte(text[i])
			i++
		}
	}
	template.literals = append(template.literals, literal.String())
	return template, template.Expressions(), nil
}

// expressionEnd finds the brace that closes the expression starting at start; braces inside quotes or inside the
// expression's own maps do not count.
func expressionEnd(text string, start int) (int, error) {
	depth, quote := 1, byte(0)
	for i := start; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == '\\' && quote != '`':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"', c == '\'', c == '`':
			quote = c
		case c == '{':
			depth++
		case c == '}':
			depth--
		}
		if depth > 0 {
			continue
		}
		if strings.TrimSpace(text[start:i]) == "" {
			return 0, &TemplateError{Offset: start - 1, Problem: "empty expression; write {{ }} for braces"}
		}
		return i, nil
	}
	return 0, &TemplateError{Offset: start - 1, Problem: "the brace is not closed; write {{ for a brace"}
}

// Expressions are the texts between the braces, in order; the values for Render come in the same order.
func (t Template) Expressions() []string { return append([]string(nil), t.expressions...) }

// IsZero reports whether t was never parsed.
func (t Template) IsZero() bool { return len(t.literals) == 0 }

// Offset is the byte in the template's text at which expression i starts, for error messages with a column.
func (t Template) Offset(i int) int { return t.offsets[i] }

// Render puts the values in, each escaped for place. A nil value gives ErrMissing; a value that the place cannot hold
// gives an *Error.
func (t Template) Render(place Place, params []any) (string, error) {
	if t.IsZero() {
		return "", nil
	}
	if len(params) != len(t.expressions) {
		return "", permanent("", "%d values for %d expressions", len(params), len(t.expressions))
	}
	var out strings.Builder
	for i, param := range params {
		if param == nil {
			return "", ErrMissing
		}
		escaped, err := escape(place, param)
		if err != nil {
			return "", err
		}
		out.WriteString(t.literals[i])
		out.WriteString(escaped)
	}
	out.WriteString(t.literals[len(params)])
	return checkRendered(place, out.String())
}

func escape(place Place, param any) (string, error) {
	switch place {
	case Path:
		return url.PathEscape(text(param)), nil
	case Query:
		return url.QueryEscape(text(param)), nil
	case Body:
		encoded, err := json.Marshal(param)
		if err != nil {
			return "", permanent("", "a value cannot be written as JSON")
		}
		return string(encoded), nil
	case Header, Key:
		return text(param), nil
	default:
		return "", permanent("", "unknown place %d", place)
	}
}

// checkRendered refuses what escaping cannot make safe.
func checkRendered(place Place, rendered string) (string, error) {
	switch place {
	case Path:
		return rendered, checkSegments(rendered)
	case Header:
		return rendered, checkHeaderValue(rendered)
	case Query, Key, Body:
	}
	return rendered, nil
}

// checkSegments refuses "." and ".." as a whole segment: a server or proxy may climb the path on them, and many undo an
// escaped %2E first.
func checkSegments(path string) error {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return permanent("", "a value makes the path segment %q, which is refused", segment)
		}
	}
	return nil
}

// checkHeaderValue refuses control characters: a line break would start another header, the others are not allowed either.
func checkHeaderValue(value string) error {
	for i := range len(value) {
		if value[i] < ' ' && value[i] != '\t' || value[i] == 0x7f {
			return permanent("", "a value puts a control character (line break or the like) into a header, which is refused")
		}
	}
	return nil
}
