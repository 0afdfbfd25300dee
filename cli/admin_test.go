package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seamtag/handlers"
	"seamtag/queue"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

const testAdminToken = "a token for tests"

// admin calls the admin API and reads what it answers.
func admin[T any](s *stack, method, target, body string) (code int, answer T) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testAdminToken)
	resp, err := s.sender.Client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		s.t.Fatalf("%s %s: %v", method, target, err)
	}
	return resp.StatusCode, answer
}

type eventPage struct {
	Events     []handlers.Event `json:"events"`
	NextCursor string           `json:"next_cursor"`
}

func TestADeadEventIsFoundAndMendedThroughTheAdminAPI(t *testing.T) {
	s := newStack(t, sandbox.Replace, "ADMIN_TOKEN="+testAdminToken)
	o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}}))
	account := o.Event.ConnectedAccountID
	s.seam.SetMetadata(account, seam.Metadata{})
	s.seam.Fail(sandbox.Fault{Endpoint: updateEndpoint, Status: http.StatusBadRequest, Type: "invalid_input", Message: "no", Times: 1})
	id := s.deliver(o)
	s.ended(id)

	_, page := admin[eventPage](s, http.MethodGet, "/api/events?status=dead&reason=rejected", "")
	if len(page.Events) != 1 || page.Events[0].ID != id || page.Events[0].ConnectedAccountID != account || page.NextCursor != "" {
		t.Fatalf("dead: %+v", page)
	}
	for _, query := range []string{"event_id=" + o.Event.EventID, "account=" + account, "type=" + o.Event.EventType} {
		if _, page := admin[eventPage](s, http.MethodGet, "/api/events?"+query, ""); len(page.Events) != 1 {
			t.Errorf("%s finds %d events", query, len(page.Events))
		}
	}
	if _, r := admin[handlers.Replays](s, http.MethodPost, "/api/replays", `{"status":"dead","dry_run":true}`); r != (handlers.Replays{Matched: 1, DryRun: true}) {
		t.Errorf("dry run %+v", r)
	}
	if code, r := admin[handlers.Replays](s, http.MethodPost, "/api/events/"+id+"/replay", ""); code != http.StatusOK || r.Replayed != 1 {
		t.Errorf("replay %d %+v", code, r)
	}
	s.await("the replayed event is tagged", func() bool {
		e, err := s.app.queue.Entry(t.Context(), id)
		return err == nil && e.Status == queue.Tagged
	})
	_, e := admin[handlers.Event](s, http.MethodGet, "/api/events/"+id, "")
	var result map[string]any
	if err := json.Unmarshal(e.Result, &result); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"set": map[string]any{"user_id": "u1"}, "removed": []any{}, "restored": []any{},
		"sources": map[string]any{"user_id": "webview.custom_metadata"},
	}
	if diff := cmp.Diff(want, result); diff != "" || e.Attempts != 1 || e.Deliveries != 2 {
		t.Errorf("after %d attempts, %d deliveries (-want +got):\n%s", e.Attempts, e.Deliveries, diff)
	}
	if _, r := admin[handlers.Replays](s, http.MethodPost, "/api/replays", `{"account":"`+account+`"}`); r != (handlers.Replays{Matched: 1, Replayed: 1}) {
		t.Errorf("replay of the account %+v", r)
	}
	s.await("it is unchanged", func() bool {
		_, stats := admin[map[string]any](s, http.MethodGet, "/api/stats", "")
		return stats["unchanged"] == 1.0 && stats["tagged"] == 0.0 && stats["waiting"] == 0.0
	})
	for _, secret := range []string{testAdminToken, "u1"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestRedisAwayIsToldByTheAdminAPI(t *testing.T) {
	s := newStack(t, sandbox.Replace, "ADMIN_TOKEN="+testAdminToken)
	s.redis.Kill()
	for _, target := range []string{"GET /api/events", "GET /api/events/17-0", "GET /api/stats", "POST /api/replays"} {
		method, path, _ := strings.Cut(target, " ")
		code, answer := admin[map[string]any](s, method, path, "{}")
		if code != http.StatusServiceUnavailable || answer["error"] == "" {
			t.Errorf("%s answers %d %v", target, code, answer)
		}
	}
	s.redis.Start()
	s.await("the list is back", func() bool {
		code, _ := admin[map[string]any](s, http.MethodGet, "/api/events", "")
		return code == http.StatusOK
	})
}
