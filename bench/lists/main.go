// Command lists fills a Redis with retained events, through the queue's own publisher and consumer, and measures how long
// lists, searches and counts take on it, what they ask of Redis, and what an event costs. It writes docs/lists.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"seamtag/queue"
)

type settings struct {
	entries, rounds int
	report          string // empty: standard output
}

func main() {
	var s settings
	flag.IntVar(&s.entries, "entries", 1_000_000, "retained events")
	flag.IntVar(&s.rounds, "rounds", 1000, "calls of each kind")
	flag.StringVar(&s.report, "report", "", "file to write the report to; default: standard output")
	flag.Parse()
	queue.SilenceRedis()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, s)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lists:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) error {
	dir, err := os.MkdirTemp("", "seamtag-lists-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	socket, end, err := startRedis(ctx, dir)
	if err != nil {
		return err
	}
	defer end()
	q, err := queue.Open(queue.Options{URL: "unix://" + socket})
	if err != nil {
		return err
	}
	defer func() { _ = q.Close() }()
	rdb := redis.NewClient(&redis.Options{Network: "unix", Addr: socket})
	defer func() { _ = rdb.Close() }()

	filled, err := fill(ctx, q, rdb, s.entries)
	if err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	timings, err := measure(ctx, q, s)
	if err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	text := report(s, filled, timings)
	if s.report == "" {
		_, err = fmt.Print(text)
		return err
	}
	return os.WriteFile(s.report, []byte(text), 0o644) //nolint:gosec // a document
}

// startRedis runs a redis-server with AOF everysec on a socket in dir, and ends it with this process.
func startRedis(ctx context.Context, dir string) (socket string, end func(), err error) {
	socket = filepath.Join(dir, "redis.sock")
	cmd := exec.CommandContext(ctx, "redis-server", "--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "everysec", "--logfile", filepath.Join(dir, "redis.log"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start redis-server: %w", err)
	}
	end = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	rdb := redis.NewClient(&redis.Options{Network: "unix", Addr: socket, DialerRetries: 1})
	defer func() { _ = rdb.Close() }()
	for deadline := time.Now().Add(20 * time.Second); rdb.Ping(ctx).Err() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) || ctx.Err() != nil {
			end()
			return "", nil, fmt.Errorf("redis-server does not answer")
		}
	}
	return socket, end, nil
}

// info reads numbers of a section of INFO, such as used_memory.
func info(ctx context.Context, rdb *redis.Client, section string) (map[string]string, error) {
	text, err := rdb.Info(ctx, section).Result()
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			values[name] = value
		}
	}
	return values, err
}
