package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"seamtag/config"
	"seamtag/metadata"
	"seamtag/metadata/lookup"
	"seamtag/queue"
	"seamtag/seam"
)

// Of the account of a case, where it does not say.
const (
	caseAccount = "account_of_the_case"
	caseWebview = "webview_of_the_case"
	caseOrigin  = "origin_of_the_case"
)

// caseTime is when the event of a case happened, where it does not say.
var caseTime = time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)

// runRulesCase tags the account of a case in memory, by the rules as serve compiles them, and answers what became of it
// otherwise than expected. An error is one of the files.
func runRulesCase(ctx context.Context, p Process, file string, tests *config.RulesTests, c *config.RulesCase) ([]string, error) {
	world, event, ledger, err := newCaseWorld(c)
	if err != nil {
		return nil, &config.RulesError{File: file, Problem: fmt.Sprintf("case %q: %v", c.Name, err)}
	}
	rulesFile := tests.Rules
	if !filepath.IsAbs(rulesFile) {
		rulesFile = filepath.Join(filepath.Dir(file), rulesFile)
	}
	environ := slices.Clone(p.Environ)
	for name, value := range tests.Env {
		environ = append(environ, name+"="+value)
	}
	canned := newCannedAnswers(c.Lookups)
	rules, closeTables, err := cannedRules(rulesFile, environ, canned)
	defer closeTables()
	if err != nil {
		return nil, err
	}
	if problem := canned.unknown(rules); problem != "" {
		return nil, &config.RulesError{File: file, Problem: fmt.Sprintf("case %q: %s", c.Name, problem)}
	}
	tagger := metadata.New(metadata.Options{Seam: world, Rules: rules, Now: func() time.Time { return caseTime.Add(time.Minute) }})
	result, _, err := tagger.Tag(ctx, event, ledger, func() error { return nil })
	return append(canned.problems, differences(&c.Expect, world, result, err)...), nil
}

// cannedRules compiles a rules file as serve does, but for who answers its lookups: the case, or the table itself where the
// case says nothing of it.
func cannedRules(file string, environ []string, canned *cannedAnswers) (rules *metadata.Rules, closeTables func(), err error) {
	read, err := config.ReadRules(file, environ)
	if err != nil {
		return nil, func() {}, err
	}
	b := &builder{dir: file, callers: 1}
	definition := b.definition(&read)
	for i := range definition.Lookups {
		l := &definition.Lookups[i]
		if _, said := canned.answers[l.Name]; said || l.System != "table" {
			l.Lookup = canned.lookup(l.Name)
		}
	}
	rules, err = metadata.Compile(definition)
	closeTables = func() {
		for _, l := range b.opened {
			_ = l.Close() // only tables were asked
		}
	}
	return rules, closeTables, errors.Join(byPlace(append(b.errs, err))...)
}

// differences says what became of a case otherwise than expected.
func differences(want *config.Expectation, world *caseWorld, got metadata.Result, err error) []string {
	var all []string
	status, reason, text := string(got.Status), got.Reason, ""
	if err != nil {
		following := instruct(err)
		status, reason, text = string(queue.StatusAfter(following)), queue.ReasonOf(following), err.Error()
	}
	differ := func(what, want, got string) {
		all = append(all, fmt.Sprintf("%s: want %s, got %s", what, want, got))
	}
	if status != want.Status {
		differ("status", want.Status, strings.TrimSpace(status+" "+text))
	}
	if want.Reason != "" && reason != want.Reason {
		differ("reason", want.Reason, dash(reason))
	}
	if want.Error != "" && !strings.Contains(text, want.Error) {
		differ("error", want.Error, dash(text))
	}
	all = append(all, objectDifferences("metadata", want.Metadata, world.metadata)...)
	all = append(all, objectDifferences("set", want.Set, got.Set)...)
	if want.Removed != nil && !slices.Equal(want.Removed, got.Removed) {
		differ("removed", strings.Join(want.Removed, ", "), dash(strings.Join(got.Removed, ", ")))
	}
	if want.Restored != nil && !slices.Equal(want.Restored, got.Restored) {
		differ("restored", strings.Join(want.Restored, ", "), dash(strings.Join(got.Restored, ", ")))
	}
	return all
}

// objectDifferences compares by key. A nil want is not compared.
func objectDifferences(what string, want, got map[string]any) []string {
	if want == nil {
		return nil
	}
	keys := maps.Clone(want)
	maps.Copy(keys, got)
	var all []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		wanted, expected := want[key]
		found, there := got[key]
		switch {
		case !expected:
			all = append(all, fmt.Sprintf("%s.%s: want none, got %s", what, key, canonical(found)))
		case !there:
			all = append(all, fmt.Sprintf("%s.%s: want %s, got none", what, key, canonical(wanted)))
		case !equalJSON(wanted, found):
			all = append(all, fmt.Sprintf("%s.%s: want %s, got %s", what, key, canonical(wanted), canonical(found)))
		}
	}
	return all
}

// canonical is a value as JSON, keys sorted.
func canonical(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Appendf(nil, "%T", v) // a value that is not JSON equals none
	}
	return text
}

// caseWorld is Seam with one account, replacing metadata as it is documented to.
type caseWorld struct {
	account  map[string]any
	metadata seam.Metadata
	webviews map[string]seam.Webview
}

func newCaseWorld(c *config.RulesCase) (*caseWorld, seam.Event, metadata.Ledger, error) {
	w := &caseWorld{account: withField(c.Account, "connected_account_id", caseAccount), webviews: map[string]seam.Webview{}}
	account, err := w.read()
	if err != nil {
		return nil, seam.Event{}, metadata.Ledger{}, fmt.Errorf("account: %w", err)
	}
	w.metadata = account.Metadata
	event := map[string]any{
		"event_id": "event_of_the_case", "event_type": seam.TypeAccountConnected, "workspace_id": "workspace_of_the_case",
		"connected_account_id": account.ID, "created_at": caseTime.Format(time.RFC3339), "occurred_at": caseTime.Format(time.RFC3339),
	}
	if c.Webview != nil {
		view, err := w.webview(withField(c.Webview, "connect_webview_id", caseWebview))
		if err != nil {
			return nil, seam.Event{}, metadata.Ledger{}, fmt.Errorf("webview: %w", err)
		}
		event["connect_webview_id"] = view.ID
	}
	maps.Copy(event, c.Event)
	ev, err := seam.ParseEvent(canonical(event))
	if err != nil {
		return nil, ev, metadata.Ledger{}, fmt.Errorf("event: %w", err)
	}
	ledger, err := w.ledger(c, ev)
	return w, ev, ledger, err
}

func withField(object map[string]any, field, value string) map[string]any {
	full := map[string]any{field: value}
	maps.Copy(full, object)
	return full
}

func (w *caseWorld) webview(object map[string]any) (seam.Webview, error) {
	var view seam.Webview
	if err := json.Unmarshal(canonical(object), &view); err != nil {
		return view, err //nolint:wrapcheck // said by the caller
	}
	w.webviews[view.ID] = view
	return view, nil
}

// ledger is what is remembered of the account, where the case says that it was tagged before.
func (w *caseWorld) ledger(c *config.RulesCase, ev seam.Event) (metadata.Ledger, error) {
	if c.Origin == nil && c.Remembered == nil && c.Owned == nil {
		return metadata.Ledger{}, nil
	}
	before := ev.OccurredAt.Add(-time.Hour)
	remembered := maps.Clone(c.Remembered)
	if remembered == nil {
		remembered = map[string]any{}
	}
	maps.Copy(remembered, c.Owned)
	memory := map[string]any{"v": 1, "occurred_at": before, "event_id": "earlier", "snapshot": remembered, "owned": c.Owned}
	if c.Origin != nil {
		object := withField(c.Origin, "connect_webview_id", caseOrigin)
		if _, err := w.webview(object); err != nil {
			return metadata.Ledger{}, fmt.Errorf("origin: %w", err)
		}
		memory["origin"] = map[string]any{"id": object["connect_webview_id"], "at": before, "object": object}
	}
	ledger, err := metadata.ParseLedger(canonical(memory))
	if err != nil {
		return ledger, fmt.Errorf("remembered and owned: %w", err)
	}
	return ledger, nil
}

func (w *caseWorld) read() (account seam.Account, err error) {
	err = json.Unmarshal(canonical(w.account), &account)
	return account, err //nolint:wrapcheck // said by the caller
}

// Account implements metadata.Seam.
func (w *caseWorld) Account(context.Context, string) (seam.Account, error) { return w.read() }

// Webview implements metadata.Seam.
func (w *caseWorld) Webview(_ context.Context, id string) (seam.Webview, error) {
	view, ok := w.webviews[id]
	if !ok {
		return view, &seam.Error{Endpoint: "/connect_webviews/get", Status: 404, Type: "connect_webview_not_found"}
	}
	return view, nil
}

// UpdateMetadata implements metadata.Seam.
func (w *caseWorld) UpdateMetadata(_ context.Context, _ string, md seam.Metadata) error {
	w.metadata = md.Clone()
	w.account["custom_metadata"] = map[string]any(w.metadata)
	return nil
}

// Events implements metadata.Seam.
func (w *caseWorld) Events(context.Context, seam.EventQuery) ([]seam.Event, error) { return nil, nil }

// Webviews implements metadata.Seam.
func (w *caseWorld) Webviews(context.Context, seam.WebviewQuery) (seam.WebviewPage, error) {
	return seam.WebviewPage{}, nil
}

// cannedAnswers stand for the user's systems.
type cannedAnswers struct {
	answers  map[string]config.CannedAnswer
	problems []string
}

func newCannedAnswers(answers map[string]config.CannedAnswer) *cannedAnswers {
	return &cannedAnswers{answers: answers}
}

// unknown names an answer to a lookup that the rules do not have, or do not ask.
func (c *cannedAnswers) unknown(rules *metadata.Rules) string {
	lookups := rules.Describe().Lookups
	names := make([]string, len(lookups))
	for i, l := range lookups {
		names[i] = l.Name
	}
	for _, name := range slices.Sorted(maps.Keys(c.answers)) {
		if !slices.Contains(names, name) {
			return fmt.Sprintf("the rules ask no lookup %q: they ask %s", name, dash(strings.Join(names, ", ")))
		}
	}
	return ""
}

func (c *cannedAnswers) lookup(name string) metadata.Lookup { return &cannedLookup{name: name, of: c} }

type cannedLookup struct {
	name string
	of   *cannedAnswers
}

// Recall implements metadata.Lookup: what the case says needs no asking, but for an error. It always comes first, and from one
// goroutine, so it is what notes how the lookup was asked.
func (l *cannedLookup) Recall(ctx context.Context, params []any) (metadata.Answer, bool) {
	answer, err := l.Ask(ctx, params)
	if said := l.of.answers[l.name]; !slices.Contains(params, nil) && said.Asked != nil && !equalJSON(said.Asked, params) {
		l.of.problems = append(l.of.problems, fmt.Sprintf("lookup %s: want it asked with %s, got %s",
			l.name, canonical(said.Asked), canonical(params)))
	}
	return answer, err == nil
}

// Ask implements metadata.Lookup. As with a real one, a null parameter is missing without a question.
func (l *cannedLookup) Ask(_ context.Context, params []any) (metadata.Answer, error) {
	if slices.Contains(params, nil) {
		return metadata.Answer{Missing: true}, nil
	}
	answer, ok := l.of.answers[l.name]
	if !ok {
		return metadata.Answer{}, fmt.Errorf("lookup %s: the case gives no answer for it", l.name)
	}
	if answer.Error != "" {
		return metadata.Answer{}, &lookup.Error{Lookup: l.name, Kind: lookup.Transport, Detail: answer.Error}
	}
	return metadata.Answer{Value: metadata.Plain(answer.Value), Missing: answer.Missing || answer.Value == nil}, nil
}
