package seam_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"seamtag/seam"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func jsonNumber(s string) json.Number { return json.Number(s) }

func TestNewRefusesWrongOptions(t *testing.T) {
	const (
		planted = "hunter2"
		token   = " holds a space, a line break or a character outside of ASCII"
		query   = "seam: the endpoint must not hold a query or fragment"
	)
	at := func(endpoint string) seam.Options { return seam.Options{APIKey: planted, Endpoint: endpoint} }
	for name, tt := range map[string]struct {
		options seam.Options
		want    string
	}{
		"no key":            {seam.Options{}, "seam: the API key is empty"},
		"key with newline":  {seam.Options{APIKey: planted + "\n"}, "seam: the API key" + token},
		"workspace":         {seam.Options{APIKey: planted, WorkspaceID: "a b"}, "seam: the workspace id" + token},
		"not a URL":         {at("https://u:" + planted + "@x y/"), "seam: the endpoint is not a URL"},
		"scheme":            {at("connect.getseam.com"), "seam: the endpoint must begin with https:// or http://"},
		"host":              {at("https:///path"), "seam: the endpoint has no host"},
		"port alone":        {at("https://:443"), "seam: the endpoint has no host"},
		"password":          {at("https://u:" + planted + "@x.example"), "seam: the endpoint must not hold a user or password"},
		"query":             {at("https://x.example/?k=" + planted), query},
		"negative timeout":  {seam.Options{APIKey: planted, Timeout: -1}, "seam: the timeout is negative"},
		"fragment":          {at("https://x.example/#" + planted), query},
		"key outside ASCII": {seam.Options{APIKey: "ключ"}, "seam: the API key" + token},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := seam.New(tt.options)
			if diff := cmp.Diff(tt.want, fmt.Sprint(err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestClientPrintsNoKey(t *testing.T) {
	client, err := seam.New(seam.Options{APIKey: testKey})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%v %+v %#v %s", client, client, client, client); strings.Contains(got, testKey) {
		t.Errorf("the key shows in %s", got)
	}
}

func TestRequestsCarryTheKeyAndTheWorkspace(t *testing.T) {
	var observed []string
	client, mux := setup(t, func(o *seam.Options) {
		o.WorkspaceID = "ws-1"
		o.Endpoint += "/prefix/"
		o.Observe = func(_ context.Context, endpoint string, status int, _ time.Duration) {
			observed = append(observed, fmt.Sprint(endpoint, " ", status))
		}
	})
	seen := answer(t, mux, "/prefix/workspaces/get", 200,
		`{"workspace":{"workspace_id":"ws-1","name":"Hotel","is_sandbox":true},"ok":true}`)
	got, err := client.Workspace(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(seam.Workspace{ID: "ws-1", Name: "Hotel", IsSandbox: true}, got); diff != "" {
		t.Error(diff)
	}
	header := seen.only(t).header
	for name, want := range map[string]string{
		"Authorization": "Bearer " + testKey, "Seam-Workspace": "ws-1",
		"Content-Type": "application/json", "User-Agent": "seamtag",
	} {
		if header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, header.Get(name), want)
		}
	}
	if diff := cmp.Diff([]string{"/workspaces/get 200"}, observed); diff != "" {
		t.Error(diff)
	}
}

func TestObserveSeesACallWithoutAnswer(t *testing.T) {
	var observed []string
	client, _ := setup(t, func(o *seam.Options) {
		o.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("down") })
		o.Observe = func(_ context.Context, endpoint string, status int, _ time.Duration) {
			observed = append(observed, fmt.Sprint(endpoint, " ", status))
		}
	})
	if _, err := client.Workspace(t.Context()); !errors.Is(err, seam.ErrUnavailable) {
		t.Errorf("error is %v, want unavailable", err)
	}
	if diff := cmp.Diff([]string{"/workspaces/get 0"}, observed); diff != "" {
		t.Error(diff)
	}
}

func TestNoCallWithoutTheLimiter(t *testing.T) {
	closed := errors.New("closed")
	client, mux := setup(t, func(o *seam.Options) { o.Limiter = &limiter{err: closed} })
	seen := answer(t, mux, "/workspaces/get", 200, `{}`)
	if _, err := client.Workspace(t.Context()); !errors.Is(err, closed) {
		t.Errorf("error is %v, want the limiter's", err)
	}
	if len(seen.all) != 0 {
		t.Error("called all the same")
	}
}

func TestAccountIsReadLeniently(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want seam.Account
	}{
		"in full": {
			`{"connected_account_id":"a","customer_key":"acme","account_type":"august","display_name":"Front desk",
			"created_at":"2026-11-23T10:00:00.5Z","custom_metadata":{"n":1.0,"s":"x","b":false,"z":null},"new":{}}`,
			seam.Account{
				ID: "a", CustomerKey: "acme", AccountType: "august", DisplayName: "Front desk",
				CreatedAt: time.Date(2026, 11, 23, 10, 0, 0, 5e8, time.UTC),
				Metadata:  seam.Metadata{"n": json.Number("1.0"), "s": "x", "b": false, "z": nil},
			},
		},
		"null metadata":      {`{"connected_account_id":"a","custom_metadata":null}`, seam.Account{ID: "a", Metadata: seam.Metadata{}}},
		"the least there is": {`{"connected_account_id":"a"}`, seam.Account{ID: "a", Metadata: seam.Metadata{}}},
		"odd optional fields": {
			`{"connected_account_id":"A","customer_key":7,"created_at":"x"}`,
			seam.Account{ID: "A", Metadata: seam.Metadata{}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, mux := setup(t)
			answer(t, mux, "/connected_accounts/get", 200, `{"connected_account":`+tt.body+`,"ok":true}`)
			got, err := client.Account(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			if got.Raw == nil {
				t.Error("Raw is empty")
			}
			got.Raw = nil
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUpdateSendsTheWholeObject(t *testing.T) {
	for name, tt := range map[string]struct {
		md   seam.Metadata
		want map[string]any
	}{
		"values": {seam.Metadata{"s": "a<b", "b": true, "n": jsonNumber("7")}, map[string]any{"s": "a<b", "b": true, "n": 7.0}},
		"none":   {nil, map[string]any{}},
	} {
		t.Run(name, func(t *testing.T) {
			client, mux := setup(t)
			seen := answer(t, mux, "/connected_accounts/update", 200, `whatever`)
			if err := client.UpdateMetadata(t.Context(), "a", tt.md); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{"connected_account_id": "a", "custom_metadata": tt.want}
			if diff := cmp.Diff(want, seen.only(t).body); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestListsFollowTheCursor(t *testing.T) {
	for name, tt := range map[string]struct{ pagination, want string }{
		"more":      {`,"pagination":{"has_next_page":true,"next_page_cursor":"c2"}`, "c2"},
		"last":      {`,"pagination":{"has_next_page":false,"next_page_cursor":null}`, ""},
		"last, odd": {`,"pagination":{"has_next_page":false,"next_page_cursor":"c2"}`, ""},
		"absent":    {``, ""},
	} {
		t.Run(name, func(t *testing.T) {
			client, mux := setup(t)
			accounts := answer(t, mux, "/connected_accounts/list", 200, `{"connected_accounts":[{"connected_account_id":"a"}]`+tt.pagination+`}`)
			webviews := answer(t, mux, "/connect_webviews/list", 200,
				`{"connect_webviews":[{"connect_webview_id":"w","connected_account_id":null}]`+tt.pagination+`}`)
			got, err := client.Accounts(t.Context(), seam.AccountQuery{Cursor: "c1", Limit: 2})
			if err != nil || got.NextCursor != tt.want || len(got.Accounts) != 1 || got.Accounts[0].ID != "a" {
				t.Errorf("accounts: %v %v, want one and cursor %q", got, err, tt.want)
			}
			page, err := client.Webviews(t.Context(), seam.WebviewQuery{Cursor: "c1", Limit: 2, CustomerKey: "acme"})
			if err != nil || page.NextCursor != tt.want || len(page.Webviews) != 1 || page.Webviews[0].ID != "w" {
				t.Errorf("webviews: %v %v, want one and cursor %q", page, err, tt.want)
			}
			want := map[string]any{"page_cursor": "c1", "limit": 2.0}
			if diff := cmp.Diff(want, accounts.only(t).body); diff != "" {
				t.Error(diff)
			}
			want["customer_key"] = "acme"
			if diff := cmp.Diff(want, webviews.only(t).body); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWebviewIsReadInFull(t *testing.T) {
	client, mux := setup(t)
	answer(t, mux, "/connect_webviews/get", 200, `{"connect_webview":{"connect_webview_id":"w","connected_account_id":"a",
		"customer_key":"acme","status":"authorized","created_at":"2026-11-23T10:00:00Z","authorized_at":"2026-11-23T10:05:00Z",
		"custom_metadata":{"user_id":"u1"}}}`)
	got, err := client.Webview(t.Context(), "w")
	if err != nil {
		t.Fatal(err)
	}
	got.Raw = nil
	created := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	want := seam.Webview{
		ID: "w", AccountID: "a", CustomerKey: "acme", Status: "authorized", CreatedAt: created,
		AuthorizedAt: created.Add(5 * time.Minute), Metadata: seam.Metadata{"user_id": "u1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWebhooks(t *testing.T) {
	client, mux := setup(t)
	seen := answer(t, mux, "/webhooks/create", 200,
		`{"webhook":{"webhook_id":"h","url":"https://x.example","secret":"whsec_x","event_types":["*"]}}`)
	answer(t, mux, "/webhooks/list", 200, `{"webhooks":[{"webhook_id":"h","url":"https://x.example"}]}`)
	created, err := client.CreateWebhook(t.Context(), "https://x.example", []string{"*"})
	want := seam.Webhook{ID: "h", URL: "https://x.example", Secret: "whsec_x", EventTypes: []string{"*"}}
	if diff := cmp.Diff(want, created); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if diff := cmp.Diff(map[string]any{"url": "https://x.example", "event_types": []any{"*"}}, seen.only(t).body); diff != "" {
		t.Error(diff)
	}
	list, err := client.Webhooks(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != "h" {
		t.Errorf("got %v %v, want the one webhook", list, err)
	}
}

func TestAnswersHaveALimit(t *testing.T) {
	client, mux := setup(t)
	answer(t, mux, "/workspaces/get", 200, strings.Repeat(" ", 32<<20)+`{"workspace":{}}`)
	_, err := client.Workspace(t.Context())
	if !errors.Is(err, seam.ErrUnavailable) || !strings.Contains(err.Error(), "over 32 MiB") {
		t.Errorf("error is %v, want one about the size", err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	client, mux := setup(t)
	answer(t, mux, "/workspaces/get", http.StatusTemporaryRedirect, "", "Location", "/thief")
	thief := answer(t, mux, "/thief", 200, `{}`)
	if _, err := client.Workspace(t.Context()); !errors.Is(err, seam.ErrUnavailable) {
		t.Errorf("error is %v, want unavailable", err)
	}
	if len(thief.all) != 0 {
		t.Error("the key was sent to where the redirect points")
	}
}

func TestMetadataCloneAndNumbers(t *testing.T) {
	var md seam.Metadata
	if err := json.Unmarshal([]byte(`{"n":12345678901234567890,"s":"x"}`), &md); err != nil {
		t.Fatal(err)
	}
	clone := md.Clone()
	clone["s"] = "y"
	if diff := cmp.Diff(seam.Metadata{"n": json.Number("12345678901234567890"), "s": "x"}, md); diff != "" {
		t.Error(diff)
	}
	if seam.Metadata(nil).Clone() != nil {
		t.Error("the clone of nil is not nil")
	}
	if err := json.Unmarshal([]byte(`["planted"]`), &md); err == nil || strings.Contains(err.Error(), "planted") {
		t.Errorf("error is %v, want one without the input", err)
	}
}

// heldBackError is a limiter's error.
type heldBackError struct{ d time.Duration }

func (h heldBackError) Error() string           { return "held back" }
func (h heldBackError) HeldBack() time.Duration { return h.d }

func TestBeingHeldBackIsARateLimit(t *testing.T) {
	client, _ := setup(t, func(o *seam.Options) { o.Limiter = &limiter{err: fmt.Errorf("ask: %w", heldBackError{time.Minute})} })
	_, err := client.Account(t.Context(), "a")
	var e *seam.Error
	if !errors.Is(err, seam.ErrRateLimited) || errors.Is(err, seam.ErrUnavailable) || !errors.As(err, &e) || e.RetryAfter != time.Minute {
		t.Errorf("%v is not a rate limit of a minute", err)
	}
}
