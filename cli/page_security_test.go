package cli

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"seamtag/queue"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

// visitor speaks HTTP to the page as no browser would.
type visitor struct {
	*stack

	cookies []*http.Cookie
	headers map[string]string
}

type reply struct {
	code   int
	header http.Header
	body   string
	set    []*http.Cookie
}

func (v *visitor) ask(method, path string, form url.Values) reply {
	v.t.Helper()
	var body io.Reader = http.NoBody
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, body)
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range v.cookies {
		req.AddCookie(c)
	}
	for name, value := range v.headers {
		req.Header.Set(name, value)
	}
	client := &http.Client{
		Transport:     v.sender.Client.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{code: resp.StatusCode, header: resp.Header, body: b.String(), set: resp.Cookies()}
}

func (v *visitor) get(path string) reply {
	v.t.Helper()
	return v.ask(http.MethodGet, path, nil)
}

// signedIn is a visitor with a session.
func signedIn(s *stack) *visitor {
	s.t.Helper()
	v := &visitor{stack: s}
	p := v.ask(http.MethodPost, "/login", url.Values{"token": {testToken}})
	if p.code != http.StatusSeeOther || len(p.set) != 1 {
		s.t.Fatalf("the login answers %d with cookies %v", p.code, p.set)
	}
	v.cookies = p.set
	return v
}

var formToken = regexp.MustCompile(`name="form" value="([^"]+)"`)

// tokenOf is that of the last form of a page: the first is the one to sign out with.
func tokenOf(t *testing.T, p reply) string {
	t.Helper()
	found := formToken.FindAllStringSubmatch(p.body, -1)
	if len(found) == 0 {
		t.Fatalf("no form in:\n%s", p.body)
	}
	return found[len(found)-1][1]
}

var pagePaths = []string{"/", "/events", "/events/1-1", "/dead", "/account?id=a", "/replay?status=dead", "/replay?id=1-1"}

func TestWithoutAnAdminTokenThereIsNoPage(t *testing.T) {
	v := &visitor{stack: newStack(t, sandbox.Replace)}
	for _, path := range append(pagePaths, "/login", "/live", "/assets/x/style.css") {
		if p := v.get(path); p.code != http.StatusNotFound {
			t.Errorf("%s answers %d, want 404", path, p.code)
		}
	}
	for _, path := range []string{"/login", "/logout", "/replay"} {
		if p := v.ask(http.MethodPost, path, url.Values{"token": {""}}); p.code != http.StatusNotFound {
			t.Errorf("POST %s answers %d, want 404", path, p.code)
		}
	}
}

func TestWithoutASessionNothingIsShown(t *testing.T) {
	s := newPageStack(t)
	o := s.connectBare(seam.Metadata{"user_id": "u1"})
	s.ended(s.deliver(o))
	for name, cookie := range map[string]*http.Cookie{
		"none": {Name: "other", Value: "x"}, "empty": {Name: "seamtag", Value: ""}, "the token": {Name: "seamtag", Value: testToken},
		"made up":   {Name: "seamtag", Value: strings.Repeat("A", 75)},
		"of a name": {Name: "__Host-seamtag", Value: signedIn(s).cookies[0].Value},
	} {
		v := &visitor{stack: s, cookies: []*http.Cookie{cookie}}
		for _, path := range pagePaths {
			if p := v.get(path); p.code != http.StatusSeeOther || !strings.HasPrefix(p.header.Get("Location"), "/login") || strings.Contains(p.body, o.Event.ConnectedAccountID) {
				t.Errorf("cookie %s: %s answers %d to %q", name, path, p.code, p.header.Get("Location"))
			}
		}
		if p := v.get("/live"); p.code != http.StatusUnauthorized {
			t.Errorf("cookie %s: live updates answer %d", name, p.code)
		}
		if p := v.ask(http.MethodPost, "/replay", url.Values{"id": {"1-1"}}); p.code != http.StatusSeeOther || p.header.Get("Location") != "/login" {
			t.Errorf("cookie %s: a replay answers %d", name, p.code)
		}
	}
}

func TestWrongTokensGetNoSessionAndAreHeldBack(t *testing.T) {
	s := newPageStack(t)
	v := &visitor{stack: s}
	p := v.ask(http.MethodPost, "/login", url.Values{"token": {"wrong"}})
	if p.code != http.StatusUnauthorized || len(p.set) != 0 {
		t.Fatalf("a wrong token answers %d with cookies %v", p.code, p.set)
	}
	s.await("who guesses is held back", func() bool {
		return v.ask(http.MethodPost, "/login", url.Values{"token": {"wrong"}}).code == http.StatusTooManyRequests
	})
	p = v.ask(http.MethodPost, "/login", url.Values{"token": {testToken}})
	if p.code != http.StatusTooManyRequests || len(p.set) != 0 || p.header.Get("Retry-After") == "" {
		t.Errorf("after many wrong tokens the login answers %d with cookies %v", p.code, p.set)
	}
}

func TestNothingChangesWithoutTheFormThatWasShown(t *testing.T) {
	s := newPageStack(t)
	one, two := s.connectBare(seam.Metadata{"user_id": "u1"}), s.connectBare(seam.Metadata{"user_id": "u2"})
	s.reject(one)
	s.reject(two)
	first, second := s.deliver(one), s.deliver(two)
	s.ended(first)
	s.ended(second)
	v, other := signedIn(s), signedIn(s)
	ownForm := tokenOf(t, v.get("/replay?id="+first))
	logout := formToken.FindStringSubmatch(v.get("/").body)[1]
	for name, form := range map[string]url.Values{
		"no token":                 {"id": {first}},
		"a made up token":          {"id": {first}, "form": {"x"}},
		"another event's":          {"id": {second}, "form": {ownForm}},
		"another session's":        {"id": {first}, "form": {tokenOf(t, other.get("/replay?id="+first))}},
		"that to sign out":         {"id": {first}, "form": {logout}},
		"a filter's, with another": {"status": {"dead"}, "form": {tokenOf(t, v.get("/replay?status=dead&reason=rejected"))}},
		"more than was shown":      {"id": {first}, "status": {"dead"}, "form": {ownForm}},
	} {
		if p := v.ask(http.MethodPost, "/replay", form); p.code != http.StatusForbidden {
			t.Errorf("%s: answered %d, want 403", name, p.code)
		}
	}
	for _, header := range []map[string]string{{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}} {
		crossing := &visitor{stack: s, cookies: v.cookies, headers: header}
		for path, form := range map[string]url.Values{
			"/replay": {"id": {first}, "form": {ownForm}}, "/login": {"token": {testToken}}, "/logout": {"form": {logout}},
		} {
			if p := crossing.ask(http.MethodPost, path, form); p.code != http.StatusForbidden || len(p.set) != 0 {
				t.Errorf("%s with %v: answered %d, want 403", path, header, p.code)
			}
		}
	}
	if p := v.ask(http.MethodPost, "/logout", url.Values{}); p.code != http.StatusForbidden {
		t.Errorf("signing out without the form answers %d", p.code)
	}
	for _, id := range []string{first, second} {
		if e := s.ended(id); e.Status != queue.Dead || e.Replays != 0 {
			t.Errorf("entry %s is %s after %d replays", id, e.Status, e.Replays)
		}
	}
	s.seam.Heal()
	if p := v.ask(http.MethodPost, "/replay", url.Values{"id": {first}, "form": {ownForm}}); p.code != http.StatusSeeOther {
		t.Fatalf("the own form answers %d:\n%s", p.code, p.body)
	}
	if e := s.ended(first); e.Status != queue.Tagged {
		t.Errorf("the replayed event ended %s", e.Status)
	}
}

func TestASessionIsNeverTakenOverFromARequest(t *testing.T) {
	s := newPageStack(t)
	planted := &http.Cookie{Name: "seamtag", Value: strings.Repeat("A", 75)}
	v := &visitor{stack: s, cookies: []*http.Cookie{planted}}
	p := v.ask(http.MethodPost, "/login", url.Values{"token": {testToken}})
	if len(p.set) != 1 || p.set[0].Value == planted.Value {
		t.Fatalf("the login sets %v", p.set)
	}
	if again := signedIn(s); again.cookies[0].Value == p.set[0].Value {
		t.Error("two logins share a session")
	}
	if p := v.get("/"); p.code != http.StatusSeeOther {
		t.Errorf("the planted session answers %d after the login", p.code)
	}
}

func TestSigningOutEndsTheSessionInEveryProcess(t *testing.T) {
	s := newPageStack(t)
	leaving, staying := signedIn(s), signedIn(s)
	p := leaving.ask(http.MethodPost, "/logout", url.Values{"form": {tokenOf(t, leaving.get("/"))}})
	if p.code != http.StatusSeeOther || len(p.set) != 1 || p.set[0].MaxAge >= 0 {
		t.Fatalf("signing out answers %d with cookies %v", p.code, p.set)
	}
	check := func(where string) {
		t.Helper()
		if p := leaving.get("/"); p.code != http.StatusSeeOther {
			t.Errorf("%s the ended session is let in: %d", where, p.code)
		}
		if p := staying.get("/"); p.code != http.StatusOK {
			t.Errorf("%s the other session is not let in: %d", where, p.code)
		}
	}
	check("here")
	s.stop()
	s.start("ADMIN_TOKEN=" + testToken)
	check("in another process")
}

// poison is text that would run if any part of it were taken for markup.
const poison = `'"><img src=x onerror=alert(1)><script>alert(1)</script>{{.}}`

func TestTextFromOutsideIsOnlyText(t *testing.T) {
	s := newPageStack(t)
	o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{poison[:20]: poison, "site": poison}}))
	account := o.Event.ConnectedAccountID
	s.seam.SetMetadata(account, seam.Metadata{})
	s.seam.Fail(sandbox.Fault{Endpoint: updateEndpoint, Status: http.StatusBadRequest, Type: "invalid_input", Message: poison, Times: 1})
	dead := s.deliver(o)
	s.ended(dead)
	again := s.deliver(o)
	s.ended(again)
	quoted := strings.ReplaceAll(poison, `"`, `\"`)
	strange := s.post(poison, []byte(`{"event_id":"`+quoted+`","event_type":"connected_account.connected","workspace_id":"`+quoted+`",
		"connected_account_id":"`+quoted+`","connect_webview_id":"`+quoted+`","customer_key":"`+quoted+`","`+quoted+`":"`+quoted+`",
		"occurred_at":"2026-11-23T15:00:00Z","connected_account_custom_metadata":{"`+quoted+`":"`+quoted+`"}}`)).ID
	s.ended(strange)
	unreadable := s.post(sandbox.NewMessageID(), []byte(poison)).ID
	s.ended(unreadable)
	v := signedIn(s)
	inURL := url.QueryEscape(poison)
	for _, path := range []string{
		"/", "/events", "/dead", "/events/" + dead, "/events/" + again, "/events/" + strange, "/events/" + strange + "?show=all",
		"/events/" + unreadable + "?show=all", "/account?id=" + account + "&show=all", "/account?id=" + inURL, "/replay?id=" + dead,
		"/replay?id=" + strange, "/replay?account=" + inURL, "/replay?reason=" + inURL, "/events?account=" + inURL, "/events?reason=" + inURL,
		"/events?type=" + inURL, "/events?status=" + inURL, "/events?since=" + inURL, "/events?cursor=" + inURL, "/events/" + url.PathEscape(poison),
		"/login?next=" + inURL, "/replay?id=" + inURL,
	} {
		p := v.get(path)
		for _, markup := range []string{"<img src=x", "<script>alert"} {
			if strings.Contains(p.body, markup) {
				t.Errorf("%s (%d) has %s in it", path, p.code, markup)
			}
		}
		if p.code >= http.StatusInternalServerError {
			t.Errorf("%s answers %d:\n%s", path, p.code, s.log)
		}
	}
	if body := v.get("/events/" + strange).body; !strings.Contains(body, "&lt;script&gt;alert(1)") {
		t.Errorf("the text is not shown as text:\n%s", body)
	}
}

func TestEveryAnswerKeepsThePageToItself(t *testing.T) {
	s := newPageStack(t)
	for name, v := range map[string]*visitor{"signed in": signedIn(s), "not signed in": {stack: s}} {
		for _, path := range append(pagePaths, "/login", "/events?status=nonsense", "/assets/x/none") {
			h := v.get(path).header
			csp := h.Get("Content-Security-Policy")
			for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "script-src 'self'", "style-src 'self'"} {
				if !strings.Contains(csp, want) {
					t.Errorf("%s %s: the policy %q lacks %s", name, path, csp, want)
				}
			}
			if strings.Contains(csp, "unsafe") || h.Get("X-Frame-Options") != "DENY" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: headers %v", name, path, h)
			}
		}
	}
}

func TestPathsLeadNowhereElse(t *testing.T) {
	s := newPageStack(t)
	v := signedIn(s)
	for _, path := range []string{
		"/assets/../../etc/passwd", "/assets/x/..%2f..%2fetc%2fpasswd", "/assets/x/%2e%2e/style.css", "/assets/x/style.css", "/assets//style.css",
		"/events/..%2f..%2fetc%2fpasswd", "/events/%2e%2e", "/events/0-0", "/events/1-1%00",
	} {
		if p := v.get(path); p.code == http.StatusOK || strings.Contains(p.body, "root:") {
			t.Errorf("%s answers %d", path, p.code)
		}
	}
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "/x\r\nSet-Cookie: a=b"} {
		p := (&visitor{stack: s}).ask(http.MethodPost, "/login", url.Values{"token": {testToken}, "next": {next}})
		if got := p.header.Get("Location"); got != "/" {
			t.Errorf("after the login %q leads to %q", next, got)
		}
		if got := v.get("/login?next=" + url.QueryEscape(next)).header.Get("Location"); got != "/" {
			t.Errorf("already signed in, %q leads to %q", next, got)
		}
	}
}

func TestThePageTellsTheLogNothingSecret(t *testing.T) {
	s := newPageStack(t)
	o := s.connectBare(seam.Metadata{"user_id": "u1", "email": "ada@example.com"})
	id := s.deliver(o)
	s.ended(id)
	v := signedIn(s)
	(&visitor{stack: s}).ask(http.MethodPost, "/login", url.Values{"token": {"nearly-the-token"}})
	v.get("/events/" + id + "?show=all")
	v.get("/account?show=all&id=" + o.Event.ConnectedAccountID)
	v.get("/events?account=ada@example.com")
	for _, secret := range []string{testToken, "nearly-the-token", v.cookies[0].Value, "ada@example.com"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log tells %q:\n%s", secret, s.log)
		}
	}
	if !strings.Contains(s.log.String(), "the payload of an event was shown in full on the page") {
		t.Error("the log does not tell that a payload was shown in full")
	}
}

func TestWhatIsUnknownIsShownAsUnknown(t *testing.T) {
	s := newPageStack(t)
	o := s.connectBare(seam.Metadata{"user_id": "u1"})
	s.reject(o)
	s.ended(s.deliver(o))
	v := signedIn(s)
	if p := v.get("/"); !strings.Contains(p.body, "1 event is dead") {
		t.Fatalf("the overview:\n%s", p.body)
	}
	s.redis.Kill()
	p := v.get("/")
	if p.code != http.StatusOK || !strings.Contains(p.body, "Redis does not answer") || strings.Contains(p.body, ">0<") || !strings.Contains(p.body, `<dd class="none">unknown</dd>`) {
		t.Errorf("without Redis the overview answers %d:\n%s", p.code, p.body)
	}
	for _, path := range []string{"/events", "/dead", "/events/1-1", "/replay?status=dead"} {
		if p := v.get(path); p.code != http.StatusServiceUnavailable || !strings.Contains(p.body, "Redis does not answer") {
			t.Errorf("without Redis %s answers %d", path, p.code)
		}
	}
	s.redis.Start()
	s.await("the overview is back", func() bool { return strings.Contains(v.get("/").body, "1 event is dead") })
}

func TestWhoHasSignedInMayUseTheAdminAPI(t *testing.T) {
	s := newPageStack(t)
	o := s.connectBare(seam.Metadata{"user_id": "u1"})
	id := s.deliver(o)
	s.ended(id)
	v := signedIn(s)
	for path, method := range map[string]string{
		"/api/stats": http.MethodGet, "/api/events": http.MethodGet, "/api/events/" + id: http.MethodGet,
		"/api/events/" + id + "/replay": http.MethodPost,
	} {
		if p := v.ask(method, path, nil); p.code >= http.StatusMultipleChoices {
			t.Errorf("%s %s answers %d with a session: %s", method, path, p.code, p.body)
		}
		if p := (&visitor{stack: s}).ask(method, path, nil); p.code != http.StatusUnauthorized {
			t.Errorf("%s %s answers %d without one", method, path, p.code)
		}
	}
	crossing := &visitor{stack: s, cookies: v.cookies, headers: map[string]string{"Sec-Fetch-Site": "cross-site"}}
	if p := crossing.ask(http.MethodPost, "/api/events/"+id+"/replay", nil); p.code != http.StatusUnauthorized {
		t.Errorf("a replay from another site answers %d", p.code)
	}
}

func TestThePageTellsWhereEveryValueComesFrom(t *testing.T) {
	file := writeRules(t, `version: 1
lookups:
  region:
    table: {file: regions.csv, key: code, value: account.custom_metadata.code}
tags:
  region: region.name
  exotic: 'region.name == "Asia" ? "yes" : nil'
`)
	writeFile(t, filepath.Join(filepath.Dir(file), "regions.csv"), "code,name\neu,Europe\n")
	s := newStack(t, sandbox.Replace, "ADMIN_TOKEN="+testToken, "SEAMTAG_CONFIG="+file)
	o := s.connectBare(nil)
	account := o.Event.ConnectedAccountID
	s.seam.SetMetadata(account, seam.Metadata{"code": "eu", "site": "hq"})
	v := signedIn(s)
	wants := func(path string, texts ...string) {
		t.Helper()
		p := v.get(path)
		for _, text := range texts {
			if !strings.Contains(p.body, text) {
				t.Errorf("%s (%d) does not show %s:\n%s", path, p.code, text, p.body)
			}
		}
	}
	wants("/account?id="+account, "<ins>Europe</ins>", "<code>region.name</code>", "by region", "2 keys stay as they are", "found, ")
	id := s.deliver(o)
	s.ended(id)
	wants("/events/"+id, "<ins>Europe</ins>", "<code>region.name</code>", "found, ")
	wants("/account?id="+account, "Nothing would be written", "3 keys stay as they are")
	wants("/replay?id="+id, "Nothing would be written")
	if md := s.metadata(account); md["region"] != "Europe" {
		t.Errorf("metadata %v", md)
	}
}

func TestAStopDoesNotWaitForLivePages(t *testing.T) {
	s := newPageStack(t)
	v := signedIn(s)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/live", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(v.cookies[0])
	resp, err := s.sender.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, len("event: change"))
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "event: change" {
		t.Fatalf("the stream begins with %q: %v", first, err)
	}
	s.stop()
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("the stream was cut off: %v", err)
	}
	if strings.Contains(s.log.String(), "wait for requests under way") {
		t.Errorf("the stop ran into its limit:\n%s", s.log)
	}
}
