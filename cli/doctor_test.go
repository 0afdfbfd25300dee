package cli

import (
	"bufio"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"seamtag/internal/parts"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

// examined runs doctor --json in the stack's environment, with changes.
func (s *stack) examined(wantCode int, environ []string, args ...string) []finding {
	s.t.Helper()
	base := slices.DeleteFunc([]string{
		"SEAM_API_KEY=" + s.seam.APIKey(), "SEAM_ENDPOINT=" + s.endpoint, "SEAM_WEBHOOK_SECRET=" + testSecret,
		"REDIS_URL=" + s.redis.URL(), "ADMIN_TOKEN=" + strings.Repeat("t", 32),
	}, func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.ContainsFunc(environ, func(changed string) bool { return strings.HasPrefix(changed, name+"=") })
	})
	var out, errs logBuffer
	code := Run(s.t.Context(), Process{
		Args: append([]string{"doctor", "--json"}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Environ: append(base, environ...),
	})
	if code != wantCode {
		s.t.Errorf("exit code %d, want %d\n%s%s", code, wantCode, out.String(), errs.String())
	}
	for _, secret := range []string{s.seam.APIKey(), testSecret} {
		if strings.Contains(out.String()+errs.String(), secret) {
			s.t.Errorf("it prints a secret:\n%s%s", out.String(), errs.String())
		}
	}
	var all []finding
	for scan := bufio.NewScanner(strings.NewReader(out.String())); scan.Scan(); {
		var f finding
		if err := json.Unmarshal(scan.Bytes(), &f); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

func wantFinding(t *testing.T, all []finding, check, result, text string) {
	t.Helper()
	found := slices.ContainsFunc(all, func(f finding) bool {
		return f.Check == check && f.Result == result && strings.Contains(f.Text, text) && (result == healthy || f.Mend != "")
	})
	if !found {
		t.Errorf("no line says %s, %s, %q, with a mend where it is not ok:\n%+v", check, result, text, all)
	}
}

func TestDoctorFindsAHealthySystemHealthy(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	s.register(t, "https://seamtag.example/webhooks/seam", seam.TypeAccountConnected)
	all := s.examined(exitDone, nil, "--url", s.sender.URL)
	for _, f := range all {
		if f.Result != healthy {
			t.Errorf("not ok: %+v", f)
		}
	}
	for check, text := range map[string]string{
		"configuration": "all that is required", "rules": "no rules file", "redis": "version", "redis latency": "a command",
		"redis memory": "MiB", "clock": "apart", "work": "0 events waiting", "gap check": "none yet", "seam": `workspace "Sandbox" (sandbox)`,
		"webhook": "is registered for connected_account.connected", "test event": "skipped account_gone, as it has to be",
	} {
		wantFinding(t, all, check, healthy, text)
	}
	if out := s.mustCommand("doctor"); !strings.Contains(out, "warning  configuration") || !strings.Contains(out, "ADMIN_TOKEN is not set → set one") {
		t.Errorf("as text:\n%s", out)
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	url := []string{"--url", s.sender.URL}
	lossy := parts.Redis(t, "--maxmemory-policy", "allkeys-lru")
	for name, tt := range map[string]struct {
		environ       []string
		args          []string
		code          int
		check, result string
		text          string
	}{
		"no key":          {[]string{"SEAM_API_KEY="}, nil, exitFailed, "configuration", failure, "SEAM_API_KEY is not set"},
		"no secret":       {[]string{"SEAM_WEBHOOK_SECRET="}, url, exitFailed, "configuration", failure, "SEAM_WEBHOOK_SECRET is not set"},
		"bad value":       {[]string{"SEAMTAG_RETENTION=30d"}, nil, exitFailed, "configuration", failure, "SEAMTAG_RETENTION"},
		"wrong key":       {[]string{"SEAM_API_KEY=seam_wrong"}, nil, exitFailed, "seam", failure, "401"},
		"wrong endpoint":  {[]string{"SEAM_ENDPOINT=http://127.0.0.1:1"}, nil, exitFailed, "seam", failure, "connection refused"},
		"no webhook":      {nil, nil, exitFailed, "webhook", failure, "none is registered"},
		"no rules file":   {[]string{"SEAMTAG_CONFIG=/nowhere.yaml"}, nil, exitFailed, "rules", failure, "SEAMTAG_CONFIG"},
		"no redis":        {[]string{"REDIS_URL=redis://127.0.0.1:1"}, nil, exitFailed, "redis", failure, "connection refused"},
		"no embedded one": {[]string{"REDIS_URL=", "SEAMTAG_DATA=" + t.TempDir()}, nil, exitFailed, "redis", failure, "REDIS_URL"},
		"a lossy redis":   {[]string{"REDIS_URL=" + lossy.URL()}, nil, exitFailed, "redis", failure, "allkeys-lru"},
		"another redis":   {[]string{"REDIS_URL=" + lossy.URL()}, url, exitFailed, "test event", failure, "not in this Redis"},
		"another secret":  {[]string{"SEAM_WEBHOOK_SECRET=whsec_" + strings.Repeat("A", 32)}, url, exitFailed, "test event", failure, "401"},
		"nobody there":    {nil, []string{"--url", "http://127.0.0.1:1/webhooks/seam"}, exitFailed, "test event", failure, "connection refused"},
		"somebody else":   {nil, []string{"--url", s.endpoint}, exitFailed, "test event", failure, "answered 404"},
		"no URL":          {nil, []string{"--url", "seamtag"}, exitUsage, "", "", ""},
		"no admin token":  {[]string{"ADMIN_TOKEN="}, nil, exitFailed, "configuration", warning, "ADMIN_TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			all := s.examined(tt.code, tt.environ, tt.args...)
			if tt.check != "" {
				wantFinding(t, all, tt.check, tt.result, tt.text)
			}
		})
	}
}

func TestDoctorSeesWhatWorkersLeft(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	s.register(t, "https://seamtag.example/webhooks/seam", "device.connected")
	s.deliver(s.seam.Connect("", sandbox.AccountID("acc")))
	s.drained()
	s.ended(s.post(sandbox.NewMessageID(), []byte("hello")).ID)
	s.seam.RevokeKey()
	s.deliver(s.seam.Connect("", sandbox.AccountID("acc")))
	s.await("workers pause", func() bool { return s.app.consumer.Paused() != nil })
	s.seam.RestoreKey()
	all := s.examined(exitFailed, nil)
	wantFinding(t, all, "work", failure, "workers pause since")
	wantFinding(t, all, "work", warning, "1 event dead")
	wantFinding(t, all, "webhook", failure, "lacks connected_account.connected")
}
