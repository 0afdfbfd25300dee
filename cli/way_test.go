package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/metadata"
	"seamtag/queue"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

const updateEndpoint = "/connected_accounts/update"

func TestAConnectedAccountGetsItsWebviewsMetadataAndKeepsItsOwn(t *testing.T) {
	bothSemantics(t, func(t *testing.T, s *stack) {
		o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1", "vip": true}}))
		account := o.Event.ConnectedAccountID
		s.seam.SetMetadata(account, seam.Metadata{"site": "hq"})
		s.seam.ResetCalls()

		first := s.ended(s.deliver(o))
		want := seam.Metadata{"site": "hq", "user_id": "u1", "vip": true}
		if diff := cmp.Diff(want, s.metadata(account)); diff != "" {
			t.Errorf("metadata (-want +got):\n%s", diff)
		}
		if first.Status != queue.Tagged || s.seam.Calls(updateEndpoint) != 1 || s.seam.Calls("") > 4 {
			t.Errorf("%s after %d updates and %d calls, want tagged after 1 and at most 4", first.Status, s.seam.Calls(updateEndpoint), s.seam.Calls(""))
		}
		var result map[string]any
		if err := json.Unmarshal(first.Result, &result); err != nil {
			t.Fatal(err)
		}
		wantResult := map[string]any{
			"set": map[string]any{"user_id": "u1", "vip": true}, "removed": []any{}, "restored": []any{},
			"sources": map[string]any{"user_id": "webview.custom_metadata", "vip": "webview.custom_metadata"},
		}
		if diff := cmp.Diff(wantResult, result); diff != "" {
			t.Errorf("result (-want +got):\n%s", diff)
		}

		s.seam.ResetCalls()
		second := s.ended(s.deliver(o))
		if second.Status != queue.Unchanged || s.seam.Calls(updateEndpoint) != 0 || s.seam.Calls("") != 2 {
			t.Errorf("the second event: %s after %d updates and %d calls, want unchanged after 0 and 2", second.Status, s.seam.Calls(updateEndpoint), s.seam.Calls(""))
		}
	})
}

func TestAReconnectThatWipesIsRepaired(t *testing.T) {
	bothSemantics(t, func(t *testing.T, s *stack) {
		o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}}))
		account := o.Event.ConnectedAccountID
		s.seam.SetMetadata(account, seam.Metadata{"site": "hq"})
		s.ended(s.deliver(o))
		again := s.seam.Reconnect(account, s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"plan": "gold"}}))
		if e := s.ended(s.deliver(again)); e.Status != queue.Tagged {
			t.Errorf("the reconnect ended %s", e.Status)
		}
		want := seam.Metadata{"site": "hq", "user_id": "u1", "plan": "gold"}
		if diff := cmp.Diff(want, s.metadata(account)); diff != "" {
			t.Errorf("metadata (-want +got):\n%s", diff)
		}
	})
}

func TestSixtyFourDeliveriesOfOneIDAreOneUpdate(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}}))
	s.seam.SetMetadata(o.Event.ConnectedAccountID, seam.Metadata{})
	s.seam.ResetCalls()
	var wg sync.WaitGroup
	answers := make([]answer, 64)
	for i := range answers {
		wg.Go(func() { answers[i] = s.post("msg_one", o.Body) })
	}
	wg.Wait()
	counts := map[string]int{}
	for _, a := range answers {
		counts[fmt.Sprintf("%d %s", a.code, a.Status)]++
		if a.ID != answers[0].ID {
			t.Errorf("entry ids %s and %s", a.ID, answers[0].ID)
		}
	}
	if diff := cmp.Diff(map[string]int{"202 queued": 1, "200 duplicate": 63}, counts); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	s.ended(answers[0].ID)
	if n := s.seam.Calls(updateEndpoint); n != 1 {
		t.Errorf("%d updates, want 1", n)
	}
}

func TestEveryEndIsVisible(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	gone := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{}))
	s.seam.DeleteAccount(gone.Event.ConnectedAccountID)
	tooLong := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"a": "x"}}))
	s.seam.SetMetadata(tooLong.Event.ConnectedAccountID, seam.Metadata{})
	s.seam.Fail(sandbox.Fault{
		Endpoint: updateEndpoint, Status: http.StatusBadRequest, Type: "invalid_input", Message: "no", OnlyAccount: tooLong.Event.ConnectedAccountID,
	})
	for name, tt := range map[string]struct {
		body   []byte
		status queue.Status
		reason string
	}{
		"account gone": {gone.Body, queue.Skipped, "account_gone"},
		"rejected":     {tooLong.Body, queue.Dead, "rejected"},
		"not JSON":     {[]byte("hello"), queue.Dead, "malformed"},
		"no ids":       {[]byte(`{"event_type":"connected_account.connected"}`), queue.Dead, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.post(sandbox.NewMessageID(), tt.body)
			if a.code != http.StatusAccepted {
				t.Fatalf("answered %d: a signed event is kept", a.code)
			}
			if e := s.ended(a.ID); e.Status != tt.status || e.Reason != tt.reason {
				t.Errorf("ended %s %s, want %s %s", e.Status, e.Reason, tt.status, tt.reason)
			}
		})
	}
	if a := s.post(sandbox.NewMessageID(), []byte(`{"event_id":"e","event_type":"device.connected","workspace_id":"w","occurred_at":"2026-01-01T00:00:00Z"}`)); a.code != http.StatusOK || a.Status != "ignored" {
		t.Errorf("another type: %+v, want 200 ignored", a)
	}
}

func TestOutagesOfSeamAreWaitedOut(t *testing.T) {
	for name, fault := range map[string]sandbox.Fault{
		"500":            {Status: http.StatusInternalServerError, Times: 2},
		"503 empty":      {Status: http.StatusServiceUnavailable, Body: " ", Times: 2},
		"502 HTML":       {Status: http.StatusBadGateway, Body: "<html>bad gateway</html>", Times: 2},
		"429":            {Status: http.StatusTooManyRequests, RetryAfter: time.Second, Times: 2},
		"cut connection": {DropConnection: true, Times: 2},
		"404 HTML":       {Status: http.StatusNotFound, Body: "<html>nothing here</html>", Times: 2},
		"400 text":       {Status: http.StatusBadRequest, Body: "bad request", Times: 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, sandbox.Replace)
			o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}}))
			s.seam.SetMetadata(o.Event.ConnectedAccountID, seam.Metadata{})
			s.seam.Fail(fault)
			e := s.ended(s.deliver(o))
			if e.Status != queue.Tagged || e.Attempts < 2 {
				t.Errorf("ended %s %s after %d attempts, want tagged after a retry: %+v", e.Status, e.Reason, e.Attempts, e.History)
			}
		})
	}
}

func TestAWrongKeyPausesAndBuriesNothing(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	s.seam.RevokeKey()
	var ids []string
	var accounts []string
	for range 20 {
		o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}}))
		s.seam.SetMetadata(o.Event.ConnectedAccountID, seam.Metadata{})
		accounts = append(accounts, o.Event.ConnectedAccountID)
		ids = append(ids, s.deliver(o))
	}
	s.await("readiness turns red", func() bool {
		code, health := s.ready()
		return code == http.StatusServiceUnavailable && health["paused"] != nil
	})
	if n := strings.Count(s.log.String(), "PAUSED"); n != 1 {
		t.Errorf("said %d times that it pauses, want once", n)
	}
	s.stop()
	s.seam.RestoreKey()
	s.start()
	for i, id := range ids {
		if e := s.ended(id); e.Status != queue.Tagged {
			t.Errorf("ended %s %s", e.Status, e.Reason)
		}
		if s.metadata(accounts[i])["user_id"] != "u1" {
			t.Errorf("account %d is not tagged", i)
		}
	}
	s.await("readiness turns green", func() bool { code, _ := s.ready(); return code == http.StatusOK })
}

func TestRedisAwayIsAnsweredAndWaitedOut(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	var accepted []string
	send := func(n int) {
		o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}}), sandbox.AccountID(accountNumber(n)))
		s.seam.SetMetadata(o.Event.ConnectedAccountID, seam.Metadata{})
		if a := s.post(sandbox.NewMessageID(), o.Body); a.code == http.StatusAccepted {
			accepted = append(accepted, accountNumber(n))
		}
	}
	for n := range 10 {
		send(n)
	}
	s.redis.Stop()
	o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{}))
	headers, err := sandbox.SignedHeaders([]string{testSecret}, "msg_away", time.Now(), o.Body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.sender.URL, strings.NewReader(string(o.Body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = headers
	resp, err := s.sender.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("answered %d, Retry-After %q; want 503 with one", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	if code, _ := s.ready(); code != http.StatusServiceUnavailable {
		t.Errorf("readyz %d without redis", code)
	}
	s.redis.Start()
	s.await("accepting again", func() bool { return s.post(sandbox.NewMessageID(), o.Body).code == http.StatusAccepted })
	for n := range 10 {
		send(10 + n)
	}
	if len(accepted) != 20 {
		t.Fatalf("%d of 20 accepted while redis was up", len(accepted))
	}
	for _, account := range accepted {
		s.await(account+" is tagged", func() bool { return s.metadata(account)["user_id"] == "u1" })
	}
	s.await("readiness turns green", func() bool { code, _ := s.ready(); return code == http.StatusOK })
}

func TestStopWithWorkInFlightLosesNothing(t *testing.T) {
	s := newStack(t, sandbox.Replace, "SEAMTAG_CONCURRENCY=40")
	s.seam.Fail(sandbox.Fault{Latency: time.Minute}) // every call hangs: none can finish before the stop
	var ids []string
	for n := range 40 {
		o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}}), sandbox.AccountID(accountNumber(n)))
		s.seam.SetMetadata(o.Event.ConnectedAccountID, seam.Metadata{})
		ids = append(ids, s.deliver(o))
	}
	s.await("40 in flight", func() bool { return s.seam.Calls("/connected_accounts/get") >= 40 })
	s.stop()
	s.seam.Heal()
	s.start()
	for n, id := range ids {
		if e := s.ended(id); e.Status != queue.Tagged || e.Attempts != 1 {
			t.Errorf("entry %d ended %s after %d attempts", n, e.Status, e.Attempts)
		}
		if s.metadata(accountNumber(n))["user_id"] != "u1" {
			t.Errorf("account %d is not tagged", n)
		}
	}
}

func TestTheLogHoldsNothingOfAnybody(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	planted := []string{"v4lue-of-metadata", "someone@example.com", "planted-api-key", strings.TrimPrefix(testSecret, "whsec_"), s.seam.APIKey()}
	o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": planted[0], "mail": planted[1]}}))
	s.seam.SetMetadata(o.Event.ConnectedAccountID, seam.Metadata{"other": planted[0] + "-2"})
	s.ended(s.deliver(o))
	s.ended(s.post(sandbox.NewMessageID(), []byte(`{"event_id":"`+planted[1]+`",`)).ID)
	refused := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"mail": planted[1], "user_id": planted[0]}}))
	s.seam.SetMetadata(refused.Event.ConnectedAccountID, seam.Metadata{})
	s.seam.Fail(sandbox.Fault{
		Endpoint: updateEndpoint, Status: http.StatusBadRequest, Type: "invalid_input", Times: 1,
		Message: "cannot take " + planted[0] + " of " + planted[1] + " with " + s.seam.APIKey(),
	})
	dead := s.ended(s.deliver(refused))
	s.seam.Fail(sandbox.Fault{Status: http.StatusBadGateway, Body: "<html>" + planted[0] + planted[1] + "</html>", Times: 1})
	s.ended(s.deliver(o))
	s.sender.Secrets = []string{"whsec_" + strings.Repeat("A", 32)}
	s.post(sandbox.NewMessageID(), o.Body)
	s.ready()
	_, metrics := s.get(s.metrics)
	for place, text := range map[string]string{"the log": s.log.String(), "an entry's error": dead.Error, "the metrics": metrics} {
		for _, secret := range planted {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %q:\n%s", place, secret, text)
			}
		}
	}
	if !strings.Contains(s.log.String(), `"level":"debug"`) {
		t.Error("the log was not at debug level")
	}
}

func TestMetricsAreThere(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}}))
	s.ended(s.deliver(o))
	_, text := s.get(s.metrics)
	for _, line := range []string{
		`seamtag_webhook_requests_total{outcome="queued"} 1`, `seamtag_events_total{reason="",status="unchanged"} 1`,
		`seamtag_seam_requests_total{endpoint="/connected_accounts/get",status="200"} 1`, `seamtag_queue_depth{state="waiting"} 0`,
		`seamtag_queue_oldest_age_seconds 0`, `seamtag_paused 0`, `seamtag_event_age_seconds_count 1`, `seamtag_webhook_duration_seconds_count`,
		`seamtag_seam_request_duration_seconds_count`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
	if strings.Contains(text, o.Event.ConnectedAccountID) {
		t.Error("metrics hold an account id")
	}
}

func TestEventsOfOneAccountAreSerialised(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}}))
	s.seam.SetMetadata(o.Event.ConnectedAccountID, seam.Metadata{})
	s.seam.ResetCalls()
	var ids []string
	for range 10 {
		ids = append(ids, s.deliver(o))
	}
	ends := map[queue.Status]int{}
	for _, id := range ids {
		ends[s.ended(id).Status]++
	}
	if ends[queue.Tagged] != 1 || ends[queue.Unchanged] != 9 || s.seam.Calls(updateEndpoint) != 1 {
		t.Errorf("ends %v with %d updates, want one tagged with one update and nine unchanged", ends, s.seam.Calls(updateEndpoint))
	}
}

func TestWhatFollowsFromAFailure(t *testing.T) {
	for want, err := range map[string]error{
		"malformed":        &seam.MalformedEventError{Problem: "x"},
		"rule_error":       fmt.Errorf("tag: %w", &metadata.RuleError{Key: "k"}),
		"rejected":         fmt.Errorf("update: %w", &seam.Error{Status: 400, Type: "invalid_input"}),
		"unauthorized":     &seam.Error{Status: 403},
		"rate_limited":     &seam.Error{Status: 429, RetryAfter: time.Second},
		"seam_unavailable": &seam.Error{Status: 418},
		"contended":        metadata.ErrContended,
		"lease_lost":       fmt.Errorf("fence: %w", queue.ErrLeaseLost),
		"error":            errors.New("anything"),
	} {
		if got := queue.ReasonOf(instruct(err)); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

func TestReadinessIsSharedByConcurrentProbes(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	var wg sync.WaitGroup
	var green atomic.Int32
	for range 20 {
		wg.Go(func() {
			if code, _ := s.ready(); code == http.StatusOK {
				green.Add(1)
			}
		})
	}
	wg.Wait()
	if green.Load() != 20 {
		t.Errorf("%d of 20 probes green", green.Load())
	}
}
