package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"seamtag/config"
	"seamtag/internal/parts"
	"seamtag/queue"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

func TestMain(m *testing.M) {
	queue.SilenceRedis()
	// A server that closes with a body unread waits half a second for the client, longer than goleak does.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

const testSecret = "whsec_plJ3nmyCDGBKInavdOK15jsl" // Svix's published example

// logBuffer takes the log of a stack.
type logBuffer = parts.Buffer

// stack is one process in this process: a real Redis, the sandbox as Seam, HTTP in between.
type stack struct {
	t        *testing.T
	redis    *parts.RedisServer
	seam     *sandbox.Sandbox
	endpoint string
	app      *app
	url      string
	metrics  string
	sender   sandbox.Sender
	log      *logBuffer
	hangups  chan os.Signal
	stop     func()
}

// newStack starts a stack with the sandbox's semantics and further environment.
func newStack(t *testing.T, semantics sandbox.Semantics, environ ...string) *stack {
	t.Helper()
	s := &stack{t: t, redis: parts.Redis(t), seam: sandbox.New(sandbox.Options{Semantics: semantics}), log: &logBuffer{}, hangups: make(chan os.Signal)}
	server := httptest.NewServer(s.seam)
	t.Cleanup(server.Close)
	s.endpoint = server.URL
	s.start(environ...)
	return s
}

// start starts a process on the stack's Redis and Seam; also another one after stop.
func (s *stack) start(environ ...string) {
	s.t.Helper()
	c, err := config.Load(append([]string{
		"SEAM_API_KEY=" + s.seam.APIKey(), "SEAM_ENDPOINT=" + s.endpoint, "SEAM_WEBHOOK_SECRET=" + testSecret, "REDIS_URL=" + s.redis.URL(),
		"SEAMTAG_SEAM_RATE=1000/s", "LOG_LEVEL=debug",
	}, environ...))
	if err != nil {
		s.t.Fatal(err)
	}
	level, err := zerolog.ParseLevel(string(c.LogLevel))
	if err != nil {
		s.t.Fatal(err)
	}
	log := zerolog.New(s.log).Level(level)
	tracer, closeTracing, err := startTracing(s.t.Context(), &c, roleAll, log)
	if err != nil {
		s.t.Fatal(err)
	}
	s.app, err = newApp(appOptions{
		config: &c, environ: environ, hangups: s.hangups, role: roleAll, redisURL: s.redis.URL(), log: log, registry: prometheus.NewRegistry(),
		tracer: tracer,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	web, err := loopback(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	metrics, err := loopback(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.url, s.metrics = "http://"+web.Addr().String(), "http://"+metrics.Addr().String()+"/metrics"
	client := &http.Client{Transport: &http.Transport{}}
	s.sender = sandbox.Sender{URL: s.url + "/webhooks/seam", Secrets: []string{testSecret}, Client: client}
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.app.run(ctx, web, metrics) }()
	s.stop = sync.OnceFunc(func() {
		client.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("run: %v", err)
		}
		closeTracing()
	})
	s.t.Cleanup(s.stop)
}

// answer is what the webhook answers.
type answer struct {
	code   int
	Status string `json:"status"`
	ID     string `json:"id"`
	Error  string `json:"error"`
}

func (s *stack) post(messageID string, body []byte) answer {
	s.t.Helper()
	code, text, err := s.sender.Send(s.t.Context(), messageID, body)
	if err != nil {
		s.t.Fatalf("send: %v", err)
	}
	a := answer{code: code}
	if err := json.Unmarshal(text, &a); err != nil {
		s.t.Fatalf("answer %d %s: %v", code, text, err)
	}
	return a
}

// deliver sends an occurrence under an id of its own and answers its entry id.
func (s *stack) deliver(o sandbox.Occurrence) string {
	s.t.Helper()
	a := s.post(sandbox.NewMessageID(), o.Body)
	if a.code != http.StatusAccepted {
		s.t.Fatalf("answered %d %+v, want 202", a.code, a)
	}
	return a.ID
}

// patience is how long something may take on a slow machine before the test gives up on it.
const patience = 60 * time.Second

func (s *stack) await(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("never: %s\n%s", what, s.log)
		}
	}
}

// ended waits until an entry has ended.
func (s *stack) ended(id string) queue.Entry {
	s.t.Helper()
	var e queue.Entry
	s.await("entry "+id+" ends", func() bool {
		var err error
		if e, err = s.app.queue.Entry(s.t.Context(), id); err != nil {
			s.t.Fatalf("entry %s: %v", id, err)
		}
		return e.Status.Ended()
	})
	return e
}

func (s *stack) metadata(account string) seam.Metadata {
	s.t.Helper()
	md, ok := s.seam.Metadata(account)
	if !ok {
		s.t.Fatalf("no account %s", account)
	}
	return md
}

func (s *stack) get(url string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.sender.Client.Do(req)
	if err != nil {
		s.t.Fatalf("get %s: %v", url, err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	_, _ = b.ReadFrom(resp.Body)
	return resp.StatusCode, b.String()
}

// ready is /readyz.
func (s *stack) ready() (code int, health map[string]any) {
	s.t.Helper()
	code, text := s.get(s.url + "/readyz")
	if err := json.Unmarshal([]byte(text), &health); err != nil {
		s.t.Fatalf("readyz %s: %v", text, err)
	}
	return code, health
}

func bothSemantics(t *testing.T, test func(t *testing.T, s *stack)) {
	for name, semantics := range map[string]sandbox.Semantics{"replace": sandbox.Replace, "merge": sandbox.Merge} {
		t.Run(name, func(t *testing.T) { test(t, newStack(t, semantics)) })
	}
}

func accountNumber(n int) string { return fmt.Sprintf("account_%03d", n) }
