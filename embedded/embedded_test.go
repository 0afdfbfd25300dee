package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"seamtag/internal/parts"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func nowhere(string) (string, error) { return "", exec.ErrNotFound }

func TestDataSurvivesCloseAndStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data with spaces")
	r := start(t, Options{Dir: dir})
	c := client(t, r)
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if r.Volatile() {
		t.Error("a redis-server calls itself volatile")
	}
	if !strings.HasPrefix(r.Name(), "redis-server ") || !strings.Contains(r.Name(), "(/") {
		t.Errorf("name is %q", r.Name())
	}
	pid, sock := pidOf(r), r.server.(*child).socket
	if err := r.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there after Close: %v", pid, err)
	}
	if _, err := os.Stat(filepath.Dir(sock)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's folder is still there after Close: %v", err)
	}
	again := client(t, start(t, Options{Dir: dir}))
	if got := try(again.Get(t.Context(), "k").Result())(t); got != "v" {
		t.Errorf("after a restart k is %q", got)
	}
}

func TestKilledServerComesBackWithItsData(t *testing.T) {
	r := start(t, Options{Dir: t.TempDir()})
	c := client(t, r)
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	killed := pidOf(r)
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return pidOf(r) != killed && answers(r.server.(*child).socket) })
	if got := try(c.Get(t.Context(), "k").Result())(t); got != "v" {
		t.Errorf("after kill -9 k is %q", got)
	}
	select {
	case <-r.Done():
		t.Error("one death counts as given up")
	default:
	}
}

func TestOnlyThisUserReachesIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	r := start(t, Options{Dir: dir})
	for _, path := range []string{dir, filepath.Join(dir, "redis"), filepath.Dir(r.server.(*child).socket)} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
	}
	want := map[string]string{"port": "0", "appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction"}
	c := client(t, r)
	for k, v := range want {
		equal(t, try(c.ConfigGet(t.Context(), k).Result())(t), map[string]string{k: v})
	}
}

func TestServerGetsNoneOfOurEnvironment(t *testing.T) {
	t.Setenv("SEAM_API_KEY", "seam_secret")
	r := start(t, Options{Dir: t.TempDir()})
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pidOf(r)))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(env, []byte("seam_secret")) {
		t.Error("the child inherited a secret")
	}
}

func TestServerIsOutOfReachOfCtrlC(t *testing.T) {
	r := start(t, Options{Dir: t.TempDir()})
	group, err := syscall.Getpgid(pidOf(r))
	if err != nil {
		t.Fatal(err)
	}
	if group == syscall.Getpgrp() {
		t.Error("the child is in our process group, the terminal's Ctrl-C reaches it")
	}
}

func TestSecondStartOnTheSameFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := start(t, Options{Dir: dir})
	_, err := Start(t.Context(), Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("second start answered %v", err)
	}
	client(t, first) // pings
}

// An orphan (its parent was killed where no parent-death signal exists) still writes: its folder stays locked.
func TestAnOrphanKeepsTheFolderLocked(t *testing.T) {
	dir := t.TempDir()
	r := start(t, Options{Dir: dir})
	if err := r.server.(*child).lock.Close(); err != nil { // as the death of the parent does
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("start beside an orphan answered %v", err)
	}
}

func TestServerDiesWithItsParent(t *testing.T) {
	if dir := os.Getenv("SEAMTAG_TEST_PARENT"); dir != "" {
		r, err := Start(t.Context(), Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("pid", pidOf(r))
		select {} // until killed
	}
	dir := t.TempDir()
	parent := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithItsParent$")
	parent.Env = append(os.Environ(), "SEAMTAG_TEST_PARENT="+dir, "TMPDIR="+t.TempDir()) // its socket stays behind
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanf(out, "pid %d\n", &pid); err != nil {
		t.Fatalf("the parent said no pid: %v", err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	client(t, start(t, Options{Dir: dir})) // the folder is free again by itself
	if cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && bytes.Contains(cmdline, []byte(dir)) {
		t.Errorf("process %d outlived its parent", pid)
	}
}

func TestGivesUpOnAServerThatKeepsDying(t *testing.T) {
	var log lockedBuffer
	dir, flag := t.TempDir(), filepath.Join(t.TempDir(), "dies")
	server := try(exec.LookPath("redis-server"))(t)
	bin := script(t, "redis-server", fmt.Sprintf(`[ -e %q ] && { echo '1:M 23 Nov 2026 14:30:00.123 # no more'; exit 7; }
exec %s "$@"`, flag, server))
	policy := restarts{tries: 2, first: time.Millisecond, longest: time.Millisecond, stable: time.Hour}
	c, err := startChild(t.Context(), bin, dir, zerolog.New(&log), policy)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(int(c.pid.Load()), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-c.failed()
	if err := c.close(); err != nil {
		t.Errorf("close after giving up: %v", err)
	}
	for _, want := range []string{"restarting it", "cannot be kept up", "exit status 7: no more"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
}

func TestStartSaysWhyTheServerDoesNotStart(t *testing.T) {
	bin := script(t, "redis-server", `echo "1:M 23 Nov 2026 14:30:00.123 # Bad file format reading the append only file" >&2; exit 1`)
	_, err := Start(t.Context(), Options{Dir: t.TempDir(), LookPath: finds(bin)})
	if err == nil || !strings.Contains(err.Error(), "exit status 1: Bad file format") {
		t.Errorf("start answered %v", err)
	}
}

func TestStartIsBoundByItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("long enough"))
	defer cancel()
	bin := script(t, "redis-server", "[ \"$1\" = --version ] && exit\nexec sleep 60")
	_, err := Start(ctx, Options{Dir: t.TempDir(), LookPath: finds(bin)})
	if err == nil || !strings.Contains(err.Error(), "long enough") {
		t.Errorf("start answered %v", err)
	}
}

func TestContextOfStartDoesNotEndTheServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Start(ctx, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	client(t, r) // pings
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Errorf("close twice: %v", err)
	}
}

func TestAServerThatDoesNotEndIsKilled(t *testing.T) {
	r, err := Start(t.Context(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	pid := pidOf(r)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("close answered %v", err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}
}

func TestWarningsAreLoggedAndAllIsKept(t *testing.T) {
	var log lockedBuffer
	dir := t.TempDir()
	r := start(t, Options{Dir: dir, Log: zerolog.New(&log).Level(zerolog.WarnLevel)})
	if log.String() != "" {
		t.Errorf("an ordinary start warns:\n%s", log.String())
	}
	j := r.server.(*child).journal
	for _, part := range []string{"1:M 23 Nov 2026 14:30:00.123 # Asynchronous AOF", " fsync is slow\n1:M x * quiet\n"} {
		if _, err := j.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(log.String(), `"redis":"Asynchronous AOF fsync is slow"`) || strings.Contains(log.String(), "quiet") {
		t.Errorf("the log is:\n%s", log.String())
	}
	kept := string(try(os.ReadFile(filepath.Join(dir, "redis.log")))(t))
	if !strings.Contains(kept, "fsync is slow") || !strings.Contains(kept, "quiet") {
		t.Errorf("redis.log is:\n%s", kept)
	}
}

func TestWithoutAServerItIsVolatileAndSaysSoOnce(t *testing.T) {
	var log lockedBuffer
	r := start(t, Options{Dir: t.TempDir(), LookPath: nowhere, Log: zerolog.New(&log)})
	client(t, r)
	if !r.Volatile() || r.Name() != "miniredis (in memory)" {
		t.Errorf("volatile is %v, name %q", r.Volatile(), r.Name())
	}
	if n := strings.Count(log.String(), "VOLATILE"); n != 1 || !strings.Contains(log.String(), `"level":"warn"`) {
		t.Errorf("%d warnings:\n%s", n, log.String())
	}
}

func TestMemoryIsBehindAPassword(t *testing.T) {
	r := start(t, Options{Volatile: true})
	o := try(redis.ParseURL(r.URL()))(t)
	c := redis.NewClient(&redis.Options{Addr: o.Addr})
	defer c.Close()
	if err := c.Ping(t.Context()).Err(); err == nil {
		t.Error("miniredis lets anyone on the machine in")
	}
	if strings.Contains(r.Name(), o.Password) {
		t.Error("the name holds the password")
	}
}

func TestMemoryExpiresByRealTime(t *testing.T) {
	c := client(t, start(t, Options{Volatile: true}))
	if err := c.Set(t.Context(), "short", "v", 300*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(t.Context(), "long", "v", time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return errors.Is(c.Get(t.Context(), "short").Err(), redis.Nil) })
	if got := try(c.Get(t.Context(), "long").Result())(t); got != "v" {
		t.Errorf("long is %q", got)
	}
}

func TestCloseWakesABlockedRead(t *testing.T) {
	for _, volatile := range []bool{true, false} {
		r, err := Start(t.Context(), Options{Dir: t.TempDir(), Volatile: volatile})
		if err != nil {
			t.Fatal(err)
		}
		c := client(t, r)
		groups(t, c)
		got := make(chan error, 1)
		go func() {
			one := c.WithTimeout(30 * time.Second)
			got <- one.XReadGroup(t.Context(), readArgs("a", 20*time.Second)).Err()
		}()
		eventually(t, func() bool { return c.PoolStats().TotalConns > c.PoolStats().IdleConns })
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := <-got; err == nil {
			t.Error("a blocked read went on over a closed server")
		}
	}
}

func TestOthersFindIt(t *testing.T) {
	for name, volatile := range map[string]bool{"child": false, "memory": true} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if _, err := Find(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
				t.Errorf("before the start: %v", err)
			}
			r, err := Start(t.Context(), Options{Dir: dir, Volatile: volatile})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = r.Close() })
			if url, err := Find(t.Context(), dir); url != r.URL() || err != nil {
				t.Errorf("found %t, %v", url == r.URL(), err)
			}
			info, err := os.Stat(filepath.Join(dir, "redis.url"))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the file can be read by others: %v, %v", info, err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := Find(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
				t.Errorf("after the end: %v", err)
			}
			if err := os.WriteFile(filepath.Join(dir, "redis.url"), []byte(r.URL()), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Find(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
				t.Errorf("left by a process that was killed: %v", err)
			}
		})
	}
}

func TestADataFolderIsNeeded(t *testing.T) {
	if _, err := Start(t.Context(), Options{}); err == nil {
		t.Error("a durable start without a folder is accepted")
	}
}

func TestALongTmpdirFallsBack(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("x", longestSocket))
	if err := os.MkdirAll(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", long)
	r := start(t, Options{Dir: t.TempDir()})
	client(t, r)
	if left := try(os.ReadDir(long))(t); len(left) != 0 {
		t.Errorf("%d entries left in TMPDIR", len(left))
	}
}

func pidOf(r *Redis) int { return int(r.server.(*child).pid.Load()) }

func finds(bin string) func(string) (string, error) {
	return func(string) (string, error) { return bin, nil }
}

func script(t *testing.T, name, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// eventually polls for what another process does; the test's own deadline is the limit.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for limit := time.After(20 * time.Second); !ok(); {
		select {
		case <-poll.C:
		case <-limit:
			t.Fatal("waited 20 s in vain")
		}
	}
}

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer = parts.Buffer
