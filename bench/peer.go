package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// runPeer is what a child process does that this program started.
func runPeer(ctx context.Context, name string, args []string) error {
	switch name {
	case "hello":
		return serveHello(ctx, args[0], args[1])
	case "handwritten":
		return serveHandwritten(ctx, args[0], args[1])
	}
	for _, s := range systems() {
		if s.peer != name {
			continue
		}
		count, err := strconv.Atoi(args[1])
		if err != nil {
			return fmt.Errorf("count %q: %w", args[1], err)
		}
		return consume(ctx, s, args[0], count)
	}
	return fmt.Errorf("there is no peer %q", name)
}

// consumed is what a consuming peer says at its end.
type consumed struct {
	Seconds  float64 // from its start to the last of its messages
	CPU      float64 // µs a message
	P50, P99 float64 // µs from sending to starting
}

const ready = "ready"

// consume works off so many messages, says what it cost and ends; of 0 messages it works until ctx ends.
func consume(ctx context.Context, s system, address string, count int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var waited []time.Duration
	var done atomic.Int64
	var result consumed
	began := time.Now()
	spentBefore := ownCPU()
	w := work{
		started: func(body []byte) {
			d := time.Since(stampOf(body))
			mu.Lock()
			waited = append(waited, d)
			mu.Unlock()
		},
		ended: func() {
			if done.Add(1) == int64(count) {
				result.Seconds = time.Since(began).Seconds()
				result.CPU = (ownCPU() - spentBefore).Seconds() * 1e6 / float64(count)
				cancel()
			}
		},
	}
	fmt.Println(ready)
	if err := s.consume(ctx, address, w); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if count == 0 {
		return nil
	}
	waited = waited[len(waited)/10:] // connections are made and code is warm by then
	result.P50, result.P99 = percentile(waited, .5), percentile(waited, .99)
	return json.NewEncoder(os.Stdout).Encode(result)
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const bodySize = 600 // bytes: an event of Seam

// stamped is a body that bears the time it was made at.
func stamped() []byte {
	body := make([]byte, bodySize)
	for i := range body {
		body[i] = 'x'
	}
	copy(body, strconv.FormatInt(time.Now().UnixNano(), 10)) // 19 digits until the year 2286
	return body
}

func stampOf(body []byte) time.Time {
	ns, err := strconv.ParseInt(string(body[:19]), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
