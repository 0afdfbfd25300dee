package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"seamtag/queue"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

func replayed(matched, replayed int, dryRun bool) map[string]any {
	return map[string]any{"matched": float64(matched), "replayed": float64(replayed), "dry_run": dryRun}
}

// connected lets accounts connect, one event each, and waits for their ends.
func (s *stack) connected(n int) []string {
	s.t.Helper()
	ids := make([]string, n)
	for i := range n {
		view := s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": fmt.Sprint("u", i)}})
		ids[i] = s.deliver(s.seam.Connect(view, sandbox.AccountID(accountNumber(i))))
	}
	for _, id := range ids {
		s.ended(id)
	}
	return ids
}

func (s *stack) replays(ids []string) []int {
	s.t.Helper()
	counts := make([]int, len(ids))
	for i, id := range ids {
		e, err := s.app.queue.Entry(s.t.Context(), id)
		if err != nil {
			s.t.Fatal(err)
		}
		counts[i] = e.Replays
	}
	return counts
}

func TestReplayPutsBackWhatMatches(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	ids := s.connected(12)
	gone := accountNumber(3)
	s.seam.DeleteAccount(gone)
	body := fmt.Sprintf(`{"event_id":"e1","event_type":"connected_account.connected","workspace_id":"w","connected_account_id":%q,`+
		`"created_at":"2026-11-23T12:00:00Z","occurred_at":"2026-11-23T12:00:00Z"}`, gone)
	ids = append(ids, s.post("msg_gone", []byte(body)).ID)
	if e := s.ended(ids[12]); e.Status != queue.Skipped {
		t.Fatalf("of an account that is gone: %s", e.Status)
	}

	wantJSON(t, s.mustCommand("replay", "--dry-run", "--json"), replayed(13, 0, true))
	if out := s.mustCommand("replay", "--dry-run"); out != "13 ended events of 12 accounts match\n" {
		t.Errorf("as text: %q", out)
	}
	for _, tt := range []struct {
		args []string
		want int
	}{
		{[]string{"--status", "skipped"}, 1},
		{[]string{"--reason", "account_gone"}, 1},
		{[]string{"--account", gone}, 2},
		{[]string{"--account", gone, "--status", "dead"}, 0},
		{[]string{"--since", "1h"}, 13},
		{[]string{"--until", "1h"}, 0},
		{[]string{"--id", ids[0]}, 1},
		{[]string{"--id", "msg_gone", "--id", ids[1]}, 2},
		{[]string{"--id", "e1"}, 1},
	} {
		wantJSON(t, s.mustCommand(append([]string{"replay", "--dry-run", "--json"}, tt.args...)...), replayed(tt.want, 0, true))
		if n := slices.Max(s.replays(ids)); n != 0 {
			t.Fatalf("a dry run with %v put something back", tt.args)
		}
	}
	wantJSON(t, s.mustCommand("replay", "--status", "skipped", "--yes", "--json"), replayed(1, 1, false))
	s.drained()
	if got := s.replays(ids); got[12] != 1 || slices.Max(got[:12]) != 0 {
		t.Errorf("put back: %v", got)
	}
	wantJSON(t, s.mustCommand("replay", "--id", ids[0], "--yes", "--json"), replayed(1, 1, false))
	s.drained()
	if out := s.mustCommand("replay", "--yes", "--rate", "500/s"); out != "13 matched, 13 put back\n" {
		t.Errorf("as text: %q", out)
	}
	s.drained()
	e, err := s.app.queue.Entry(t.Context(), ids[0])
	if err != nil || e.Attempts != 1 || e.Replays != 2 || len(e.History) != 3 {
		t.Errorf("after two replays: %+v, %v", e, err)
	}
}

func TestReplayRefusesWhatMakesNoSense(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{}, exitUsage, "--yes"},
		{[]string{"--yes", "--status", "queued"}, exitUsage, "--status queued"},
		{[]string{"--yes", "--since", "1h", "--until", "2h"}, exitUsage, "--since"},
		{[]string{"--yes", "--id", "1-1", "--status", "dead"}, exitUsage, "--id"},
		{[]string{"--yes", "--rate", "fast"}, exitUsage, "--rate"},
		{[]string{"--yes", "--id", "nobody"}, exitFailed, `no event is known by "nobody"`},
	} {
		code, out, errs := s.command(append([]string{"replay"}, tt.args...)...)
		if code != tt.code || !strings.Contains(errs, tt.says) || out != "" {
			t.Errorf("replay %v: exit code %d\n%s%s", tt.args, code, out, errs)
		}
	}
}

// TestReplayGoesOnWhereItWasStopped interrupts a replay in the middle: the same command then puts back exactly the rest.
func TestReplayGoesOnWhereItWasStopped(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	ids := s.connected(40)
	args := []string{"replay", "--since", "1h", "--yes", "--rate", "20/s", "--json"}
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		defer interrupt()
		s.await("some are put back", func() bool { return slices.Max(s.replays(ids)) > 0 })
	}()
	code, out, errs := s.commandIn(ctx, args...)
	if code != exitFailed || !strings.Contains(errs, "go on with: seamtag replay --since 1h --yes") {
		t.Fatalf("interrupted: exit code %d\n%s%s", code, out, errs)
	}
	s.drained()
	before := 0
	for _, n := range s.replays(ids) {
		before += n
	}
	if before == 0 || before >= 40 {
		t.Fatalf("%d put back before the interruption", before)
	}
	if out := s.mustCommand("replay", "--since", "1h", "--dry-run"); !strings.Contains(out, fmt.Sprintf("%d ended events", 40-before)) ||
		!strings.Contains(out, "--from-start") {
		t.Errorf("a dry run in between: %q", out)
	}
	args[5] = "1000/s"
	wantJSON(t, s.mustCommand(args...), replayed(40-before, 40-before, false))
	s.drained()
	if got := s.replays(ids); slices.Min(got) != 1 || slices.Max(got) != 1 {
		t.Errorf("put back %v times, want once each", got)
	}
	wantJSON(t, s.mustCommand(args...), replayed(40, 40, false)) // at its end it is forgotten
}

func TestReplayShowsThePlan(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	s.connected(3)
	s.seam.Reconnect(accountNumber(1), s.seam.AddWebview(sandbox.WebviewSpec{})) // it wipes, and no webhook told
	s.seam.DeleteAccount(accountNumber(2))
	s.seam.ResetCalls()
	out := s.mustCommand("replay", "--plan", "--dry-run")
	for _, want := range []string{
		accountNumber(1) + "  user_id  –                    \"u1\"\n", accountNumber(2) + "  –        the account is gone  –\n",
		"3 ended events of 3 accounts match\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, accountNumber(0)) {
		t.Errorf("nothing would change on the first account:\n%s", out)
	}
	if n := s.seam.Calls(updateEndpoint); n != 0 {
		t.Errorf("%d updates by a plan", n)
	}
}
