package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// restarts says how long a dying server is put up with.
type restarts struct {
	tries   int           // deaths in a row that are answered by a restart
	first   time.Duration // wait before the first restart, doubling with each
	longest time.Duration // the wait never gets longer than this
	stable  time.Duration // a server that answered for this long starts a new row
}

// patience restarts after 0.1, 0.2, 0.4, 0.8, 1.6 s, and gives up when none of these servers answered for 10 s.
func patience() restarts {
	return restarts{tries: 5, first: 100 * time.Millisecond, longest: 2 * time.Second, stable: 10 * time.Second}
}

// endWithin is how long an asked server may take to end before it is killed.
const endWithin = 3 * time.Second

// child is a supervised redis-server. One goroutine owns the process from start to end.
type child struct {
	bin     string
	version string
	data    string // where the append-only file lives
	socket  string
	lock    *os.File
	journal *journal
	log     zerolog.Logger
	policy  restarts

	pid   atomic.Int64  // of the present process
	stop  chan struct{} // closed by close: end the process and return
	ended chan struct{} // closed by the supervisor: no process is left
	dead  chan struct{} // closed by the supervisor when it gave up
	err   error         // why the end was not in order; written before ended
}

func startChild(ctx context.Context, bin, dir string, log zerolog.Logger, policy restarts) (_ *child, err error) {
	c := &child{
		bin: bin, version: version(ctx, bin), log: log, policy: policy,
		stop: make(chan struct{}), ended: make(chan struct{}), dead: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			c.release()
		}
	}()
	if err := c.prepare(ctx, dir); err != nil {
		return nil, fmt.Errorf("embedded redis: %w", err)
	}
	ready := make(chan error, 1)
	go c.supervise(ready)
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = fmt.Errorf("wait for %s: %w", bin, context.Cause(ctx))
	}
	if err != nil {
		close(c.stop)
		<-c.ended
		return nil, fmt.Errorf("embedded redis: %w", err)
	}
	return c, nil
}

// prepare makes the folders and takes the lock; no second server may ever open the same append-only file.
func (c *child) prepare(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("find the data folder: %w", err)
	}
	c.data = filepath.Join(dir, "redis")
	if err := os.MkdirAll(c.data, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if c.lock, err = takeLock(ctx, filepath.Join(dir, "redis.lock")); err != nil {
		return err
	}
	if c.journal, err = openJournal(filepath.Join(dir, "redis.log"), c.log); err != nil {
		return err
	}
	c.socket, err = makeSocket()
	return err
}

// supervise keeps the process up until stop, or until it dies too often. ready hears how the first start went.
func (c *child) supervise(ready chan<- error) {
	// The parent-death signal fires when the thread that forked ends, so this goroutine keeps its thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(c.ended)
	started := false
	for deaths := 1; ; deaths++ {
		lived, err := c.live(func() {
			if !started {
				started = true
				ready <- nil
			}
		})
		switch {
		case c.stopping():
			c.err = err
			return
		case !started:
			ready <- err
			return
		case lived >= c.policy.stable:
			deaths = 1
		}
		if !c.outlast(deaths, err) {
			return
		}
	}
}

// outlast waits before the next start; false means that there is none.
func (c *child) outlast(deaths int, cause error) bool {
	if deaths > c.policy.tries {
		c.log.Error().Err(cause).Int("deaths", deaths).Msg("the embedded redis cannot be kept up")
		close(c.dead)
		return false
	}
	wait := min(c.policy.first<<(deaths-1), c.policy.longest)
	c.log.Warn().Err(cause).Int("deaths", deaths).Dur("restart_in", wait).Msg("the embedded redis died, restarting it")
	select {
	case <-c.stop:
		return false
	case <-time.After(wait):
		return true
	}
}

// live runs the server once and returns for how long it answered. up is called when it first answers.
func (c *child) live(up func()) (time.Duration, error) {
	cmd := c.command()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start %s: %w", c.bin, err)
	}
	c.pid.Store(int64(cmd.Process.Pid))
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()

	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	var since time.Time
	for {
		select {
		case err := <-exited:
			return answeredFor(since), c.epitaph(err)
		case <-c.stop:
			return answeredFor(since), c.end(cmd.Process, exited)
		case <-poll.C:
			if answers(c.socket) {
				poll.Stop()
				since = time.Now()
				c.journal.up.Store(true)
				c.log.Debug().Str("server", c.name()).Int("pid", cmd.Process.Pid).Msg("the embedded redis answers")
				up()
			}
		}
	}
}

func answeredFor(since time.Time) time.Duration {
	if since.IsZero() {
		return 0
	}
	return time.Since(since)
}

func (c *child) stopping() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// command: append-only with everysec (a crash of the machine costs at most a second, a crash of the process nothing),
// no TCP, no eviction. The environment is empty, because ours holds secrets that are none of its business.
func (c *child) command() *exec.Cmd {
	cmd := exec.Command(c.bin, //nolint:noctx // it outlives Start's context by design and ends in end
		"--port", "0", "--unixsocket", c.socket, "--unixsocketperm", "700",
		"--dir", c.data, "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
		"--maxmemory-policy", "noeviction", "--daemonize", "no", "--logfile", "")
	cmd.Dir = c.data
	cmd.Env = []string{}
	c.journal.up.Store(false)
	cmd.Stdout, cmd.Stderr = c.journal, c.journal
	cmd.ExtraFiles = []*os.File{c.lock} // an orphan goes on holding the lock
	cmd.WaitDelay = time.Second         // its rewriting child may hold the pipe
	cmd.SysProcAttr = processAttributes()
	return cmd
}

// epitaph says how the server ended, with the last thing it said.
func (c *child) epitaph(err error) error {
	if err == nil {
		err = errors.New("exit status 0")
	}
	if last := c.journal.last(); last != "" {
		return fmt.Errorf("%s ended: %w: %s", c.bin, err, last)
	}
	return fmt.Errorf("%s ended: %w", c.bin, err)
}

// end asks the server to write out and go, and kills it when it does not within endWithin.
func (c *child) end(p *os.Process, exited <-chan error) error {
	c.journal.up.Store(false) // its farewell is no warning
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.log.Warn().Err(err).Msg("cannot ask the embedded redis to end")
	}
	late := time.NewTimer(endWithin)
	defer late.Stop()
	select {
	case <-exited:
		return nil
	case <-late.C:
		killGroup(p)
		<-exited
		return fmt.Errorf("embedded redis: %s did not end within %s and was killed", c.bin, endWithin)
	}
}

func (c *child) url() string             { return (&url.URL{Scheme: "unix", Path: c.socket}).String() }
func (c *child) failed() <-chan struct{} { return c.dead }

func (c *child) name() string {
	base := filepath.Base(c.bin)
	if c.version == "" {
		return fmt.Sprintf("%s (%s)", base, c.bin)
	}
	return fmt.Sprintf("%s %s (%s)", base, c.version, c.bin)
}

func (c *child) close() error {
	close(c.stop)
	<-c.ended
	c.release()
	return c.err
}

// release gives back what prepare took, as far as it came.
func (c *child) release() {
	if c.socket != "" {
		if err := os.RemoveAll(filepath.Dir(c.socket)); err != nil {
			c.log.Warn().Err(err).Msg("cannot remove the embedded redis' socket")
		}
	}
	if c.journal != nil {
		c.journal.close()
	}
	if c.lock != nil {
		_ = c.lock.Close() // nothing was written through it that could be lost
	}
}

// version asks the program itself; "" when it does not say. Redis says "v=7.0.15", Valkey too.
func version(ctx context.Context, bin string) string {
	out, err := exec.CommandContext(ctx, bin, "--version").Output()
	if err != nil {
		return ""
	}
	found := regexp.MustCompile(`\bv=(\S+)`).FindSubmatch(out)
	if found == nil {
		return ""
	}
	return string(found[1])
}
