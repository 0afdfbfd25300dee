package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"seamtag/seam"
)

// canned is a lookup that answers from memory.
type canned struct {
	value  any
	err    error
	asked  atomic.Int64
	params []any
	before func()
	slow   bool // it has to be asked
}

func (c *canned) Ask(_ context.Context, params []any) (Answer, error) {
	c.asked.Add(1)
	c.params = params
	if c.before != nil {
		c.before()
	}
	return Answer{Value: c.value, Missing: c.value == nil, Cached: true}, c.err
}

func (c *canned) Recall(ctx context.Context, params []any) (Answer, bool) {
	if c.before != nil || c.err != nil || c.slow {
		return Answer{}, false
	}
	answer, _ := c.Ask(ctx, params)
	return answer, true
}

func lookupOf(name string, l Lookup, params ...string) LookupDefinition {
	d := LookupDefinition{Name: name, System: "table", Missing: MissedRetry, Lookup: l}
	for _, p := range params {
		d.Params = append(d.Params, Expression{Text: p})
	}
	return d
}

func tagsOf(pairs ...string) []TagDefinition {
	var tags []TagDefinition
	for i := 0; i < len(pairs); i += 2 {
		tags = append(tags, TagDefinition{Key: pairs[i], Value: Expression{Text: pairs[i+1]}})
	}
	return tags
}

func mustCompile(t testing.TB, d Definition) *Rules {
	t.Helper()
	d.Policy = DefaultPolicy()
	rules, err := Compile(d)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func ruledInput(rules *Rules) Input {
	connected := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return Input{
		Event: seam.Event{
			EventID: "e1", EventType: seam.TypeAccountConnected, ConnectedAccountID: "a1", OccurredAt: connected,
			Raw: map[string]any{"event_id": "e1", "event_type": seam.TypeAccountConnected, "connected_account_id": "a1"},
		},
		Account: seam.Account{ID: "a1", CustomerKey: "c1", Metadata: seam.Metadata{"theirs": "t"}, Raw: map[string]any{
			"connected_account_id": "a1", "customer_key": "c1", "custom_metadata": map[string]any{"theirs": "t"},
		}},
		Webview: &seam.Webview{ID: "w1", Metadata: seam.Metadata{"user_id": "u1"}, Raw: map[string]any{"connect_webview_id": "w1"}},
		Rules:   rules, Now: connected,
	}
}

func TestExpressions(t *testing.T) {
	user := &canned{value: map[string]any{"id": 7, "name": "José", "tags": []any{"a", "b"}, "address": map[string]any{"city": "Paris"}}}
	for _, tt := range []struct {
		expression string
		want       any // nil: no tag
	}{
		{`user.id`, "7"},
		{`event.count * 2`, "14"},
		{`user.id + 0.5`, "7.5"},
		{`user.plan ?? "free"`, "free"},
		{`user.plan?.name ?? "free"`, "free"},
		{`user.plan.name.first`, nil},
		{`user.address.city`, "Paris"},
		{`user.tags[1]`, "b"},
		{`get(user.tags, 7)`, nil},
		{`join(user.tags, "+")`, "a+b"},
		{`upper(user.name)`, "JOSÉ"},
		{`user.id == 7`, true},
		{`user.plan == "gold"`, false},
		{`webview == nil`, false},
		{`origin.connect_webview_id == webview.connect_webview_id`, true},
		{`webview.custom_metadata.user_id`, "u1"},
		{`event.event_type`, "connected_account.connected"},
		{`event.customer_key`, nil},
		{`account.customer_key == "c1" ? "one" : nil`, "one"},
		{`any(user.tags, # == "b")`, true},
		{`date("2026-01-02").Year()`, "2026"},
		{`12`, "12"},
		{`1e21`, "1000000000000000000000"},
		{`nil`, nil},
	} {
		rules := mustCompile(t, Definition{Tags: tagsOf("tag", tt.expression), Lookups: []LookupDefinition{lookupOf("user", user)}})
		in := ruledInput(rules)
		in.Event.Raw["count"] = json.Number("7")
		d, _, err := decide(t.Context(), &in)
		if err != nil {
			t.Errorf("%s: %v", tt.expression, err)
			continue
		}
		if diff := cmp.Diff(tt.want, d.Metadata["tag"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.expression, diff)
		}
	}
}

func TestWithoutAWebviewItIsNull(t *testing.T) {
	rules := mustCompile(t, Definition{Tags: tagsOf("a", `webview == nil`, "b", `origin.custom_metadata.user_id`, "c", `webview.custom_metadata.x ?? "none"`)})
	in := ruledInput(rules)
	in.Webview = nil
	d, _, err := decide(t.Context(), &in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(seam.Metadata{"theirs": "t", "a": true, "c": "none"}, d.Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

func TestLimitsOfWhatRulesGive(t *testing.T) {
	user := &canned{value: map[string]any{"fits": strings.Repeat("é", 250), "long": strings.Repeat("é", 251), "list": []any{1}, "text": "secret value"}}
	for _, tt := range []struct{ expression, problem string }{
		{`user.fits + user.fits`, ""},
		{`user.long + user.long`, `metadata key "tag" (user.long + user.long): the value has 502 characters, Seam takes 500`},
		{`user.list`, `metadata key "tag" (user.list): a value of kind list cannot be written, Seam takes strings and booleans`},
		{`user.text + user.list`, `metadata key "tag" (user.text + user.list): cannot be computed, as user.text is string and user.list is list`},
		{`user.text.more`, `metadata key "tag" (user.text.more): cannot be computed, as user.text.more is null`},
		{`1 / 0`, `metadata key "tag" (1 / 0): the number is not finite`},
	} {
		rules := mustCompile(t, Definition{Tags: tagsOf("tag", tt.expression), Lookups: []LookupDefinition{lookupOf("user", user)}})
		in := ruledInput(rules)
		_, _, err := decide(t.Context(), &in)
		got := ""
		if broken, ok := errors.AsType[*RuleError](err); ok {
			got = broken.Error()
		} else if err != nil {
			t.Errorf("%s: %v is no RuleError", tt.expression, err)
		}
		if got != tt.problem {
			t.Errorf("%s:\n got %s\nwant %s", tt.expression, got, tt.problem)
		}
	}
}

func TestOnlyNeededLookupsAreAskedInOrder(t *testing.T) {
	first, second, third := &canned{value: map[string]any{"id": "u1"}}, &canned{value: "c1"}, &canned{value: map[string]any{"x": true}}
	unused := &canned{value: 1}
	second.slow = true
	rules := mustCompile(t, Definition{
		Lookups: []LookupDefinition{
			lookupOf("third", third, "second", "first.id"), lookupOf("second", second, "first.id"), lookupOf("unused", unused, "first.id"),
			lookupOf("first", first, "webview.custom_metadata.user_id"),
		},
		Tags: tagsOf("tag", "third.x"),
	})
	in := ruledInput(rules)
	d, got, err := decide(t.Context(), &in)
	if err != nil || d.Metadata["tag"] != true || len(got.asked) != 3 {
		t.Fatalf("%v %v, %d asked", d.Metadata, err, len(got.asked))
	}
	if diff := cmp.Diff([]any{"c1", "u1"}, third.params); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	if unused.asked.Load() != 0 {
		t.Error("a lookup that nothing uses was asked")
	}
}

func TestIndependentLookupsAreAskedAtTheSameTime(t *testing.T) {
	var together sync.WaitGroup
	together.Add(3)
	meet := func() { together.Done(); together.Wait() } // deadlocks unless all three are under way
	var lookups []LookupDefinition
	var expressions []string
	for i := range 3 {
		name := fmt.Sprintf("l%d", i)
		lookups = append(lookups, lookupOf(name, &canned{value: map[string]any{"v": i}, before: meet}, "account.customer_key"))
		expressions = append(expressions, fmt.Sprintf("t%d", i), name+".v")
	}
	lookups = append(lookups, lookupOf("last", &canned{value: "x"}, "l0.v", "l1.v"))
	rules := mustCompile(t, Definition{Lookups: lookups, Tags: tagsOf(append(expressions, "last", "last")...)})
	in := ruledInput(rules)
	d, _, err := decide(t.Context(), &in)
	if err != nil || d.Metadata["t2"] != "2" || d.Metadata["last"] != "x" {
		t.Errorf("%v %v", d.Metadata, err)
	}
}

func TestCopyTakesMapsThatExpressionsGive(t *testing.T) {
	user := &canned{value: map[string]any{"plan": "gold", "n": json.Number("7"), "theirs": "never over what is there"}}
	rules := mustCompile(t, Definition{
		Copy:    []Expression{{Text: "webview.custom_metadata"}, {Text: "user"}},
		Lookups: []LookupDefinition{lookupOf("user", user)},
	})
	in := ruledInput(rules)
	d, _, err := decide(t.Context(), &in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(seam.Metadata{"theirs": "t", "user_id": "u1", "plan": "gold", "n": "7"}, d.Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if d.Sources["plan"] != "user" || d.Sources["user_id"] != copyWebview {
		t.Errorf("sources %v", d.Sources)
	}
}

// FuzzTagValues: whatever a lookup answers, what is written Seam takes, or it is a RuleError that holds no value.
func FuzzTagValues(f *testing.F) {
	for _, seed := range []string{`{"v": 1e400}`, `{"v": "x"}`, `{"v": [1, {"a": null}]}`, `{"v": true}`, `{"v": -0.0001e-5}`, `{"v": "\ud83d\ude00"}`, `7`} {
		f.Add([]byte(seed))
	}
	answer := &canned{}
	rules, err := Compile(Definition{
		Tags: tagsOf("tag", "user.v", "whole", "user", "text", "string(user.v)"), Policy: DefaultPolicy(),
		Lookups: []LookupDefinition{{Name: "user", Missing: MissedEmpty, Lookup: answer}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dec := json.NewDecoder(strings.NewReader(string(data)))
		dec.UseNumber()
		var value any
		if dec.Decode(&value) != nil {
			return
		}
		answer.value = Plain(value)
		in := ruledInput(rules)
		d, _, err := decide(t.Context(), &in)
		if err != nil {
			if _, ok := errors.AsType[*RuleError](err); !ok {
				t.Errorf("%v is no RuleError", err)
			}
			return
		}
		for key, value := range d.Metadata {
			text, isText := value.(string)
			if _, isBool := value.(bool); !isText && !isBool || length(text) > maxValueLength || !utf8.ValidString(text) {
				t.Errorf("%s: %T %q", key, value, value)
			}
		}
	})
}

// Planning one account with ten tags and cached lookups stays under 20 µs and 60 allocations.
func BenchmarkDecideByRules(b *testing.B) {
	user := &canned{value: map[string]any{"id": "u1", "plan": "gold", "n": 7, "vip": true, "name": "x", "site": "s1"}}
	customer := &canned{value: map[string]any{"tier": "gold", "score": 1.5}}
	region := &canned{value: map[string]any{"name": "Europe"}}
	rules := mustCompile(b, Definition{
		Lookups: []LookupDefinition{
			lookupOf("user", user, "origin.custom_metadata.user_id"), lookupOf("customer", customer, "user.id"), lookupOf("region", region, "user.site"),
		},
		Tags: tagsOf(
			"internal_account_id", "user.id", "plan", `customer.plan ?? "free"`, "vip", `customer.tier == "gold"`, "region", "region.name",
			"score", "customer.score", "name", "upper(user.name)", "n", "user.n", "type", "event.event_type", "key", "account.customer_key",
			"who", "webview.custom_metadata.user_id",
		),
	})
	read := ruledInput(rules)
	b.ReportAllocs()
	for b.Loop() {
		in := read
		if _, _, err := decide(b.Context(), &in); err != nil {
			b.Fatal(err)
		}
	}
}
