package lookup

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// maxHeader bounds one rendered header value in bytes; servers commonly refuse more.
const maxHeader = 8 << 10

// headers are what a request carries, sorted by name, each name once.
type headers []header

type header struct {
	name  string
	value Template
}

// newHeaders checks names and adds what every request carries unless the rule sets it itself.
func newHeaders(o HTTPOptions) (headers, error) {
	var all headers
	for _, name := range slices.Sorted(maps.Keys(o.Headers)) {
		if err := checkHeaderName(name); err != nil {
			return nil, err
		}
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if all.has(canonical) {
			return nil, fmt.Errorf("header %s is given twice", canonical)
		}
		value := o.Headers[name]
		if err := checkHeaderValue(strings.Join(value.literals, "")); err != nil {
			return nil, fmt.Errorf("header %s holds a control character (line break or the like)", canonical)
		}
		all = append(all, header{canonical, value})
	}
	credentials, err := authorization(o)
	if err != nil {
		return nil, err
	}
	if credentials != "" && all.has("Authorization") {
		return nil, errors.New("header Authorization is given beside bearer or basic, want one")
	}
	all = all.withDefault("Authorization", credentials)
	all = all.withDefault("Accept", "application/json")
	all = all.withDefault("User-Agent", userAgent)
	if !o.Body.IsZero() {
		all = all.withDefault("Content-Type", "application/json")
	}
	return all, nil
}

func checkHeaderName(name string) error {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return fmt.Errorf("header name %q: want letters, digits and hyphens", name)
		}
	}
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "":
		return errors.New("a header without a name")
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Te", "Trailer":
		return fmt.Errorf("header %s is set by the client itself", name)
	}
	return nil
}

// authorization is the header's value that bearer or basic make, or "".
func authorization(o HTTPOptions) (string, error) {
	switch {
	case o.Bearer != "" && o.Basic.User != "":
		return "", errors.New("bearer and basic are both given, want one")
	case checkHeaderValue(o.Bearer) != nil:
		return "", errors.New("bearer holds a control character (line break or the like)")
	case strings.Contains(o.Basic.User, ":"):
		return "", errors.New("basic: the user holds a colon")
	case o.Bearer != "":
		return "Bearer " + o.Bearer, nil
	case o.Basic.User != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(o.Basic.User+":"+o.Basic.Password)), nil
	default:
		return "", nil
	}
}

func (hs headers) has(name string) bool {
	return slices.ContainsFunc(hs, func(h header) bool { return h.name == name })
}

// withDefault adds a header that is not empty and that the rule does not give.
func (hs headers) withDefault(name, value string) headers {
	if value == "" || hs.has(name) {
		return hs
	}
	return append(hs, header{name, Template{literals: []string{value}}})
}

// render gives every header exactly one value and returns the params that are left.
func (hs headers) render(params []any) (http.Header, []any, error) {
	rendered := make(http.Header, len(hs))
	for _, h := range hs {
		count := len(h.value.expressions)
		value, err := h.value.Render(Header, params[:count])
		if err != nil {
			return nil, nil, err
		}
		if len(value) > maxHeader {
			return nil, nil, permanent("", "the values make a header %d bytes long, at most %d are sent", len(value), maxHeader)
		}
		params = params[count:]
		rendered[h.name] = []string{value}
	}
	return rendered, params, nil
}
