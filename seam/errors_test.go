package seam_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/seam"
)

func envelope(errorType, message string) string {
	return fmt.Sprintf(`{"error":{"type":%q,"message":%q},"ok":false}`, errorType, message)
}

func TestErrorsAreClassified(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   error
		text   string
	}{
		{"no such account", 404, envelope("connected_account_not_found", "Connected account not found"), seam.ErrNotFound,
			"seam: /connected_accounts/get: 404 connected_account_not_found (request req-1)"},
		{"no such webview", 404, envelope("connect_webview_not_found", "x"), seam.ErrNotFound,
			"seam: /connected_accounts/get: 404 connect_webview_not_found (request req-1)"},
		{"a proxy's 404", 404, "404", seam.ErrUnavailable,
			"seam: /connected_accounts/get: 404: the answer is not in Seam's form (request req-1)"},
		{"a proxy's 404 page", 404, "<h1>planted-page</h1>", seam.ErrUnavailable,
			"seam: /connected_accounts/get: 404: the answer is not JSON (request req-1)"},
		{"another service's 404", 404, `{"message":"no Route matched"}`, seam.ErrUnavailable,
			"seam: /connected_accounts/get: 404: the answer is not in Seam's form (request req-1)"},
		{"a gateway's 404 in Seam's form", 404, envelope("route_not_found", "no such route"), seam.ErrUnavailable,
			"seam: /connected_accounts/get: 404 route_not_found: no such route (request req-1)"},
		{"a 404 without not found", 404, envelope("oops", "what"), seam.ErrUnavailable,
			"seam: /connected_accounts/get: 404 oops: what (request req-1)"},
		{"wrong key", 401, envelope("unauthorized", "API Key not found"), seam.ErrUnauthorized,
			"seam: /connected_accounts/get: 401 unauthorized: API Key not found (request req-1)"},
		{"wrong key, in text", 401, "no", seam.ErrUnauthorized,
			"seam: /connected_accounts/get: 401: the answer is not JSON (request req-1)"},
		{"forbidden", 403, "", seam.ErrUnauthorized,
			"seam: /connected_accounts/get: 403: the answer is empty (request req-1)"},
		{"no workspace", 400, envelope("missing_workspace_id", "provide it"), seam.ErrUnauthorized,
			"seam: /connected_accounts/get: 400 missing_workspace_id: provide it (request req-1)"},
		{"wrong key, as the fake says it", 400, envelope("invalid_client_session_token", "Invalid"), seam.ErrUnauthorized,
			"seam: /connected_accounts/get: 400 invalid_client_session_token: Invalid (request req-1)"},
		{"refused", 400, envelope("invalid_input", "Required"), seam.ErrInvalid,
			"seam: /connected_accounts/get: 400 invalid_input: Required (request req-1)"},
		{"another 400", 400, envelope("invalid_content_type", "json please"), seam.ErrUnavailable,
			"seam: /connected_accounts/get: 400 invalid_content_type: json please (request req-1)"},
		{"a 400 in text", 400, "Invalid JSON", seam.ErrUnavailable,
			"seam: /connected_accounts/get: 400: the answer is not JSON (request req-1)"},
		{"invalid_input with another status", 422, envelope("invalid_input", "x"), seam.ErrUnavailable,
			"seam: /connected_accounts/get: 422 invalid_input: x (request req-1)"},
		{"rate limited", 429, envelope("rate_limited", "slow down"), seam.ErrRateLimited,
			"seam: /connected_accounts/get: 429 rate_limited: slow down (request req-1)"},
		{"server error", 500, envelope("internal server error", "boom"), seam.ErrUnavailable,
			"seam: /connected_accounts/get: 500 internal server error: boom (request req-1)"},
		{"outage", 503, "", seam.ErrUnavailable, "seam: /connected_accounts/get: 503: the answer is empty (request req-1)"},
		{"a proxy's 502", 502, "<html>", seam.ErrUnavailable,
			"seam: /connected_accounts/get: 502: the answer is not JSON (request req-1)"},
		{"a redirect", 302, "", seam.ErrUnavailable, "seam: /connected_accounts/get: 302: the answer is empty (request req-1)"},
		{"200 that is not JSON", 200, "<html>", seam.ErrUnavailable,
			"seam: /connected_accounts/get: 200: the answer is not JSON (request req-1)"},
		{"200 without account", 200, `{"ok":true}`, seam.ErrUnavailable,
			"seam: /connected_accounts/get: 200: the answer has no connected_account (request req-1)"},
		{"metadata of another kind", 200, `{"connected_account":{"connected_account_id":"a","custom_metadata":[1]}}`, seam.ErrUnavailable,
			"seam: /connected_accounts/get: 200: the answer has a connected_account of another form (request req-1)"},
		{"another account", 200, `{"connected_account":{"connected_account_id":"b"}}`, seam.ErrUnavailable,
			"seam: /connected_accounts/get: 200: the answer is about another object than was asked for"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, mux := setup(t)
			answer(t, mux, "/connected_accounts/get", tt.status, tt.body, "Seam-Request-Id", "req-1", "Location", "/elsewhere")
			_, err := client.Account(t.Context(), "a")
			if diff := cmp.Diff(tt.text, fmt.Sprint(err)); diff != "" {
				t.Error(diff)
			}
			for _, kind := range []error{
				seam.ErrNotFound, seam.ErrUnauthorized, seam.ErrRateLimited, seam.ErrInvalid, seam.ErrUnavailable,
			} {
				//nolint:errorlint // the table names the sentinel itself
				if want := kind == tt.want; errors.Is(err, kind) != want {
					t.Errorf("errors.Is(%v) is %v, want %v", kind, !want, want)
				}
			}
		})
	}
}

func TestValidationErrorsAreFlattened(t *testing.T) {
	client, mux := setup(t)
	answer(t, mux, "/connected_accounts/update", 400, `{"error":{"type":"invalid_input","message":"3 Input Errors",
		"validation_errors":{"_errors":["at the top"],"custom_metadata":{"_errors":["too many keys"],
		"plan":{"_errors":["too long","too long","not this"]},"nested":{"deep":{"_errors":["no"]}}},"odd":7}},"ok":false}`)
	err := client.UpdateMetadata(t.Context(), "a", seam.Metadata{"plan": "x"})
	var e *seam.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want a *seam.Error", err)
	}
	want := []string{
		"at the top", "custom_metadata.nested.deep: no", "custom_metadata.plan: not this",
		"custom_metadata.plan: too long", "custom_metadata: too many keys",
	}
	if diff := cmp.Diff(want, e.Validation); diff != "" {
		t.Error(diff)
	}
	if got := err.Error(); !strings.Contains(got, "custom_metadata.plan: too long; custom_metadata: too many keys") {
		t.Errorf("the text lacks the validation errors: %s", got)
	}
}

// Whatever Seam echoes, no error text and no field of it holds what we sent (P9).
func TestErrorsHoldNoSecrets(t *testing.T) {
	const (
		value   = "Planted Value, \"quoted\"\n& more"
		numeric = "555000111"
		mail    = "guest.planted@hotel.example"
		short   = "planted"
	)
	echo := func(s string) string {
		return fmt.Sprintf("bad %s / %q for %s, Bearer %s, ask other.planted@example.org", s, s, mail, testKey)
	}
	body := fmt.Sprintf(`{"error":{"type":"bad_planted","message":%q,"validation_errors":{"custom_metadata":{
		"user":{"_errors":[%q]},%q:{"_errors":["got %s"]},"planted":{"_errors":["x"]}}}},"ok":false}`,
		echo(value), echo(value), mail, numeric)
	sent := seam.Metadata{
		"user": value, "mail": mail, "short": short, "no": "x",
		"n": jsonNumber(numeric), "nested": map[string]any{"list": []any{"Planted Deep"}},
	}
	for _, tt := range []struct {
		status int
		body   string
	}{{400, body}, {401, body}, {404, body}, {500, body}, {502, echo(value)}, {302, echo(value)}, {200, echo(value)}} {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			client, mux := setup(t)
			answer(t, mux, "/connected_accounts/update", tt.status, tt.body,
				"Seam-Request-Id", mail, "Location", "https://"+short+".example/"+testKey)
			err := client.UpdateMetadata(t.Context(), "a", sent)
			if tt.status == 200 {
				if err != nil {
					t.Fatalf("an update relies on the status only: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			var e *seam.Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %T, want *seam.Error", err)
			}
			all := fmt.Sprintf("%v %+v %q %q %q %q", err, e.Err, e.Message, e.Type, e.Validation, e.RequestID)
			for _, secret := range []string{testKey, "lanted", numeric, "@", "more", "quoted"} {
				if strings.Contains(all, secret) {
					t.Errorf("%q shows in %s", secret, all)
				}
			}
			if tt.status == 400 && !strings.Contains(err.Error(), "custom_metadata.user: bad [value] / ") {
				t.Errorf("the error names no key: %v", err)
			}
		})
	}
}

func TestErrorTextIsShort(t *testing.T) {
	client, mux := setup(t)
	answer(t, mux, "/webhooks/create", 400, envelope("invalid_input", strings.Repeat("é", 5000)))
	_, err := client.CreateWebhook(t.Context(), "https://x.example/planted", nil)
	var e *seam.Error
	if !errors.As(err, &e) || len([]rune(e.Message)) != 300 || !strings.HasSuffix(e.Message, "é…") {
		t.Errorf("the message is not cut to 300 characters: %v", err)
	}
}

func TestTransportErrorsHoldNoURL(t *testing.T) {
	refused := errors.New("dial tcp: connection refused, key " + testKey)
	client, _ := setup(t, func(o *seam.Options) {
		o.Endpoint = "https://planted.example/prefix"
		o.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, refused })
	})
	_, err := client.Account(t.Context(), "a")
	if !errors.Is(err, seam.ErrUnavailable) || !errors.Is(err, refused) {
		t.Errorf("error is %v, want unavailable and the cause", err)
	}
	if want := "seam: /connected_accounts/get: no answer: dial tcp: connection refused, key [key]"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestCancellationStaysVisible(t *testing.T) {
	for name, cancel := range map[string]func(context.CancelCauseFunc){
		"plain":        func(c context.CancelCauseFunc) { c(nil) },
		"with a cause": func(c context.CancelCauseFunc) { c(errors.New("the lock is lost")) },
	} {
		t.Run(name, func(t *testing.T) {
			client, mux := setup(t)
			ctx, cancelCause := context.WithCancelCause(t.Context())
			mux.HandleFunc("/connected_accounts/get", func(_ http.ResponseWriter, r *http.Request) {
				cancel(cancelCause)
				untilGone(t, r)
			})
			_, err := client.Account(ctx, "a")
			if !errors.Is(err, context.Canceled) || errors.Is(err, seam.ErrUnavailable) {
				t.Errorf("error is %v, want cancelled and not unavailable", err)
			}
		})
	}
}

func TestTimeoutIsUnavailable(t *testing.T) {
	client, mux := setup(t, func(o *seam.Options) { o.Timeout = time.Millisecond })
	mux.HandleFunc("/connected_accounts/get", func(_ http.ResponseWriter, r *http.Request) {
		untilGone(t, r)
	})
	_, err := client.Account(t.Context(), "a")
	if !errors.Is(err, seam.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v, want unavailable by deadline", err)
	}
}

func TestRetryAfterReachesTheLimiter(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		header string
		want   time.Duration
		slowed bool
	}{
		"seconds":           {429, "7", 7 * time.Second, true},
		"a date":            {429, testNow.Add(90 * time.Second).Format(http.TimeFormat), 90 * time.Second, true},
		"not said":          {429, "", time.Second, true},
		"nonsense":          {429, "soon", time.Second, true},
		"zero":              {429, "0", time.Second, true},
		"negative":          {429, "-5", time.Second, true},
		"a date long ago":   {429, testNow.Add(-time.Hour).Format(http.TimeFormat), time.Second, true},
		"more than an hour": {429, "86400", time.Hour, true},
		"a far date":        {429, testNow.AddDate(1, 0, 0).Format(http.TimeFormat), time.Hour, true},
		"an outage":         {503, "30", 30 * time.Second, false},
		"an outage, silent": {503, "", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := &limiter{}
			client, mux := setup(t, func(o *seam.Options) { o.Limiter = l })
			answer(t, mux, "/workspaces/get", tt.status, "", "Retry-After", tt.header)
			_, err := client.Workspace(t.Context())
			var e *seam.Error
			if !errors.As(err, &e) || e.RetryAfter != tt.want {
				t.Errorf("error is %v, want one with RetryAfter %v", err, tt.want)
			}
			var want []time.Duration
			if tt.slowed {
				want = []time.Duration{tt.want}
			}
			if diff := cmp.Diff(want, l.slow); diff != "" || l.waits != 1 {
				t.Errorf("the limiter waited %d times and was slowed: %s", l.waits, diff)
			}
		})
	}
}

// untilGone returns when the client has given up. The server notices that only once the body is read.
func untilGone(t *testing.T, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		t.Logf("read the body: %v", err)
	}
	<-r.Context().Done()
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
