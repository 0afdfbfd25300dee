package post

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	defaultTries   = 4
	defaultTimeout = 10 * time.Second
	longestWait    = 30 * time.Second // that an answer's Retry-After is heeded for
	drained        = 64 << 10         // bytes of an answer that are read, so that its connection can be used again
)

// Schedule says how long to wait after the n-th failure, n counted from 1.
type Schedule interface {
	Delay(failures int) time.Duration
}

// Options of a Sender. URL and Schedule are required.
type Options struct {
	URL       string
	Header    http.Header       // of every request
	Schedule  Schedule          // between tries
	Tries     int               // in all; 4
	Timeout   time.Duration     // of one try; 10 s
	Transport http.RoundTripper // a clone of http.DefaultTransport
}

// Sender sends bodies to one address. It is safe for concurrent use.
type Sender struct {
	o    Options
	http *http.Client
}

// New prepares a sender. An error does not show the address.
func New(o Options) (*Sender, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("post: the address is not an http or https URL")
	}
	if o.Schedule == nil {
		return nil, errors.New("post: no schedule given")
	}
	if o.Tries <= 0 {
		o.Tries = defaultTries
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Transport == nil {
		o.Transport = ownTransport()
	}
	return &Sender{o: o, http: &http.Client{Transport: o.Transport, CheckRedirect: keepRedirect}}, nil
}

func ownTransport() http.RoundTripper {
	def, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport // somebody wrapped it for the whole program
	}
	return def.Clone()
}

// keepRedirect answers the 3xx itself: following it would send the body and the headers to whoever it names.
func keepRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Close gives back idle connections.
func (s *Sender) Close() { s.http.CloseIdleConnections() }

// Send returns nil once a 2xx came. It tries again where there was no answer and after a 408, 429 or 5xx, until the tries are
// used up or ctx ends.
func (s *Sender) Send(ctx context.Context, header http.Header, body []byte) error {
	for failures := 1; ; failures++ {
		f := s.try(ctx, header, body)
		if f == nil {
			return nil
		}
		if !f.again || failures >= s.o.Tries {
			return fmt.Errorf("after %d tries: %w", failures, f.err)
		}
		timer := time.NewTimer(max(s.o.Schedule.Delay(failures), f.wait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w after %d tries: %w", context.Cause(ctx), failures, f.err)
		}
	}
}

// failure is why a try failed and what may follow.
type failure struct {
	err   error
	again bool
	wait  time.Duration
}

func (s *Sender) try(ctx context.Context, header http.Header, body []byte) *failure {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.URL, bytes.NewReader(body))
	if err != nil {
		return &failure{err: errors.New("the request cannot be built")}
	}
	for _, h := range []http.Header{s.o.Header, header} {
		maps.Copy(req.Header, h)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return &failure{err: fmt.Errorf("no answer: %w", withoutURL(err)), again: true}
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, drained) // whatever came of it, the status is the answer
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return nil
	}
	return &failure{err: fmt.Errorf("answered %d", resp.StatusCode), again: mayPass(resp.StatusCode), wait: retryAfter(resp.Header)}
}

// withoutURL is what net/http said, without the address that it puts in front.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// mayPass says whether the same request can succeed later.
func mayPass(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
}

// retryAfter is the answer's Retry-After where it is given in seconds, bounded.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, longestWait)
}
