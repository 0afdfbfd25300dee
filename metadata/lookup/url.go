package lookup

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// maxURL bounds a rendered URL in bytes; servers commonly refuse more.
const maxURL = 8 << 10

// address is a URL with expressions in path and query only.
type address struct {
	base   string   // scheme://host:port
	host   string   // host:port, for errors
	path   Template // starts with a slash, or is empty
	query  Template
	hasAsk bool // the text has a question mark
}

// newAddress splits a URL template and refuses expressions anywhere but in path and query.
func newAddress(t Template) (address, error) {
	if t.IsZero() {
		return address{}, errors.New("url is empty")
	}
	head, path, found := cutTemplate(t, afterAuthority)
	if len(head.expressions) > 0 {
		return address{}, errors.New("url: an expression may stand in the path or the query only, never in scheme, host, port or user")
	}
	parsed, err := url.Parse(head.literals[0])
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return address{}, errors.New("url: want http:// or https:// and a host")
	}
	if parsed.User != nil {
		return address{}, errors.New("url: user and password belong into basic, not into the url")
	}
	a := address{base: parsed.Scheme + "://" + parsed.Host, host: parsed.Host}
	if !found {
		return a, nil
	}
	a.path, a.query, a.hasAsk = cutTemplate(path, func(literal string) int { return strings.IndexByte(literal, '?') })
	if a.hasAsk {
		a.query.literals[0] = strings.TrimPrefix(a.query.literals[0], "?")
	}
	return a, a.check()
}

// afterAuthority is the index at which scheme and host are over, or -1.
func afterAuthority(literal string) int {
	start := strings.Index(literal, "://")
	if start < 0 {
		return -1
	}
	end := strings.IndexAny(literal[start+3:], "/?#")
	if end < 0 {
		return -1
	}
	return start + 3 + end
}

// cutTemplate cuts t in two at the place that find gives within one of its literals.
func cutTemplate(t Template, find func(string) int) (before, after Template, found bool) {
	for i, literal := range t.literals {
		at := find(literal)
		if at < 0 {
			continue
		}
		before = Template{
			literals:    append(append([]string(nil), t.literals[:i]...), literal[:at]),
			expressions: t.expressions[:i], offsets: t.offsets[:i],
		}
		after = Template{
			literals:    append([]string{literal[at:]}, t.literals[i+1:]...),
			expressions: t.expressions[i:], offsets: t.offsets[i:],
		}
		return before, after, true
	}
	return t, Template{}, false
}

// check refuses what is wrong whatever the values are.
func (a address) check() error {
	for _, literal := range append(append([]string(nil), a.path.literals...), a.query.literals...) {
		if strings.ContainsRune(literal, '#') {
			return errors.New("url: a fragment (#) is never sent, take it out")
		}
	}
	if err := a.checkQueryNames(); err != nil {
		return err
	}
	sample := make([]any, len(a.path.expressions)+len(a.query.expressions))
	for i := range sample {
		sample[i] = "x"
	}
	rendered, err := a.render(sample)
	if refused, ok := errors.AsType[*Error](err); ok {
		return fmt.Errorf("url: %s", refused.Detail)
	}
	if _, err := url.Parse(rendered); err != nil {
		return errors.New("url: the path or the query is not well formed")
	}
	return nil
}

// checkQueryNames refuses an expression as a name in the query: names are what the rule says.
func (a address) checkQueryNames() error {
	for i := range a.query.expressions {
		before := strings.Join(a.query.literals[:i+1], "x")
		if !strings.Contains(before[strings.LastIndexByte(before, '&')+1:], "=") {
			return errors.New("url: an expression in the query may stand in a value only, after name=")
		}
	}
	return nil
}

// render gives the URL to ask. A path segment that the values leave empty is ErrMissing: "/customers/" is another
// resource than "/customers/7", most often the list of all.
func (a address) render(params []any) (string, error) {
	cut := len(a.path.expressions)
	path, err := a.path.Render(Path, params[:cut])
	if err != nil {
		return "", err
	}
	if a.emptySegment(params[:cut]) {
		return "", ErrMissing
	}
	rendered := a.base + path
	if a.hasAsk {
		query, err := a.query.Render(Query, params[cut:])
		if err != nil {
			return "", err
		}
		rendered += "?" + query
	}
	if len(rendered) > maxURL {
		return "", permanent("", "the values make the url %d bytes long, at most %d are sent", len(rendered), maxURL)
	}
	return rendered, nil
}

// emptySegment reports whether a segment made of expressions alone has no text left.
func (a address) emptySegment(params []any) bool {
	const filled = "x"
	var now, full strings.Builder
	for i, literal := range a.path.literals {
		now.WriteString(literal)
		full.WriteString(literal)
		if i < len(params) {
			now.WriteString(url.PathEscape(text(params[i])))
			full.WriteString(filled)
		}
	}
	wanted := strings.Split(full.String(), "/")
	for i, segment := range strings.Split(now.String(), "/") {
		if segment == "" && wanted[i] != "" {
			return true
		}
	}
	return false
}

func (a address) expressions() []string {
	return append(a.path.Expressions(), a.query.Expressions()...)
}
