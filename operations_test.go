package main_test

import (
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"seamtag/internal/parts"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

// runbook is docs/operations.md, with an operator's terminal: the program on the PATH, and a serve that runs.
type runbook struct {
	t      *testing.T
	dir    string
	seam   *sandbox.Sandbox
	env    []string
	sender sandbox.Sender
	serve  *process
	done   map[string]bool
}

// testRunbook runs every block of docs/operations.md in the situation that it is for.
func testRunbook(t *testing.T, dir string) {
	t.Helper()
	r := &runbook{t: t, dir: dir, seam: sandbox.New(sandbox.Options{}), done: map[string]bool{}}
	server := httptest.NewServer(r.seam)
	defer server.Close()
	redis := parts.Redis(t)
	r.env = environment(t, "SEAM_API_KEY="+r.seam.APIKey(), "SEAM_ENDPOINT="+server.URL, "REDIS_URL="+redis.URL(),
		"SEAMTAG_SEAM_RATE=1000/s", "SEAMTAG_GAP_CHECK=0", "PATH="+dir+":"+os.Getenv("PATH"), "ACCOUNT=account_a")
	r.env = append(r.env, "URL=http://127.0.0.1:"+value(r.env, "PORT")+"/webhooks/seam")
	r.sender = sandbox.Sender{URL: value(r.env, "URL"), Secrets: []string{value(r.env, "SEAM_WEBHOOK_SECRET")}}
	r.begin()

	// One account, tagged, with a key of another system.
	r.deliver(r.connect("u1"))
	r.tagged("user_id", "u1")
	r.seam.SetMetadata("account_a", seam.Metadata{"user_id": "u1", "site": "hq"})
	r.deliver(r.seam.Events()[1])
	r.poll("the other system's key is known", func() bool { return strings.Contains(r.run("export")+r.file("ledger.jsonl"), `"hq"`) })

	if out := r.run("endpoint-disabled"); !strings.Contains(out, "no webhook is registered") || !strings.Contains(out, "whsec_") {
		t.Errorf("the webhook:\n%s", out)
	}
	if out := r.run("doctor"); !strings.Contains(out, "as it has to be") {
		t.Errorf("the doctor:\n%s", out)
	}
	r.redisLost(redis)
	r.keyRevoked()
	r.run("wrong-rules")
	r.outage()
	r.oneAccount()
	for _, found := range regexp.MustCompile(`<!-- test:([a-z-]+) -->`).FindAllStringSubmatch(readFile(t, "docs/operations.md"), -1) {
		if !r.done[found[1]] {
			t.Errorf("no test runs the block %s", found[1])
		}
	}
	r.serve.stop(syscall.SIGTERM)
}

// redisLost: an empty Redis takes the place of the old one, and an account is reconnected meanwhile.
func (r *runbook) redisLost(redis *parts.RedisServer) {
	r.t.Helper()
	r.serve.stop(syscall.SIGTERM)
	if err := redis.Client().FlushAll(r.t.Context()).Err(); err != nil {
		r.t.Fatal(err)
	}
	r.connect("u2")
	r.begin()
	if out := r.run("redis-lost"); !strings.Contains(out, "1 imported") {
		r.t.Errorf("a lost redis:\n%s", out)
	}
	r.tagged("user_id", "u2")
	r.tagged("site", "hq")
}

func (r *runbook) keyRevoked() {
	r.t.Helper()
	r.seam.RevokeKey()
	if out := r.run("key-revoked"); !strings.Contains(out, "the API key is refused") {
		r.t.Errorf("a revoked key:\n%s", out)
	}
	r.seam.RestoreKey()
}

// outage: Seam refuses an update for good, so that the event is dead; then it is replayed.
func (r *runbook) outage() {
	r.t.Helper()
	r.seam.Fail(sandbox.Fault{Endpoint: "/connected_accounts/update", Status: 400, Type: "invalid_input", Times: 1})
	r.deliver(r.connect("u3"))
	r.poll("the event is dead", func() bool { return strings.Contains(r.shell("seamtag events list --status dead"), "rejected") })
	if out := r.run("replay-dead"); strings.Contains(out, "rejected") {
		r.t.Errorf("a replay by another reason:\n%s", out)
	}
	r.run("outage")
	r.tagged("site", "hq")
}

// oneAccount: what a reconnect wiped, whose webhook was lost.
func (r *runbook) oneAccount() {
	r.t.Helper()
	r.connect("u4")
	if out := r.run("one-account"); !strings.Contains(out, "missing site") || !strings.Contains(out, "queued") {
		r.t.Errorf("one account:\n%s", out)
	}
	r.tagged("site", "hq")
	r.tagged("user_id", "u4")
}

func (r *runbook) begin() {
	r.t.Helper()
	r.serve = start(r.t, r.dir, "seamtag serve", r.env...)
	awaitOK(r.t, "http://127.0.0.1:"+value(r.env, "PORT")+"/readyz")
}

// connect connects the account, or connects it again, which replaces its metadata.
func (r *runbook) connect(user string) sandbox.Occurrence {
	return r.seam.Reconnect("account_a", r.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": user}}))
}

func (r *runbook) deliver(o sandbox.Occurrence) {
	r.t.Helper()
	if code, answer, err := r.sender.Send(r.t.Context(), sandbox.NewMessageID(), o.Body); code != 202 || err != nil {
		r.t.Fatalf("answered %d %s, %v", code, answer, err)
	}
}

func (r *runbook) tagged(key, want string) {
	r.t.Helper()
	r.poll(key+" is "+want, func() bool {
		md, _ := r.seam.Metadata("account_a")
		return md[key] == want
	})
}

func (r *runbook) poll(what string, ok func() bool) {
	r.t.Helper()
	poll(r.t, what, ok)
}

// run runs the block after the marker <!-- test:name -->.
func (r *runbook) run(name string) string {
	r.t.Helper()
	r.done[name] = true
	return r.shell(find(r.t, readFile(r.t, "docs/operations.md"), "(?s)<!-- test:"+name+" -->\n\\s*```sh\n(.*?)```"))
}

func (r *runbook) shell(script string) string {
	r.t.Helper()
	return run(r.t, r.dir, script, r.env...)
}

func (r *runbook) file(name string) string { return readFile(r.t, r.dir+"/"+name) }
