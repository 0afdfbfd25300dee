package sandbox_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/internal/parts"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

// differences is where the three differ on purpose; everything else must be the same.
type differences struct {
	merges        bool // an update merges instead of replacing: documented is replacing, the fake merges
	storesNull    bool // a null is stored instead of being no key; whether it deletes in production is open
	takesNumbers  bool // numbers pass: the fake does not hold them against Seam's types
	pagesWebviews bool // connect_webviews/list pages: the fake answers all at once
	limitsEvents  bool // events/list honours limit, unstable_offset: the fake ignores them
	newestFirst   bool // events/list begins with the newest: the fake begins with the oldest
	secretOnce    bool // the secret of a webhook is answered once: the fake lists it too
	webviewByHTTP bool // connect_webviews/create keeps custom_metadata: the fake drops it
	unauthorized  int  // the status of an unknown key: the fake tries other kinds of keys after it and answers about those
}

type peer struct {
	differences

	name  string
	start func(t *testing.T, s seed) running
}

func peers() []peer {
	replace := differences{
		pagesWebviews: true, limitsEvents: true, newestFirst: true, secretOnce: true, webviewByHTTP: true,
		unauthorized: http.StatusUnauthorized,
	}
	merge := replace
	merge.merges, merge.storesNull = true, true
	fake := differences{
		merges: true, storesNull: true, takesNumbers: true,
		unauthorized: http.StatusBadRequest,
	}
	return []peer{
		{replace, "sandbox replace", startSandbox(sandbox.Replace)},
		{merge, "sandbox merge", startSandbox(sandbox.Merge)},
		{fake, "fake-seam-connect", startFake},
	}
}

// seed is what is there before a behaviour runs, in the words of fake-seam.mjs.
type seed struct {
	Webviews []seedWebview `json:"webviews"`
	Accounts []seedAccount `json:"accounts"`
	Events   []seedEvent   `json:"events"`
}

type seedWebview struct {
	Metadata seam.Metadata `json:"custom_metadata"`
	Account  string        `json:"connected_account_id,omitempty"`
}

type seedAccount struct {
	ID       string        `json:"connected_account_id"`
	Metadata seam.Metadata `json:"custom_metadata"`
}

type seedEvent struct {
	Type    string `json:"event_type"`
	Account string `json:"connected_account_id"`
	Webview int    `json:"webview"`
	At      string `json:"created_at"`
}

// running is a peer with its seed in it.
type running struct {
	URL      string   `json:"url"`
	Key      string   `json:"api_key"`
	Webviews []string `json:"webview_ids"`
}

func (r running) client(t *testing.T, key string) *seam.Client {
	t.Helper()
	c, err := seam.New(seam.Options{APIKey: key, Endpoint: r.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// standard is three accounts in the order of their ids, with one webview each.
func standard() seed {
	var s seed
	for i, id := range []string{"account_a", "account_b", "account_c"} {
		s.Webviews = append(s.Webviews, seedWebview{Metadata: seam.Metadata{"user_id": fmt.Sprintf("u%d", i)}, Account: id})
		s.Accounts = append(s.Accounts, seedAccount{ID: id, Metadata: seam.Metadata{"site": "hq", "vip": true}})
		s.Events = append(s.Events, seedEvent{
			Type: seam.TypeAccountConnected, Account: id, Webview: i,
			At: base.Add(time.Duration(i) * time.Hour).Format("2006-01-02T15:04:05.000Z"),
		})
	}
	return s
}

var base = time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)

func startSandbox(semantics sandbox.Semantics) func(*testing.T, seed) running {
	return func(t *testing.T, s seed) running {
		t.Helper()
		box := sandbox.New(sandbox.Options{Semantics: semantics})
		server := httptest.NewServer(box)
		t.Cleanup(server.Close)
		r := running{URL: server.URL, Key: box.APIKey()}
		for _, w := range s.Webviews {
			r.Webviews = append(r.Webviews, box.AddWebview(sandbox.WebviewSpec{Metadata: w.Metadata}))
		}
		for _, e := range s.Events {
			at, err := time.Parse(time.RFC3339Nano, e.At)
			if err != nil {
				t.Fatal(err)
			}
			box.Connect(r.Webviews[e.Webview], sandbox.AccountID(e.Account), sandbox.At(at))
		}
		for _, a := range s.Accounts {
			box.SetMetadata(a.ID, a.Metadata)
		}
		return r
	}
}

func startFake(t *testing.T, s seed) running {
	t.Helper()
	line := parts.FakeSeam(t, s)
	var r running
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatalf("the fake said %q: %v", line, err)
	}
	return r
}

// TestConformance runs every behaviour against the sandbox's two semantics and against Seam's own fake.
func TestConformance(t *testing.T) {
	for _, p := range peers() {
		t.Run(p.name, func(t *testing.T) {
			r := p.start(t, standard())
			client := r.client(t, r.Key)
			for _, b := range behaviours {
				t.Run(b.name, func(t *testing.T) { b.run(t, p, r, client) })
			}
		})
	}
}

// behaviours run in this order on one seed; those that write use accounts of their own.
var behaviours = []struct {
	name string
	run  func(t *testing.T, p peer, r running, client *seam.Client)
}{
	{"reads an account", readsAnAccount},
	{"reads a webview", readsAWebview},
	{"knows no other", knowsNoOther},
	{"pages accounts", pagesAccounts},
	{"pages webviews", pagesWebviews},
	{"lists events", listsEvents},
	{"updates metadata", updatesMetadata},
	{"takes null", takesNull},
	{"holds metadata against its limits", holdsLimits},
	{"refuses an unknown key", refusesAnUnknownKey},
	{"registers webhooks", registersWebhooks},
	{"creates webviews", createsWebviews},
	{"answers text for a wrong path", answersTextForAWrongPath},
	{"tells its workspace", tellsItsWorkspace},
}

func readsAnAccount(t *testing.T, _ peer, _ running, client *seam.Client) {
	a, err := client.Account(t.Context(), "account_a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(seam.Metadata{"site": "hq", "vip": true}, a.Metadata); diff != "" || a.ID != "account_a" || a.CreatedAt.IsZero() {
		t.Errorf("got %+v: %s", a, diff)
	}
}

func readsAWebview(t *testing.T, _ peer, r running, client *seam.Client) {
	w, err := client.Webview(t.Context(), r.Webviews[1])
	if err != nil {
		t.Fatal(err)
	}
	want := seam.Webview{
		ID: r.Webviews[1], AccountID: "account_b", Status: "authorized", Metadata: seam.Metadata{"user_id": "u1"},
		CreatedAt: w.CreatedAt, AuthorizedAt: w.AuthorizedAt, Raw: w.Raw,
	}
	if diff := cmp.Diff(want, w); diff != "" {
		t.Error(diff)
	}
}

func knowsNoOther(t *testing.T, _ peer, _ running, client *seam.Client) {
	_, accountErr := client.Account(t.Context(), "nobody")
	_, webviewErr := client.Webview(t.Context(), "nobody")
	updateErr := client.UpdateMetadata(t.Context(), "nobody", seam.Metadata{"a": "b"})
	for name, err := range map[string]error{
		"/connected_accounts/get: 404 connected_account_not_found":    accountErr,
		"/connect_webviews/get: 404 connect_webview_not_found":        webviewErr,
		"/connected_accounts/update: 404 connected_account_not_found": updateErr,
	} {
		if !errors.Is(err, seam.ErrNotFound) || !strings.HasPrefix(err.Error(), "seam: "+name+" (request request") {
			t.Errorf("got %v, want %s with a request id", err, name)
		}
	}
}

func pagesAccounts(t *testing.T, _ peer, _ running, client *seam.Client) {
	var ids []string
	q := seam.AccountQuery{Limit: 2}
	for {
		page, err := client.Accounts(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page.Accounts {
			ids = append(ids, a.ID)
		}
		if page.NextCursor == "" {
			break
		}
		_, err = client.Accounts(t.Context(), seam.AccountQuery{Limit: 1, Cursor: page.NextCursor})
		var e *seam.Error
		if !errors.As(err, &e) || e.Status != 400 || e.Type != "mismatched_page_parameters" {
			t.Errorf("a cursor with another limit: %v", err)
		}
		q.Cursor = page.NextCursor
	}
	slices.Sort(ids)
	if diff := cmp.Diff([]string{"account_a", "account_b", "account_c"}, ids); diff != "" {
		t.Error(diff)
	}
}

func pagesWebviews(t *testing.T, p peer, r running, client *seam.Client) {
	first, err := client.Webviews(t.Context(), seam.WebviewQuery{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	if !p.pagesWebviews {
		if len(first.Webviews) != 3 || first.NextCursor != "" {
			t.Errorf("got %d webviews, cursor %q, want all at once", len(first.Webviews), first.NextCursor)
		}
		return
	}
	second, err := client.Webviews(t.Context(), seam.WebviewQuery{Limit: 2, Cursor: first.NextCursor})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, w := range slices.Concat(first.Webviews, second.Webviews) {
		ids = append(ids, w.ID)
	}
	if diff := cmp.Diff(r.Webviews, ids); diff != "" || second.NextCursor != "" {
		t.Errorf("cursor %q: %s", second.NextCursor, diff)
	}
}

func listsEvents(t *testing.T, p peer, r running, client *seam.Client) {
	connected := seam.TypeAccountConnected
	for name, tt := range map[string]struct {
		query seam.EventQuery
		want  []string
	}{
		"all":                {seam.EventQuery{Type: connected}, []string{"account_a", "account_b", "account_c"}},
		"since is exclusive": {seam.EventQuery{Type: connected, Since: base}, []string{"account_b", "account_c"}},
		"one account":        {seam.EventQuery{Type: connected, AccountID: "account_b"}, []string{"account_b"}},
		"types": {
			seam.EventQuery{Types: []string{connected, "device.connected"}},
			[]string{"account_a", "account_b", "account_c"},
		},
		"another type":              {seam.EventQuery{Type: "device.connected"}, nil},
		"both bounds are exclusive": {seam.EventQuery{Type: connected, Since: base, Until: base.Add(2 * time.Hour)}, []string{"account_b"}},
	} {
		t.Run(name, func(t *testing.T) {
			events, err := client.Events(t.Context(), tt.query)
			if err != nil {
				t.Fatal(err)
			}
			if p.newestFirst {
				slices.Reverse(events)
			}
			if diff := cmp.Diff(tt.want, accountsOf(events)); diff != "" {
				t.Error(diff)
			}
		})
	}
	events, err := client.Events(t.Context(), seam.EventQuery{Type: connected, Limit: 1, Offset: 1})
	want := []string{"account_b"}
	if !p.limitsEvents {
		want = []string{"account_a", "account_b", "account_c"}
	}
	if diff := cmp.Diff(want, accountsOf(events)); diff != "" || err != nil {
		t.Errorf("limit and offset: %v %s", err, diff)
	}
	if i := slices.Index(accountsOf(events), "account_b"); i < 0 || events[i].ConnectWebviewID != r.Webviews[1] {
		t.Errorf("the event does not name its webview: %+v", events)
	}
	_, err = client.Events(t.Context(), seam.EventQuery{Since: base, Until: base})
	if !errors.Is(err, seam.ErrInvalid) || !strings.Contains(err.Error(), "between: second value must be greater than first value") {
		t.Errorf("an empty interval: %v", err)
	}
	if status, body := post(t, r, "/events/list", `{}`); status != 400 || !strings.Contains(body, "Must specify either since or between") {
		t.Errorf("no beginning: %d %s", status, body)
	}
}

func accountsOf(events []seam.Event) []string {
	var ids []string
	for _, ev := range events {
		ids = append(ids, ev.ConnectedAccountID)
	}
	return ids
}

func updatesMetadata(t *testing.T, p peer, _ running, client *seam.Client) {
	sent := seam.Metadata{"site": "annex", "plan": "gold"}
	if err := client.UpdateMetadata(t.Context(), "account_b", sent); err != nil {
		t.Fatal(err)
	}
	want := sent.Clone()
	if p.merges {
		want["vip"] = true
	}
	expectMetadata(t, client, "account_b", want)
	if err := client.UpdateMetadata(t.Context(), "account_b", nil); err != nil {
		t.Fatal(err)
	}
	if !p.merges {
		want = seam.Metadata{}
	}
	expectMetadata(t, client, "account_b", want)
}

func takesNull(t *testing.T, p peer, _ running, client *seam.Client) {
	if err := client.UpdateMetadata(t.Context(), "account_c", seam.Metadata{"site": nil, "vip": false}); err != nil {
		t.Fatal(err)
	}
	want := seam.Metadata{"vip": false}
	if p.storesNull {
		want["site"] = nil
	}
	expectMetadata(t, client, "account_c", want)
}

func expectMetadata(t *testing.T, client *seam.Client, id string, want seam.Metadata) {
	t.Helper()
	a, err := client.Account(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, a.Metadata); diff != "" {
		t.Error(diff)
	}
}

func holdsLimits(t *testing.T, p peer, _ running, client *seam.Client) {
	many := seam.Metadata{}
	for i := range 51 {
		many[fmt.Sprintf("k%02d", i)] = "v"
	}
	fifty := many.Clone()
	delete(fifty, "k00")
	const tooLong = "custom_metadata.k: String must contain at most 500 character(s)"
	key40, key41 := strings.Repeat("k", 40), strings.Repeat("k", 41)
	for name, tt := range map[string]struct {
		md     seam.Metadata
		passes bool
		says   string
	}{
		"50 keys":     {fifty, true, ""},
		"51 keys":     {many, false, "custom_metadata: Custom metadata is limited to a maximum of 50 keys"},
		"a key of 40": {seam.Metadata{key40: "v"}, true, ""},
		"a key of 41": {
			seam.Metadata{key41: "v"},
			false,
			"custom_metadata." + key41 + ": String must contain at most 40 character(s)",
		},
		"500 characters":              {seam.Metadata{"k": strings.Repeat("é", 500)}, true, ""},
		"501 characters":              {seam.Metadata{"k": strings.Repeat("é", 501)}, false, tooLong},
		"251 characters of two units": {seam.Metadata{"k": strings.Repeat("😀", 251)}, false, tooLong},
		"a list":                      {seam.Metadata{"k": []any{"x"}}, false, "custom_metadata.k: Expected string, received array"},
		"an object":                   {seam.Metadata{"k": map[string]any{}}, false, "custom_metadata.k: Expected string, received object"},
		"a number":                    {seam.Metadata{"k": 7}, p.takesNumbers, "custom_metadata.k: Expected string, received number"},
	} {
		t.Run(name, func(t *testing.T) {
			err := client.UpdateMetadata(t.Context(), "account_b", tt.md)
			if tt.passes {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			var e *seam.Error
			if !errors.As(err, &e) || !errors.Is(err, seam.ErrInvalid) || !slices.Contains(e.Validation, tt.says) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
		})
	}
}

func refusesAnUnknownKey(t *testing.T, p peer, r running, _ *seam.Client) {
	_, err := r.client(t, "wrong_key").Account(t.Context(), "account_a")
	var e *seam.Error
	if !errors.As(err, &e) || !errors.Is(err, seam.ErrUnauthorized) || e.Status != p.unauthorized {
		t.Errorf("got %v, want unauthorized with status %d", err, p.unauthorized)
	}
	updateErr := r.client(t, "wrong_key").UpdateMetadata(t.Context(), "account_a", nil)
	if !errors.As(updateErr, &e) || !errors.Is(updateErr, seam.ErrUnauthorized) || e.Status != 401 {
		t.Errorf("an update: got %v, want 401 unauthorized", updateErr)
	}
}

func registersWebhooks(t *testing.T, p peer, _ running, client *seam.Client) {
	created, err := client.CreateWebhook(t.Context(), "https://tagger.example/webhooks/seam", []string{seam.TypeAccountConnected})
	if err != nil {
		t.Fatal(err)
	}
	if created.ID == "" || created.Secret == "" || created.URL != "https://tagger.example/webhooks/seam" {
		t.Errorf("got %q at %q, want an id and a secret", created.ID, created.URL)
	}
	list, err := client.Webhooks(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != created.ID || (list[0].Secret == "") != p.secretOnce {
		t.Errorf("%d webhooks (%v), want the one; its secret once: %v", len(list), err, p.secretOnce)
	}
	if diff := cmp.Diff([]string{seam.TypeAccountConnected}, list[0].EventTypes); diff != "" {
		t.Error(diff)
	}
	_, err = client.CreateWebhook(t.Context(), "nowhere", nil)
	if !errors.Is(err, seam.ErrInvalid) || !strings.Contains(err.Error(), "url: Invalid url") {
		t.Errorf("no URL: %v", err)
	}
	_, err = client.CreateWebhook(t.Context(), "https://tagger.example", []string{"nonsense"})
	var e *seam.Error
	if !errors.As(err, &e) || e.Status != 400 || e.Type != "invalid_event_types" {
		t.Errorf("an unknown type: %v", err)
	}
}

func createsWebviews(t *testing.T, p peer, r running, client *seam.Client) {
	status, body := post(t, r, "/connect_webviews/create", `{"custom_metadata":{"user_id":"u9"}}`)
	var answer struct {
		Webview seam.Webview `json:"connect_webview"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		t.Fatalf("%d %v", status, err)
	}
	want := seam.Metadata{}
	if p.webviewByHTTP {
		want["user_id"] = "u9"
	}
	w, err := client.Webview(t.Context(), answer.Webview.ID)
	if diff := cmp.Diff(want, w.Metadata); diff != "" || err != nil || w.Status != "pending" || w.AccountID != "" {
		t.Errorf("%v %s of %q: %s", err, w.Status, w.AccountID, diff)
	}
}

func answersTextForAWrongPath(t *testing.T, _ peer, r running, _ *seam.Client) {
	status, body := post(t, r, "/nothing/here", `{}`)
	if status != http.StatusNotFound || strings.TrimSpace(body) != "404" {
		t.Errorf("got %d %q", status, body)
	}
	misrouted := running{URL: r.URL + "/elsewhere"}
	_, err := misrouted.client(t, r.Key).Account(t.Context(), "account_a")
	if !errors.Is(err, seam.ErrUnavailable) {
		t.Errorf("got %v, want unavailable: no account may be skipped for it", err)
	}
	if status, body = post(t, r, "/connected_accounts/get", `{"half`); status != 400 || strings.TrimSpace(body) != "Invalid JSON" {
		t.Errorf("half a body: %d %q", status, body)
	}
}

func tellsItsWorkspace(t *testing.T, _ peer, _ running, client *seam.Client) {
	w, err := client.Workspace(t.Context())
	if err != nil || w.ID == "" || w.Name == "" || !w.IsSandbox {
		t.Errorf("got %+v, %v", w, err)
	}
}

// post sends what the client would not.
func post(t *testing.T, r running, path, body string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, http.Header{"Authorization": {"Bearer " + r.Key}, "Content-Type": {"application/json"}})
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if _, err := bufio.NewReader(resp.Body).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b.String()
}
