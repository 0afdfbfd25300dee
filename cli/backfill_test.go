package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/queue"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

// command runs a command beside the stack's process, as an operator does.
func (s *stack) command(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	return s.commandIn(s.t.Context(), args...)
}

func (s *stack) commandIn(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	var out, errs logBuffer
	code = Run(ctx, Process{
		Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Environ: []string{
			"SEAM_API_KEY=" + s.seam.APIKey(), "SEAM_ENDPOINT=" + s.endpoint, "SEAM_WEBHOOK_SECRET=" + testSecret,
			"REDIS_URL=" + s.redis.URL(), "SEAMTAG_SEAM_RATE=1000/s",
		},
	})
	return code, out.String(), errs.String()
}

func (s *stack) mustCommand(args ...string) string {
	s.t.Helper()
	code, out, errs := s.command(args...)
	if code != exitDone {
		s.t.Fatalf("%s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// wantJSON compares a line of JSON that a command printed.
func wantJSON(t *testing.T, got string, want map[string]any) {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(got), &object); err != nil {
		t.Fatalf("%v:\n%s", err, got)
	}
	if diff := cmp.Diff(want, object); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func report(found, already, queued int, dryRun bool) map[string]any {
	return map[string]any{"found": float64(found), "already": float64(already), "queued": float64(queued), "dry_run": dryRun}
}

// drained waits until nothing is left to do.
func (s *stack) drained() {
	s.t.Helper()
	s.await("nothing is left to do", func() bool {
		stats, err := s.app.queue.Stats(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		return stats.Waiting == 0
	})
}

// TestBackfillQueuesWhatNoWebhookBrought: 1,203 events in three pages, one of which came by webhook.
func TestBackfillQueuesWhatNoWebhookBrought(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	view := s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}})
	var last sandbox.Occurrence
	for n := range 1203 {
		last = s.seam.Connect(view, sandbox.AccountID(accountNumber(n)), sandbox.At(time.Now().Add(-time.Hour-time.Duration(n)*time.Second)))
		s.seam.SetMetadata(accountNumber(n), seam.Metadata{})
	}
	s.ended(s.deliver(last))
	backfill := func(more ...string) string {
		return s.mustCommand(append([]string{"backfill", "--since", "20h", "--rate", "5000/s", "--json"}, more...)...)
	}
	wantJSON(t, backfill("--dry-run"), report(1203, 1, 1202, true))
	s.seam.ResetCalls()
	wantJSON(t, backfill(), report(1203, 1, 1202, false))
	if n := s.seam.Calls("/events/list"); n < 4 {
		t.Errorf("%d calls of /events/list, want at least the three pages and the end", n)
	}
	s.drained()
	for n := range 1203 {
		if md := s.metadata(accountNumber(n)); md["user_id"] != "u1" {
			t.Fatalf("account %d: %v", n, md)
		}
	}
	s.seam.ResetCalls()
	wantJSON(t, backfill(), report(1203, 1203, 0, false))
	s.drained()
	if n := s.seam.Calls(updateEndpoint); n != 0 {
		t.Errorf("the second run led to %d updates", n)
	}
	if out := s.mustCommand("backfill", "--since", "20h"); out != "1203 found, 1203 already known, 0 queued\n" {
		t.Errorf("as text: %q", out)
	}
	// An event that comes by webhook after all is one more look, and no write.
	if e := s.ended(s.deliver(s.seam.Events()[1])); e.Status != queue.Unchanged {
		t.Errorf("the late webhook ended %s", e.Status)
	}
}

func TestBackfillOfAccountsNeverTagged(t *testing.T) {
	bothSemantics(t, func(t *testing.T, s *stack) {
		for n := range 620 {
			view := s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": fmt.Sprint("u", n)}})
			o := s.seam.Connect(view, sandbox.AccountID(accountNumber(n)), sandbox.At(time.Now().Add(-time.Hour)))
			s.seam.SetMetadata(accountNumber(n), seam.Metadata{"site": "hq"})
			if n < 20 {
				s.ended(s.deliver(o))
			}
		}
		backfill := func(more ...string) string {
			return s.mustCommand(append([]string{"backfill", "--source", "accounts", "--rate", "5000/s", "--json"}, more...)...)
		}
		wantJSON(t, backfill("--dry-run"), report(620, 20, 600, true))
		wantJSON(t, backfill(), report(620, 20, 600, false))
		s.drained()
		for n := range 620 {
			if diff := cmp.Diff(seam.Metadata{"user_id": fmt.Sprint("u", n), "site": "hq"}, s.metadata(accountNumber(n))); diff != "" {
				t.Fatalf("account %d: %s", n, diff)
			}
		}
		s.seam.ResetCalls()
		wantJSON(t, backfill(), report(620, 620, 0, false))
		s.drained()
		if n := s.seam.Calls(updateEndpoint); n != 0 {
			t.Errorf("the second run led to %d updates", n)
		}
	})
}

// TestBackfillGoesOnWhereItWasInterrupted: what was queued is known, whatever ended the first run.
func TestBackfillGoesOnWhereItWasInterrupted(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	view := s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}})
	const days = 40
	for n := range days {
		s.seam.Connect(view, sandbox.AccountID(accountNumber(n)), sandbox.At(time.Now().Add(-time.Duration(n)*24*time.Hour-time.Hour)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.seam.Fail(sandbox.Fault{Endpoint: "/events/list", Status: http.StatusBadGateway, Times: 1}) // waited out
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.await("some are queued", func() bool {
			stats, err := s.app.queue.Stats(t.Context())
			return err == nil && stats.Waiting+stats.Ended[queue.Unchanged] >= 3
		})
		cancel()
	}()
	code, _, errs := s.commandIn(ctx, "backfill", "--since", "45d", "--rate", "10/s")
	<-done
	if code != exitFailed || !strings.Contains(errs, "interrupted\nseamtag: go on with: seamtag backfill --since 20") {
		t.Fatalf("exit code %d, stderr:\n%s", code, errs)
	}
	_, again, _ := strings.Cut(strings.TrimSpace(errs), "go on with: seamtag ")
	first := len(s.entries())
	if first == 0 || first == days {
		t.Fatalf("%d of %d were queued before the interruption", first, days)
	}
	s.mustCommand(append(strings.Fields(again), "--rate", "5000/s")...)
	if n := len(s.entries()); n != days {
		t.Errorf("%d entries in the end, want %d", n, days)
	}
}

// entries are all of the log.
func (s *stack) entries() []queue.Entry {
	s.t.Helper()
	var all []queue.Entry
	for cursor := ""; ; {
		page, err := s.app.queue.List(s.t.Context(), queue.Filter{}, cursor, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, page.Entries...)
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
}

func TestBackfillSaysWhatIsWrong(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	for want, args := range map[string][]string{
		"--since is required":         {},
		"is not before --until":       {"--since", "1h", "--until", "2h"},
		"--source webhooks: want":     {"--source", "webhooks"},
		"--since and --until are for": {"--source", "accounts", "--since", "1h"},
		"want a time: 2026":           {"--since", "yesterday"},
		"is not a rate":               {"--since", "1h", "--rate", "fast"},
	} {
		code, _, errs := s.command(append([]string{"backfill"}, args...)...)
		if code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: exit code %d, %q; want 2 and %q", args, code, errs, want)
		}
	}
	s.seam.RevokeKey()
	if code, _, errs := s.command("backfill", "--since", "1h"); code != exitFailed || !strings.Contains(errs, "401") {
		t.Errorf("with a wrong key: exit code %d, %q", code, errs)
	}
}
