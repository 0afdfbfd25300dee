package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the golden files")

// run runs a command and answers its exit code and what it printed.
func run(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), Process{Args: args, Environ: environ, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs})
	return code, out.String(), errs.String()
}

// Each file of testdata/broken holds a rules file with one mistake, and what is said about it: by rules check, which ends
// with exit code 2, and by serve, which does not start.
func TestBrokenRulesAreExplained(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.txtar")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d broken files (%v), want at least 30", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { checkBroken(t, file) })
	}
}

func checkBroken(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	want := &archive.Files[len(archive.Files)-1]
	if want.Name != "want" {
		archive.Files = append(archive.Files, txtar.File{Name: "want"})
		want = &archive.Files[len(archive.Files)-1]
	}
	for _, f := range archive.Files[:len(archive.Files)-1] {
		writeFile(t, filepath.Join(dir, f.Name), string(f.Data))
	}
	environ := []string{
		"SEAMTAG_CONFIG=" + filepath.Join(dir, "seamtag.yaml"), "SET=postgres://u:hunter2@db/x", "SEAM_API_KEY=seam_key",
		"SEAM_WEBHOOK_SECRET=" + testSecret, "REDIS_URL=redis://127.0.0.1:1", "PORT=0", "METRICS_PORT=0", "LOG_LEVEL=error",
	}
	code, _, said := run(t, environ, "rules", "check")
	said = strings.ReplaceAll(said, dir+string(filepath.Separator), "")
	if *update {
		want.Data = []byte(said)
		if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(want.Data), said); diff != "" || code != exitUsage {
		t.Errorf("exit code %d, want 2 (-want +got):\n%s", code, diff)
	}
	if strings.Contains(said, "hunter2") {
		t.Errorf("a secret is told:\n%s", said)
	}
	code, _, served := run(t, environ, "serve")
	if served = strings.ReplaceAll(served, dir+string(filepath.Separator), ""); served != said || code != exitUsage {
		t.Errorf("serve ends with %d and says\n%s\nwant 2 and\n%s", code, served, said)
	}
}

func TestRulesCheckSaysWhatItFound(t *testing.T) {
	file := writeRules(t, `version: 1
events: [connected_account.connected]
lookups:
  unused: {redis: {url: "redis://localhost", hash: "x:{account.customer_key}"}}
  user: {sql: {driver: sqlite, dsn: "users.db", query: "select 1", args: [origin.custom_metadata.user_id]}, missing: empty}
  site: {redis: {url: "redis://localhost", hash: "site:{user.site}"}}
copy: [origin.custom_metadata, user]
tags: {name: site.name, key: account.custmer_key}
`)
	code, printed, said := run(t, nil, "rules", "check", file, "--json")
	if code != exitDone || said != "" {
		t.Fatalf("exit code %d: %s", code, said)
	}
	var got any
	if err := json.Unmarshal([]byte(printed), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"file": file, "ok": true, "events": []any{"connected_account.connected"}, "copy": []any{"origin.custom_metadata", "user"},
		"tags": []any{
			map[string]any{"key": "key", "expression": "account.custmer_key", "lookups": []any{}},
			map[string]any{"key": "name", "expression": "site.name", "lookups": []any{"site"}},
		},
		"lookups": []any{
			map[string]any{"name": "user", "system": "sql", "params": []any{"origin.custom_metadata.user_id"}, "missing": "empty"},
			map[string]any{"name": "site", "system": "redis", "params": []any{"user.site"}, "missing": "retry"},
		},
		"notes": []any{
			`account.custmer_key is no field that Seam documents, so it will most likely be null, did you mean "customer_key"? (account.custmer_key)`,
			`lookup "unused" is never asked: no tag, copy or other lookup uses it`,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
	code, printed, _ = run(t, nil, "rules", "check", file)
	if code != exitDone || !strings.HasPrefix(printed, file+" is right: 2 tags, 2 lookups asked\n") {
		t.Errorf("exit code %d:\n%s", code, printed)
	}
}

func TestRulesCheckTellsAProgramWhatIsWrong(t *testing.T) {
	file := writeRules(t, "version: 1\ntags: {a: usr.id, b: 1 + }\n")
	code, printed, _ := run(t, nil, "rules", "check", file, "--json")
	want := `{"file":"` + file + `","ok":false,"errors":[{"line":2,"column":11,"problem":"unknown name usr: want account, event, origin or webview"},` +
		`{"line":2,"column":25,"problem":"the expression ends too early"}]}` + "\n"
	if diff := cmp.Diff(want, printed); diff != "" || code != exitUsage {
		t.Errorf("exit code %d, printed (-want +got):\n%s", code, diff)
	}
}

func TestAMissingRulesFileIsRightUnlessItWasAskedFor(t *testing.T) {
	t.Chdir(t.TempDir())
	if code, printed, said := run(t, nil, "rules", "check"); code != exitDone || !strings.HasPrefix(printed, "no rules file") {
		t.Errorf("without one: exit code %d %s %s", code, printed, said)
	}
	if code, _, said := run(t, []string{"SEAMTAG_CONFIG=other.yaml"}, "rules", "check"); code != exitUsage || !strings.Contains(said, "SEAMTAG_CONFIG") {
		t.Errorf("asked for by the environment: exit code %d %s", code, said)
	}
	if code, _, said := run(t, nil, "rules", "check", "other.yaml"); code != exitUsage || !strings.Contains(said, "other.yaml") {
		t.Errorf("asked for by name: exit code %d %s", code, said)
	}
}
