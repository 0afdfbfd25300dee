package sandbox_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"seamtag/seam"
	"seamtag/seam/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC)

// setup gives a sandbox that is served, and a client of it.
func setup(t *testing.T, o sandbox.Options) (*sandbox.Sandbox, *seam.Client) {
	t.Helper()
	var n int
	o.NewID = func() string { n++; return fmt.Sprintf("id-%d", n) }
	o.Now = func() time.Time { return now }
	box := sandbox.New(o)
	server := httptest.NewServer(box)
	t.Cleanup(server.Close)
	return box, running{URL: server.URL}.client(t, box.APIKey())
}

func TestConnectCopiesTheWebview(t *testing.T) {
	box, client := setup(t, sandbox.Options{WorkspaceID: "ws"})
	webview := box.AddWebview(sandbox.WebviewSpec{ID: "w1", CustomerKey: "acme", Metadata: seam.Metadata{"user_id": "u1"}})
	got := box.Connect(webview, sandbox.AccountID("a1"))
	want := `{"event_id":"id-2","event_type":"connected_account.connected","workspace_id":"ws",` +
		`"created_at":"2026-11-23T12:00:00.123456Z","occurred_at":"2026-11-23T12:00:00.123456Z",` +
		`"connected_account_id":"a1","connect_webview_id":"w1","customer_key":"acme",` +
		`"connected_account_custom_metadata":{"user_id":"u1"}}`
	if diff := cmp.Diff(want, string(got.Body)); diff != "" {
		t.Error(diff)
	}
	parsed, err := seam.ParseEvent(got.Body)
	if diff := cmp.Diff(parsed, got.Event); diff != "" || err != nil {
		t.Error(err, diff)
	}
	account, err := client.Account(t.Context(), "a1")
	if err != nil || account.CustomerKey != "acme" {
		t.Errorf("customer_key is %q (%v), want the webview's", account.CustomerKey, err)
	}
	w, err := client.Webview(t.Context(), "w1")
	if err != nil || w.AccountID != "a1" || w.Status != "authorized" || w.AuthorizedAt.IsZero() || w.CustomerKey != "acme" {
		t.Errorf("the webview is %q of %q (%v), want it authorized", w.Status, w.AccountID, err)
	}
	events := box.Events()
	if len(events) != 2 || events[0].Event.EventType != seam.TypeLoginSucceeded || events[0].Event.ConnectWebviewID != "w1" {
		t.Errorf("%d events, want the login before the connection", len(events))
	}
}

func TestReconnect(t *testing.T) {
	for name, tt := range map[string]struct {
		webview seam.Metadata
		options []sandbox.ConnectOption
		want    seam.Metadata
	}{
		"replaces":                    {seam.Metadata{"user_id": "u2"}, nil, seam.Metadata{"user_id": "u2"}},
		"by an empty webview empties": {nil, nil, seam.Metadata{}},
		"or does not": {
			nil,
			[]sandbox.ConnectOption{sandbox.WipeOnEmpty(false)},
			seam.Metadata{"user_id": "u1", "plan": "gold"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			box, _ := setup(t, sandbox.Options{})
			box.Connect(box.AddWebview(sandbox.WebviewSpec{CustomerKey: "acme"}), sandbox.AccountID("a1"))
			box.SetMetadata("a1", seam.Metadata{"user_id": "u1", "plan": "gold"})
			second := box.AddWebview(sandbox.WebviewSpec{CustomerKey: "other", Metadata: tt.webview})
			occ := box.Reconnect("a1", second, tt.options...)
			if occ.Event.ConnectedAccountID != "a1" || occ.Event.CustomerKey != "acme" || occ.Event.ConnectWebviewID != second {
				t.Errorf("the event is about %+v", occ.Event)
			}
			got, ok := box.Metadata("a1")
			if diff := cmp.Diff(tt.want, got); diff != "" || !ok {
				t.Error(ok, diff)
			}
		})
	}
}

func TestConnectOptions(t *testing.T) {
	box, client := setup(t, sandbox.Options{})
	earlier := now.Add(-48 * time.Hour)
	webview := box.AddWebview(sandbox.WebviewSpec{})
	silent := box.Connect(webview, sandbox.WithoutWebviewID(), sandbox.At(earlier), sandbox.AccountID("a1"))
	if silent.Event.ConnectWebviewID != "" || !silent.Event.OccurredAt.Equal(earlier.Truncate(time.Microsecond)) {
		t.Errorf("got webview %q at %v", silent.Event.ConnectWebviewID, silent.Event.OccurredAt)
	}
	logins, err := client.Events(t.Context(), seam.EventQuery{AccountID: "a1", Type: seam.TypeLoginSucceeded})
	if err != nil || len(logins) != 1 || logins[0].ConnectWebviewID != webview {
		t.Errorf("%d logins (%v), want the one that names the webview", len(logins), err)
	}
	gone := box.Connect("unknown-webview", sandbox.AccountID("a2"))
	if _, err := client.Webview(t.Context(), gone.Event.ConnectWebviewID); !errors.Is(err, seam.ErrNotFound) {
		t.Errorf("the webview is known: %v", err)
	}
	events, err := client.Events(t.Context(), seam.EventQuery{Type: seam.TypeAccountConnected})
	if err != nil || len(events) != 2 || events[0].ConnectedAccountID != "a2" {
		t.Errorf("%d events (%v), want the newest first", len(events), err)
	}
}

func TestDeletedThingsAreNotFound(t *testing.T) {
	box, client := setup(t, sandbox.Options{})
	webview := box.AddWebview(sandbox.WebviewSpec{})
	account := box.Connect(webview).Event.ConnectedAccountID
	box.DeleteAccount(account)
	box.DeleteWebview(webview)
	if _, err := client.Account(t.Context(), account); !errors.Is(err, seam.ErrNotFound) {
		t.Errorf("the account: %v", err)
	}
	if _, err := client.Webview(t.Context(), webview); !errors.Is(err, seam.ErrNotFound) {
		t.Errorf("the webview: %v", err)
	}
	if _, ok := box.Metadata(account); ok {
		t.Error("Metadata still knows the account")
	}
}

func TestFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		fault sandbox.Fault
		want  error
		says  string
	}{
		"outage":       {sandbox.Fault{Status: 503}, seam.ErrUnavailable, "503: the answer is empty"},
		"proxy":        {sandbox.Fault{Status: 502, Body: "<html>bad gateway"}, seam.ErrUnavailable, "502: the answer is not JSON"},
		"rate limit":   {sandbox.Fault{Status: 429, RetryAfter: 1500 * time.Millisecond}, seam.ErrRateLimited, "429"},
		"typed":        {sandbox.Fault{Status: 400, Type: "invalid_input", Message: "no"}, seam.ErrInvalid, "400 invalid_input: no"},
		"dropped":      {sandbox.Fault{DropConnection: true}, seam.ErrUnavailable, "no answer: EOF"},
		"on endpoint":  {sandbox.Fault{Status: 500, Endpoint: "/connected_accounts/get"}, seam.ErrUnavailable, "500"},
		"on account":   {sandbox.Fault{Status: 500, OnlyAccount: "a1"}, seam.ErrUnavailable, "500"},
		"other place":  {sandbox.Fault{Status: 500, Endpoint: "/connected_accounts/update"}, nil, ""},
		"other one":    {sandbox.Fault{Status: 500, OnlyAccount: "a2"}, nil, ""},
		"latency only": {sandbox.Fault{Latency: time.Nanosecond}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			box, client := setup(t, sandbox.Options{})
			box.Connect(box.AddWebview(sandbox.WebviewSpec{}), sandbox.AccountID("a1"))
			tt.fault.Times = 2
			box.Fail(tt.fault)
			for range 2 {
				_, err := client.Account(t.Context(), "a1")
				if !errors.Is(err, tt.want) || tt.want != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v, want %v with %q", err, tt.want, tt.says)
				}
				var e *seam.Error
				if errors.As(err, &e) && tt.fault.RetryAfter > 0 && e.RetryAfter != 2*time.Second {
					t.Errorf("Retry-After is %v, want it rounded up to 2 s", e.RetryAfter)
				}
			}
			if _, err := client.Account(t.Context(), "a1"); err != nil {
				t.Errorf("after its times: %v", err)
			}
			if box.Calls("/connected_accounts/get") != 3 || box.Calls("") != 3 {
				t.Errorf("counted %d calls, want 3", box.Calls("/connected_accounts/get"))
			}
		})
	}
}

func TestHealEndsFaults(t *testing.T) {
	box, client := setup(t, sandbox.Options{})
	box.Fail(sandbox.Fault{Status: 500})
	for range 3 {
		if _, err := client.Workspace(t.Context()); !errors.Is(err, seam.ErrUnavailable) {
			t.Errorf("got %v, want it to last", err)
		}
	}
	box.Heal()
	box.ResetCalls()
	if _, err := client.Workspace(t.Context()); err != nil || box.Calls("") != 1 {
		t.Errorf("after Heal: %v, %d calls", err, box.Calls(""))
	}
}

func TestKeys(t *testing.T) {
	_, homeless := setup(t, sandbox.Options{RequireWorkspace: true, WorkspaceID: "ws", APIKey: "seam_at_x"})
	_, err := homeless.Workspace(t.Context())
	if !errors.Is(err, seam.ErrUnauthorized) || !strings.Contains(err.Error(), "400 missing_workspace_id") {
		t.Errorf("without workspace: %v", err)
	}
	box, client := setup(t, sandbox.Options{})
	box.RevokeKey()
	if _, err := client.Workspace(t.Context()); !errors.Is(err, seam.ErrUnauthorized) {
		t.Errorf("revoked: %v", err)
	}
	box.RestoreKey()
	if _, err := client.Workspace(t.Context()); err != nil {
		t.Errorf("restored: %v", err)
	}
}

func TestOnUpdatePlaysAnotherWriter(t *testing.T) {
	box, client := setup(t, sandbox.Options{})
	id := box.Connect(box.AddWebview(sandbox.WebviewSpec{})).Event.ConnectedAccountID
	box.OnUpdate(func(accountID string) {
		md, _ := box.Metadata(accountID)
		md["foreign"] = true
		box.SetMetadata(accountID, md)
	})
	if err := client.UpdateMetadata(t.Context(), id, seam.Metadata{"ours": "x"}); err != nil {
		t.Fatal(err)
	}
	got, _ := box.Metadata(id)
	if diff := cmp.Diff(seam.Metadata{"ours": "x", "foreign": true}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSandboxIsSafeForConcurrentUse(t *testing.T) {
	box := sandbox.New(sandbox.Options{})
	server := httptest.NewServer(box)
	t.Cleanup(server.Close)
	client := running{URL: server.URL}.client(t, box.APIKey())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id := box.Connect(box.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"i": "x"}})).Event.ConnectedAccountID
			box.Fail(sandbox.Fault{Endpoint: "/events/get", Status: 500, Times: 1})
			if err := client.UpdateMetadata(t.Context(), id, seam.Metadata{"n": strconv.Itoa(i)}); err != nil {
				t.Error(err)
			}
			if _, err := client.Accounts(t.Context(), seam.AccountQuery{Limit: 3}); err != nil {
				t.Error(err)
			}
			box.SetMetadata(id, nil)
			_ = box.Events()
		})
	}
	wg.Wait()
	if box.Calls("/connected_accounts/update") != 8 {
		t.Errorf("counted %d updates, want 8", box.Calls("/connected_accounts/update"))
	}
}

// What the client never calls is still there for somebody with curl.
func TestWebhooksAndSingleEvents(t *testing.T) {
	box, client := setup(t, sandbox.Options{})
	server := httptest.NewServer(box)
	t.Cleanup(server.Close)
	r := running{URL: server.URL, Key: box.APIKey()}
	hook, err := client.CreateWebhook(t.Context(), "https://x.example/hook", nil)
	if err != nil || !strings.HasPrefix(hook.Secret, "whsec_") {
		t.Fatalf("got %v, want a secret", err)
	}
	occ := box.Connect(box.AddWebview(sandbox.WebviewSpec{}))
	id := fmt.Sprintf(`{"webhook_id":%q`, hook.ID)
	for _, tt := range []struct {
		path, body string
		status     int
		says       string
	}{
		{"/webhooks/get", id + `}`, 200, `"event_types":["*"]`},
		{"/webhooks/update", id + `,"event_types":["connected_account.connected"]}`, 200, `"ok":true`},
		{"/webhooks/get", id + `}`, 200, `"event_types":["connected_account.connected"]`},
		{"/webhooks/update", id + `}`, 400, `event_types is required`},
		{"/webhooks/delete", id + `}`, 200, `"ok":true`},
		{"/webhooks/get", id + `}`, 404, `webhook_not_found`},
		{"/webhooks/get", `{}`, 400, `webhook_id is required`},
		{"/events/get", `{"event_id":"` + occ.Event.EventID + `"}`, 200, string(occ.Body)},
		{"/events/get", `{"event_id":"nope"}`, 404, `event_not_found`},
		{"/events/list", `{"since":"soon","limit":0,"event_types":"x","unstable_offset":"y"}`, 400, `4 Input Errors: `},
		{"/events/list", `{"between":["2026-11-23T00:00:00Z"]}`, 400, `Array must contain 2 element(s)`},
		{"/connected_accounts/get", `{"connected_account_id":7}`, 400, `Expected string, received number`},
		{"/connected_accounts/list", `{"page_cursor":"???"}`, 400, `Invalid page cursor`},
		{"/connect_webviews/create", `{"custom_metadata":null}`, 400, `Expected object, received null`},
		{"/workspaces/get", ``, 200, `"is_sandbox":true`},
	} {
		status, body := post(t, r, tt.path, tt.body)
		if status != tt.status || !strings.Contains(strings.ReplaceAll(body, `\"`, `"`), tt.says) {
			t.Errorf("%s %s: got %d %s, want %d with %s", tt.path, tt.body, status, body, tt.status, tt.says)
		}
	}
}

func TestCallsOfAnotherFormAreRefused(t *testing.T) {
	box := sandbox.New(sandbox.Options{})
	for name, tt := range map[string]struct {
		method, contentType, auth string
		status                    int
		errorType                 string
	}{
		"method":       {http.MethodPut, "application/json", "Bearer " + sandbox.DefaultAPIKey, 405, "method_not_allowed"},
		"content type": {http.MethodPost, "text/plain", "Bearer " + sandbox.DefaultAPIKey, 400, "invalid_content_type"},
		"no key":       {http.MethodPost, "application/json", "", 401, "unauthorized"},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequestWithContext(t.Context(), tt.method, "/workspaces/get", strings.NewReader(`{}`))
			req.Header.Set("Content-Type", tt.contentType)
			req.Header.Set("Authorization", tt.auth)
			w := httptest.NewRecorder()
			box.ServeHTTP(w, req)
			var answer struct {
				Error struct{ Type string }
				OK    *bool
			}
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatal(err)
			}
			if w.Code != tt.status || answer.Error.Type != tt.errorType || answer.OK == nil || *answer.OK ||
				w.Header().Get("Seam-Request-Id") == "" {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
}
