package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	svix "github.com/svix/svix-webhooks/go"
	"go.uber.org/goleak"

	"seamtag/internal/parts"
	"seamtag/queue"
)

func TestMain(m *testing.M) {
	// A server that closes with a body unread waits half a second for the client, longer than goleak does.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// The secret, message and time of Svix's published vector.
const (
	secret     = "whsec_plJ3nmyCDGBKInavdOK15jsl"
	otherKey   = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID   = "msg_loFOjxBNrRLzqYUf"
	vectorTime = 1731705121
	vectorBody = `{"event_type":"ping","data":{"success":true}}`
	vectorSig  = "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="
)

// publisher is a queue.Publisher whose behaviour a test gives; every message it got is kept.
type publisher struct {
	publish func(ctx context.Context, m queue.Message) (queue.Receipt, error)
	mu      sync.Mutex
	got     []queue.Message
}

var _ Publisher = (*publisher)(nil)

func (p *publisher) Publish(ctx context.Context, m queue.Message) (queue.Receipt, error) {
	p.mu.Lock()
	m2 := m
	m2.Body = bytes.Clone(m.Body)
	p.got = append(p.got, m2)
	p.mu.Unlock()
	if p.publish == nil {
		return queue.Receipt{EntryID: "17-0"}, nil
	}
	return p.publish(ctx, m)
}

func (p *publisher) calls() []queue.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got
}

// stand is a handler with doubles around it; its clock stands at Svix's vector.
type stand struct {
	handler   http.Handler
	publisher *publisher
	registry  *prometheus.Registry
	log       *lockedBuffer
}

func setup(t testing.TB, change ...func(*Options)) *stand {
	t.Helper()
	s := &stand{publisher: &publisher{}, registry: prometheus.NewRegistry(), log: &lockedBuffer{}}
	o := Options{
		Webhook: &WebhookOptions{
			Secrets: []string{secret}, Publisher: s.publisher, Describe: describe,
			Now: func() time.Time { return time.Unix(vectorTime, 0) },
		},
		Health:     func(context.Context) Health { return Health{Ready: true, Redis: Check{OK: true}} },
		Role:       "all",
		Log:        zerolog.New(s.log),
		Registerer: s.registry,
	}
	for _, c := range change {
		c(&o)
	}
	h, err := New(o)
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	s.handler = h
	return s
}

func describe(body []byte) (queue.Message, bool) {
	var e struct {
		ID      string `json:"event_id"`
		Type    string `json:"event_type"`
		Account string `json:"connected_account_id"`
	}
	if json.Unmarshal(body, &e) != nil {
		return queue.Message{}, true
	}
	return queue.Message{EventID: e.ID, Type: e.Type, Key: e.Account}, e.Type != "unwanted"
}

func (s *stand) do(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Result()
}

// post sends a body with headers given as pairs.
func (s *stand) post(t testing.TB, body string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, WebhookPath, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return s.do(r)
}

// signed are the headers of one set, made by the Go library.
func signed(t testing.TB, prefix, secret, id string, at int64, body string) []string {
	t.Helper()
	w, err := svix.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := w.Sign(id, time.Unix(at, 0), []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return set(prefix, id, strconv.FormatInt(at, 10), sig)
}

func set(prefix, id, timestamp, signature string) []string {
	return []string{prefix + "-id", id, prefix + "-timestamp", timestamp, prefix + "-signature", signature}
}

// expect compares status and body, the body as text.
func expect(t testing.TB, r *http.Response, status int, body string) {
	t.Helper()
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(body, strings.TrimSpace(string(b))); r.StatusCode != status || d != "" {
		t.Errorf("status %d, want %d; body (-want +got)\n%s", r.StatusCode, status, d)
	}
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	for name := range r.Header {
		if strings.HasPrefix(strings.ToLower(name), "webhook-") {
			t.Errorf("the answer carries %s", name)
		}
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	health := func(context.Context) Health { return Health{} }
	good := WebhookOptions{Secrets: []string{secret}, Publisher: &publisher{}, Describe: describe}
	webhook := func(w WebhookOptions) Options { return Options{Health: health, Webhook: &w} }
	taken := prometheus.NewRegistry()
	if _, err := New(Options{Health: health, Webhook: &good, Registerer: taken}); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		options Options
		want    string
	}{
		"no health":          {Options{}, "no health function"},
		"no publisher":       {webhook(WebhookOptions{Secrets: good.Secrets, Describe: describe}), "publisher"},
		"no describe":        {webhook(WebhookOptions{Secrets: good.Secrets, Publisher: good.Publisher}), "describe"},
		"no secret":          {webhook(WebhookOptions{Publisher: good.Publisher, Describe: describe}), "no webhook secret"},
		"registered already": {Options{Health: health, Webhook: &good, Registerer: taken}, "register metrics"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(tc.options); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("new answered %v", err)
			}
		})
	}
}

func TestPathsAndMethods(t *testing.T) {
	s := setup(t)
	for _, tc := range []struct {
		method, path string
		status       int
		body, allow  string
	}{
		{http.MethodGet, LivePath, 200, `{"status":"ok"}`, ""},
		{http.MethodGet, WebhookPath, 405, `{"error":"method not allowed"}`, "OPTIONS, POST"},
		{http.MethodGet, "/nothing", 404, `{"error":"not found"}`, ""},
		{http.MethodPost, WebhookPath + "/", 404, `{"error":"not found"}`, ""},
		{http.MethodPost, LivePath, 405, `{"error":"method not allowed"}`, "OPTIONS, GET"},
	} {
		t.Run(tc.method+" "+tc.path, func(t *testing.T) {
			r := s.do(httptest.NewRequest(tc.method, tc.path, nil))
			expect(t, r, tc.status, tc.body)
			if got := r.Header.Get("Allow"); got != tc.allow {
				t.Errorf("allow is %q", got)
			}
			if r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("headers are %v", r.Header)
			}
		})
	}
}

func TestRoleWithoutIngress(t *testing.T) {
	s := setup(t, func(o *Options) { o.Webhook = nil })
	expect(t, s.post(t, vectorBody, set("svix", vectorID, strconv.Itoa(vectorTime), vectorSig)...), 404, `{"error":"not found"}`)
	expect(t, s.do(httptest.NewRequest(http.MethodGet, LivePath, nil)), 200, `{"status":"ok"}`)
}

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct{ parts.Buffer }

// lines are the log's, each as an object.
func (l *lockedBuffer) lines(t testing.TB) []map[string]any {
	t.Helper()
	var all []map[string]any
	for d := json.NewDecoder(strings.NewReader(l.String())); d.More(); {
		var line map[string]any
		if err := d.Decode(&line); err != nil {
			t.Fatalf("the log is no JSON: %v", err)
		}
		all = append(all, line)
	}
	return all
}
