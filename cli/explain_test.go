package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"seamtag/metadata"
	"seamtag/queue"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

const explainedRules = `
version: 1
lookups:
  customer: {http: {url: "${CRM}/{account.customer_key}"}, missing: empty}
tags:
  plan: customer.plan ?? "free"
  tier: customer.tier
  secret: '"x"'
policy: {conflict: keep, allow: [plan, tier, user_id]}
`

// explain runs the command against a stack's Redis and Seam.
func (s *stack) explain(account string, environ ...string) (explained, string) {
	s.t.Helper()
	environ = append([]string{"SEAM_API_KEY=" + s.seam.APIKey(), "SEAM_ENDPOINT=" + s.endpoint, "REDIS_URL=" + s.redis.URL()}, environ...)
	code, printed, said := run(s.t, environ, "explain", account, "--json")
	if code != exitDone {
		s.t.Fatalf("explain ended with %d: %s", code, said)
	}
	var e explained
	if err := json.Unmarshal([]byte(printed), &e); err != nil {
		s.t.Fatal(err)
	}
	_, text, _ := run(s.t, environ, "explain", account)
	return e, text
}

func TestExplainShowsEveryKeyAndWritesNothing(t *testing.T) {
	crm := newJSONService(t, map[string]string{"/c1": `{"plan": "gold"}`})
	rules := writeRules(t, explainedRules)
	environ := []string{"SEAMTAG_CONFIG=" + rules, "CRM=" + crm.URL}
	s := newStack(t, sandbox.Replace, environ...)
	o := s.connect(seam.Metadata{"user_id": "u1", "not_allowed": "x"}, "c1")
	account := o.Event.ConnectedAccountID
	s.seam.SetMetadata(account, seam.Metadata{"theirs": "t"})
	s.seam.ResetCalls()

	e, text := s.explain(account, environ...)
	if n := s.seam.Calls(updateEndpoint); n != 0 {
		t.Errorf("%d updates, want none", n)
	}
	want := explained{
		Account: account, Webview: o.Event.ConnectWebviewID, Origin: o.Event.ConnectWebviewID, Status: queue.Tagged,
		Event: explainedEvent{Type: metadata.TypeCheck},
		Keys: []metadata.Key{
			{Key: "not_allowed", Change: "absent", Source: "webview.custom_metadata", Why: "policy.allow does not list it"},
			{Key: "plan", Change: "set", Owned: true, After: "gold", Source: `customer.plan ?? "free"`, Lookups: []string{"customer"}},
			{Key: "secret", Change: "absent", Source: `"x"`, Why: "policy.allow does not list it"},
			{Key: "theirs", Change: "kept", Before: "t", After: "t"},
			{Key: "tier", Change: "absent", Source: "customer.tier", Lookups: []string{"customer"}, Why: "the expression gives null: customer.tier is null"},
			{Key: "user_id", Change: "set", After: "u1", Source: "webview.custom_metadata"},
		},
		Lookups: []metadata.Asked{{Lookup: "customer", System: "http", Found: true, Missing: "empty"}},
	}
	ignored := cmp.Options{
		cmpopts.IgnoreFields(explainedEvent{}, "At"), cmpopts.IgnoreFields(metadata.Asked{}, "AgeSeconds", "TookMS"),
	}
	if diff := cmp.Diff(want, e, ignored); diff != "" {
		t.Errorf("explained (-want +got):\n%s", diff)
	}
	for _, part := range []string{"outcome  tagged", "set      plan: – → \"gold\", seamtag's", "= customer.plan ?? \"free\"  [customer]"} {
		if !strings.Contains(text, part) {
			t.Errorf("the text lacks %q:\n%s", part, text)
		}
	}

	s.ended(s.deliver(o))
	s.seam.SetMetadata(account, seam.Metadata{"theirs": "t", "plan": "changed", "user_id": "u1"})
	e, _ = s.explain(account, environ...)
	want.Status, want.Event.ID, want.Event.Type = queue.Unchanged, o.Event.EventID, o.Event.EventType
	want.Keys[1] = metadata.Key{
		Key: "plan", Change: "kept", Before: "changed", After: "changed", Source: `customer.plan ?? "free"`, Lookups: []string{"customer"},
		Why: "somebody else wrote it, and policy.conflict is keep",
	}
	want.Keys[5] = metadata.Key{Key: "user_id", Change: "kept", Before: "u1", After: "u1"}
	if diff := cmp.Diff(want, e, ignored); diff != "" {
		t.Errorf("after tagging and another writer (-want +got):\n%s", diff)
	}
}

func TestExplainTellsWhatStandsInTheWay(t *testing.T) {
	crm := newJSONService(t, nil)
	for name, tt := range map[string]struct {
		rules  string
		status queue.Status
		reason string
		why    string
	}{
		"nothing found": {
			"lookups: {customer: {http: {url: \"${CRM}/x\"}}}\ntags: {plan: customer.plan}", queue.Retrying, "lookup_missing",
			"a lookup that it needs has no answer",
		},
		"dead": {
			"lookups: {customer: {http: {url: \"${CRM}/x\"}, missing: dead}}\ntags: {plan: customer.plan}", queue.Dead, "lookup_missing",
			"a lookup that it needs has no answer",
		},
		"skipped": {
			"lookups: {customer: {http: {url: \"${CRM}/x\"}, missing: skip}}\ntags: {plan: customer.plan}", queue.Skipped, "lookup_missing",
			"a lookup that it needs has no answer",
		},
		"rule error": {
			"tags: {plan: upper(account.customer_key)}", queue.Dead, "rule_error",
			`metadata key "plan" (upper(account.customer_key)): cannot be computed, as account.customer_key is null`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			environ := []string{"SEAMTAG_CONFIG=" + writeRules(t, "version: 1\n"+tt.rules+"\n"), "CRM=" + crm.URL}
			s := newStack(t, sandbox.Replace, environ...)
			e, _ := s.explain(s.connect(nil, "").Event.ConnectedAccountID, environ...)
			if e.Status != tt.status || e.Reason != tt.reason {
				t.Errorf("%s %s %s", e.Status, e.Reason, e.Error)
			}
			want := []string{tt.why}
			var got []string
			for _, k := range e.Keys {
				got = append(got, k.Why)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("why (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExplainOfAnAccountThatIsGone(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	e, _ := s.explain("nobody")
	if e.Status != queue.Skipped || e.Reason != "account_gone" {
		t.Errorf("%+v", e)
	}
}
