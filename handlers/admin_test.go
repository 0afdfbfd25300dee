package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"seamtag/queue"
)

const adminToken = "correct horse battery staple"

// shownEvents is a queue that answers what a test put there, and remembers what it was asked.
type shownEvents struct {
	page     queue.Page
	stats    queue.Stats
	replayed queue.Replayed
	replays  int // that Replay answers
	err      error

	asked struct {
		filter queue.Filter
		cursor string
		limit  int
		dryRun bool
		ids    []string
	}
}

var _ Events = (*shownEvents)(nil)

func (e *shownEvents) Entry(_ context.Context, id string) (queue.Entry, error) {
	for _, one := range e.page.Entries {
		if one.EntryID == id && e.err == nil {
			return one, nil
		}
	}
	if e.err != nil {
		return queue.Entry{}, e.err
	}
	return queue.Entry{}, queue.ErrNotFound
}

func (e *shownEvents) List(_ context.Context, f queue.Filter, cursor string, limit int) (queue.Page, error) {
	e.asked.filter, e.asked.cursor, e.asked.limit = f, cursor, limit
	return e.page, e.err
}

func (e *shownEvents) Stats(context.Context) (queue.Stats, error) { return e.stats, e.err }

func (e *shownEvents) Replay(_ context.Context, ids ...string) (int, error) {
	e.asked.ids = ids
	return e.replays, e.err
}

func (e *shownEvents) ReplayMatching(_ context.Context, f queue.Filter, o queue.ReplayOptions) (queue.Replayed, error) {
	e.asked.filter, e.asked.dryRun = f, o.DryRun
	if o.After != nil {
		if err := o.After(e.replayed); err != nil {
			return e.replayed, err
		}
	}
	return e.replayed, e.err
}

func full() queue.Entry {
	return queue.Entry{
		Message: queue.Message{
			ID: "msg_1", EventID: "event_1", Type: "connected_account.connected", Workspace: "w", Key: "account_1", Webview: "webview_1",
			Body: []byte("{}"), ReceivedAt: time.UnixMilli(1_760_000_000_123),
		},
		EntryID: "17-0", Status: queue.Tagged, Attempts: 1, Deliveries: 2,
		Result: json.RawMessage(`{"set":{"a":"b"},"removed":[],"restored":[],"sources":{"a":"user.id"}}`),
	}
}

func bare() queue.Entry {
	return queue.Entry{EntryID: "16-0", Status: queue.Dead, Reason: "malformed", Error: "not JSON", Message: queue.Message{ID: "msg_0", ReceivedAt: time.UnixMilli(1)}}
}

func setupAdmin(t *testing.T) (*stand, *shownEvents) {
	t.Helper()
	events := &shownEvents{page: queue.Page{Entries: []queue.Entry{full(), bare()}, Next: "16-0"}}
	return setup(t, func(o *Options) { o.Admin = &AdminOptions{Admission: NewAdmission(adminToken), Events: events} }), events
}

// ask sends a request with the token and checks the answer against the document.
func (s *stand) ask(t *testing.T, method, target, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+adminToken)
	resp := s.do(r)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	checkAnswer(t, method, r.URL.Path, resp.StatusCode, text)
	return resp.StatusCode, strings.TrimSpace(string(text))
}

// checkAnswer validates an answer against the schema that the document gives for it.
func checkAnswer(t *testing.T, method, path string, status int, text []byte) {
	t.Helper()
	template := regexp.MustCompile(`^/api/events/[^/]+`).ReplaceAllString(path, "/api/events/{id}")
	pointer := fmt.Sprintf("/paths/%s/%s/responses/%d", strings.ReplaceAll(template, "/", "~1"), strings.ToLower(method), status)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s %s answers %s: %v", method, path, text, err)
	}
	document := parseDocument(t)
	response, ok := at(document, pointer).(map[string]any)
	if !ok {
		t.Fatalf("the document has no %s", pointer)
	}
	if to, ok := response["$ref"].(string); ok {
		pointer = strings.TrimPrefix(to, "#")
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("openapi.json#" + pointer + "/content/application~1json/schema")
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%s %s answers %d %s: %v", method, path, status, text, err)
	}
}

func parseDocument(t *testing.T) map[string]any {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPIDocument))
	if err != nil {
		t.Fatal(err)
	}
	return parsed.(map[string]any)
}

func at(document any, pointer string) any {
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		m, ok := document.(map[string]any)
		if !ok {
			return nil
		}
		document = m[strings.ReplaceAll(step, "~1", "/")]
	}
	return document
}

const (
	fullJSON = `{"id":"17-0","message_id":"msg_1","event_id":"event_1","event_type":"connected_account.connected","workspace_id":"w",` +
		`"connected_account_id":"account_1","connect_webview_id":"webview_1","received_at":"2025-10-09T08:53:20.123Z","status":"tagged",` +
		`"attempts":1,"deliveries":2,"reason":"","error":"","result":{"set":{"a":"b"},"removed":[],"restored":[],"sources":{"a":"user.id"}}}`
	bareJSON = `{"id":"16-0","message_id":"msg_0","event_id":"","event_type":"","workspace_id":"","connected_account_id":"",` +
		`"connect_webview_id":"","received_at":"1970-01-01T00:00:00.001Z","status":"dead","attempts":0,"deliveries":0,` +
		`"reason":"malformed","error":"not JSON","result":{"set":{},"removed":[],"restored":[],"sources":{}}}`
)

func TestEventsAreShownWithEveryKey(t *testing.T) {
	s, events := setupAdmin(t)
	for target, want := range map[string]string{
		"/api/events":      `{"events":[` + fullJSON + `,` + bareJSON + `],"next_cursor":"16-0"}`,
		"/api/events/17-0": fullJSON,
		"/api/events/16-0": bareJSON,
	} {
		if code, got := s.ask(t, http.MethodGet, target, ""); code != http.StatusOK || got != want {
			t.Errorf("%s: %d\n%s\nwant\n%s", target, code, got, want)
		}
	}
	events.page = queue.Page{}
	if _, got := s.ask(t, http.MethodGet, "/api/events", ""); got != `{"events":[],"next_cursor":""}` {
		t.Errorf("an empty list: %s", got)
	}
	if code, _ := s.ask(t, http.MethodGet, "/api/events/99-0", ""); code != http.StatusNotFound {
		t.Errorf("no such event: %d", code)
	}
}

func TestAListAsksForWhatTheQuerySays(t *testing.T) {
	s, events := setupAdmin(t)
	s.ask(t, http.MethodGet, "/api/events?status=dead&account=a&reason=r&type=t&event_id=e&message_id=m&cursor=5-0&limit=500&"+
		"since=2026-11-23T12:00:00%2B01:00&until=2026-11-24", "")
	want := queue.Filter{
		Status: queue.Dead, Key: "a", Reason: "r", Type: "t", EventID: "e", MessageID: "m",
		Since: time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC),
	}
	if d := cmp.Diff(want, events.asked.filter); d != "" || events.asked.cursor != "5-0" || events.asked.limit != 500 {
		t.Errorf("%+v (-want +got)\n%s", events.asked, d)
	}
	s.ask(t, http.MethodGet, "/api/events?status=&limit=", "")
	if d := cmp.Diff(queue.Filter{}, events.asked.filter); d != "" || events.asked.limit != defaultLimit {
		t.Errorf("empty values: %+v", events.asked)
	}
}

func TestBadValuesAreNamed(t *testing.T) {
	s, events := setupAdmin(t)
	for target, want := range map[string]string{
		"?status=done":             "status: want one of queued, retrying, tagged, unchanged, skipped, dead",
		"?since=yesterday":         "since: want a time such as",
		"?until=1":                 "until: want a time such as",
		"?limit=0":                 "limit: want a number from 1 to 500",
		"?limit=501":               "limit: want a number",
		"?limit=x":                 "limit: want a number",
		"?stauts=dead":             `"stauts" is no parameter: there are account, cursor,`,
		"?status=dead&status=dead": "status: given more than once",
	} {
		if code, got := s.ask(t, http.MethodGet, "/api/events"+target, ""); code != http.StatusBadRequest || !strings.Contains(decodeError(t, got), want) {
			t.Errorf("%s: %d %s, want 400 %s", target, code, got, want)
		}
	}
	events.err = queue.ErrCursor
	if code, got := s.ask(t, http.MethodGet, "/api/events?cursor=x", ""); code != http.StatusBadRequest || !strings.Contains(got, "cursor:") {
		t.Errorf("a bad cursor: %d %s", code, got)
	}
	for body, want := range map[string]string{
		``:                              "body: want a JSON object such as",
		`[]`:                            "body: want a JSON object such as",
		`{"dry_run":"yes"}`:             "dry_run: want a bool",
		`{"dryrun":true}`:               `unknown field "dryrun"`,
		`{} {}`:                         "more than one JSON object",
		`{"status":"queued"}`:           "status: want one of tagged, unchanged, skipped, dead: only what has ended can be replayed",
		`{"since":"x"}`:                 "since: want a time such as",
		strings.Repeat(" ", 70_000):     "longer than 64 KiB",
		`{"account":{"a":"secret-val"}`: "body: want a JSON object such as",
	} {
		code, got := s.ask(t, http.MethodPost, "/api/replays", body)
		if code != http.StatusBadRequest || !strings.Contains(decodeError(t, got), want) {
			t.Errorf("%.30s: %d %s, want 400 %s", body, code, got, want)
		}
	}
}

func decodeError(t *testing.T, text string) string {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p.Error
}

func TestReplays(t *testing.T) {
	s, events := setupAdmin(t)
	events.replayed = queue.Replayed{Matched: 7, Replayed: 6}
	code, got := s.ask(t, http.MethodPost, "/api/replays", `{"since":"2026-11-23T12:00:00Z","until":null,"status":"dead","account":"a","dry_run":false}`)
	want := queue.Filter{Status: queue.Dead, Key: "a", Since: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	if code != http.StatusOK || got != `{"matched":7,"replayed":6,"dry_run":false}` || !cmp.Equal(want, events.asked.filter) || events.asked.dryRun {
		t.Errorf("%d %s of %+v", code, got, events.asked)
	}
	events.replayed.Replayed = 0
	if code, got = s.ask(t, http.MethodPost, "/api/replays", `{"dry_run":true}`); code != http.StatusOK ||
		got != `{"matched":7,"replayed":0,"dry_run":true}` || !events.asked.dryRun {
		t.Errorf("%d %s", code, got)
	}
	events.replays = 1
	if code, got = s.ask(t, http.MethodPost, "/api/events/17-0/replay", ""); code != http.StatusOK ||
		got != `{"matched":1,"replayed":1,"dry_run":false}` || !slices.Equal(events.asked.ids, []string{"17-0"}) {
		t.Errorf("%d %s of %v", code, got, events.asked.ids)
	}
	events.replays = 0
	if code, got = s.ask(t, http.MethodPost, "/api/events/17-0/replay", ""); code != http.StatusConflict || !strings.Contains(got, "has not ended") {
		t.Errorf("%d %s", code, got)
	}
	if code, _ = s.ask(t, http.MethodPost, "/api/events/99-0/replay", ""); code != http.StatusNotFound {
		t.Errorf("no such event: %d", code)
	}
}

func TestStatsTellUnknownFromZero(t *testing.T) {
	s, events := setupAdmin(t)
	_, got := s.ask(t, http.MethodGet, "/api/stats", "")
	want := `{"queued":0,"retrying":0,"tagged":0,"unchanged":0,"skipped":0,"dead":0,"waiting":0,"due":0,"oldest_seconds":null,"reasons":[],"paused":null}`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	events.stats = queue.Stats{
		Waiting: 5, Retrying: 2, Due: 1, Ended: map[queue.Status]int64{queue.Dead: 3, queue.Tagged: 9}, Oldest: time.Now().Add(-time.Hour),
		Reasons: []queue.ReasonCount{{Status: queue.Dead, Reason: "rejected", Count: 3}}, Paused: &queue.PauseState{Reason: "unauthorized", Since: time.Unix(0, 0).UTC()},
	}
	_, got = s.ask(t, http.MethodGet, "/api/stats", "")
	for _, part := range []string{
		`{"queued":3,"retrying":2,"tagged":9,"unchanged":0,"skipped":0,"dead":3,"waiting":5,"due":1,"oldest_seconds":36`,
		`"reasons":[{"status":"dead","reason":"rejected","count":3}],"paused":{"reason":"unauthorized","since":"1970-01-01T00:00:00Z"}}`,
	} {
		if !strings.Contains(got, part) {
			t.Errorf("%s\nlacks\n%s", got, part)
		}
	}
}

// targets are all of the admin API.
func targets() []string {
	return []string{
		"GET /api/events", "GET /api/events/17-0", "POST /api/events/17-0/replay", "POST /api/replays", "GET /api/stats",
		"GET /api/openapi.json",
	}
}

func TestNothingIsShownWithoutTheToken(t *testing.T) {
	for name, authorization := range map[string][]string{
		"no header": nil, "empty": {""}, "no scheme": {adminToken}, "basic": {"Basic " + adminToken}, "wrong": {"Bearer wrong"},
		"longer": {"Bearer " + adminToken + "x"}, "shorter": {"Bearer " + adminToken[1:]}, "the second of two": {"Bearer wrong", "Bearer " + adminToken},
	} {
		s, _ := setupAdmin(t)
		for _, target := range targets() {
			method, path, _ := strings.Cut(target, " ")
			r := httptest.NewRequest(method, path, nil)
			r.Header["Authorization"] = authorization
			resp := s.do(r)
			if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") != `Bearer realm="seamtag"` {
				t.Errorf("%s: %s answers %d, %q", name, target, resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
			}
		}
	}
}

func TestNothingIsThereWithoutAnAdminToken(t *testing.T) {
	s := setup(t)
	for _, target := range targets() {
		method, path, _ := strings.Cut(target, " ")
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Authorization", "Bearer "+adminToken)
		if resp := s.do(r); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s answers %d", target, resp.StatusCode)
		}
	}
}

func TestUnknownPathsAre404AndOtherMethods405(t *testing.T) {
	s, _ := setupAdmin(t)
	for target, want := range map[string]int{
		"GET /api": 404, "GET /api/": 404, "GET /api/nothing": 404, "POST /api/events/../../x": 404, "GET /api/events/17-0/other": 404, "DELETE /api/events": 405, "GET /api/replays": 405,
	} {
		method, path, _ := strings.Cut(target, " ")
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Authorization", "bearer "+adminToken)
		if resp := s.do(r); resp.StatusCode != want {
			t.Errorf("%s answers %d, want %d", target, resp.StatusCode, want)
		}
	}
}

func TestGuessesAreHeldBackAndLogged(t *testing.T) {
	s, _ := setupAdmin(t)
	var last *http.Response
	for range guesses + 1 {
		r := httptest.NewRequest(http.MethodGet, "/api/stats", nil)
		r.Header.Set("Authorization", "Bearer guess-of-a-stranger")
		last = s.do(r)
	}
	if last.StatusCode != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
		t.Errorf("the last guess: %d, Retry-After %q", last.StatusCode, last.Header.Get("Retry-After"))
	}
	outcomes := map[string]int{}
	for _, line := range s.log.lines(t) {
		outcomes[fmt.Sprint(line["level"], " ", line["outcome"])]++
	}
	if d := cmp.Diff(map[string]int{"info bad_token": guesses, "info held_back": 1}, outcomes); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if strings.Contains(s.log.String(), "guess-of-a-stranger") {
		t.Error("the log holds a token")
	}
}

func TestRedisAwayIsA503(t *testing.T) {
	s, events := setupAdmin(t)
	events.err = errors.New("dial tcp: refused")
	for _, target := range targets()[:5] {
		method, path, _ := strings.Cut(target, " ")
		code, got := s.ask(t, method, path, "{}")
		if code != http.StatusServiceUnavailable || strings.Contains(got, "dial") {
			t.Errorf("%s answers %d %s", target, code, got)
		}
	}
}

func TestTheDocumentIsThatOfTheRoutes(t *testing.T) {
	e := echo.New()
	(&admin{}).register(e)
	var routes []string
	for _, r := range e.Routes() {
		if r.Method == http.MethodGet || r.Method == http.MethodPost {
			routes = append(routes, strings.ToLower(r.Method)+" "+strings.ReplaceAll(r.Path, ":id", "{id}"))
		}
	}
	var documented []string
	document := parseDocument(t)
	for path, item := range document["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			documented = append(documented, method+" "+path)
		}
	}
	slices.Sort(routes)
	slices.Sort(documented)
	if d := cmp.Diff(routes, documented); d != "" {
		t.Errorf("routes (-there +documented)\n%s", d)
	}
	var names []string
	for _, p := range at(document, "/paths/~1api~1events/get/parameters").([]any) {
		names = append(names, p.(map[string]any)["name"].(string))
	}
	slices.Sort(names)
	if d := cmp.Diff(sortedKeys(parameters()), names); d != "" {
		t.Errorf("parameters (-there +documented)\n%s", d)
	}
	if d := cmp.Diff(jsonNames(reflect.TypeFor[replayRequest]()), sortedKeys(at(document, "/components/schemas/ReplayRequest/properties").(map[string]any))); d != "" {
		t.Errorf("a replay's keys (-there +documented)\n%s", d)
	}
	if document["openapi"] != "3.1.0" {
		t.Errorf("version %v", document["openapi"])
	}
	s, _ := setupAdmin(t)
	if code, got := s.ask(t, http.MethodGet, "/api/openapi.json", ""); code != http.StatusOK || got != strings.TrimSpace(string(openAPIDocument)) {
		t.Errorf("the document is answered %d", code)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func jsonNames(t reflect.Type) []string {
	var names []string
	for f := range t.Fields() {
		names = append(names, f.Tag.Get("json"))
	}
	slices.Sort(names)
	return names
}

func TestAnAdminAPIThatLacksItsParts(t *testing.T) {
	health := func(context.Context) Health { return Health{} }
	if _, err := New(Options{Health: health, Admin: &AdminOptions{}}); err == nil {
		t.Error("made without an admission")
	}
}
