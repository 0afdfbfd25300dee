package drill

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"seamtag/internal/parts"
)

// process is one running seamtag.
type process struct {
	t    *testing.T
	role string
	url  string
	log  string // file
	cmd  *exec.Cmd
	done chan struct{}
}

// startProcess runs `seamtag serve --role` and waits until it answers.
func startProcess(t *testing.T, role string, environ ...string) *process {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	port := parts.FreePort(t)
	p := &process{
		t: t, role: role, url: fmt.Sprintf("http://127.0.0.1:%d", port), log: filepath.Join(t.TempDir(), "log"),
		cmd: exec.Command(bin, "serve", "--role", role), done: make(chan struct{}),
	}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Dir = filepath.Dir(p.log)
	p.cmd.Env = append([]string{
		"PORT=" + strconv.Itoa(port), "METRICS_PORT=" + strconv.Itoa(parts.FreePort(t)), "LOG_FORMAT=json", "LOG_LEVEL=debug",
	}, environ...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", role, err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(p.kill)
	parts.Await(t, role+" answers", time.Minute, func() bool {
		select {
		case <-p.done:
			t.Fatalf("%s ended at once:\n%s", role, p.text())
		default:
		}
		resp, err := http.Get(p.url + "/livez")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

func (p *process) signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// stop ends it as a platform does, and answers how long that took. P5: exit code 0.
func (p *process) stop() time.Duration {
	p.t.Helper()
	start := time.Now()
	p.signal(syscall.SIGTERM)
	<-p.done
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("%s ended with exit code %d after SIGTERM:\n%s", p.role, code, tail(p.text()))
	}
	return time.Since(start)
}

func (p *process) text() string {
	b, _ := os.ReadFile(p.log)
	return string(b)
}

func tail(text string) string {
	return text[max(0, len(text)-3000):]
}
