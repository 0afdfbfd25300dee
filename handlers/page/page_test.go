package page

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/queue"
)

func TestAfterTheLoginOnlyOwnPathsAreGoneTo(t *testing.T) {
	for next, want := range map[string]string{
		"/":                            "/",
		"/events?status=dead&reason=x": "/events?status=dead&reason=x",
		"/account?id=a%2Fb":            "/account?id=a%2Fb",
		"":                             "/",
		"https://evil.example/":        "/",
		"//evil.example/":              "/",
		"///evil.example/":             "/",
		`/\evil.example/`:              "/",
		"/%5Cevil.example/":            "/",
		"/%2F/evil.example":            "/",
		"javascript:alert(1)":          "/",
		"/\tevil":                      "/",
		"/events/../../x":              "/",
		"events":                       "/",
		"@evil.example":                "/",
	} {
		if got := ownPath(next); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
}

func TestValuesThatCanBePersonalAreMasked(t *testing.T) {
	body := `{"event_id":"e1","event_type":{"x":"secret"},"customer_key":"ada","connected_account_id":"a1",
		"connected_account_custom_metadata":{"email":"ada@example.com","list":["x",{"deep":"y"}],"vip":true,"none":null}}`
	want := `{
  "connected_account_custom_metadata": {
    "email": "••••••",
    "list": [
      "••••••",
      {
        "deep": "••••••"
      }
    ],
    "none": null,
    "vip": "••••••"
  },
  "connected_account_id": "a1",
  "customer_key": "••••••",
  "event_id": "e1",
  "event_type": {
    "x": "••••••"
  }
}`
	if diff := cmp.Diff(want, strings.TrimSpace(payload([]byte(body), false))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := payload([]byte(body), true); !strings.Contains(got, "ada@example.com") {
		t.Errorf("asked for, it is shown in full: %s", got)
	}
	for _, hidden := range []string{`"ada@example.com"`, `["ada@example.com"]`, "ada@example.com", `{"x":"ada@example.com"} trailing`} {
		if got := payload([]byte(hidden), false); strings.Contains(got, "ada") {
			t.Errorf("%s is shown as %s", hidden, got)
		}
	}
}

func TestMetadataValuesThatLookPersonalAreMasked(t *testing.T) {
	for _, tt := range []struct {
		key   string
		value any
		want  string
	}{
		{"plan", "gold", "gold"},
		{"contact", "ada@example.com", masked},
		{"guest_name", "Ada", masked},
		{"Phone", "+1 555", masked},
		{"vip", true, "true"},
	} {
		if got := shown(tt.key, tt.value, false); got != tt.want {
			t.Errorf("%s: %v is shown as %s, want %s", tt.key, tt.value, got, tt.want)
		}
	}
}

func FuzzMaskedPayloads(f *testing.F) {
	f.Add([]byte(`{"event_id":"e","connected_account_custom_metadata":{"a":"SECRET"}}`))
	f.Add([]byte(`["SECRET"]`))
	f.Add([]byte(`{"event_id":["SECRET"],"x":{"SECRETkey":1}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		payload(body, true)
		if got := payload(append([]byte(`{"customer_key":"SECRETVALUE","more":`), append(body, '}')...), false); strings.Contains(got, "SECRETVALUE") {
			t.Errorf("shown: %s", got)
		}
	})
}

// notes is a Notes in memory; err is what it answers instead.
type notes struct {
	names map[string]bool
	err   error
}

var _ Notes = (*notes)(nil)

func (n *notes) Note(_ context.Context, name string, _ time.Duration) error {
	n.names[name] = true
	return n.err
}

func (n *notes) Noted(_ context.Context, name string) (bool, error) { return n.names[name], n.err }

// signedIn is a request that bears the cookie of a new session.
func signedIn(s sessions) (*session, *http.Request) {
	w := httptest.NewRecorder()
	begun := s.begin(w, httptest.NewRequest(http.MethodPost, "/login", http.NoBody))
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	for _, c := range w.Result().Cookies() {
		r.AddCookie(c)
	}
	return begun, r
}

func TestASessionEndsByItselfAndByItsOwner(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	kept := &notes{names: map[string]bool{}}
	s := newSessions("token", kept, func() time.Time { return now })
	begun, r := signedIn(s)
	if got := s.of(r); got == nil || got.id != begun.id {
		t.Fatalf("the session is %v, want %v", got, begun)
	}
	if other := newSessions("another token", kept, s.now); other.of(r) != nil {
		t.Error("the session outlives a change of the token")
	}
	kept.err = errors.New("redis is away")
	if s.of(r) == nil {
		t.Error("a session ends because Redis is away")
	}
	kept.err = nil
	now = now.Add(sessionLasts)
	if s.of(r) != nil {
		t.Error("the session does not end by itself")
	}
	begun, r = signedIn(s)
	if err := s.end(t.Context(), httptest.NewRecorder(), r, begun); err != nil {
		t.Fatal(err)
	}
	if s.of(r) != nil {
		t.Error("the session is good after it was ended")
	}
}

func TestAChangedCookieIsNoSession(t *testing.T) {
	s := newSessions("token", &notes{names: map[string]bool{}}, time.Now)
	_, r := signedIn(s)
	good := r.Cookies()[0].Value
	for i := range good {
		for _, bad := range []string{good[:i] + "A" + good[i+1:], good[:i], good + good[i:]} {
			if bad != good && s.parse(bad) != nil {
				t.Fatalf("%q counts as a session", bad)
			}
		}
	}
}

func TestTheCookieIsForThisHostAloneWhereTLSEnds(t *testing.T) {
	s := newSessions("token", &notes{names: map[string]bool{}}, time.Now)
	r := httptest.NewRequest(http.MethodPost, "/login", http.NoBody)
	r.Header.Set("X-Forwarded-Proto", "https")
	w := httptest.NewRecorder()
	s.begin(w, r)
	c := w.Result().Cookies()[0]
	if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("cookie %+v", c)
	}
}

func TestAFormIsGoodForOneActionOfOneSession(t *testing.T) {
	s := newSessions("token", &notes{names: map[string]bool{}}, time.Now)
	a, _ := signedIn(s)
	b, _ := signedIn(s)
	token := s.form(a, "replay id=1")
	if !s.showed(a, "replay id=1", token) {
		t.Error("its own form is refused")
	}
	if s.showed(a, "replay id=2", token) || s.showed(b, "replay id=1", token) || s.showed(a, "replay id=1", "") {
		t.Error("a form is good for more")
	}
}

func TestAChartStandsOnItsCounts(t *testing.T) {
	from := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	buckets := []queue.Bucket{
		{Start: from, Ended: map[queue.Status]int64{}},
		{Start: from.Add(time.Minute), Waiting: 1, Ended: map[queue.Status]int64{queue.Tagged: 2, queue.Dead: 1}},
	}
	c := draw(period{Name: "x", Step: time.Minute, Steps: 2}, buckets)
	if c.Top != 5 || c.Accepted != 4 || len(c.Bars[0].Parts) != 0 || len(c.Bars[1].Parts) != 3 {
		t.Fatalf("%+v", c)
	}
	if diff := cmp.Diff([]statusCount{{queue.Tagged, 2}, {queue.Retrying, 1}, {queue.Dead, 1}}, c.Sums); diff != "" {
		t.Errorf("sums (-want +got):\n%s", diff)
	}
	top := c.Bars[1].Parts[2]
	if want := chartHeight * (1 - 4.0/5); top.Y < want-0.01 || top.Y > want+0.01 {
		t.Errorf("the bar reaches %f, want %f", top.Y, want)
	}
	if want := "14:01 UTC: 4 events, 2 tagged, 1 retrying, 1 dead"; c.Bars[1].Text != want {
		t.Errorf("%q, want %q", c.Bars[1].Text, want)
	}
}

func TestNumbersAndTimesAreReadable(t *testing.T) {
	for got, want := range map[string]string{
		number(0): "0", number(999): "999", number(1000): "1\u202f000", number(-1234567): "-1\u202f234\u202f567",
		span(-time.Second): "0 s", span(59 * time.Second): "59 s", span(time.Hour): "1 h", span(90 * time.Minute): "1 h 30 min",
		span(30 * 24 * time.Hour): "30 d", span(49 * time.Hour): "2 d 1 h", tookText(12): "12 ms", tookText(1240): "1.2 s",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
