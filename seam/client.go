package seam

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// DefaultEndpoint is where Seam lives.
	DefaultEndpoint = "https://connect.getseam.com"

	// DefaultTimeout is that of Seam's official SDKs.
	DefaultTimeout = 30 * time.Second

	maxAnswer = 32 << 20 // bytes of one answer, unpacked: ten thousand accounts fit
)

// Limiter paces the calls of all workers together.
type Limiter interface {
	// Wait returns when the next call may start, or with the reason why it may not: a HeldBack where Seam asked for it.
	Wait(ctx context.Context) error
	// Slow tells that Seam asked to hold back for d.
	Slow(d time.Duration)
}

// HeldBack is a Limiter's error where Seam asked to hold back for longer than a caller should wait. It makes the call an
// ErrRateLimited with that RetryAfter.
type HeldBack interface {
	error
	HeldBack() time.Duration
}

// Options of a Client. APIKey is required.
type Options struct {
	APIKey      string
	Endpoint    string        // DefaultEndpoint; a path in it is kept as a prefix
	WorkspaceID string        // sent as seam-workspace when set: personal access tokens need it
	Timeout     time.Duration // of one call with its answer; DefaultTimeout
	Limiter     Limiter       // optional
	// Observe is told of every call that went out: with the caller's context, an endpoint like "/connected_accounts/get", and
	// status 0 when there was no answer.
	Observe   func(ctx context.Context, endpoint string, status int, took time.Duration)
	UserAgent string            // "seamtag"
	Transport http.RoundTripper // a clone of http.DefaultTransport that keeps enough connections for all workers
	Now       func() time.Time  // time.Now
}

// Client calls Seam. It is safe for concurrent use.
type Client struct {
	base      string
	header    http.Header
	key       string
	timeout   time.Duration
	limiter   Limiter
	observe   func(ctx context.Context, endpoint string, status int, took time.Duration)
	now       func() time.Time
	http      *http.Client
	maxAnswer int64
}

// New checks the options and returns a client; nothing is called yet. Errors name the option and never print the key.
func New(o Options) (*Client, error) {
	if err := checkToken("API key", o.APIKey); err != nil {
		return nil, err
	}
	base, err := checkEndpoint(o.Endpoint)
	if err != nil {
		return nil, err
	}
	if o.WorkspaceID != "" {
		if err := checkToken("workspace id", o.WorkspaceID); err != nil {
			return nil, err
		}
	}
	if o.Timeout < 0 {
		return nil, errors.New("seam: the timeout is negative")
	}
	return &Client{
		base:      base,
		header:    headerOf(o),
		key:       o.APIKey,
		timeout:   orDefault(o.Timeout, DefaultTimeout),
		limiter:   o.Limiter,
		observe:   o.Observe,
		now:       nowOf(o.Now),
		http:      &http.Client{Transport: transportOf(o.Transport), CheckRedirect: keepRedirect},
		maxAnswer: maxAnswer,
	}, nil
}

// Close gives back idle connections. The client stays usable.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// String keeps the key out of a client that is printed by mistake.
func (c *Client) String() string { return "seam client of " + c.base }

// GoString is String, for %#v.
func (c *Client) GoString() string { return c.String() }

// call posts body to endpoint. With into set, the answer must be a JSON object that has the field want and fits.
func (c *Client) call(ctx context.Context, endpoint string, body map[string]any, want string, into any) error {
	payload, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("seam: %s: encode the request: %w", endpoint, errUnencodable)
	}
	if c.limiter != nil {
		if waitErr := c.limiter.Wait(ctx); waitErr != nil {
			return notStarted(endpoint, waitErr)
		}
	}
	r := redactor{key: c.key, sent: body}
	status, header, answer, err := c.post(ctx, endpoint, payload)
	if err != nil {
		return &Error{Endpoint: endpoint, Status: status, Err: r.cause(err)}
	}
	if status < 200 || status > 299 {
		return c.refused(endpoint, status, header, answer, r)
	}
	if into == nil {
		return nil
	}
	if err := decodeAnswer(answer, want, into); err != nil {
		return &Error{Endpoint: endpoint, Status: status, RequestID: requestID(header), Err: err}
	}
	return nil
}

// notStarted is a call that the limiter did not let start.
func notStarted(endpoint string, err error) *Error {
	e := &Error{Endpoint: endpoint, Err: fmt.Errorf("wait for the rate limit: %w", err)}
	if held, ok := errors.AsType[HeldBack](err); ok {
		e.RetryAfter = held.HeldBack()
	}
	return e
}

// post does one round trip and reads the whole answer. The status is 0 when there was none.
func (c *Client) post(ctx context.Context, endpoint string, payload []byte) (int, http.Header, []byte, error) {
	callCtx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(callCtx, http.MethodPost, c.base+endpoint, bytes.NewReader(payload))
	if err != nil {
		return 0, nil, nil, fmt.Errorf("build the request: %w", err)
	}
	req.Header = c.header.Clone()
	start, status := c.now(), 0
	defer func() {
		if c.observe != nil {
			c.observe(ctx, endpoint, status, c.now().Sub(start))
		}
	}()
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, nil, noAnswer(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	status = resp.StatusCode
	answer, err := io.ReadAll(io.LimitReader(resp.Body, c.maxAnswer+1))
	if err != nil {
		return status, resp.Header, nil, fmt.Errorf("read the answer: %w", noAnswer(ctx, err))
	}
	if int64(len(answer)) > c.maxAnswer {
		return status, resp.Header, nil, fmt.Errorf("the answer is over %d MiB", c.maxAnswer>>20)
	}
	return status, resp.Header, answer, nil
}

// refused turns an answer that is not 2xx into an error and tells the limiter of a 429.
func (c *Client) refused(endpoint string, status int, header http.Header, answer []byte, r redactor) *Error {
	e := parseRefusal(answer, r)
	e.Endpoint, e.Status, e.RequestID = endpoint, status, requestID(header)
	e.RetryAfter = retryAfter(header.Get("Retry-After"), c.now())
	if status == http.StatusTooManyRequests {
		e.RetryAfter = orDefault(e.RetryAfter, defaultRetryAfter)
		if c.limiter != nil {
			c.limiter.Slow(e.RetryAfter)
		}
	}
	return e
}

// decodeAnswer reads a 2xx body. Its errors do not quote the body: encoding/json's would show a number.
func decodeAnswer(answer []byte, want string, into any) error {
	var outer map[string]json.RawMessage
	if err := json.Unmarshal(answer, &outer); err != nil {
		return errNotJSON
	}
	if raw, ok := outer[want]; !ok || string(raw) == "null" {
		return fmt.Errorf("the answer has no %s", want)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("the answer has a %s of another form", want)
	}
	return nil
}

func headerOf(o Options) http.Header {
	h := http.Header{}
	h.Set("Authorization", "Bearer "+o.APIKey)
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json")
	h.Set("User-Agent", orDefault(o.UserAgent, "seamtag"))
	if o.WorkspaceID != "" {
		h.Set("Seam-Workspace", o.WorkspaceID)
	}
	return h
}

// checkToken refuses what cannot stand in a header; above all a key pasted with its line break.
func checkToken(what, token string) error {
	if token == "" {
		return fmt.Errorf("seam: the %s is empty", what)
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("seam: the %s holds a space, a line break or a character outside of ASCII", what)
	}
	return nil
}

// checkEndpoint returns the base URL without a slash at its end. Errors do not quote it: it may hold a password.
func checkEndpoint(endpoint string) (string, error) {
	u, err := url.Parse(orDefault(endpoint, DefaultEndpoint))
	switch {
	case err != nil:
		return "", errors.New("seam: the endpoint is not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("seam: the endpoint must begin with https:// or http://")
	case u.Hostname() == "":
		return "", errors.New("seam: the endpoint has no host")
	case u.User != nil:
		return "", errors.New("seam: the endpoint must not hold a user or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("seam: the endpoint must not hold a query or fragment")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// keepRedirect answers the 3xx itself: following it would send the key to whoever it names.
func keepRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func transportOf(t http.RoundTripper) http.RoundTripper {
	if t != nil {
		return t
	}
	def, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport // somebody wrapped it for the whole program
	}
	own := def.Clone()
	own.MaxIdleConnsPerHost = 64 // all calls go to one host; the default of 2 would reconnect under load
	return own
}

func nowOf(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
