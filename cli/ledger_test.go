package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seamtag/internal/parts"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

// TestALostRedisComesBackFromExportAndBackfill: what was wiped while Redis was gone is repaired from the exported memory.
func TestALostRedisComesBackFromExportAndBackfill(t *testing.T) {
	bothSemantics(t, func(t *testing.T, s *stack) {
		for n := range 10 {
			view := s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}})
			o := s.seam.Connect(view, sandbox.AccountID(accountNumber(n)))
			s.seam.SetMetadata(accountNumber(n), seam.Metadata{"user_id": "u1", "site": "<hq> & more"})
			s.ended(s.deliver(o))
		}
		export := s.mustCommand("ledger", "export")
		if n := strings.Count(export, "\n"); n != 10 {
			t.Fatalf("%d lines:\n%s", n, export)
		}
		file := filepath.Join(t.TempDir(), "ledger.jsonl")
		if err := os.WriteFile(file, []byte(export), 0o600); err != nil {
			t.Fatal(err)
		}

		s.stop()
		s.redis = parts.Redis(t)
		s.start()
		s.seam.Reconnect(accountNumber(3), s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u2"}}))
		wantJSON(t, s.mustCommand("ledger", "import", file, "--json"), map[string]any{"read": 10., "imported": 10., "newer": 0.})
		s.mustCommand("backfill", "--since", "1h")
		s.drained()
		for n := range 10 {
			want := seam.Metadata{"user_id": "u1", "site": "<hq> & more"}
			if n == 3 {
				want["user_id"] = "u2"
			}
			if diff := cmp.Diff(want, s.metadata(accountNumber(n))); diff != "" {
				t.Errorf("account %d (-want +got):\n%s", n, diff)
			}
		}
		// The old memory does not come over the new one.
		if out := s.mustCommand("ledger", "import", file); out != "10 read, 0 imported, 10 known as new or newer\n" {
			t.Errorf("again: %q", out)
		}
	})
}

func TestImportSaysWhichLineIsWrong(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	for name, tt := range map[string]struct{ text, want string }{
		"not JSON":       {"\nhello\n", "line 2: not a line of an export"},
		"no account":     {`{"ledger":{"v":1}}`, "line 1: not a line of an export"},
		"of the future":  {`{"connected_account_id":"a","ledger":{"v":9,"owned":{"k":"s3cret"}}}`, "line 1: account a: parse ledger: version 9"},
		"another object": {`{"connected_account_id":"a","ledger":["s3cret"]}`, "line 1: account a: parse ledger: not one JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "ledger.jsonl")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			code, _, errs := s.command("ledger", "import", file)
			if code != exitFailed || !strings.Contains(errs, tt.want) || strings.Contains(errs, "s3cret") {
				t.Errorf("exit code %d, %q; want 1 and %q", code, errs, tt.want)
			}
		})
	}
	if code, _, errs := s.command("ledger", "import", "/nowhere"); code != exitUsage || !strings.Contains(errs, "/nowhere") {
		t.Errorf("no file: exit code %d, %q", code, errs)
	}
}
