package alerts_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"seamtag/alerts"
	"seamtag/internal/parts"
	"seamtag/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret = "whsec_plJ3nmyCDGBKInavdOK15jsl" // Svix's published example
	other  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// sent is a request as a receiver gets it.
type sent struct {
	header http.Header
	body   []byte
}

func (s sent) fields(t *testing.T) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(s.body, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

// receiver is an alerts.Sender that keeps what it takes.
type receiver struct {
	mu    sync.Mutex
	taken []sent
	fail  error
	hold  chan struct{} // where it is not nil, Send waits for it or for the context
	calls int
}

var _ alerts.Sender = (*receiver)(nil)

func (r *receiver) Send(ctx context.Context, header http.Header, body []byte) error {
	r.mu.Lock()
	r.calls++
	hold := r.hold
	r.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	r.taken = append(r.taken, sent{header, body})
	return nil
}

func (r *receiver) all() []sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken
}

func (r *receiver) called() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

func (r *receiver) set(fail error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = fail
}

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// turns gives them by a clock of its own; fail makes Redis away.
type turns struct {
	clock *clock
	mu    sync.Mutex
	until map[string]time.Time
	fail  error
}

var _ alerts.Turns = (*turns)(nil)

func newTurns(c *clock) *turns { return &turns{clock: c, until: map[string]time.Time{}} }

func (s *turns) TakeTurn(_ context.Context, name string, lasts time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return false, s.fail
	}
	if s.clock.now().Before(s.until[name]) {
		return false, nil
	}
	s.until[name] = s.clock.now().Add(lasts)
	return true, nil
}

func (s *turns) GiveBackTurn(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.until, name)
	return s.fail
}

// process is a notifier with what is around it.
type process struct {
	*alerts.Notifier

	registry *prometheus.Registry
	log      *parts.Buffer
}

func start(t *testing.T, r *receiver, s alerts.Turns, c *clock, secrets ...string) *process {
	t.Helper()
	p := &process{registry: prometheus.NewRegistry(), log: &parts.Buffer{}}
	var err error
	p.Notifier, err = alerts.New(alerts.Options{
		Sender: r, Turns: s, Secrets: secrets, Log: zerolog.New(p.log), Registerer: p.registry, Now: c.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// count waits until an outcome was counted so often.
func (p *process) count(t *testing.T, kind alerts.Kind, outcome string, want int) {
	t.Helper()
	expected := fmt.Sprintf("%v", float64(want))
	got := ""
	for deadline := time.Now().Add(time.Minute); got != expected; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s %s is %s, want %s\n%s", kind, outcome, got, expected, p.log)
		}
		families, err := p.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if m.GetLabel()[0].GetValue() == string(kind) && m.GetLabel()[1].GetValue() == outcome {
					got = fmt.Sprintf("%v", m.GetCounter().GetValue())
				}
			}
		}
	}
}

func rejected(entry string) alerts.Alert {
	return alerts.Alert{Kind: alerts.Dead, Reason: "rejected", EntryID: entry, EventID: "event_1", Account: "account_1"}
}

func TestWhatAnAlertSays(t *testing.T) {
	for name, tt := range map[string]struct {
		alert alerts.Alert
		want  map[string]any
	}{
		"dead": {rejected("17-0"), map[string]any{
			"type": "seamtag.dead", "timestamp": "2026-11-23T12:00:00Z",
			"text": "seamtag: an event of account account_1 was buried (rejected). Its payload is kept; see: seamtag events show 17-0",
			"data": map[string]any{
				"reason": "rejected", "entry_id": "17-0", "event_id": "event_1", "connected_account_id": "account_1", "held_back": 0.0,
			},
		}},
		"dead, ids that are any text": {
			alerts.Alert{Kind: alerts.Dead, Reason: "malformed", EntryID: "17-0", EventID: "<!channel> hi", Account: "jane@example.com"},
			map[string]any{
				"type": "seamtag.dead", "timestamp": "2026-11-23T12:00:00Z",
				"text": "seamtag: an event was buried (malformed). Its payload is kept; see: seamtag events show 17-0",
				"data": map[string]any{"reason": "malformed", "entry_id": "17-0", "held_back": 0.0},
			},
		},
		"paused": {alerts.Alert{Kind: alerts.Paused, Reason: "unauthorized"}, map[string]any{
			"type": "seamtag.paused", "timestamp": "2026-11-23T12:00:00Z",
			"text": "seamtag: PAUSED (unauthorized): Seam refuses the API key. Nothing is lost; work goes on by itself once SEAM_API_KEY is right.",
			"data": map[string]any{"reason": "unauthorized", "held_back": 0.0},
		}},
		"gap": {alerts.Alert{Kind: alerts.Gap, Missed: 12}, map[string]any{
			"type": "seamtag.gap", "timestamp": "2026-11-23T12:00:00Z",
			"text": "seamtag: 12 events had not come by webhook. They were found at Seam and queued now. " +
				"Does Seam still send to this webhook, and does its secret fit?",
			"data": map[string]any{"missed": 12.0, "held_back": 0.0},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r, c := &receiver{}, newClock()
			p := start(t, r, newTurns(c), c)
			p.Notify(tt.alert)
			p.Close()
			got := r.all()
			if len(got) != 1 {
				t.Fatalf("%d alerts", len(got))
			}
			if diff := cmp.Diff(tt.want, got[0].fields(t)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(http.Header{"Content-Type": {"application/json"}}, got[0].header); diff != "" {
				t.Errorf("headers without a secret (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSomebodyElsesCodeAgreesWithTheSignature: standardwebhooks from npm takes the signature by either secret, and none by a third.
func TestSomebodyElsesCodeAgreesWithTheSignature(t *testing.T) {
	r, c := &receiver{}, &clock{at: time.Now()}
	p := start(t, r, newTurns(c), c, secret, other)
	p.Notify(rejected("17-0"))
	p.Close()
	got := r.all()
	if len(got) != 1 {
		t.Fatalf("%d alerts", len(got))
	}
	headers := map[string]string{}
	for name := range got[0].header {
		headers[strings.ToLower(name)] = got[0].header.Get(name)
	}
	var in, errs bytes.Buffer
	for _, try := range []struct{ secret, body string }{
		{secret, string(got[0].body)}, {other, string(got[0].body)}, {secret, string(got[0].body) + " "}, {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAA", string(got[0].body)},
	} {
		if err := json.NewEncoder(&in).Encode(map[string]any{"secret": try.secret, "headers": headers, "body": try.body}); err != nil {
			t.Fatal(err)
		}
	}
	cmd := parts.Node(t, "verify.mjs")
	cmd.Stdin, cmd.Stderr = &in, &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("verify.mjs: %v\n%s", err, errs.String())
	}
	want := []string{"ok", "ok", "No matching signature found", "No matching signature found"}
	if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(string(out)), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOneAKindAndReasonInTenMinutes(t *testing.T) {
	r, c := &receiver{}, newClock()
	p := start(t, r, newTurns(c), c)
	for range 3 {
		p.Notify(rejected("17-0"))
		p.Notify(alerts.Alert{Kind: alerts.Dead, Reason: "poison", EntryID: "18-0"})
		p.Notify(alerts.Alert{Kind: alerts.Paused, Reason: "unauthorized"})
	}
	p.count(t, alerts.Dead, "sent", 2)
	p.count(t, alerts.Paused, "sent", 1)
	c.pass(9 * time.Minute)
	p.Notify(rejected("19-0"))
	p.count(t, alerts.Dead, "held", 5)
	c.pass(time.Minute)
	p.Notify(rejected("20-0"))
	p.count(t, alerts.Dead, "sent", 3)
	last := r.all()[3].fields(t)
	if held := last["data"].(map[string]any)["held_back"]; held != 3.0 || !strings.HasSuffix(last["text"].(string), "Held back here since the last alert like this: 3.") {
		t.Errorf("the alert after ten minutes says %v", last)
	}
}

// TestTwoProcessesTellOnce runs two of them on one Redis.
func TestTwoProcessesTellOnce(t *testing.T) {
	redis := parts.Redis(t)
	r, c := &receiver{}, newClock()
	var processes []*process
	for range 2 {
		q, err := queue.Open(queue.Options{URL: redis.URL()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = q.Close() })
		processes = append(processes, start(t, r, q, c))
	}
	processes[0].Notify(rejected("17-0"))
	processes[0].count(t, alerts.Dead, "sent", 1)
	processes[1].Notify(rejected("18-0"))
	processes[1].count(t, alerts.Dead, "held", 1)
	processes[1].Notify(alerts.Alert{Kind: alerts.Dead, Reason: "poison", EntryID: "19-0"})
	processes[1].count(t, alerts.Dead, "sent", 1)
	if n := len(r.all()); n != 2 {
		t.Errorf("%d alerts of two reasons", n)
	}
}

func TestAReceiverThatIsDownGetsTheNextOne(t *testing.T) {
	r, c := &receiver{}, newClock()
	r.set(errors.New("after 5 tries: answered 500"))
	s := newTurns(c)
	p := start(t, r, s, c, secret)
	p.Notify(rejected("17-0"))
	p.count(t, alerts.Dead, "failed", 1)
	if text := p.log.String(); !strings.Contains(text, `"an alert could not be sent"`) || !strings.Contains(text, "answered 500") || strings.Contains(text, "plJ3") {
		t.Errorf("log %s", text)
	}
	r.set(nil)
	p.Notify(rejected("18-0")) // too soon: the receiver was just down
	p.count(t, alerts.Dead, "held", 1)
	c.pass(time.Minute)
	another := start(t, r, s, c) // not held back by what could not be sent
	another.Notify(rejected("19-0"))
	another.count(t, alerts.Dead, "sent", 1)
}

func TestTheAlertAfterAFailureCountsIt(t *testing.T) {
	r, c := &receiver{}, newClock()
	r.set(errors.New("away"))
	p := start(t, r, newTurns(c), c)
	p.Notify(rejected("17-0"))
	p.count(t, alerts.Dead, "failed", 1)
	r.set(nil)
	c.pass(time.Minute)
	p.Notify(rejected("18-0"))
	p.count(t, alerts.Dead, "sent", 1)
	if held := r.all()[0].fields(t)["data"].(map[string]any)["held_back"]; held != 1.0 {
		t.Errorf("held back %v", held)
	}
}

func TestWithRedisAwayAProcessIsQuietByItself(t *testing.T) {
	r, c := &receiver{}, newClock()
	s := newTurns(c)
	s.fail = errors.New("redis is away")
	p := start(t, r, s, c)
	for range 5 {
		p.Notify(rejected("17-0"))
	}
	p.count(t, alerts.Dead, "sent", 1)
	p.count(t, alerts.Dead, "held", 4)
}

// TestNothingWaitsForAReceiverThatHangs: a thousand reasons find no room, and who reports them does not notice.
func TestNothingWaitsForAReceiverThatHangs(t *testing.T) {
	r, c := &receiver{hold: make(chan struct{})}, newClock()
	p := start(t, r, newTurns(c), c)
	for i := range 1000 {
		p.Notify(alerts.Alert{Kind: alerts.Dead, Reason: fmt.Sprint("reason", i), EntryID: "17-0"})
	}
	p.Close() // ends what hangs
	p.Notify(rejected("18-0"))
	if len(r.all()) != 0 || r.called() == 0 {
		t.Errorf("%d taken of %d", len(r.all()), r.called())
	}
	if n, err := testutil.GatherAndCount(p.registry, "seamtag_alerts_total"); err != nil || n != 1 {
		t.Errorf("%d series: %v", n, err)
	}
	p.count(t, alerts.Dead, "failed", 1000)
}

func TestClosingSendsWhatWaits(t *testing.T) {
	r, c := &receiver{}, newClock()
	p := start(t, r, newTurns(c), c)
	for i := range 10 {
		p.Notify(alerts.Alert{Kind: alerts.Dead, Reason: fmt.Sprint("reason", i), EntryID: "17-0"})
	}
	p.Close()
	if n := len(r.all()); n != 10 {
		t.Errorf("%d of 10 were sent", n)
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	s := newTurns(newClock())
	for name, o := range map[string]alerts.Options{
		"no sender": {Turns: s}, "no turns": {Sender: &receiver{}}, "a bad secret": {Sender: &receiver{}, Turns: s, Secrets: []string{"whsec_s3cr3t!"}},
	} {
		if _, err := alerts.New(o); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
