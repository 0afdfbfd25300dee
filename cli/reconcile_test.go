package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/metadata"
	"seamtag/queue"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

// reconciled runs reconcile --json and answers its lines by account, and the summary.
func (s *stack) reconciled(wantCode int, args ...string) (map[string]driftLine, driftSummary) {
	s.t.Helper()
	code, out, errs := s.command(append([]string{"reconcile", "--json", "--rate", "5000/s"}, args...)...)
	if code != wantCode {
		s.t.Fatalf("exit code %d, want %d\n%s%s", code, wantCode, out, errs)
	}
	lines := map[string]driftLine{}
	var summary driftSummary
	for scan := bufio.NewScanner(strings.NewReader(out)); scan.Scan(); {
		var line driftLine
		if err := json.Unmarshal(scan.Bytes(), &line); err != nil {
			s.t.Fatal(err)
		}
		if line.Account != "" {
			lines[line.Account] = line
		} else if err := json.Unmarshal(scan.Bytes(), &summary); err != nil {
			s.t.Fatal(err)
		}
	}
	return lines, summary
}

// tagAccounts connects and tags so many accounts.
func (s *stack) tagAccounts(n int) {
	s.t.Helper()
	for i := range n {
		view := s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": fmt.Sprint("u", i)}})
		o := s.seam.Connect(view, sandbox.AccountID(accountNumber(i)), sandbox.At(time.Now().Add(-time.Hour)))
		s.seam.SetMetadata(accountNumber(i), seam.Metadata{"site": "hq"})
		s.deliver(o)
	}
	s.drained()
}

func TestReconcileFindsAndMendsDrift(t *testing.T) {
	bothSemantics(t, func(t *testing.T, s *stack) {
		s.tagAccounts(10)
		if lines, summary := s.reconciled(exitDone); len(lines) != 0 || summary.Accounts != 10 || summary.Drifting != 0 {
			t.Fatalf("before: %+v %+v", lines, summary)
		}

		// A reconnect whose webhook was lost, a connect whose webhook was lost, and an account without a webview.
		s.seam.Reconnect(accountNumber(3), s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "new"}}))
		s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u10"}}), sandbox.AccountID(accountNumber(10)))
		s.seam.SetMetadata(accountNumber(10), seam.Metadata{})
		s.seam.Connect("", sandbox.AccountID(accountNumber(11)))

		lines, summary := s.reconciled(exitDrift)
		want := map[string]driftLine{
			accountNumber(3): {Account: accountNumber(3), Kinds: []metadata.DriftKind{"missing"}, Drift: []metadata.Drift{
				{Kind: "missing", Key: "site", After: "hq", Source: "ledger", Mends: true},
			}},
			accountNumber(10): {Account: accountNumber(10), Kinds: []metadata.DriftKind{"missing"}, Drift: []metadata.Drift{
				{Kind: "missing", Key: "user_id", After: "u10", Source: "webview.custom_metadata", Mends: true},
			}},
			accountNumber(11): {Account: accountNumber(11), Kinds: []metadata.DriftKind{"no_origin"}, Drift: []metadata.Drift{
				{Kind: "no_origin", Problem: "no webview is known to have connected the account"},
			}},
		}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Errorf("drift (-want +got):\n%s", diff)
		}
		counts := driftSummary{Accounts: 12, Drifting: 3, Kinds: map[metadata.DriftKind]int{"missing": 2, "no_origin": 1}}
		if diff := cmp.Diff(counts, summary); diff != "" {
			t.Errorf("summary (-want +got):\n%s", diff)
		}

		s.reconciled(exitDrift, "--fix") // one cannot be mended
		s.drained()
		if diff := cmp.Diff(seam.Metadata{"user_id": "new", "site": "hq"}, s.metadata(accountNumber(3))); diff != "" {
			t.Errorf("the reconnect: %s", diff)
		}
		if diff := cmp.Diff(seam.Metadata{"user_id": "u10"}, s.metadata(accountNumber(10))); diff != "" {
			t.Errorf("the lost connect: %s", diff)
		}
		s.seam.ResetCalls()
		lines, _ = s.reconciled(exitDone, "--ignore", "no_origin", "--fix")
		s.drained()
		if len(lines) != 0 || s.seam.Calls(updateEndpoint) != 0 {
			t.Errorf("in the end: %+v, %d updates", lines, s.seam.Calls(updateEndpoint))
		}
	})
}

func TestReconcileAsksLittleAndChooses(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	s.tagAccounts(20)
	s.seam.ResetCalls()
	s.reconciled(exitDone)
	if n := s.seam.Calls(""); n != 1 {
		t.Errorf("%d calls for accounts as they were left, want that of the list", n)
	}
	if _, summary := s.reconciled(exitDone, "--sample", "7"); summary.Accounts != 7 {
		t.Errorf("a sample of 7: %+v", summary)
	}
	if _, summary := s.reconciled(exitDone, "--account", accountNumber(4)); summary.Accounts != 1 {
		t.Errorf("one account: %+v", summary)
	}
	if _, summary := s.reconciled(exitDone, "--since", "30m"); summary.Accounts != 0 {
		t.Errorf("none was connected in the last 30 minutes: %+v", summary)
	}
	if _, summary := s.reconciled(exitDone, "--since", "2h"); summary.Accounts != 20 {
		t.Errorf("all were connected in the last two hours: %+v", summary)
	}
	if out := s.mustCommand("reconcile"); out != "20 accounts compared, 0 drifting\n" {
		t.Errorf("as text: %q", out)
	}
}

// TestReconcileQueuesOneRepair: what waits to be worked on is not queued again.
func TestReconcileQueuesOneRepair(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}}), sandbox.AccountID("acc"))
	s.seam.SetMetadata("acc", seam.Metadata{})
	s.seam.Fail(sandbox.Fault{Endpoint: updateEndpoint, Status: http.StatusBadGateway})
	_, one := s.reconciled(exitDone, "--fix")
	lines, two := s.reconciled(exitDone, "--fix")
	if one.Queued != 1 || two.Queued != 0 || two.Waiting != 1 || lines["acc"].Repair != "waiting" {
		t.Errorf("first %+v, second %+v", one, two)
	}
	s.seam.Heal()
	s.drained()
	if s.metadata("acc")["user_id"] != "u1" {
		t.Error("not mended")
	}
	entries := s.entries()
	if len(entries) != 1 || entries[0].Type != metadata.TypeCheck || entries[0].Status != queue.Tagged {
		t.Errorf("entries %+v", entries)
	}
}

func TestReconcileSaysWhatItCouldNotCompare(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	for n := range 3 {
		s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}}), sandbox.AccountID(accountNumber(n)))
	}
	s.seam.Fail(sandbox.Fault{Endpoint: "/events/list", OnlyAccount: accountNumber(1), Status: http.StatusBadRequest, Type: "invalid_input", Message: "no"})
	code, out, errs := s.command("reconcile")
	if code != exitFailed || out != "3 accounts compared, 0 drifting, 1 could not be compared\n" || !strings.Contains(errs, accountNumber(1)) {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	s.seam.RevokeKey()
	if code, _, errs := s.command("reconcile"); code != exitFailed || !strings.Contains(errs, "401") {
		t.Errorf("with a wrong key: exit code %d, %q", code, errs)
	}
	for want, args := range map[string][]string{
		"--ignore nothing: want one of": {"--ignore", "nothing"},
		"--sample -1: want":             {"--sample", "-1"},
		"--account names one account":   {"--account", "a", "--sample", "3"},
	} {
		if code, _, errs := s.command(append([]string{"reconcile"}, args...)...); code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: exit code %d, %q", args, code, errs)
		}
	}
}

func TestDriftIsReadable(t *testing.T) {
	line := driftLine{Account: "acc", Repair: "queued", Drift: []metadata.Drift{
		{Kind: "missing", Key: "user_id", After: "u1", Source: "webview.custom_metadata"},
		{Kind: "changed", Key: "vip", Before: true},
		{Kind: "over_budget", Problem: "51 keys\x1b[31m"},
	}}
	want := `acc  missing user_id: – → "u1" (webview.custom_metadata); changed vip: true → –; over_budget: 51 keys·[31m  [queued]`
	if diff := cmp.Diff(want, line.text()); diff != "" {
		t.Error(diff)
	}
}
