package cli

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/internal/parts"
	"seamtag/metadata"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

// TestRepairOnSeamsOwnFake: events and accounts of @seamapi/fake-seam-connect, which merges, does not page and lists the
// oldest event first, are backfilled and reconciled as the sandbox's are.
func TestRepairOnSeamsOwnFake(t *testing.T) {
	at := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	event := func(eventType string, n int) map[string]any {
		return map[string]any{"event_type": eventType, "connected_account_id": accountNumber(n), "webview": n, "created_at": at}
	}
	seed := map[string][]any{}
	for n := range 3 {
		seed["webviews"] = append(seed["webviews"], map[string]any{
			"custom_metadata": map[string]string{"user_id": accountNumber(n)}, "connected_account_id": accountNumber(n),
		})
		seed["accounts"] = append(seed["accounts"], map[string]any{"connected_account_id": accountNumber(n), "custom_metadata": map[string]string{"site": "hq"}})
		seed["events"] = append(seed["events"], event(seam.TypeLoginSucceeded, n))
	}
	seed["events"] = append(seed["events"], event(seam.TypeAccountConnected, 0), event(seam.TypeAccountConnected, 1))
	var fake struct {
		URL string `json:"url"`
		Key string `json:"api_key"`
	}
	if err := json.Unmarshal(parts.FakeSeam(t, seed), &fake); err != nil {
		t.Fatal(err)
	}
	s := &stack{t: t, redis: parts.Redis(t), seam: sandbox.New(sandbox.Options{APIKey: fake.Key}), endpoint: fake.URL, log: &logBuffer{}}
	s.start("SEAMTAG_GAP_CHECK=0")

	lines, _ := s.reconciled(exitDrift)
	for n := range 3 {
		want := []metadata.Drift{{Kind: "missing", Key: "user_id", After: accountNumber(n), Source: "webview.custom_metadata", Mends: true}}
		if diff := cmp.Diff(want, lines[accountNumber(n)].Drift); diff != "" {
			t.Errorf("account %d drifts (-want +got):\n%s", n, diff)
		}
	}
	wantJSON(t, s.mustCommand("backfill", "--since", "2h", "--json"), report(2, 0, 2, false))
	s.drained()
	wantJSON(t, s.mustCommand("backfill", "--since", "2h", "--json"), report(2, 2, 0, false))
	wantJSON(t, s.mustCommand("backfill", "--source", "accounts", "--json"), report(3, 2, 1, false))
	s.drained()
	if _, summary := s.reconciled(exitDone); summary.Accounts != 3 || summary.Drifting != 0 {
		t.Errorf("in the end %+v", summary)
	}
}
