package metadata_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/metadata"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

const (
	getAccount  = "/connected_accounts/get"
	getWebview  = "/connect_webviews/get"
	listEvents  = "/events/list"
	listWebview = "/connect_webviews/list"
	update      = "/connected_accounts/update"
)

// stage is a sandbox behind HTTP, a tagger on it, and the ledgers of its accounts as the queue would keep them.
type stage struct {
	t       *testing.T
	sandbox *sandbox.Sandbox
	tagger  *metadata.Tagger
	ledgers map[string][]byte
}

func newStage(t *testing.T, semantics sandbox.Semantics) *stage {
	t.Helper()
	box := sandbox.New(sandbox.Options{Semantics: semantics})
	server := httptest.NewServer(box)
	t.Cleanup(server.Close)
	client, err := seam.New(seam.Options{APIKey: box.APIKey(), Endpoint: server.URL, Transport: server.Client().Transport})
	if err != nil {
		t.Fatal(err)
	}
	return &stage{t: t, sandbox: box, tagger: metadata.New(metadata.Options{Seam: client}), ledgers: map[string][]byte{}}
}

// underBoth runs a story under replace and under merge.
func underBoth(t *testing.T, story func(s *stage)) {
	t.Helper()
	for name, semantics := range map[string]sandbox.Semantics{"replace": sandbox.Replace, "merge": sandbox.Merge} {
		t.Run(name, func(t *testing.T) { story(newStage(t, semantics)) })
	}
}

func (s *stage) tag(o sandbox.Occurrence) metadata.Result {
	s.t.Helper()
	result, err := s.try(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	return result
}

func (s *stage) try(ctx context.Context, o sandbox.Occurrence) (metadata.Result, error) {
	s.t.Helper()
	ledger, err := metadata.ParseLedger(s.ledgers[o.Event.ConnectedAccountID])
	if err != nil {
		s.t.Fatal(err)
	}
	s.sandbox.ResetCalls()
	result, ledger, err := s.tagger.Tag(ctx, o.Event, ledger, func() error { return nil })
	s.ledgers[o.Event.ConnectedAccountID] = ledger.Encode()
	return result, err
}

func (s *stage) wantMetadata(o sandbox.Occurrence, want seam.Metadata) {
	s.t.Helper()
	got, _ := s.sandbox.Metadata(o.Event.ConnectedAccountID)
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("the account's metadata (-want +got):\n%s", diff)
	}
}

// wantCalls are those of the last event, and no others.
func (s *stage) wantCalls(want map[string]int) {
	s.t.Helper()
	total := 0
	for endpoint, n := range want {
		total += n
		if got := s.sandbox.Calls(endpoint); got != n {
			s.t.Errorf("%d calls of %s, want %d", got, endpoint, n)
		}
	}
	if got := s.sandbox.Calls(""); got != total {
		s.t.Errorf("%d calls, want %d", got, total)
	}
}

func (s *stage) webview(id string, md seam.Metadata) string {
	return s.sandbox.AddWebview(sandbox.WebviewSpec{ID: id, Metadata: md})
}

func hour(n int) sandbox.ConnectOption {
	return sandbox.At(time.Date(2026, time.March, 1, n, 0, 0, 0, time.UTC))
}

func TestSandboxKeepsWhatIsThere(t *testing.T) {
	underBoth(t, func(s *stage) {
		o := s.sandbox.Connect(s.webview("w1", seam.Metadata{"user_id": "u1"}), hour(1))
		s.sandbox.SetMetadata(o.Event.ConnectedAccountID, seam.Metadata{"site": "hq"})
		if r := s.tag(o); r.Status != metadata.StatusTagged {
			t.Errorf("first: %s", r.Status)
		}
		s.wantMetadata(o, seam.Metadata{"site": "hq", "user_id": "u1"})
		s.wantCalls(map[string]int{getAccount: 2, getWebview: 1, update: 1})

		if r := s.tag(o); r.Status != metadata.StatusUnchanged {
			t.Errorf("second: %s", r.Status)
		}
		s.wantCalls(map[string]int{getAccount: 1, getWebview: 1})
	})
}

func TestSandboxRepairsReconnects(t *testing.T) {
	for name, second := range map[string]seam.Metadata{"with metadata": {"user_id": "u2"}, "empty": {}} {
		t.Run(name, func(t *testing.T) {
			underBoth(t, func(s *stage) {
				first := s.sandbox.Connect(s.webview("w1", seam.Metadata{"user_id": "u1"}), hour(1))
				account := first.Event.ConnectedAccountID
				s.sandbox.SetMetadata(account, seam.Metadata{"user_id": "u1", "site": "hq"})
				s.tag(first)

				again := s.sandbox.Reconnect(account, s.webview("w2", second), hour(2))
				s.wantMetadata(again, second)
				s.tag(first) // a repeat that comes before the reconnect's own event
				result := s.tag(again)
				want := seam.Metadata{"user_id": "u1", "site": "hq"}
				if second["user_id"] != nil {
					want["user_id"] = "u2"
				}
				s.wantMetadata(again, want)
				s.wantCalls(map[string]int{getAccount: 2, getWebview: 1, update: 1})
				if len(result.Restored) != len(want)-len(second) {
					t.Errorf("restored %v", result.Restored)
				}

				delete(want, "site")
				s.sandbox.SetMetadata(account, want)
				s.tag(again)
				s.tag(first)
				s.wantMetadata(again, want)
			})
		})
	}
}

func TestSandboxOutOfOrder(t *testing.T) {
	end := func(t *testing.T, order ...int) seam.Metadata {
		t.Helper()
		s := newStage(t, sandbox.Replace)
		first := s.sandbox.Connect(s.webview("w1", seam.Metadata{"user_id": "u1", "room": "1"}), hour(1), sandbox.AccountID("acc"))
		second := s.sandbox.Reconnect("acc", s.webview("w2", seam.Metadata{"user_id": "u2"}), hour(2))
		for _, n := range order {
			s.tag([]sandbox.Occurrence{first, second}[n])
		}
		got, _ := s.sandbox.Metadata("acc")
		return got
	}
	want := end(t, 0, 1)
	if want["user_id"] != "u2" {
		t.Errorf("the older event overwrote: %v", want)
	}
	for _, order := range [][]int{{1, 0}, {1, 0, 1}, {0, 1, 0}} {
		if diff := cmp.Diff(want, end(t, order...)); diff != "" {
			t.Errorf("order %v (-in order +got):\n%s", order, diff)
		}
	}
}

func TestSandboxFindsTheWebview(t *testing.T) {
	s := newStage(t, sandbox.Replace)
	o := s.sandbox.Connect(s.webview("w1", seam.Metadata{"user_id": "u1"}), hour(1), sandbox.WithoutWebviewID())
	s.sandbox.SetMetadata(o.Event.ConnectedAccountID, seam.Metadata{})
	if r := s.tag(o); r.WebviewID != "w1" || r.Status != metadata.StatusTagged {
		t.Errorf("by the newest login: webview %q, %s", r.WebviewID, r.Status)
	}
	s.wantCalls(map[string]int{getAccount: 2, listEvents: 1, getWebview: 1, update: 1})

	o.Event.ConnectWebviewID = "deleted"
	s.ledgers = map[string][]byte{}
	if r := s.tag(o); r.Status != metadata.StatusUnchanged || r.WebviewID != "" {
		t.Errorf("gone: webview %q, %s", r.WebviewID, r.Status)
	}

	s.sandbox.Fail(sandbox.Fault{Endpoint: listEvents, Status: 200, Body: `{"events":[],"ok":true}`})
	o.Event.ConnectWebviewID = ""
	if r := s.tag(o); r.WebviewID != "w1" {
		t.Errorf("by the list: webview %q", r.WebviewID)
	}
	s.wantCalls(map[string]int{getAccount: 1, listEvents: 1, listWebview: 1, getWebview: 1})
	if r := s.tag(o); r.WebviewID != "w1" {
		t.Errorf("by the ledger: webview %q", r.WebviewID)
	}
	s.wantCalls(map[string]int{getAccount: 1, listEvents: 1})
}

func TestSandboxAccountGone(t *testing.T) {
	s := newStage(t, sandbox.Replace)
	o := s.sandbox.Connect(s.webview("w1", seam.Metadata{"user_id": "u1"}), hour(1))
	s.sandbox.DeleteAccount(o.Event.ConnectedAccountID)
	if r := s.tag(o); r.Status != metadata.StatusSkipped || r.Reason != metadata.ReasonAccountGone {
		t.Errorf("%s %s", r.Status, r.Reason)
	}
}

func TestSandboxAnotherWriter(t *testing.T) {
	s := newStage(t, sandbox.Replace)
	o := s.sandbox.Connect(s.webview("w1", seam.Metadata{"user_id": "u1"}), hour(1))
	account := o.Event.ConnectedAccountID
	s.sandbox.SetMetadata(account, seam.Metadata{"site": "hq"})
	writes := 1
	s.sandbox.OnUpdate(func(string) {
		if writes > 0 {
			writes--
			s.sandbox.SetMetadata(account, seam.Metadata{"site": "hq", "theirs": "x"})
		}
	})
	if r := s.tag(o); r.Status != metadata.StatusTagged || r.Rewrites != 1 {
		t.Errorf("%s, %d rewrites", r.Status, r.Rewrites)
	}
	s.wantMetadata(o, seam.Metadata{"site": "hq", "theirs": "x", "user_id": "u1"})

	s.ledgers, writes = map[string][]byte{}, 100
	s.sandbox.SetMetadata(account, seam.Metadata{"site": "hq"})
	if _, err := s.try(t.Context(), o); !errors.Is(err, metadata.ErrContended) {
		t.Errorf("with no end to it: %v", err)
	}
	if n := s.sandbox.Calls(update); n != 3 {
		t.Errorf("%d updates", n)
	}
}

func TestSandboxFailures(t *testing.T) {
	for name, c := range map[string]struct {
		fault sandbox.Fault
		want  error
	}{
		"rate limit":    {sandbox.Fault{Endpoint: getAccount, Status: 429, RetryAfter: time.Second, Times: 1}, seam.ErrRateLimited},
		"outage":        {sandbox.Fault{Endpoint: getWebview, Status: 503, Times: 1}, seam.ErrUnavailable},
		"lost answer":   {sandbox.Fault{Endpoint: update, DropConnection: true, Times: 1}, seam.ErrUnavailable},
		"wrong key":     {sandbox.Fault{Status: 401, Type: "unauthorized", Times: 2}, seam.ErrUnauthorized},
		"refused":       {sandbox.Fault{Endpoint: update, Status: 400, Type: "invalid_input", Times: 1}, seam.ErrInvalid},
		"proxy's page":  {sandbox.Fault{Endpoint: getAccount, Status: 404, Body: "<html>", Times: 1}, seam.ErrUnavailable},
		"no connection": {sandbox.Fault{Endpoint: getAccount, DropConnection: true, Times: 1}, seam.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, sandbox.Replace)
			o := s.sandbox.Connect(s.webview("w1", seam.Metadata{"user_id": "u1"}), hour(1))
			s.sandbox.SetMetadata(o.Event.ConnectedAccountID, seam.Metadata{"site": "hq"})
			s.sandbox.Fail(c.fault)
			if _, err := s.try(t.Context(), o); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			s.sandbox.Heal()
			s.tag(o)
			s.wantMetadata(o, seam.Metadata{"site": "hq", "user_id": "u1"})
		})
	}
}
