package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exampleEnviron is what the examples read from the environment, for rules check; their tests bring their own.
var exampleEnviron = []string{
	"DATABASE_URL=postgres://app@localhost/app", "CRM_TOKEN=t", "SITES_REDIS_URL=redis://localhost/1",
	"BILLING_DSN=app:pw@tcp(localhost:3306)/billing", "SUPPORT_TOKEN=t",
}

func TestTheExamplesAreRight(t *testing.T) {
	folders, err := filepath.Glob("../examples/*/seamtag.yaml")
	if err != nil || len(folders) != 5 {
		t.Fatalf("%d examples (%v), want 5", len(folders), err)
	}
	for _, file := range folders {
		if code, _, said := run(t, exampleEnviron, "rules", "check", file); code != exitDone {
			t.Errorf("rules check %s: exit code %d\n%s", file, code, said)
		}
		if code, printed, said := run(t, nil, "rules", "test", filepath.Dir(file)); code != exitDone || strings.Contains(printed, "FAIL") {
			t.Errorf("rules test %s: exit code %d\n%s%s", file, code, printed, said)
		}
	}
}

const tinyRules = "version: 1\nlookups: {user: {redis: {url: \"redis://localhost\", hash: \"u:{origin.custom_metadata.id}\"}}}\ntags: {plan: user.plan}\n"

// tinyTests writes rules and a file of tests beside them.
func tinyTests(t *testing.T, cases string) string {
	t.Helper()
	dir := filepath.Dir(writeRules(t, tinyRules))
	file := filepath.Join(dir, "tiny.test.yaml")
	writeFile(t, file, cases)
	return file
}

func TestAFailingCaseSaysHow(t *testing.T) {
	file := tinyTests(t, `
cases:
  - name: right
    webview: {custom_metadata: {id: u1}}
    lookups: {user: {value: {plan: gold}}}
    expect: {status: tagged, metadata: {id: u1, plan: gold}, set: {id: u1, plan: gold}, removed: [], restored: []}
  - name: all wrong
    account: {custom_metadata: {old: x}}
    webview: {custom_metadata: {id: u2}}
    lookups: {user: {asked: [u1], value: {plan: gold}}}
    expect: {status: unchanged, reason: nothing, error: boom, metadata: {id: u2, plan: lead, new: y}, removed: [old], restored: [old]}
  - name: no answer
    webview: {custom_metadata: {id: u2}}
    expect: {status: tagged}
`)
	code, printed, said := run(t, nil, "rules", "test", file)
	want := `ok    FILE: right
FAIL  FILE: all wrong
        lookup user: want it asked with ["u1"], got ["u2"]
        status: want unchanged, got tagged
        reason: want nothing, got –
        error: want boom, got –
        metadata.new: want "y", got none
        metadata.old: want none, got "x"
        metadata.plan: want "lead", got "gold"
        removed: want old, got –
        restored: want old, got –
FAIL  FILE: no answer
        status: want tagged, got retrying lookup user: the case gives no answer for it
1 passed, 2 failed
`
	if diff := cmp.Diff(want, strings.ReplaceAll(printed, file, "FILE")); diff != "" || code != exitFailed {
		t.Errorf("exit code %d, printed (-want +got):\n%s", code, diff)
	}
	if said != "seamtag: 2 cases of 3 failed\n" {
		t.Errorf("said %q", said)
	}
	code, printed, _ = run(t, nil, "rules", "test", filepath.Dir(file), "--json")
	if first, _, _ := strings.Cut(printed, "\n"); first != `{"file":"`+file+`","case":"right","ok":true}` || code != exitFailed {
		t.Errorf("exit code %d, printed %s", code, first)
	}
}

func TestWrongFilesOfTestsAreWrongUse(t *testing.T) {
	for name, tt := range map[string]struct{ file, want string }{
		"unknown key": {"cases:\n  - nam: x\n", `FILE:2:5: unknown field "nam"`},
		"not YAML":    {"cases: [\n", "FILE:1:8: "},
		"no case":     {"rules: seamtag.yaml\n", "FILE: there is no case"},
		"no name":     {"cases: [{expect: {status: tagged}}]\n", "FILE: case 1 has no name"},
		"same name":   {"cases: [{name: a, expect: {status: tagged}}, {name: a, expect: {status: tagged}}]\n", `two cases are named "a"`},
		"no status":   {"cases: [{name: a}]\n", `FILE: case "a" expects no status: want one of tagged, unchanged, skipped, retrying, dead`},
		"bad status":  {"cases: [{name: a, expect: {status: ok}}]\n", `FILE: case "a" expects status "ok"`},
		"bad lookup": {
			"cases: [{name: a, lookups: {usr: {missing: true}}, expect: {status: tagged}}]\n", `FILE: case "a": the rules ask no lookup "usr": they ask user`,
		},
		"bad event":   {"cases: [{name: a, event: {occurred_at: noon}, expect: {status: tagged}}]\n", `FILE: case "a": event: malformed event: occurred_at`},
		"bad account": {"cases: [{name: a, account: {custom_metadata: [1]}, expect: {status: tagged}}]\n", `FILE: case "a": account: `},
		"other rules": {"rules: other.yaml\ncases: [{name: a, expect: {status: tagged}}]\n", "other.yaml: cannot be read: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			file := tinyTests(t, tt.file)
			code, _, said := run(t, nil, "rules", "test", file)
			if said = strings.ReplaceAll(said, file, "FILE"); code != exitUsage || !strings.Contains(said, tt.want) {
				t.Errorf("exit code %d, want 2 and %q:\n%s", code, tt.want, said)
			}
		})
	}
	empty := t.TempDir()
	if code, _, said := run(t, nil, "rules", "test", empty); code != exitUsage || !strings.Contains(said, "no file named *.test.yaml") {
		t.Errorf("an empty folder: exit code %d %s", code, said)
	}
	if code, _, said := run(t, nil, "rules", "test", filepath.Join(empty, "none")); code != exitUsage || !strings.Contains(said, "no such file") {
		t.Errorf("no folder: exit code %d %s", code, said)
	}
}

// Every rules file in docs/rules.md is checked, and every file of tests that follows one is run against it.
func TestTheReferenceIsRight(t *testing.T) {
	text, err := os.ReadFile("../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	dir, checked, tested := "", 0, 0
	for i, block := range blocks {
		body := block[1]
		switch {
		case strings.Contains(body, "version: 1"):
			dir = t.TempDir()
			writeFile(t, filepath.Join(dir, "seamtag.yaml"), body)
			writeFile(t, filepath.Join(dir, "regions.csv"), "code,name\nemea,Europe\n")
			if code, _, said := run(t, exampleEnviron, "rules", "check", filepath.Join(dir, "seamtag.yaml")); code != exitDone {
				t.Errorf("block %d is refused:\n%s\n%s", i+1, body, said)
			}
			checked++
		case strings.HasPrefix(body, "cases:"):
			writeFile(t, filepath.Join(dir, "x.test.yaml"), body)
			if code, printed, said := run(t, exampleEnviron, "rules", "test", dir); code != exitDone {
				t.Errorf("the tests of block %d fail:\n%s%s", i+1, printed, said)
			}
			tested++
		default:
			t.Errorf("block %d is neither a rules file nor its tests:\n%s", i+1, body)
		}
	}
	if checked < 15 || tested < 15 {
		t.Errorf("%d rules files and %d files of tests, want 15 of each", checked, tested)
	}
}
