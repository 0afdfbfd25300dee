package cli

import (
	"bufio"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seamtag/seam"
	"seamtag/seam/sandbox"
)

func TestWebhookIsRegisteredForTheTypesOfTheRules(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	const link = "https://seamtag.example/webhooks/seam"
	if out := s.mustCommand("webhook", "list"); !strings.Contains(out, "no webhook is registered") {
		t.Errorf("none: %q", out)
	}
	var made createdWebhook
	if err := json.Unmarshal([]byte(s.mustCommand("webhook", "create", "--url", link, "--json")), &made); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{seam.TypeAccountConnected}, made.EventTypes); diff != "" || !strings.HasPrefix(made.Secret, "whsec_") || len(made.SameURL) != 0 {
		t.Errorf("%+v: %s", made, diff)
	}

	code, out, errs := s.command("webhook", "create", "--url", link)
	if code != exitDone || !strings.Contains(errs, "warning: a webhook for this URL is registered already: "+made.ID) {
		t.Errorf("the second: exit code %d, %q", code, errs)
	}
	for _, want := range []string{"fly secrets set SEAM_WEBHOOK_SECRET=whsec_", "<the old one>", made.ID} {
		if !strings.Contains(out, want) {
			t.Errorf("the second does not say %q:\n%s", want, out)
		}
	}
	s.register(t, link, "device.connected")
	s.register(t, "https://other.example/hook", "*")
	var got []listedWebhook
	for scan := bufio.NewScanner(strings.NewReader(s.mustCommand("webhook", "list", "--json"))); scan.Scan(); {
		var l listedWebhook
		if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		l.ID = ""
		got = append(got, l)
	}
	complete := listedWebhook{URL: link, EventTypes: []string{seam.TypeAccountConnected}, Ours: true, Complete: true, Missing: []string{}}
	want := []listedWebhook{
		complete, complete,
		{URL: link, EventTypes: []string{"device.connected"}, Ours: true, Missing: []string{seam.TypeAccountConnected}},
		{URL: "https://other.example/hook", EventTypes: []string{"*"}, Complete: true, Missing: []string{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	if out := s.mustCommand("webhook", "list"); !strings.Contains(out, "ours, lacks connected_account.connected") {
		t.Errorf("as text:\n%s", out)
	}
	for want, link := range map[string]string{"--url is required": "", "want an http or https URL": "seamtag.example"} {
		if code, _, errs := s.command("webhook", "create", "--url", link); code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%q: exit code %d, %q", link, code, errs)
		}
	}
	if _, _, errs := s.command("webhook", "create", "--url", "https://a.example/hook"); !strings.Contains(errs, "something in front of it") {
		t.Errorf("another path: %q", errs)
	}
}

// register registers a webhook as another tool would.
func (s *stack) register(t *testing.T, link string, types ...string) {
	t.Helper()
	client, err := seam.New(seam.Options{APIKey: s.seam.APIKey(), Endpoint: s.endpoint})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.CreateWebhook(t.Context(), link, types); err != nil {
		t.Fatal(err)
	}
}
