package parts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisServer is a redis-server child process, listening on loopback.
type RedisServer struct {
	tb   testing.TB
	dir  string
	port int
	args []string
	env  []string // on top of the test's own
	cmd  *exec.Cmd
	done chan struct{}
}

// Redis starts a redis-server on a free port with appendfsync always (an acknowledged write survives kill -9)
// and ends it with the test. Further redis-server arguments, such as "--maxmemory", "4mb", follow the defaults.
func Redis(tb testing.TB, args ...string) *RedisServer {
	tb.Helper()
	s := newRedis(tb, args...)
	s.Start()
	return s
}

// newRedis prepares a server with the defaults and ends it with the test.
func newRedis(tb testing.TB, args ...string) *RedisServer {
	tb.Helper()
	s := &RedisServer{tb: tb, dir: tb.TempDir(), port: FreePort(tb)}
	s.args = append([]string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no", "--logfile", s.logFile(),
	}, args...)
	tb.Cleanup(s.Kill)
	return s
}

// FreePort returns a TCP port that was free on loopback a moment ago.
func FreePort(tb testing.TB) int {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("find a free port: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// URL is the server's address as REDIS_URL takes it.
func (s *RedisServer) URL() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", s.port) }

// Addr is host:port.
func (s *RedisServer) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Client is a plain go-redis client, closed with the test.
func (s *RedisServer) Client() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.Addr()})
	s.tb.Cleanup(func() { _ = c.Close() })
	return c
}

// Start runs the server on its port and data folder and waits until it answers; also after Kill or Stop.
func (s *RedisServer) Start() {
	s.tb.Helper()
	s.launch()
	s.awaitReady()
}

func (s *RedisServer) launch() {
	s.tb.Helper()
	s.cmd = exec.Command(lookPath(s.tb, "redis-server"), s.args...)
	s.cmd.Env = append(s.cmd.Environ(), s.env...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.done = make(chan struct{})
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatalf("start redis-server: %v", err)
	}
	go func(cmd *exec.Cmd, done chan struct{}) { _ = cmd.Wait(); close(done) }(s.cmd, s.done)
}

func (s *RedisServer) awaitReady() {
	s.tb.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1, DialTimeout: time.Second})
	defer c.Close()
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := c.Ping(context.Background()).Err()
		if err == nil {
			return
		}
		select {
		case <-s.done:
			s.tb.Fatalf("redis-server ended at once: %s", s.Log())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.tb.Fatalf("redis-server does not answer: %v\n%s", err, s.Log())
		}
	}
}

// Stop ends the server in order (SIGTERM); its data stays for the next Start.
func (s *RedisServer) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the server with SIGKILL; its data stays for the next Start.
func (s *RedisServer) Kill() { s.end(syscall.SIGKILL) }

// Signal sends any other signal, such as SIGSTOP.
func (s *RedisServer) Signal(sig syscall.Signal) {
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.tb.Errorf("signal redis-server: %v", err)
	}
}

func (s *RedisServer) end(sig syscall.Signal) {
	if s.cmd == nil || s.cmd.Process == nil {
		return // it never started
	}
	s.Signal(sig)
	<-s.done
}

// Log is what the server wrote so far.
func (s *RedisServer) Log() string {
	b, _ := os.ReadFile(s.logFile())
	return strings.TrimSpace(string(b))
}

func (s *RedisServer) logFile() string { return filepath.Join(s.dir, "redis.log") }

func lookPath(tb testing.TB, name string) string {
	tb.Helper()
	bin, err := exec.LookPath(name)
	if err != nil {
		tb.Fatalf("%s is not installed, run: make deps", name)
	}
	return bin
}
