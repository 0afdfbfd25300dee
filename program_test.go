package main_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"seamtag/internal/parts"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

// testStopInFlight stops the program with 40 events in flight, none of which can finish before: it ends in order, and the
// next process tags all 40.
func testStopInFlight(t *testing.T, dir string, sig syscall.Signal) {
	t.Helper()
	const events = 40
	pretend := sandbox.New(sandbox.Options{})
	server := httptest.NewServer(pretend)
	defer server.Close()
	env := environment(t, "SEAM_API_KEY="+pretend.APIKey(), "SEAM_ENDPOINT="+server.URL, "REDIS_URL="+parts.Redis(t).URL(),
		"SEAMTAG_CONCURRENCY=40", "SEAMTAG_SEAM_RATE=1000/s")
	serve := start(t, dir, "./seamtag serve", env...)
	url := "http://127.0.0.1:" + value(env, "PORT")
	awaitOK(t, url+"/readyz")

	pretend.Fail(sandbox.Fault{Latency: time.Hour})
	sender := sandbox.Sender{URL: url + "/webhooks/seam", Secrets: []string{value(env, "SEAM_WEBHOOK_SECRET")}}
	for n := range events {
		account := fmt.Sprintf("account_%d", n)
		o := pretend.Connect(pretend.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": account}}), sandbox.AccountID(account))
		pretend.SetMetadata(account, seam.Metadata{})
		if code, answer, err := sender.Send(t.Context(), sandbox.NewMessageID(), o.Body); code != 202 || err != nil {
			t.Fatalf("answered %d %s, %v", code, answer, err)
		}
	}
	poll(t, "all are in flight", func() bool { return pretend.Calls("/connected_accounts/get") >= events })
	began := time.Now()
	serve.stop(sig)
	t.Logf("ended %s after %s", time.Since(began).Round(time.Millisecond), sig)
	if tagged(pretend, events) != 0 {
		t.Fatal("some were tagged before the stop: they were not in flight")
	}

	pretend.Heal()
	again := start(t, dir, "./seamtag serve", env...)
	poll(t, "all are tagged after the restart", func() bool { return tagged(pretend, events) == events })
	again.stop(sig)
}

func tagged(pretend *sandbox.Sandbox, events int) int {
	n := 0
	for i := range events {
		account := fmt.Sprintf("account_%d", i)
		if md, _ := pretend.Metadata(account); md["user_id"] == account {
			n++
		}
	}
	return n
}

func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for giveUp := time.After(patience); !ok(); {
		select {
		case <-again.C:
		case <-giveUp:
			t.Fatalf("never: %s", what)
		}
	}
}

// testWrongUse: exit code 2 with the variable or flag on stderr, and nothing else happens.
func testWrongUse(t *testing.T, dir string) {
	t.Helper()
	good := environment(t)
	for name, tt := range map[string]struct {
		script string
		env    []string
		want   string
	}{
		"no secret":          {"env -u SEAM_WEBHOOK_SECRET ./seamtag serve", good, "SEAM_WEBHOOK_SECRET: is not set"},
		"no key":             {"env -u SEAM_API_KEY ./seamtag serve", good, "SEAM_API_KEY: is not set"},
		"short secret":       {"SEAM_WEBHOOK_SECRET=whsec_c2hvcnQ= ./seamtag serve", good, "SEAM_WEBHOOK_SECRET: secret 1 of 1 has 5 bytes"},
		"duration":           {"SEAMTAG_RETENTION=30d ./seamtag serve", good, `SEAMTAG_RETENTION: "30d" is not a positive duration`},
		"redis url":          {"REDIS_URL=redis://:pw@h:x/ ./seamtag serve", good, "REDIS_URL: "},
		"embedded on fly":    {"FLY_APP_NAME=x ./seamtag serve", good, "REDIS_URL: is not set: on Fly.io"},
		"embedded, one role": {"./seamtag serve --role worker", good, "REDIS_URL: is not set: processes of role web and worker share one Redis"},
		"role":               {"./seamtag serve --role both", good, "--role both: want all, web or worker"},
		"flag":               {"./seamtag serve --roll web", good, "unknown flag: --roll"},
		"command":            {"./seamtag serv", good, `unknown command "serv", did you mean serve`},
		"argument":           {"./seamtag serve web", good, `takes no argument, got "web"`},
		"same port":          {"METRICS_PORT=$PORT ./seamtag serve", good, "METRICS_PORT: is the same as PORT"},
		"count":              {"./seamtag send --count 0", good, "--count 0: want at least 1"},
		"send url":           {"./seamtag send --url localhost:8080", good, "--url localhost:8080: want an http or https URL"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := shell(t, dir, tt.script, tt.env...).CombinedOutput()
			if code := exitCode(err); code != 2 || !strings.Contains(string(out), tt.want) {
				t.Errorf("exit code %d, want 2 and %q:\n%s", code, tt.want, out)
			}
			if strings.Contains(string(out), ":pw@") {
				t.Errorf("shows a password:\n%s", out)
			}
		})
	}
}
