package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	svix "github.com/svix/svix-webhooks/go"

	"seamtag/queue"
	"seamtag/seam/sandbox"
)

const alertSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// chat takes alerts; the first so many requests it answers with a 503.
type chat struct {
	*httptest.Server

	t       *testing.T
	mu      sync.Mutex
	refuses int
	bodies  []map[string]any
}

func newChat(t *testing.T, refuses int) *chat {
	t.Helper()
	c := &chat{t: t, refuses: refuses}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *chat) environ() []string {
	return []string{"ALERT_WEBHOOK_URL=" + c.URL + "/services/s3cr3t", "ALERT_WEBHOOK_SECRET=" + alertSecret}
}

func (c *chat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuses > 0 {
		c.refuses--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	verifier, err := svix.NewWebhook(alertSecret)
	if err != nil {
		c.t.Error(err)
		return
	}
	var raw json.RawMessage
	body := map[string]any{}
	if err := json.NewDecoder(r.Body).Decode(&raw); err != nil || json.Unmarshal(raw, &body) != nil || verifier.Verify(raw, r.Header) != nil {
		c.t.Errorf("an alert that is not JSON or not signed: %s %v", raw, r.Header)
	}
	c.bodies = append(c.bodies, body)
}

// types are those of the alerts that were taken.
func (c *chat) types() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var types []string
	for _, b := range c.bodies {
		types = append(types, b["type"].(string))
	}
	return types
}

func (s *stack) awaitAlert(c *chat, want string) {
	s.t.Helper()
	s.await("an alert "+want, func() bool { return strings.Join(c.types(), " ") == want })
}

func TestABuriedEventIsToldOnceAndHoldsNothingUp(t *testing.T) {
	c := newChat(t, 1) // the first try is refused
	s := newStack(t, sandbox.Replace, c.environ()...)
	for range 5 {
		a := s.post(sandbox.NewMessageID(), []byte(`{"event_type":"connected_account.connected","note":"jane@example.com"}`))
		if e := s.ended(a.ID); e.Status != queue.Dead {
			t.Fatalf("ended %s", e.Status)
		}
	}
	s.awaitAlert(c, "seamtag.dead")
	s.await("the others are held back", func() bool {
		return s.metric(`seamtag_alerts_total{kind="dead",outcome="held"} 4`) && s.metric(`seamtag_alerts_total{kind="dead",outcome="sent"} 1`)
	})
	s.stop()
	s.start(c.environ()...) // another process, with nothing but Redis to know it by
	s.ended(s.post(sandbox.NewMessageID(), []byte(`[]`)).ID)
	s.await("held back as well", func() bool { return s.metric(`seamtag_alerts_total{kind="dead",outcome="held"} 1`) })
	if got := c.types(); len(got) != 1 {
		t.Errorf("alerts %v", got)
	}
	for _, secret := range []string{"s3cr3t", alertSecret, "jane@"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log shows %s", secret)
		}
	}
	if text := c.bodies[0]["text"].(string); strings.Contains(text, "jane@") || !strings.Contains(text, "malformed") {
		t.Errorf("text %q", text)
	}
}

func TestAPauseAndAGapAreTold(t *testing.T) {
	c := newChat(t, 0)
	s := newStack(t, sandbox.Replace, c.environ()...)
	o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{}))
	s.seam.Fail(sandbox.Fault{Endpoint: "/connected_accounts/get", Status: http.StatusUnauthorized, Type: "unauthorized"})
	s.deliver(o)
	s.awaitAlert(c, "seamtag.paused")
	s.stop()

	lost := func() {
		s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{}), sandbox.At(time.Now().Add(-30*time.Minute)))
	}
	lost()
	lost()
	s.start(append(c.environ(), "SEAMTAG_GAP_CHECK=20ms")...)
	s.await("a first check, which tells nothing of what there was before", func() bool { return s.metric("seamtag_gap_events_total 2") })
	s.await("it is known to have been", func() bool {
		_, known, err := s.app.queue.LastGapCheck(t.Context())
		return known && err == nil
	})
	lost()
	s.awaitAlert(c, "seamtag.paused seamtag.gap")
	if missed := c.bodies[1]["data"].(map[string]any)["missed"]; missed != 1.0 {
		t.Errorf("%v events are said to be missed, want 1", missed)
	}
}

func TestAnAlertAddressThatCannotBeIsWrongUse(t *testing.T) {
	for _, address := range []string{"hooks.example/s3cr3t", "https://u:s3cr3t@hooks.example"} {
		_, err := load(Process{Environ: []string{"ALERT_WEBHOOK_URL=" + address}})
		if err == nil || err.Error() != "ALERT_WEBHOOK_URL: is not an http or https URL without a user" {
			t.Errorf("%s: %v", address, err)
		}
	}
}
