package metadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"seamtag/seam"
)

// FuzzMerge: whatever an account, its webview, its ledger and the tags are, a decision is valid or an error, drops and
// changes no key of somebody else, and decides nothing more when it is made again on its own outcome.
func FuzzMerge(f *testing.F) {
	files, err := filepath.Glob("testdata/merge/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		f.Add(seedOf(f, file))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var c mergeCase
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		if dec.Decode(&c) != nil {
			return
		}
		in, err := c.input()
		if err != nil {
			return
		}
		checkDecision(t, in)
	})
}

// seedOf makes one JSON object out of a golden case.
func seedOf(f *testing.F, file string) []byte {
	f.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		f.Fatal(err)
	}
	sections := map[string]json.RawMessage{}
	for _, s := range archive.Files {
		if _, out := outputs[s.Name]; !out {
			sections[s.Name[:len(s.Name)-len(".json")]] = s.Data
		}
	}
	seed, err := json.Marshal(sections)
	if err != nil {
		f.Fatal(err)
	}
	return seed
}

func checkDecision(t *testing.T, in Input) {
	t.Helper()
	before := in.Account.Metadata.Clone()
	d, err := Plan(in)
	if err != nil {
		if rule := (*RuleError)(nil); !errors.As(err, &rule) {
			t.Fatalf("not a *RuleError: %v", err)
		}
		return
	}
	if diff := cmp.Diff(before, in.Account.Metadata); diff != "" {
		t.Fatalf("the input was changed:\n%s", diff)
	}
	checkForeign(t, in, d)
	checkValid(t, d)
	after := d.Settle(d.Metadata)
	ledger, err := ParseLedger(after.Encode())
	if err != nil {
		t.Fatalf("the ledger cannot be read again: %v", err)
	}
	in.Account.Metadata, in.Ledger = d.Metadata, ledger
	again, err := Plan(in)
	if err != nil {
		t.Fatalf("decided once, then: %v", err)
	}
	if again.Changed {
		t.Fatalf("decided again, it changes: set %v, removed %v, restored %v", again.Set, again.Removed, again.Restored)
	}
	if diff := cmp.Diff(string(after.Encode()), string(again.Settle(d.Metadata).Encode())); diff != "" {
		t.Fatalf("decided again, the ledger changes:\n%s", diff)
	}
}

func checkForeign(t *testing.T, in Input, d Decision) {
	t.Helper()
	for key, value := range in.Account.Metadata {
		tagged := in.Tags[key].Value != nil && in.Rules.policy.Conflict != ConflictKeep
		if value == nil || in.Ledger.wrote(key, value) || tagged {
			continue
		}
		if !equal(d.Metadata[key], value) {
			t.Fatalf("key %q is not ours and was changed", key)
		}
	}
}

func checkValid(t *testing.T, d Decision) {
	t.Helper()
	if d.Changed && len(d.Metadata) > maxKeys {
		t.Fatalf("%d keys", len(d.Metadata))
	}
	if d.Changed != (len(d.Set)+len(d.Removed)+len(d.Restored) > 0) {
		t.Fatalf("changed is %t, but set %v, removed %v, restored %v", d.Changed, d.Set, d.Removed, d.Restored)
	}
	for key, value := range d.Set {
		if keyProblem(key) != "" || d.Sources[key] == "" {
			t.Fatalf("set key %q, source %q", key, d.Sources[key])
		}
		switch v := value.(type) {
		case bool:
		case string:
			if !utf8.ValidString(v) || utf8.RuneCountInString(v) > maxValueLength {
				t.Fatalf("key %q: the value is refused by Seam", key)
			}
		default:
			t.Fatalf("key %q: a %T", key, value)
		}
	}
}

func FuzzDecimal(f *testing.F) {
	for _, seed := range []string{"0", "-0", "1e3", "0.10", "-1.50e-2", "1e999999999", "1E+400", "12345678901234567890.5", "1e-9223372036854775809"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, number string) {
		if !json.Valid([]byte(number)) || number[0] != '-' && (number[0] < '0' || number[0] > '9') {
			return
		}
		text, problem := decimal(number)
		if problem != "" {
			return
		}
		if !json.Valid([]byte(text)) {
			t.Fatalf("%s became %s", number, text)
		}
		if again, _ := decimal(text); again != text && len(text) <= maxValueLength {
			t.Fatalf("%s became %s, then %s", number, text, again)
		}
	})
}

func BenchmarkPlan(b *testing.B) {
	in := Input{
		Account: seam.Account{Metadata: seam.Metadata{"site": "hq", "floor": "3"}},
		Webview: &seam.Webview{ID: "w1", Metadata: seam.Metadata{"user_id": "u1"}, Raw: map[string]any{"connect_webview_id": "w1"}},
		Rules:   DefaultRules(), Now: caseNow, Tags: map[string]Tag{},
	}
	in.Event = seam.Event{EventID: "e1", EventType: seam.TypeAccountConnected, ConnectedAccountID: "acc", OccurredAt: caseNow}
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		in.Tags[key] = Tag{Value: "value of " + key, Source: "user." + key}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Plan(in); err != nil {
			b.Fatal(err)
		}
	}
}
