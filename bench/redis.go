package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// store is a redis-server on the core of the load, with an append-only file written every second.
type store struct {
	*redis.Client

	address string
	process *process
	dir     string
}

func startRedis(ctx context.Context) (*store, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "seamtag-bench-")
	if err != nil {
		return nil, fmt.Errorf("start redis: %w", err)
	}
	p, err := start(ctx, coreLoad, nil, "redis-server", "--port", portOf(address), "--bind", "127.0.0.1", "--dir", dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0")
	if err != nil {
		return nil, err
	}
	s := &store{Client: redis.NewClient(&redis.Options{Addr: address}), address: address, process: p, dir: dir}
	return s, awaitPort(ctx, address)
}

func (s *store) url() string { return "redis://" + s.address + "/0" }

func (s *store) close() {
	_ = s.Client.Close()
	_ = s.process.stop() // its data is thrown away with it
	_ = os.RemoveAll(s.dir)
}

// empty leaves nothing of the run before, and waits until its append-only file is on disk.
func (s *store) empty(ctx context.Context) error {
	if err := s.FlushAll(ctx).Err(); err != nil {
		return fmt.Errorf("empty redis: %w", err)
	}
	return nil
}

var callsIn = regexp.MustCompile(`(?m)^cmdstat_([^:]+):calls=(\d+)`)

// uncounted are the commands of this program and of a client's start.
var uncounted = map[string]bool{
	"info": true, "config|resetstat": true, "flushall": true, "hello": true, "client|setinfo": true, "client|setname": true, "ping": true,
	"select": true, "script|load": true, "monitor": true, "client|maint_notifications": true,
}

// calls counts the commands that the server ran so far, those inside scripts included.
func (s *store) calls(ctx context.Context) (float64, error) {
	text, err := s.Info(ctx, "commandstats").Result()
	if err != nil {
		return 0, fmt.Errorf("count commands: %w", err)
	}
	sum := 0.0
	for _, m := range callsIn.FindAllStringSubmatch(text, -1) {
		if !uncounted[m[1]] {
			n, _ := strconv.ParseFloat(m[2], 64) // the pattern takes digits alone
			sum += n
		}
	}
	return sum, nil
}

// watch counts the commands that reach the server until the returned function is called: those sent by a client, and those
// that scripts ran. It slows the server down, so nothing is timed meanwhile.
func (s *store) watch(ctx context.Context) (stop func() (sent, inner float64, err error), err error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, fmt.Errorf("watch redis: %w", err)
	}
	lines := bufio.NewReader(c)
	if _, err := fmt.Fprint(c, "MONITOR\r\n"); err != nil {
		return nil, fmt.Errorf("watch redis: %w", err)
	}
	if _, err := lines.ReadString('\n'); err != nil {
		return nil, fmt.Errorf("watch redis: %w", err)
	}
	const end = "that is all"
	var sent, inner float64
	done := make(chan error, 1)
	go func() {
		for {
			line, err := lines.ReadString('\n')
			if err != nil || strings.Contains(line, end) {
				done <- err
				return
			}
			switch _, command, _ := strings.Cut(line, "] "); {
			case uncounted[strings.ToLower(strings.Trim(strings.Join(strings.Fields(command)[:1], ""), `"`))]:
			case strings.Contains(line, " lua] "):
				inner++
			default:
				sent++
			}
		}
	}()
	return func() (float64, float64, error) {
		defer c.Close()
		if err := s.Echo(ctx, end).Err(); err != nil {
			return 0, 0, fmt.Errorf("watch redis: %w", err)
		}
		select {
		case err := <-done:
			return sent, inner, err
		case <-time.After(10 * time.Second):
			return 0, 0, fmt.Errorf("watch redis: the end was not seen")
		}
	}, nil
}
