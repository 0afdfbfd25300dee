package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"seamtag/internal/parts"
	"seamtag/queue"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

var screens = flag.String("screens", "", "folder that screenshots of the page are written to; default: one that is thrown away")

// newPageStack is a stack with a page.
func newPageStack(t *testing.T) *stack {
	return newStack(t, sandbox.Replace, "ADMIN_TOKEN="+testToken)
}

// connectBare lets an account connect that has lost its metadata before its event comes, so that there is something to write.
func (s *stack) connectBare(md seam.Metadata) sandbox.Occurrence {
	o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: md}))
	s.seam.SetMetadata(o.Event.ConnectedAccountID, seam.Metadata{})
	return o
}

// reject makes the pretend Seam refuse what is written to an account.
func (s *stack) reject(o sandbox.Occurrence) {
	s.seam.Fail(sandbox.Fault{
		Endpoint: updateEndpoint, Status: http.StatusBadRequest, Type: "invalid_input", Message: "custom_metadata is refused",
		OnlyAccount: o.Event.ConnectedAccountID,
	})
}

func TestAnOperatorFindsADeadEventAndMendsItOnThePage(t *testing.T) {
	s := newPageStack(t)
	o := s.connectBare(seam.Metadata{"user_id": "u1", "email": "ada@example.com"})
	s.reject(o)
	id := s.deliver(o)
	if e := s.ended(id); e.Status != queue.Dead {
		t.Fatalf("the event ended %s, want dead", e.Status)
	}
	b := newBrowser(t, s)
	b.open("/events")
	if got := b.path(); got != "/login?next=%2Fevents" {
		t.Fatalf("without a session the page is %s", got)
	}
	b.fill("token", "a-wrong-token")
	b.press("Sign in")
	b.awaitText("That is not the admin token.")
	b.fill("token", testToken)
	b.press("Sign in")
	if got := b.path(); got != "/events" {
		t.Fatalf("after the login the page is %s", got)
	}

	b.open("/")
	b.awaitText("1 event is dead")
	b.fill("q", o.Event.EventID)
	b.do(chromedp.Submit(chromedp.ID("q")))
	b.await("the search leads to the event", func() bool { return b.path() == "/events/"+id })
	b.awaitText("custom_metadata is refused")
	if text := b.text(); strings.Contains(text, "ada@example.com") {
		t.Errorf("the payload shows an e-mail address unasked:\n%s", text)
	}

	s.seam.Heal()
	b.press("Replay…")
	b.awaitText("What would change on " + o.Event.ConnectedAccountID)
	if text := b.text(); !strings.Contains(text, "user_id") || !strings.Contains(text, "u1") || strings.Contains(text, "ada@") {
		t.Errorf("the difference wants user_id: u1 and the e-mail address masked:\n%s", text)
	}
	if e := s.ended(id); e.Status != queue.Dead {
		t.Fatalf("the dry run replayed the event: %s", e.Status)
	}
	b.press("Replay it")
	eval[bool](b, `window.sameDocument = true`)
	b.await("the event turns to tagged", func() bool {
		return eval[string](b, `document.querySelector("#state .status").textContent`) == string(queue.Tagged)
	})
	if md := s.metadata(o.Event.ConnectedAccountID); md["user_id"] != "u1" {
		t.Errorf("metadata %v", md)
	}
}

func TestThePageTurnsLive(t *testing.T) {
	s := newPageStack(t)
	b := newBrowser(t, s)
	b.signIn()
	b.awaitText("Every event has been dealt with")
	eval[bool](b, `window.sameDocument = true`)
	o := s.connectBare(seam.Metadata{"user_id": "u1"})
	s.reject(o)
	s.ended(s.deliver(o))
	b.awaitText("1 event is dead")
	if !eval[bool](b, `window.sameDocument === true`) {
		t.Error("the page was loaded anew")
	}
}

func TestThePageReadsWithoutJavaScript(t *testing.T) {
	s := newPageStack(t)
	o := s.connectBare(seam.Metadata{"user_id": "u1"})
	s.reject(o)
	id := s.deliver(o)
	s.ended(id)
	s.seam.Heal()
	b := newBrowser(t, s)
	b.do(func(ctx context.Context, tab *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return chromedp.Void{}, err
	})
	b.signIn()
	for path, want := range map[string]string{
		"/": "1 event is dead", "/events": o.Event.ConnectedAccountID, "/dead": "rejected", "/events/" + id: "custom_metadata is refused",
		"/account?id=" + o.Event.ConnectedAccountID: "user_id",
	} {
		if b.open(path); !strings.Contains(b.text(), want) {
			t.Errorf("%s does not show %q without JavaScript:\n%s", path, want, b.text())
		}
	}
	b.open("/dead")
	b.press("Replay it…")
	b.press("Replay 1 event")
	b.awaitText("1 event is back at work")
	if e := s.ended(id); e.Status != queue.Tagged {
		t.Errorf("the replayed event ended %s", e.Status)
	}
}

// pagesOf fills a stack with events of every kind and lists the pages that show them.
func pagesOf(s *stack) map[string]string {
	s.t.Helper()
	var tagged sandbox.Occurrence
	var taggedID string
	for i, plan := range []string{"gold", "silver", "free", "gold", "free"} {
		tagged = s.connectBare(seam.Metadata{"user_id": fmt.Sprintf("u_10%02d", i), "plan": plan, "email": "ada@example.com"})
		taggedID = s.deliver(tagged)
		s.ended(taggedID)
	}
	s.ended(s.deliver(tagged))
	gone := s.connectBare(nil)
	s.seam.DeleteAccount(gone.Event.ConnectedAccountID)
	s.ended(s.deliver(gone))
	rejected := s.connectBare(seam.Metadata{"user_id": "u_2001", "plan": "gold"})
	s.reject(rejected)
	rejectedID := s.deliver(rejected)
	s.ended(rejectedID)
	s.ended(s.post(sandbox.NewMessageID(), []byte("not an event")).ID)
	busy := s.connectBare(seam.Metadata{"user_id": "u_3001"})
	s.seam.Fail(sandbox.Fault{Status: http.StatusServiceUnavailable, OnlyAccount: busy.Event.ConnectedAccountID})
	busyID := s.deliver(busy)
	s.await("an event is retried", func() bool {
		e, err := s.app.queue.Entry(s.t.Context(), busyID)
		return err == nil && e.Attempts > 0
	})
	return map[string]string{
		"overview": "/", "events": "/events", "event": "/events/" + taggedID, "retrying": "/events/" + busyID, "dead": "/dead",
		"account": "/account?id=" + rejected.Event.ConnectedAccountID, "replay": "/replay?id=" + rejectedID,
		"replay-group": "/replay?status=dead&reason=rejected", "nothing": "/events?status=tagged&reason=none", "fault": "/events/1-1",
	}
}

const phone = 390

// TestEveryPageIsAccessible looks at each page light and dark, wide and on a phone, with axe-core, and takes pictures of it.
func TestEveryPageIsAccessible(t *testing.T) {
	s := newPageStack(t)
	pages := pagesOf(s)
	pages["login"] = "/login"
	folder := *screens
	if folder == "" {
		folder = t.TempDir()
	}
	axe, err := os.ReadFile(filepath.Join(parts.NPM(), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatalf("axe-core is not installed, run: make deps (%v)", err)
	}
	b := newBrowser(t, s)
	for name, path := range pages {
		if name != "login" {
			b.signIn()
		}
		for _, scheme := range []string{"light", "dark"} {
			for shape, width := range map[string]int64{"": 1200, "-phone": phone} {
				b.look(scheme, width)
				b.open(path)
				b.judge(string(axe), name+shape+" "+scheme)
				if overflow := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); overflow > 0 {
					t.Errorf("%s%s is %d px too wide", name, shape, overflow)
				}
				if shape == "" || name == "overview" {
					b.picture(filepath.Join(folder, name+shape+"-"+scheme+".png"))
				}
			}
		}
		if name != "login" {
			b.press("Sign out")
		}
	}
}

// look sets the colour scheme and the width of the window.
func (b *browser) look(scheme string, width int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, 800), func(ctx context.Context, tab *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return chromedp.Void{}, err
	})
}

// judge runs axe-core. Serious and critical faults fail; lesser ones are shown.
func (b *browser) judge(axe, name string) {
	b.t.Helper()
	eval[bool](b, axe+`; true`)
	found := eval[string](b, `axe.run().then((r) => JSON.stringify(r.violations.map((v) => ({
		id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map((n) => n.html + " " + (n.failureSummary || "")).slice(0, 3),
	}))))`)
	var faults []struct {
		ID, Impact, Help string
		Nodes            []string
	}
	if err := json.Unmarshal([]byte(found), &faults); err != nil {
		b.t.Fatalf("axe: %v", err)
	}
	for _, f := range faults {
		report := b.t.Logf
		if f.Impact == "serious" || f.Impact == "critical" {
			report = b.t.Errorf
		}
		report("%s: %s (%s): %s\n%s", name, f.ID, f.Impact, f.Help, strings.Join(f.Nodes, "\n"))
	}
}

func (b *browser) picture(file string) {
	b.t.Helper()
	image, err := chromedp.Run(b.tab, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatalf("picture: %v", err)
	}
	if err := os.WriteFile(file, image, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
