package metadata

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"seamtag/seam"
)

var update = flag.Bool("update", false, "write the golden files anew")

// mergeCase is one decision in a readable form. The files under testdata/merge hold these sections, of which all but
// event.json may be absent, and after them what comes out.
type mergeCase struct {
	Event   caseEvent
	Present seam.Metadata
	Webview *caseWebview
	Ledger  json.RawMessage
	Policy  casePolicy
	Tags    map[string]any
}

type caseEvent struct {
	ID   string    `json:"id"`
	Type string    `json:"type"`
	At   time.Time `json:"at"`
}

type caseWebview struct {
	ID       string        `json:"id"`
	Gone     bool          `json:"gone"`
	At       time.Time     `json:"at"`
	Metadata seam.Metadata `json:"metadata"`
}

type casePolicy struct {
	Conflict Conflict `json:"conflict"`
	Budget   Budget   `json:"budget"`
	Prune    *bool    `json:"prune"`
	Restore  *bool    `json:"restore"`
	Drop     []string `json:"drop"`
	Allow    []string `json:"allow"`
}

// caseNow is when all cases are decided.
var caseNow = time.Date(2026, time.June, 1, 12, 0, 0, 0, time.UTC)

func (c mergeCase) input() (Input, error) {
	ledger, err := ParseLedger(c.Ledger)
	if err != nil {
		return Input{}, err
	}
	in := Input{
		Event:   seam.Event{EventID: c.Event.ID, EventType: c.Event.Type, ConnectedAccountID: "acc", OccurredAt: c.Event.At},
		Account: seam.Account{ID: "acc", Metadata: c.Present},
		Ledger:  ledger, Rules: &Rules{copies: DefaultRules().copies, policy: c.Policy.policy()},
		Tags: map[string]Tag{}, Now: caseNow,
	}
	if in.Event.EventType == "" {
		in.Event.EventType = seam.TypeAccountConnected
	}
	if w := c.Webview; w != nil {
		in.WebviewGone, in.WebviewAt = w.Gone, w.At
		if !w.Gone {
			in.Webview = &seam.Webview{ID: w.ID, Metadata: w.Metadata}
		}
	}
	for key, value := range c.Tags {
		in.Tags[key] = Tag{Value: value, Source: "tags." + key}
	}
	return in, nil
}

func (p casePolicy) policy() Policy {
	policy := DefaultPolicy()
	if p.Conflict != "" {
		policy.Conflict = p.Conflict
	}
	if p.Budget != "" {
		policy.Budget = p.Budget
	}
	if p.Prune != nil {
		policy.Prune = *p.Prune
	}
	if p.Restore != nil {
		policy.Restore = *p.Restore
	}
	policy.Drop, policy.Allow = p.Drop, p.Allow
	return policy
}

// decision is what a golden file says comes out.
type decision struct {
	Changed  bool              `json:"changed"`
	Metadata seam.Metadata     `json:"metadata"`
	Set      map[string]any    `json:"set,omitempty"`
	Removed  []string          `json:"removed,omitempty"`
	Restored []string          `json:"restored,omitempty"`
	Dropped  []string          `json:"dropped,omitempty"`
	Sources  map[string]string `json:"sources,omitempty"`
}

func TestMergeGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/merge/*.txtar")
	if err != nil || len(files) < 25 {
		t.Fatalf("want at least 25 cases, found %d (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { goldenCase(t, file) })
	}
}

func goldenCase(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	in, err := readCase(t, archive).input()
	if err != nil {
		t.Fatal(err)
	}
	want := &txtar.Archive{Comment: archive.Comment}
	for _, f := range archive.Files {
		if _, out := outputs[f.Name]; !out {
			want.Files = append(want.Files, f)
		}
	}
	want.Files = append(want.Files, outcome(t, in)...)
	if *update {
		if err := os.WriteFile(file, txtar.Format(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(txtar.Format(want)), string(txtar.Format(archive))); diff != "" && !*update {
		t.Errorf("decided (-) and golden (+) differ; run with -update if the decision is right:\n%s", diff)
	}
}

var outputs = map[string]struct{}{"error.txt": {}, "decision.json": {}, "ledger-after.json": {}}

func outcome(t *testing.T, in Input) []txtar.File {
	d, err := Plan(in)
	if err != nil {
		return []txtar.File{{Name: "error.txt", Data: []byte(err.Error() + "\n")}}
	}
	return []txtar.File{
		{Name: "decision.json", Data: pretty(t, decision{d.Changed, d.Metadata, d.Set, d.Removed, d.Restored, d.Dropped, d.Sources})},
		{Name: "ledger-after.json", Data: pretty(t, json.RawMessage(d.Settle(d.Metadata).Encode()))},
	}
}

func readCase(t *testing.T, archive *txtar.Archive) mergeCase {
	var c mergeCase
	into := map[string]any{
		"event.json": &c.Event, "present.json": &c.Present, "webview.json": &c.Webview,
		"ledger.json": &c.Ledger, "policy.json": &c.Policy, "tags.json": &c.Tags,
	}
	for _, f := range archive.Files {
		if _, out := outputs[f.Name]; out {
			continue
		}
		target, ok := into[f.Name]
		if !ok {
			t.Fatalf("unknown section %s", f.Name)
		}
		dec := json.NewDecoder(bytes.NewReader(f.Data))
		dec.DisallowUnknownFields()
		dec.UseNumber()
		if err := dec.Decode(target); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
	}
	return c
}

func pretty(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
