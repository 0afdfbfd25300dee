package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seamtag/queue"
)

func TestALineForAWebhook(t *testing.T) {
	s := setup(t)
	s.post(t, event, append(sign(t, event), "x-request-id", "req-1")...)
	lines := s.log.lines(t)
	if len(lines) != 1 {
		t.Fatalf("%d lines", len(lines))
	}
	if _, ok := lines[0]["took"].(float64); !ok {
		t.Errorf("took is %v", lines[0]["took"])
	}
	delete(lines[0], "took")
	want := map[string]any{
		"level": "info", "message": "request", "method": "POST", "path": WebhookPath, "status": 202.0, "request_id": "req-1",
		"remote": "192.0.2.1", "outcome": "queued", "message_id": "msg_1", "entry_id": "17-0",
	}
	if d := cmp.Diff(want, lines[0]); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestLevels(t *testing.T) {
	s := setup(t)
	s.do(httptest.NewRequest(http.MethodGet, LivePath, nil))
	s.do(httptest.NewRequest(http.MethodGet, ReadyPath, nil))
	s.do(httptest.NewRequest(http.MethodGet, "/jane@example.com?token=x", nil))
	s.post(t, event, sign(t, event)...)
	s.publisher.publish = func(context.Context, queue.Message) (queue.Receipt, error) {
		return queue.Receipt{}, errors.New("away")
	}
	s.post(t, event, sign(t, event)...)
	var got []string
	for _, l := range s.log.lines(t) {
		got = append(got, l["level"].(string)+" "+l["path"].(string))
	}
	want := []string{"debug /livez", "debug /readyz", "debug ", "info /webhooks/seam", "warn /webhooks/seam"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestRequestIDs(t *testing.T) {
	made := regexp.MustCompile(`^[A-Z2-7]{26}$`)
	for name, tc := range map[string]struct {
		sent []string
		kept bool
	}{
		"a word":     {[]string{"01J-abc_DEF"}, true},
		"none":       {nil, false},
		"empty":      {[]string{""}, false},
		"two":        {[]string{"a", "b"}, false},
		"too long":   {[]string{strings.Repeat("a", 65)}, false},
		"an address": {[]string{"jane@example.com"}, false},
		"two lines":  {[]string{"a\r\nSet-Cookie: b"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := setup(t)
			r := httptest.NewRequest(http.MethodGet, LivePath, nil)
			r.Header["X-Request-Id"] = tc.sent
			got := s.do(r).Header.Get("X-Request-Id")
			if tc.kept != slices.Equal(tc.sent, []string{got}) || !tc.kept && !made.MatchString(got) {
				t.Errorf("sent %q, got %q", tc.sent, got)
			}
			if l := s.log.lines(t)[0]; l["request_id"] != got {
				t.Errorf("logged %v, answered %q", l["request_id"], got)
			}
		})
	}
}

func TestRemoteAddress(t *testing.T) {
	for name, tc := range map[string]struct {
		trust            bool
		fly, socket, log string
	}{
		"socket":             {false, "203.0.113.9", "192.0.2.1:1234", "192.0.2.1"},
		"behind fly":         {true, "203.0.113.9", "192.0.2.1:1234", "203.0.113.9"},
		"behind fly, v6":     {true, "2001:db8::1", "[fdaa::3]:1234", "2001:db8::1"},
		"behind fly, absent": {true, "", "[fdaa::3]:1234", "fdaa::3"},
		"behind fly, a word": {true, "jane@example.com", "192.0.2.1:1234", "192.0.2.1"},
		"no address":         {false, "", "@", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := setup(t, func(o *Options) { o.TrustFlyClientIP = tc.trust })
			r := httptest.NewRequest(http.MethodGet, LivePath, nil)
			r.RemoteAddr = tc.socket
			r.Header.Set("Fly-Client-IP", tc.fly)
			s.do(r)
			if got := s.log.lines(t)[0]["remote"]; got != tc.log {
				t.Errorf("logged %v, want %s", got, tc.log)
			}
		})
	}
}

func TestAPanicIsA500LoggedOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		value any
		text  string
	}{
		"of the runtime": {nil, "nil map"},
		"with a payload": {errors.New("jane@example.com"), "a *errors.errorString"},
	} {
		t.Run(name, func(t *testing.T) {
			s := setup(t)
			s.publisher.publish = func(context.Context, queue.Message) (queue.Receipt, error) {
				if tc.value == nil {
					var m map[string]int
					m["x"] = 1
				}
				panic(tc.value)
			}
			expect(t, s.post(t, event, sign(t, event)...), 500, `{"error":"internal server error"}`)
			var stacks int
			for _, l := range s.log.lines(t) {
				if l["stack"] != nil {
					stacks++
					if !strings.Contains(l["panic"].(string), tc.text) || !strings.Contains(l["stack"].(string), "access_test.go") {
						t.Errorf("logged %v", l)
					}
				}
			}
			if stacks != 1 {
				t.Errorf("%d stacks in the log", stacks)
			}
			if strings.Contains(s.log.String(), "jane") {
				t.Error("the panic's value is in the log")
			}
			s.publisher.publish = nil
			expect(t, s.post(t, event, sign(t, event)...), 202, `{"status":"queued","id":"17-0"}`)
		})
	}
}

func TestAnAbortedHandlerGoesOnToAbort(t *testing.T) {
	s := setup(t)
	s.publisher.publish = func(context.Context, queue.Message) (queue.Receipt, error) { panic(http.ErrAbortHandler) }
	defer func() {
		if recover() != http.ErrAbortHandler { //nolint:errorlint // identity is the point
			t.Error("the abort was swallowed")
		}
	}()
	s.post(t, event, sign(t, event)...)
}

// P9, at debug level, over every kind of answer.
func TestNothingSecretIsLogged(t *testing.T) {
	s := setup(t)
	body := `{"event_id":"evt-secret","event_type":"t","connected_account_id":"acc-secret",` +
		`"email":"jane@example.com","m":{"plan":"gold-secret"}}`
	good := signed(t, "svix", secret, "msg_ok", vectorTime, body)
	at := strconv.Itoa(vectorTime)
	noise := []string{
		"authorization", "Bearer header-secret", "cookie", "header-secret", "user-agent", "header-secret",
		"x-request-id", "jane@example.com", "fly-client-ip", "header-secret",
	}
	send := func(body string, headers ...string) { s.post(t, body, append(slices.Clone(noise), headers...)...) }
	send(body, good...)
	send(body)
	send(body, set("svix", "id\x7fheader-secret", at, "v1,header-secret")...)
	send(body, set("svix", "header-secret", "header-secret", "v1,header-secret")...)
	send(body, set("svix", "header-secret", at, "v1,header-secret")...)
	send(body, set("svix", "header-secret", "1", "v1,header-secret")...)
	send(body+strings.Repeat(" ", longestBody), good...)
	s.publisher.publish = func(context.Context, queue.Message) (queue.Receipt, error) { panic(body) }
	send(body, good...)
	s.publisher.publish = func(context.Context, queue.Message) (queue.Receipt, error) {
		return queue.Receipt{}, errors.New("away")
	}
	send(body, good...)
	for _, path := range []string{"/webhooks/header-secret", WebhookPath + "?q=header-secret", LivePath + "?jane@example.com"} {
		s.do(httptest.NewRequest(http.MethodGet, path, nil))
	}
	s.do(httptest.NewRequest("SECRET", LivePath, nil))
	if n := len(s.log.lines(t)); n < 13 {
		t.Fatalf("only %d lines", n)
	}
	for _, leak := range []string{
		secret, strings.TrimPrefix(secret, "whsec_"), "header-secret", "SECRET", "jane", "gold", "evt-secret", "acc-secret", good[5],
	} {
		if strings.Contains(s.log.String(), leak) {
			t.Errorf("the log holds %q:\n%s", leak, s.log.String())
		}
	}
}
