package seam

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxText     = 300 // characters kept of one text
	minRedacted = 3   // characters: shorter values would take harmless words apart

	maxSearched = 64 << 10 // bytes of one text that are looked at: what is left of them fills maxText
)

var (
	email     = regexp.MustCompile(`[^\s"'<>(){},;:=]+@[^\s"'<>(){},;:=@]+`)
	plainType = regexp.MustCompile(`^[a-z0-9_ ]{1,64}$`)
)

// redactor takes out of Seam's words what we sent: the API key and the values of the request.
type redactor struct {
	key  string
	sent map[string]any // the request body
}

// text returns s without secrets, on one line, of at most 300 characters.
func (r redactor) text(s string) string {
	s = strings.Map(oneLine, s[:min(len(s), maxSearched)])
	if r.key != "" {
		s = strings.ReplaceAll(s, r.key, "[key]")
	}
	if link, ok := r.sent["url"].(string); ok && link != "" {
		s = strings.ReplaceAll(s, link, "[url]")
	}
	s = strings.NewReplacer(r.values()...).Replace(s)
	return truncate(email.ReplaceAllString(s, "[email]"))
}

// errorType keeps the types we know as they are, since callers branch on them, and redacts any other.
func (r redactor) errorType(t string) string {
	switch t {
	case typeInvalidInput, "unauthorized", "connected_account_not_found", "connect_webview_not_found":
		return t
	}
	if isCredentialType(t) {
		return t
	}
	if !plainType.MatchString(t) {
		return ""
	}
	return r.text(t)
}

// segment is one step of a validation path: a metadata key we sent may be named, anything else is redacted.
func (r redactor) segment(s string) string {
	md, _ := r.sent["custom_metadata"].(Metadata)
	_, isKey := md[s]
	_, isField := r.sent[s]
	if isKey || isField {
		return redactor{key: r.key}.text(s)
	}
	return r.text(s)
}

// cause keeps err for errors.Is and errors.As and redacts its text.
func (r redactor) cause(err error) error { return &redacted{text: r.text(err.Error()), err: err} }

// values are the metadata values of the request, as strings.NewReplacer takes them: longest first so that no rest of
// a value stays behind a shorter one, each also as it looks when quoted in JSON.
func (r redactor) values() []string {
	md, _ := r.sent["custom_metadata"].(Metadata)
	var values []string
	for _, v := range md {
		values = appendValues(values, v)
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(values))
	for _, value := range values {
		pairs = append(pairs, value, "[value]")
	}
	return pairs
}

func appendValues(values []string, v any) []string {
	switch v := v.(type) {
	case nil, bool:
		return values
	case map[string]any:
		for _, child := range v {
			values = appendValues(values, child)
		}
		return values
	case []any:
		for _, child := range v {
			values = appendValues(values, child)
		}
		return values
	}
	s := fmt.Sprint(v)
	if utf8.RuneCountInString(s) < minRedacted {
		return values
	}
	// The text was put on one line before it is searched, so the value must be too.
	return append(values, strings.Map(oneLine, s), quoted(s))
}

// quoted is s as a JavaScript server shows it within quotes.
func quoted(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil {
		return s
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(b.String()), `"`), `"`)
}

// redacted is an error whose text is safe while its chain stays whole.
type redacted struct {
	text string
	err  error
}

func (e *redacted) Error() string { return e.text }
func (e *redacted) Unwrap() error { return e.err }

// oneLine keeps a foreign text from faking a second log line.
func oneLine(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

func truncate(s string) string {
	if utf8.RuneCountInString(s) <= maxText {
		return s
	}
	return string([]rune(s)[:maxText-1]) + "…"
}
