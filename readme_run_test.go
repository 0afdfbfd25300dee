package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/internal/parts"
)

// patience is how long a program may take for one step before the test gives up on it.
const patience = 60 * time.Second

// TestProgram runs what README.md and fly.toml tell an operator to run, all with one binary, built as README.md says.
func TestProgram(t *testing.T) {
	dir := t.TempDir()
	run(t, ".", block(t, "build"), "BINARY="+filepath.Join(dir, "seamtag"), "VERSION=v0.0.0-readme", "MAKEFLAGS=", "GOFLAGS=-buildvcs=false")

	t.Run("demo", func(t *testing.T) {
		command := find(t, readFile(t, "README.md"), `(?m)^(go run \. demo)`)
		demo := start(t, dir, strings.Replace(command, "go run .", "./seamtag", 1), environment(t)...)
		demo.await(`\bsend\b`) // the next command to try is the last thing that it prints before it waits
		demo.stop(syscall.SIGINT)
	})

	t.Run("quick start", func(t *testing.T) {
		env := environment(t, "ACCOUNT_ID=gone")
		serve := start(t, dir, block(t, "serve"), env...)
		awaitOK(t, "http://127.0.0.1:"+value(env, "PORT")+"/readyz")

		if out := run(t, dir, block(t, "send"), env...); !strings.Contains(out, "queued") {
			t.Errorf("send says %q, want it to say queued", out)
		}
		serve.await(`account_gone`) // the pretend Seam knows no account: the event ends, visibly
		serve.stop(syscall.SIGTERM)
	})

	t.Run("environment table", func(t *testing.T) {
		code, table := run(t, dir, "./seamtag help environment"), environmentTable(t)
		if !strings.Contains(code, table) {
			t.Errorf("README.md's environment table is not the code's (-code +README):\n%s", cmp.Diff(code, table))
		}
	})

	t.Run("version", func(t *testing.T) {
		if out := run(t, dir, "./seamtag version"); !strings.Contains(out, "v0.0.0-readme") {
			t.Errorf("version says %q, want the version that make build stamped", out)
		}
	})

	t.Run("wrong use", func(t *testing.T) { testWrongUse(t, dir) })
	t.Run("runbook", func(t *testing.T) { testRunbook(t, dir) })
	t.Run("SIGTERM with 40 in flight", func(t *testing.T) { testStopInFlight(t, dir, syscall.SIGTERM) })
	t.Run("SIGINT with 40 in flight", func(t *testing.T) { testStopInFlight(t, dir, syscall.SIGINT) })

	// Each process group as fly.toml says, where fly.toml's checks and metrics look for it.
	fly, redis := parseTOML(t, readFile(t, "fly.toml")), parts.Redis(t)
	for group, check := range map[string]string{"web": fly["http_service.checks.path"], "worker": fly["checks.worker.path"]} {
		t.Run("fly "+group, func(t *testing.T) {
			env := environment(t, "FLY_APP_NAME=seamtag", "REDIS_URL="+redis.URL(), "LOG_FORMAT="+fly["env.LOG_FORMAT"])
			process := start(t, dir, "./seamtag "+fly["processes."+group], env...)
			awaitOK(t, "http://127.0.0.1:"+value(env, "PORT")+check)
			awaitOK(t, "http://127.0.0.1:"+value(env, "METRICS_PORT")+fly["metrics.path"])
			process.stop(syscall.SIGTERM)
		})
	}
}

// exitCode is that of a program that was run.
func exitCode(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return 0
}

// block is the shell block of the README that follows the marker <!-- test:name -->.
func block(t *testing.T, name string) string {
	t.Helper()
	return between(t, readFile(t, "README.md"), "<!-- test:"+name+" -->\n```sh\n", "```")
}

// environment is what a reader would have exported: free ports, a data folder, and a Seam that knows no account.
func environment(t *testing.T, more ...string) []string {
	t.Helper()
	seam := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"error":{"type":"connected_account_not_found","message":"not found"},"ok":false}`)
	}))
	t.Cleanup(seam.Close)
	return append([]string{
		"SEAM_API_KEY=seam_test_key",
		"SEAM_ENDPOINT=" + seam.URL,
		"SEAM_WEBHOOK_SECRET=whsec_plJ3nmyCDGBKInavdOK15jsl", // Svix's published example
		"PORT=" + strconv.Itoa(parts.FreePort(t)),
		"METRICS_PORT=" + strconv.Itoa(parts.FreePort(t)),
		"SEAMTAG_DATA=" + filepath.Join(t.TempDir(), "data"),
	}, more...)
}

func value(env []string, name string) string {
	for _, pair := range env {
		if k, v, _ := strings.Cut(pair, "="); k == name {
			return v
		}
	}
	return ""
}

// run runs a script to its end and returns what it printed.
func run(t *testing.T, dir, script string, env ...string) string {
	t.Helper()
	out, err := shell(t, dir, script, env...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.TrimSpace(script), err, out)
	}
	return string(out)
}

// shell prepares a script with the variables given and none of the machine's that the program itself reads.
func shell(t *testing.T, dir, script string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euc", script)
	cmd.Dir = dir
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); !strings.Contains(environmentTable(t), "`"+name+"`") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// process is a program that runs until it is told to stop.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	said  []string
	ended chan error
}

func start(t *testing.T, dir, script string, env ...string) *process {
	t.Helper()
	r, w := io.Pipe()
	p := &process{t: t, cmd: shell(t, dir, script, env...), lines: make(chan string, 10_000), ended: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", script, err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	go func() {
		err := p.cmd.Wait()
		_ = w.Close()
		p.ended <- err
	}()
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	return p
}

// await reads what the program prints until a line matches.
func (p *process) await(pattern string) {
	p.t.Helper()
	re, giveUp := regexp.MustCompile(pattern), time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("it ended without a line that matches %q:\n%s", pattern, strings.Join(p.said, "\n"))
			}
			p.said = append(p.said, line)
			if re.MatchString(line) {
				return
			}
		case <-giveUp:
			p.t.Fatalf("no line matches %q:\n%s", pattern, strings.Join(p.said, "\n"))
		}
	}
}

// stop signals the whole process group, as a terminal does on Ctrl-C, and wants exit code 0.
func (p *process) stop(sig syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, sig); err != nil {
		p.t.Fatalf("send %v: %v", sig, err)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("after %v: %v, want exit code 0", sig, err)
		}
	case <-time.After(patience):
		p.t.Errorf("still running after %v", sig)
	}
}

// awaitOK asks until the address answers 200.
func awaitOK(t *testing.T, url string) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for giveUp := time.After(patience); ; {
		err := get(t, url)
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-giveUp:
			t.Fatalf("GET %s: %v", url, err)
		}
	}
}

func get(t *testing.T, url string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", res.Status, body)
	}
	return nil
}
