package cli

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"seamtag/internal/parts"
	"seamtag/metadata"
	"seamtag/queue"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

// newRulesStack starts a stack with a rules file.
func newRulesStack(t *testing.T, rules string, environ ...string) *stack {
	t.Helper()
	return newStack(t, sandbox.Replace, append(environ, "SEAMTAG_CONFIG="+writeRules(t, rules))...)
}

func writeRules(t *testing.T, rules string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "seamtag.yaml")
	writeFile(t, file, rules)
	return file
}

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// jsonService answers by path, counts, and remembers the requests.
type jsonService struct {
	*httptest.Server

	answers map[string]string
	asked   atomic.Int64
	status  atomic.Int64  // when not 0, the answer to everything
	hold    chan struct{} // when not nil, nothing is answered before it is closed

	mu       sync.Mutex
	requests []*http.Request
}

func newJSONService(t *testing.T, answers map[string]string) *jsonService {
	s := &jsonService{answers: answers}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *jsonService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	s.mu.Lock()
	s.requests = append(s.requests, r.Clone(context.Background()))
	s.mu.Unlock()
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-r.Context().Done():
			return
		}
	}
	answer, ok := s.answers[r.URL.EscapedPath()]
	switch status := int(s.status.Load()); {
	case status != 0:
		w.WriteHeader(status)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	default:
		_, _ = w.Write([]byte(answer))
	}
}

// connect lets an account connect by a webview with metadata and a customer key.
func (s *stack) connect(md seam.Metadata, customerKey string) sandbox.Occurrence {
	return s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: md, CustomerKey: customerKey}))
}

func wantMetadata(t *testing.T, want, got seam.Metadata) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

func resultOf(t *testing.T, e queue.Entry) metadata.Result {
	t.Helper()
	var r metadata.Result
	if err := json.Unmarshal(e.Result, &r); err != nil {
		t.Fatalf("result of %s (%s %s): %v", e.EntryID, e.Status, e.Error, err)
	}
	return r
}

const everySystem = `
version: 1
lookups:
  user:
    sql: {driver: postgres, dsn: "${POSTGRES}", query: "select id, plan, born from users where id = $1", args: [origin.custom_metadata.user_id]}
  property:
    sql: {driver: mysql, dsn: "${MARIADB}", query: "select name, stars from properties where owner = ?", args: [user.id]}
  desk:
    sql: {driver: sqlite, dsn: "${SQLITE}", query: "select phone from desks where property = ?", args: [property.name]}
  customer:
    http: {url: "${CRM}/customers/{user.id}?of={property.name}", headers: {Authorization: "Bearer ${TOKEN}"}, at: data}
  site:
    redis: {url: "${SITES}", hash: "site:{account.customer_key}"}
  region:
    table: {file: regions.csv, key: code, value: site.region}
tags:
  internal_account_id: user.id
  plan: customer.plan ?? "free"
  vip: customer.tier == "gold"
  score: customer.score
  number: customer.number
  born: user.born
  stars: property.stars
  phone: desk.phone
  region: region.name
  nothing: customer.nothing
  same_webview: webview.connect_webview_id == origin.connect_webview_id
`

func TestTagsComeFromEveryKindOfSystem(t *testing.T) {
	postgres, mariadb, sites := parts.Postgres(t), parts.MariaDB(t), parts.Redis(t)
	postgres.Exec("create table users (id text, plan text, born timestamptz)", "insert into users values ('u1', 'x', '1990-02-03T04:05:06Z')")
	mariadb.Exec("create table properties (owner text, name text, stars int)", "insert into properties values ('u1', 'Hôtel & Spa', 4)")
	file := filepath.Join(t.TempDir(), "desks.db")
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{"create table desks (property text, phone text)", "insert into desks values ('Hôtel & Spa', '+33 1')"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := sites.Client().HSet(t.Context(), "site:c1", "region", "eu").Err(); err != nil {
		t.Fatal(err)
	}
	crm := newJSONService(t, map[string]string{
		"/customers/u1": `{"data": {"tier": "gold", "score": 1.50, "number": 12345678901234567890, "nothing": null}}`,
	})
	rules := writeRules(t, everySystem)
	writeFile(t, filepath.Join(filepath.Dir(rules), "regions.csv"), "code,name\neu,Europe\nus,America\n")
	s := newStack(t, sandbox.Replace, "SEAMTAG_CONFIG="+rules, "POSTGRES="+postgres.DSN(), "MARIADB="+mariadb.DSN(), "SQLITE="+file,
		"CRM="+crm.URL, "TOKEN=t0ken", "SITES="+sites.URL())

	o := s.connect(seam.Metadata{"user_id": "u1"}, "c1")
	s.seam.SetMetadata(o.Event.ConnectedAccountID, seam.Metadata{"theirs": "stays"})
	entry := s.ended(s.deliver(o))
	wantMetadata(t, seam.Metadata{
		"theirs": "stays", "user_id": "u1", "internal_account_id": "u1", "plan": "free", "vip": true, "score": "1.5",
		"number": "12345678901234567890", "born": "1990-02-03T04:05:06Z", "stars": "4", "phone": "+33 1", "region": "Europe", "same_webview": true,
	}, s.metadata(o.Event.ConnectedAccountID))
	crm.mu.Lock()
	asked := crm.requests[0]
	crm.mu.Unlock()
	if asked.Header.Get("Authorization") != "Bearer t0ken" || asked.URL.Query().Get("of") != "Hôtel & Spa" {
		t.Errorf("the crm was asked %s with %v", asked.URL, asked.Header)
	}
	r := resultOf(t, entry)
	if r.Sources["plan"] != `customer.plan ?? "free"` || len(r.Lookups) != 6 {
		t.Errorf("sources %v, lookups %v", r.Sources, r.Lookups)
	}
	for _, k := range r.Keys {
		if k.Key == "theirs" || k.Key == "user_id" && k.After != nil {
			t.Errorf("the entry keeps %+v, a value that is not ours", k)
		}
	}
	if s.seam.Calls(updateEndpoint) != 1 {
		t.Errorf("%d updates, want 1", s.seam.Calls(updateEndpoint))
	}
	if again := s.ended(s.deliver(o)); again.Status != queue.Unchanged {
		t.Errorf("the second event ended %s %s", again.Status, again.Error)
	}
}

func TestALookupThatIsDownIsAskedAgainUntilItIsBack(t *testing.T) {
	crm := newJSONService(t, map[string]string{"/c1": `{"plan": "gold"}`})
	crm.status.Store(http.StatusServiceUnavailable)
	s := newRulesStack(t, "version: 1\nlookups:\n  customer:\n    http: {url: \"${CRM}/{account.customer_key}\"}\n"+
		"    breaker: {cooldown: 10ms}\ntags: {plan: customer.plan}\n", "CRM="+crm.URL)
	o := s.connect(nil, "c1")
	id := s.deliver(o)
	s.await("a failed attempt", func() bool {
		e, err := s.app.queue.Entry(t.Context(), id)
		return err == nil && e.Status == queue.Retrying
	})
	e, err := s.app.queue.Entry(t.Context(), id)
	if err != nil || e.Reason != "lookup_unavailable" || !strings.Contains(e.Error, "http lookup customer: 503 from ") {
		t.Errorf("it retries for %s: %s (%v)", e.Reason, e.Error, err)
	}
	crm.status.Store(0)
	if e := s.ended(id); e.Status != queue.Tagged || s.metadata(o.Event.ConnectedAccountID)["plan"] != "gold" {
		t.Errorf("it ended %s %s with %v", e.Status, e.Error, s.metadata(o.Event.ConnectedAccountID))
	}
}

func TestWhatFollowsALookupThatFindsNothing(t *testing.T) {
	const rules = `
version: 1
lookups:
  customer:
    http: {url: "${CRM}/{account.customer_key}"}
    missing: %s
    cache_misses: 0s
tags: {plan: 'customer.plan ?? "none"'}
`
	for _, tt := range []struct {
		missing string
		status  queue.Status
		reason  string
		plan    any
	}{
		{"empty", queue.Tagged, "", "none"},
		{"skip", queue.Skipped, "lookup_missing", nil},
		{"dead", queue.Dead, "lookup_missing", nil},
	} {
		t.Run(tt.missing, func(t *testing.T) {
			crm := newJSONService(t, nil)
			s := newRulesStack(t, fmt.Sprintf(rules, tt.missing), "CRM="+crm.URL)
			for _, customerKey := range []string{"unknown", ""} { // an answer of 404, and a parameter that is null
				o := s.connect(nil, customerKey)
				e := s.ended(s.deliver(o))
				if e.Status != tt.status || e.Reason != tt.reason || s.metadata(o.Event.ConnectedAccountID)["plan"] != tt.plan {
					t.Errorf("key %q: %s %s %q, plan %v", customerKey, e.Status, e.Reason, e.Error, s.metadata(o.Event.ConnectedAccountID)["plan"])
				}
			}
			if n := crm.asked.Load(); n != 1 {
				t.Errorf("asked %d times, want once: a null parameter asks nobody", n)
			}
		})
	}
	t.Run("retry", func(t *testing.T) {
		crm := newJSONService(t, map[string]string{"/later": `{"plan": "gold"}`})
		crm.status.Store(http.StatusNotFound)
		s := newRulesStack(t, fmt.Sprintf(rules, "retry"), "CRM="+crm.URL)
		o := s.connect(nil, "later")
		id := s.deliver(o)
		s.await("a failed attempt", func() bool {
			e, err := s.app.queue.Entry(t.Context(), id)
			return err == nil && e.Status == queue.Retrying && e.Reason == "lookup_missing"
		})
		crm.status.Store(0)
		if e := s.ended(id); e.Status != queue.Tagged {
			t.Errorf("it ended %s %s", e.Status, e.Error)
		}
	})
}

func TestTwoHundredEventsOfOneCustomerAskOnce(t *testing.T) {
	crm := newJSONService(t, map[string]string{"/c1": `{"plan": "gold"}`})
	s := newRulesStack(t, "version: 1\nlookups: {customer: {http: {url: \"${CRM}/{account.customer_key}\"}}}\ntags: {plan: customer.plan}\n",
		"CRM="+crm.URL, "SEAMTAG_CONCURRENCY=32")
	ids := make([]string, 200)
	for i := range ids {
		ids[i] = s.deliver(s.connect(nil, "c1"))
	}
	for _, id := range ids {
		if e := s.ended(id); e.Status != queue.Tagged {
			t.Errorf("entry %s ended %s %s", id, e.Status, e.Error)
		}
	}
	if n := crm.asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

func TestASlowLookupHoldsUpNoMoreThanItsShareOfTheWorkers(t *testing.T) {
	crm := newJSONService(t, map[string]string{"/slow": `{"plan": "gold"}`})
	crm.hold = make(chan struct{})
	s := newRulesStack(t, `
version: 1
lookups:
  customer: {http: {url: "${CRM}/{account.customer_key}"}, missing: empty, timeout: 5m}
tags: {plan: 'customer.plan ?? "none"'}
`, "CRM="+crm.URL, "SEAMTAG_CONCURRENCY=4")
	var slow []string
	for range 12 {
		slow = append(slow, s.deliver(s.connect(nil, "slow")))
	}
	s.await("the slow ones are asked", func() bool { return crm.asked.Load() > 0 })
	for range 12 { // these ask nobody
		if e := s.ended(s.deliver(s.connect(nil, ""))); e.Status != queue.Tagged {
			t.Errorf("ended %s %s", e.Status, e.Error)
		}
	}
	close(crm.hold)
	for _, id := range slow {
		if e := s.ended(id); e.Status != queue.Tagged {
			t.Errorf("a slow one ended %s %s", e.Status, e.Error)
		}
	}
}

func TestARuleThatFailsIsBuriedWithoutItsValues(t *testing.T) {
	s := newRulesStack(t, "version: 1\ntags:\n  shout: upper(origin.custom_metadata.name) + string(int(origin.custom_metadata.secret))\n")
	o := s.connect(seam.Metadata{"name": "jane@example.com", "secret": "hunter2"}, "")
	e := s.ended(s.deliver(o))
	want := `metadata key "shout" (upper(origin.custom_metadata.name) + string(int(origin.custom_metadata.secret))): cannot be computed, as ` +
		`origin.custom_metadata.name is string and origin.custom_metadata.secret is string`
	if e.Status != queue.Dead || e.Reason != "rule_error" || e.Error != want {
		t.Errorf("ended %s %s\n got %s\nwant %s", e.Status, e.Reason, e.Error, want)
	}
	if log := s.log.String(); strings.Contains(log, "jane@") || strings.Contains(log, "hunter2") {
		t.Errorf("the log tells values:\n%s", log)
	}
}

// What strangers put into metadata reaches a query, a URL, a header and a Redis key as one value or not at all.
func TestWhatStrangersWriteChangesNoQuestion(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users.db")
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{"create table users (id text, plan text)", "insert into users values ('u1', 'gold')"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	sites := parts.Redis(t)
	crm := newJSONService(t, nil)
	s := newRulesStack(t, `
version: 1
lookups:
  user:
    sql: {driver: sqlite, dsn: "${SQLITE}", query: "select plan from users where id = ?", args: [origin.custom_metadata.user_id]}
    missing: empty
  customer:
    http: {url: "${CRM}/customers/{origin.custom_metadata.user_id}/plan?id={origin.custom_metadata.user_id}"}
    missing: empty
  site:
    redis: {url: "${SITES}", string: "site:{origin.custom_metadata.user_id}"}
    missing: empty
tags: {plan: 'user.plan ?? "none"', other: 'customer.plan ?? "none"', site: 'site.x ?? "none"'}
`, "SQLITE="+file, "CRM="+crm.URL, "SITES="+sites.URL())
	for _, id := range []string{"../../admin?x=1#", "'; drop table users; --", "a\r\nGET: x", "u1' or '1'='1"} {
		o := s.connect(seam.Metadata{"user_id": id}, "")
		if e := s.ended(s.deliver(o)); e.Status != queue.Tagged {
			t.Errorf("%q: ended %s %s", id, e.Status, e.Error)
		}
		if plan := s.metadata(o.Event.ConnectedAccountID)["plan"]; plan != "none" {
			t.Errorf("%q: plan %v", id, plan)
		}
	}
	crm.mu.Lock()
	defer crm.mu.Unlock()
	for _, r := range crm.requests {
		segments := strings.Split(r.URL.EscapedPath(), "/")
		if len(segments) != 4 || segments[1] != "customers" || segments[3] != "plan" || len(r.URL.Query()) != 1 {
			t.Errorf("asked %s", r.URL)
		}
	}
	var n int
	if err := db.QueryRowContext(t.Context(), "select count(*) from users").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d users (%v)", n, err)
	}
}

func TestChangedRulesTakeOverOnHangup(t *testing.T) {
	crm := newJSONService(t, map[string]string{"/c1": `{"plan": "gold"}`})
	rules := writeRules(t, "version: 1\nlookups: {customer: {http: {url: \"${CRM}/{account.customer_key}\"}}}\ntags: {plan: customer.plan}\n")
	s := newStack(t, sandbox.Replace, "SEAMTAG_CONFIG="+rules, "CRM="+crm.URL)
	o := s.connect(nil, "c1")
	s.ended(s.deliver(o))
	wantMetadata(t, seam.Metadata{"plan": "gold"}, s.metadata(o.Event.ConnectedAccountID))

	writeFile(t, rules, "version: 1\ntags: {plan: custmer.plan}\n")
	s.hangups <- syscall.SIGHUP
	s.await("the bad file is refused", func() bool {
		log := s.log.String()
		return strings.Contains(log, "the changed rules are refused") && strings.Contains(log, "seamtag.yaml:2:14: unknown name custmer")
	})
	if e := s.ended(s.deliver(o)); e.Status != queue.Unchanged {
		t.Errorf("under the old rules it ended %s %s", e.Status, e.Error)
	}

	writeFile(t, rules, "version: 1\nevents: [connected_account.connected, device.connected]\ntags: {plan: '\"silver\"', key: account.customer_key}\n")
	s.hangups <- syscall.SIGHUP
	s.await("the new rules are in force", func() bool { return strings.Count(s.log.String(), "rules in force") == 2 })
	if e := s.ended(s.deliver(o)); e.Status != queue.Tagged {
		t.Errorf("under the new rules it ended %s %s", e.Status, e.Error)
	}
	wantMetadata(t, seam.Metadata{"plan": "silver", "key": "c1"}, s.metadata(o.Event.ConnectedAccountID))
	device := strings.Replace(string(o.Body), `"connected_account.connected"`, `"device.connected"`, 1)
	if a := s.post(sandbox.NewMessageID(), []byte(device)); a.Status != "queued" {
		t.Errorf("an event type of the new rules is answered %+v", a)
	}
}
