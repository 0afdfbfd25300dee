package seam_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"seamtag/seam"
)

const testKey = "seam_test_planted_key_77"

var testNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// setup gives a client and the mux that answers it.
func setup(t *testing.T, change ...func(*seam.Options)) (*seam.Client, *http.ServeMux) {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	o := seam.Options{APIKey: testKey, Endpoint: server.URL, Now: func() time.Time { return testNow }}
	for _, c := range change {
		c(&o)
	}
	client, err := seam.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client, mux
}

// answer lets the mux give one answer for a path and returns the requests that came.
func answer(t *testing.T, mux *http.ServeMux, path string, status int, body string, header ...string) *requests {
	t.Helper()
	seen := &requests{}
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		seen.add(t, r)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		if _, err := w.Write([]byte(body)); err != nil {
			t.Errorf("write the answer: %v", err)
		}
	})
	return seen
}

type request struct {
	header http.Header
	body   map[string]any
}

type requests struct {
	mu  sync.Mutex
	all []request
}

func (s *requests) add(t *testing.T, r *http.Request) {
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		t.Errorf("%s: the body is not JSON: %v", r.URL.Path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, request{r.Header.Clone(), body})
}

func (s *requests) only(t *testing.T) request {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) != 1 {
		t.Fatalf("%d requests, want one", len(s.all))
	}
	return s.all[0]
}

// limiter records what the client asks of it.
type limiter struct {
	mu    sync.Mutex
	waits int
	slow  []time.Duration
	err   error
}

func (l *limiter) Wait(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waits++
	return l.err
}

func (l *limiter) Slow(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slow = append(l.slow, d)
}

var _ seam.Limiter = (*limiter)(nil)
