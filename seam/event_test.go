package seam_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/seam"
)

const fullEvent = `{
	"event_id": "event1", "event_type": "connected_account.connected", "workspace_id": "workspace1",
	"created_at": "2026-11-23T10:00:00.123Z", "occurred_at": "2026-11-23T12:00:00.123456+02:00",
	"connected_account_id": "john_connected_account_id", "connect_webview_id": "webview1", "customer_key": "acme",
	"connected_account_custom_metadata": {"user_id": "u1", "vip": true, "rooms": 12345678901234567890, "gone": null},
	"something_new": 1.50
}`

func TestParseEventReadsEveryField(t *testing.T) {
	got, err := seam.ParseEvent([]byte(fullEvent))
	if err != nil {
		t.Fatal(err)
	}
	want := seam.Event{
		EventID: "event1", EventType: seam.TypeAccountConnected, WorkspaceID: "workspace1",
		ConnectedAccountID: "john_connected_account_id", ConnectWebviewID: "webview1", CustomerKey: "acme",
		CreatedAt:  time.Date(2026, 11, 23, 10, 0, 0, 123e6, time.UTC),
		OccurredAt: time.Date(2026, 11, 23, 10, 0, 0, 123456e3, time.UTC),
		AccountMetadata: seam.Metadata{
			"user_id": "u1", "vip": true, "rooms": json.Number("12345678901234567890"), "gone": nil,
		},
		Raw: got.Raw,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.Raw["something_new"] != json.Number("1.50") {
		t.Errorf("Raw keeps %v of something_new, want the number as it was written", got.Raw["something_new"])
	}
	got.AccountMetadata["user_id"] = "changed"
	raw, _ := got.Raw["connected_account_custom_metadata"].(map[string]any)
	if raw["user_id"] != "u1" {
		t.Error("changing AccountMetadata changed Raw")
	}
}

func TestParseEventIsLenientWhereSeamIs(t *testing.T) {
	for name, body := range map[string]string{
		"no workspace, webview or customer": event(`"connected_account_id":"a"`),
		"nulls count as absent": event(`"connected_account_id":"a","connect_webview_id":null,"customer_key":null,` +
			`"connected_account_custom_metadata":null,"workspace_id":null`),
		"another type without account": `{"event_id":"e","event_type":"device.connected","created_at":"2026-11-23T10:00:00Z"}`,
		"the last of two keys wins":    event(`"connected_account_id":7,"connected_account_id":"a"`),
		"200 characters":               event(`"connected_account_id":"` + strings.Repeat("é", 200) + `"`),
	} {
		t.Run(name, func(t *testing.T) {
			ev, err := seam.ParseEvent([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			if ev.AccountMetadata != nil {
				t.Errorf("AccountMetadata is %v, want nil when absent", ev.AccountMetadata)
			}
			if ev.OccurredAt.IsZero() || !ev.OccurredAt.Equal(ev.CreatedAt) {
				t.Errorf("occurred %v, created %v: one must stand in for the other", ev.OccurredAt, ev.CreatedAt)
			}
		})
	}
}

// event is a connected event without account and with one timestamp, and whatever more is given.
func event(more string) string {
	return `{"event_id":"e","event_type":"connected_account.connected","occurred_at":"2026-11-23T10:00:00Z",` + more + `}`
}

func TestParseEventRefuses(t *testing.T) {
	const planted = "planted.secret@example.com"
	for _, tt := range []struct{ name, field, body string }{
		{"nothing", "", ``},
		{"no object", "", `["` + planted + `"]`},
		{"null", "", `null`},
		{"half an object", "", `{"event_id":"` + planted},
		{"a second object behind", "", event(`"connected_account_id":"a"`) + `{"` + planted + `":1}`},
		{"a stray brace behind", "", event(`"connected_account_id":"a"`) + `}`},
		{"bytes that are no UTF-8", "", event("\"connected_account_id\":\"\xff\"")},
		{"no event id", "event_id", `{"event_type":"x","created_at":"2026-11-23T10:00:00Z"}`},
		{"an empty event id", "event_id", `{"event_id":"","event_type":"x","created_at":"2026-11-23T10:00:00Z"}`},
		{"a number as event id", "event_id", `{"event_id":5551234,"event_type":"x","created_at":"2026-11-23T10:00:00Z"}`},
		{"no type", "event_type", `{"event_id":"e","created_at":"2026-11-23T10:00:00Z"}`},
		{"no time", "occurred_at", `{"event_id":"e","event_type":"x"}`},
		{"a time in words", "occurred_at", `{"event_id":"e","event_type":"x","occurred_at":"` + planted + `"}`},
		{"a created_at in words", "created_at", event(`"connected_account_id":"a","created_at":"` + planted + `"`)},
		{"no account", "connected_account_id", event(`"customer_key":"` + planted + `"`)},
		{"a null account", "connected_account_id", event(`"connected_account_id":null`)},
		{"an empty account", "connected_account_id", event(`"connected_account_id":""`)},
		{
			"a login without account", "connected_account_id",
			`{"event_id":"e","event_type":"connect_webview.login_succeeded","created_at":"2026-11-23T10:00:00Z"}`,
		},
		{"a line break in an id", "connected_account_id", event(`"connected_account_id":"` + planted + `\n"`)},
		{"201 characters", "connected_account_id", event(`"connected_account_id":"` + strings.Repeat("a", 201) + `"`)},
		{"a webview id of another kind", "connect_webview_id", event(`"connected_account_id":"a","connect_webview_id":{}`)},
		{
			"a list as metadata", "connected_account_custom_metadata",
			event(`"connected_account_id":"a","connected_account_custom_metadata":["` + planted + `"]`),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := seam.ParseEvent([]byte(tt.body))
			var malformed *seam.MalformedEventError
			if !errors.As(err, &malformed) {
				t.Fatalf("error is %v, want a MalformedEventError", err)
			}
			if malformed.Field != tt.field {
				t.Errorf("field is %q, want %q", malformed.Field, tt.field)
			}
			if strings.Contains(err.Error(), planted) || strings.Contains(err.Error(), "5551234") {
				t.Errorf("the error quotes the payload: %v", err)
			}
		})
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(fullEvent))
	f.Add([]byte(event(`"connected_account_id":"a"`)))
	f.Add([]byte(`{"event_id":"e","event_type":"device.connected","created_at":"2026-11-23T10:00:00.1Z"}`))
	f.Add([]byte(`[[[[{"event_id":null}]]]]`))
	f.Add([]byte(`{"event\u005fid":"first","a":[{"b":"}\\\"]"},-1.5e3 ],"event_type" : "x" , "event_id":"l\ud800st","created_at":"2026-11-23T10:00:00Z"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		ev, err := seam.ParseEvent(body)
		if err != nil {
			if _, ok := errors.AsType[*seam.MalformedEventError](err); !ok {
				t.Fatalf("%T is not a MalformedEventError", err)
			}
			return
		}
		account := strings.HasPrefix(ev.EventType, "connected_account.") || ev.EventType == seam.TypeLoginSucceeded
		if ev.EventID == "" || ev.EventType == "" || ev.OccurredAt.IsZero() || ev.CreatedAt.IsZero() ||
			ev.Raw == nil || account && ev.ConnectedAccountID == "" {
			t.Fatalf("accepted an event without a required field: %+v", ev)
		}
		if !json.Valid(body) {
			t.Fatal("accepted what is not JSON")
		}
		for field, got := range map[string]string{
			"event_id": ev.EventID, "event_type": ev.EventType, "workspace_id": ev.WorkspaceID,
			"connected_account_id": ev.ConnectedAccountID, "connect_webview_id": ev.ConnectWebviewID, "customer_key": ev.CustomerKey,
		} {
			if want, _ := ev.Raw[field].(string); got != want {
				t.Fatalf("%s is %q, decoded into a map it is %q", field, got, want)
			}
		}
		head, err := seam.ParseHead(body)
		head.Raw, head.AccountMetadata = ev.Raw, ev.AccountMetadata
		if diff := cmp.Diff(ev, head); err != nil || diff != "" {
			t.Fatalf("the head differs: %v\n%s", err, diff)
		}
	})
}

func TestEventsAsksForWhatTheQuerySays(t *testing.T) {
	since := time.Date(2026, 11, 1, 0, 0, 0, 5e6, time.FixedZone("", 3600))
	until := since.Add(time.Hour)
	for name, tt := range map[string]struct {
		query seam.EventQuery
		want  map[string]any
	}{
		"everything": {seam.EventQuery{}, map[string]any{"since": "1970-01-01T00:00:00Z"}},
		"one account since": {
			seam.EventQuery{AccountID: "a", Type: seam.TypeLoginSucceeded, Since: since, Limit: 10},
			map[string]any{
				"since": "2026-10-31T23:00:00.005Z", "connected_account_id": "a",
				"event_type": "connect_webview.login_succeeded", "limit": 10.0,
			},
		},
		"between, second page": {
			seam.EventQuery{Types: []string{"a.b", "c.d"}, Since: since, Until: until, Offset: 500},
			map[string]any{
				"between":     []any{"2026-10-31T23:00:00.005Z", "2026-11-01T00:00:00.005Z"},
				"event_types": []any{"a.b", "c.d"}, "unstable_offset": 500.0,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, mux := setup(t)
			seen := answer(t, mux, "/events/list", http.StatusOK, `{"events":[],"ok":true}`)
			if _, err := client.Events(t.Context(), tt.query); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, seen.only(t).body); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEventsSkipsWhatIsNoEvent(t *testing.T) {
	client, mux := setup(t)
	answer(t, mux, "/events/list", http.StatusOK, `{"events":[7,{"event_id":"x"},`+event(`"connected_account_id":"a"`)+`,null]}`)
	events, err := client.Events(t.Context(), seam.EventQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 1 || events[0].ConnectedAccountID != "a" {
		t.Errorf("got %v, want the one event", events)
	}
}
