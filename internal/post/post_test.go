package post_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"seamtag/internal/post"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waits is a schedule that notes what it was asked and waits for so long.
type waits struct {
	asked []int
	delay time.Duration
}

func (w *waits) Delay(failures int) time.Duration {
	w.asked = append(w.asked, failures)
	return w.delay
}

// receiver answers with the statuses in turn, the last one for ever.
func receiver(t *testing.T, header http.Header, statuses ...int) (server *httptest.Server, requests *atomic.Int32) {
	t.Helper()
	requests = &atomic.Int32{}
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "hello" || r.Header.Get("X-Both") != "one" || r.Header.Get("Api-Key") != "s3cr3t" {
			t.Errorf("body %q, headers %v, %v", body, r.Header, err)
		}
		maps.Copy(w.Header(), header)
		n := int(requests.Add(1))
		w.WriteHeader(statuses[min(n, len(statuses))-1])
	}))
	t.Cleanup(server.Close)
	return server, requests
}

func sender(t *testing.T, url string, w *waits, change ...func(*post.Options)) *post.Sender {
	t.Helper()
	o := post.Options{URL: url, Header: http.Header{"Api-Key": {"s3cr3t"}}, Schedule: w}
	for _, c := range change {
		c(&o)
	}
	s, err := post.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func send(ctx context.Context, s *post.Sender) error {
	return s.Send(ctx, http.Header{"X-Both": {"one"}}, []byte("hello"))
}

func TestWhatMayPassIsTriedAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		statuses []int
		requests int
		err      string
	}{
		"taken":             {[]int{204}, 1, ""},
		"busy, then taken":  {[]int{429, 503, 200}, 3, ""},
		"late, then taken":  {[]int{408, 200}, 2, ""},
		"broken for good":   {[]int{500}, 4, "after 4 tries: answered 500"},
		"refused":           {[]int{403}, 1, "after 1 tries: answered 403"},
		"led somewhere":     {[]int{307}, 1, "after 1 tries: answered 307"},
		"broken, and wrong": {[]int{502, 400}, 2, "after 2 tries: answered 400"},
	} {
		t.Run(name, func(t *testing.T) {
			server, requests := receiver(t, http.Header{"Location": {"http://127.0.0.1:1/other"}}, tt.statuses...)
			w := &waits{}
			err := send(t.Context(), sender(t, server.URL, w))
			if text := message(err); text != tt.err || int(requests.Load()) != tt.requests || len(w.asked) != tt.requests-1 {
				t.Errorf("%d requests, waits %v, error %q, want %d and %q", requests.Load(), w.asked, text, tt.requests, tt.err)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestNobodyThereShowsNoAddress(t *testing.T) {
	server, _ := receiver(t, nil, 200)
	server.Close()
	err := send(t.Context(), sender(t, server.URL+"/services/T000/s3cr3t", &waits{}))
	if err == nil || !strings.HasPrefix(err.Error(), "after 4 tries: no answer: ") || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("error %v", err)
	}
}

func TestTheEndOfTheContextEndsTheWaiting(t *testing.T) {
	server, requests := receiver(t, nil, 500)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("going away")
	s := sender(t, server.URL, &waits{delay: time.Hour}, func(o *post.Options) { o.Transport = cancelAfter{cancel, gone} })
	if err := send(ctx, s); !errors.Is(err, gone) || requests.Load() != 1 {
		t.Errorf("%d requests, error %v", requests.Load(), err)
	}
}

// cancelAfter ends the context once a request was answered.
type cancelAfter struct {
	cancel context.CancelCauseFunc
	cause  error
}

func (c cancelAfter) RoundTrip(r *http.Request) (*http.Response, error) {
	defer c.cancel(c.cause)
	return http.DefaultTransport.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
}

func (c cancelAfter) CloseIdleConnections() {
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestATryHasItsTime(t *testing.T) {
	hold := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer server.Close()
	defer close(hold)
	s := sender(t, server.URL, &waits{}, func(o *post.Options) { o.Timeout, o.Tries = 20*time.Millisecond, 2 })
	if err := send(t.Context(), s); err == nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestRetryAfterIsHeeded(t *testing.T) {
	server, _ := receiver(t, http.Header{"Retry-After": {"3600"}}, 429)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	w := &waits{}
	if err := send(ctx, sender(t, server.URL, w)); err == nil || len(w.asked) != 1 {
		t.Errorf("waits %v, error %v: want one wait that is as long as was asked for", w.asked, err)
	}
}

func TestAddressesThatCannotBe(t *testing.T) {
	for _, address := range []string{"", "s3cr3t", "ftp://h/s3cr3t", "http://", "http://h:s3cr3t/%zz"} {
		if _, err := post.New(post.Options{URL: address, Schedule: &waits{}}); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, err := post.New(post.Options{URL: "http://h"}); err == nil {
		t.Error("no schedule is no error")
	}
}
