package parts

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// DatabaseUser and DatabasePassword open the databases that Postgres and MariaDB start; the password is a word that
// tests can look for where no password may be.
const (
	DatabaseUser     = "seamtag"
	DatabasePassword = "dsn-s3cret"
)

// DatabaseServer is a database server as a child process with a data folder of its own, listening on loopback.
type DatabaseServer struct {
	tb     testing.TB
	driver string // as database/sql knows it
	dsn    string
	port   int
	args   []string // program first
	runAs  *syscall.Credential
	cmd    *exec.Cmd
	output output
	done   chan struct{}
}

// DSN opens the database as the package's own user.
func (s *DatabaseServer) DSN() string { return s.dsn }

// Port is where the server listens on 127.0.0.1.
func (s *DatabaseServer) Port() int { return s.port }

// DB is a plain pool that may write, closed with the test.
func (s *DatabaseServer) DB() *sql.DB {
	s.tb.Helper()
	db, err := sql.Open(s.driver, s.dsn)
	if err != nil {
		s.tb.Fatalf("open %s: %v", s.driver, err)
	}
	s.tb.Cleanup(func() { _ = db.Close() })
	return db
}

// Exec runs statements one after the other.
func (s *DatabaseServer) Exec(statements ...string) {
	s.tb.Helper()
	db, err := sql.Open(s.driver, s.dsn)
	if err != nil {
		s.tb.Fatalf("open %s: %v", s.driver, err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.ExecContext(s.tb.Context(), statement); err != nil {
			s.tb.Fatalf("%s: %v", statement, err)
		}
	}
}

// Start runs the server on its port and data folder and waits until it answers; also after Stop.
func (s *DatabaseServer) Start() {
	s.tb.Helper()
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: s.runAs}
	s.done = make(chan struct{})
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatalf("start %s: %v", s.args[0], err)
	}
	go func(cmd *exec.Cmd, done chan struct{}) { _ = cmd.Wait(); close(done) }(s.cmd, s.done)
	s.awaitReady()
}

func (s *DatabaseServer) awaitReady() {
	s.tb.Helper()
	db, err := sql.Open(s.driver, s.dsn)
	if err != nil {
		s.tb.Fatalf("open %s: %v", s.driver, err)
	}
	defer db.Close()
	for deadline := time.Now().Add(30 * time.Second); ; {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := db.PingContext(ctx)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-s.done:
			s.tb.Fatalf("%s ended at once: %s", s.args[0], s.output.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.tb.Fatalf("%s does not answer: %v\n%s", s.args[0], err, s.output.String())
		}
	}
}

// Stop ends the server at once, its sessions too, and waits; its data stays for the next Start.
func (s *DatabaseServer) Stop() {
	if s.driver == "mysql" {
		s.end(syscall.SIGKILL) // a SIGQUIT takes seconds; InnoDB recovers
		return
	}
	s.end(syscall.SIGQUIT) // a SIGKILL would leave the sessions' processes behind
}

func (s *DatabaseServer) end(sig syscall.Signal) {
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.tb.Errorf("signal %s: %v", s.args[0], err)
	}
	<-s.done
}

// output collects what a child says; the child writes while a test reads.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// serviceUser is who runs a database server that refuses to run as root; nil when the test does not run as root.
func serviceUser(tb testing.TB, name string) *syscall.Credential {
	tb.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup(name)
	if err != nil {
		tb.Fatalf("there is no user %s to run the database as, run: make deps", name)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		tb.Fatalf("user %s: %v", name, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// serviceDir is a temporary folder that runAs owns and can reach, unlike tb.TempDir, whose parent is root's alone.
func serviceDir(tb testing.TB, runAs *syscall.Credential) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "seamtag-db-") //nolint:usetesting // the parent of tb.TempDir is closed to the service user
	if err != nil {
		tb.Fatalf("make a data folder: %v", err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	if runAs != nil {
		if err := os.Chown(dir, int(runAs.Uid), int(runAs.Gid)); err != nil {
			tb.Fatalf("give the data folder away: %v", err)
		}
	}
	return dir
}

// prepare runs a program to its end as runAs.
func prepare(tb testing.TB, runAs *syscall.Credential, dir string, args ...string) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: runAs}
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%s: %v\n%s", filepath.Base(args[0]), err, out)
	}
}

// newestMatch finds a program that is not on PATH, such as /usr/lib/postgresql/17/bin/initdb.
func newestMatch(tb testing.TB, name, pattern string) string {
	tb.Helper()
	if bin, err := exec.LookPath(name); err == nil {
		return bin
	}
	matches, err := filepath.Glob(fmt.Sprintf(pattern, name))
	if err != nil || len(matches) == 0 {
		tb.Fatalf("%s is not installed, run: make deps", name)
	}
	slices.Sort(matches)
	return matches[len(matches)-1]
}
