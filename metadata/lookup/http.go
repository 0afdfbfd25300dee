package lookup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	defaultMaxBody = 1 << 20
	maxRedirects   = 3
	userAgent      = "seamtag"
)

var errRedirect = errors.New("redirect refused")

// HTTPOptions describe one request. The parameters of Ask come in the order of (*HTTP).Expressions.
type HTTPOptions struct {
	Method  string              // GET (default) or POST
	URL     Template            // expressions in path and query only
	Headers map[string]Template // a header whose values hold a control character is refused, not sent
	Body    Template            // POST only; JSON, each expression stands for a whole value: {"id": {user.id}} with doubled outer braces
	At      string              // the part of the answer to take, dotted: data.items.0; all of it by default
	TLS     TLSOptions
	Bearer  string // sent as Authorization: Bearer
	Basic   Basic
	MaxBody int64                                 // bytes of an answer that are read, 1 MiB by default; a longer one is an error
	Proxy   func(*http.Request) (*url.URL, error) // none by default
	Now     func() time.Time                      // for a Retry-After that is a date; time.Now by default
}

// Basic is a user and password, sent when the user is not empty.
type Basic struct{ User, Password string }

// HTTP asks a JSON service. A lookup only reads: a POST is repeated like a GET when the connection breaks.
type HTTP struct {
	method  string
	address address
	headers headers
	body    Template
	at      string
	maxBody int64
	now     func() time.Time
	client  *http.Client
}

var _ Source = (*HTTP)(nil)

// NewHTTP checks the options; nothing is asked yet.
func NewHTTP(o HTTPOptions) (*HTTP, error) {
	h := &HTTP{method: o.Method, body: o.Body, at: o.At, maxBody: o.MaxBody, now: o.Now}
	if h.method == "" {
		h.method = http.MethodGet
	}
	if h.maxBody <= 0 {
		h.maxBody = defaultMaxBody
	}
	if h.now == nil {
		h.now = time.Now
	}
	if err := h.checkMethod(); err != nil {
		return nil, err
	}
	var err error
	if h.address, err = newAddress(o.URL); err != nil {
		return nil, err
	}
	if h.headers, err = newHeaders(o); err != nil {
		return nil, err
	}
	transport, err := newTransport(o)
	if err != nil {
		return nil, err
	}
	h.client = &http.Client{Transport: transport, CheckRedirect: checkRedirect}
	return h, nil
}

func (h *HTTP) checkMethod() error {
	switch {
	case h.method != http.MethodGet && h.method != http.MethodPost:
		return fmt.Errorf("method %q: want GET or POST", h.method)
	case h.body.IsZero():
		return nil
	case h.method == http.MethodGet:
		return errors.New("a body needs method: POST")
	}
	sample := make([]any, len(h.body.expressions))
	for i := range sample {
		sample[i] = "x"
	}
	body, err := h.body.Render(Body, sample)
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	if _, err := decodeJSON([]byte(body)); err != nil {
		return errors.New("body is not JSON once its expressions have values; an expression brings its own quotes")
	}
	return nil
}

// Expressions are all expressions of the request in the order in which Ask takes their values: URL, then headers by name,
// then body.
func (h *HTTP) Expressions() []string {
	all := h.address.expressions()
	for _, header := range h.headers {
		all = append(all, header.value.Expressions()...)
	}
	return append(all, h.body.Expressions()...)
}

// Ask sends the request and returns the decoded answer, or its part. 404, 204, an empty body, null and a part that is not
// there are ErrMissing.
func (h *HTTP) Ask(ctx context.Context, params []any) (any, error) {
	request, err := h.request(ctx, params)
	if err != nil {
		return nil, err
	}
	response, err := h.client.Do(request)
	if err != nil {
		return nil, h.fault(err)
	}
	defer response.Body.Close() //nolint:errcheck // nothing is left to do with an answer that was read
	if err := h.checkStatus(response); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, h.maxBody+1))
	if err != nil {
		return nil, h.fault(err)
	}
	return h.decode(body)
}

func (h *HTTP) request(ctx context.Context, params []any) (*http.Request, error) {
	if want := len(h.Expressions()); len(params) != want {
		return nil, permanent("http", "%d values for %d expressions", len(params), want)
	}
	cut := len(h.address.expressions())
	target, err := h.address.render(params[:cut])
	if err != nil {
		return nil, named("http", err)
	}
	header, rest, err := h.headers.render(params[cut:])
	if err != nil {
		return nil, named("http", err)
	}
	body, err := h.body.Render(Body, rest)
	if err != nil {
		return nil, named("http", err)
	}
	request, err := http.NewRequestWithContext(ctx, h.method, target, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, permanent("http", "the values make no valid url")
	}
	request.Header = header
	return request, nil
}

func (h *HTTP) checkStatus(response *http.Response) error {
	status := response.StatusCode
	fault := &Error{System: "http", Detail: fmt.Sprintf("%d from %s", status, h.address.host)}
	switch {
	case status == http.StatusNotFound, status == http.StatusNoContent:
		return ErrMissing
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusTooManyRequests, status >= 500:
		fault.Kind = Unavailable
		fault.RetryAfter = h.retryAfter(response.Header.Get("Retry-After"))
	}
	return fault
}

// retryAfter reads seconds or a date; what it cannot read counts as not said.
func (h *HTTP) retryAfter(value string) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(h.now()))
	}
	return 0
}

func (h *HTTP) decode(body []byte) (any, error) {
	if int64(len(body)) > h.maxBody {
		return nil, permanent("http", "an answer over %d bytes from %s", h.maxBody, h.address.host)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, ErrMissing
	}
	value, err := decodeJSON(body)
	if err != nil {
		return nil, permanent("http", "an answer that is not JSON from %s", h.address.host)
	}
	found, ok := part(value, h.at)
	if !ok {
		return nil, ErrMissing
	}
	return found, nil
}

func (h *HTTP) fault(err error) error {
	if errors.Is(err, errRedirect) {
		return permanent("http", "a redirect from %s that is not followed: to another host, of a POST, or the fourth", h.address.host)
	}
	if fault := connectionFault("http", h.address.host, err); fault != nil {
		return fault
	}
	return permanent("http", "an unreadable answer from %s", h.address.host)
}

// Close closes idle connections.
func (h *HTTP) Close() error {
	h.client.CloseIdleConnections()
	return nil
}

// checkRedirect follows a GET a few times within the host that the rule names.
func checkRedirect(request *http.Request, via []*http.Request) error {
	first := via[0]
	sameHost := strings.EqualFold(request.URL.Host, first.URL.Host) && request.URL.Scheme == first.URL.Scheme
	if !sameHost || first.Method != http.MethodGet || len(via) > maxRedirects {
		return errRedirect
	}
	return nil
}

// named sets the system of an error that a template gave.
func named(system string, err error) error {
	if lookupErr, ok := errors.AsType[*Error](err); ok {
		copied := *lookupErr
		copied.System = system
		return &copied
	}
	return err
}
