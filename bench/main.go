// Command bench compares seamtag with what people would use instead, side by side in one run, and writes
// docs/benchmarks.md. It needs Linux, two cores, redis-server and taskset.
//
// What is measured runs alone on core 0. Redis and whatever makes the load share core 1, so that neither takes time from
// the other side. Rounds are interleaved: each system has its turn in every round, and ratios are taken within a round.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// The cores, as taskset names them.
const (
	coreMeasured = "0"
	coreLoad     = "1"
)

const pinned = "SEAMTAG_BENCH_PINNED"

type settings struct {
	binary string // of seamtag
	report string // where the report goes; empty: standard output
	rounds int
	only   []string // scenarios; empty: all
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if len(os.Args) > 2 && os.Args[1] == "peer" {
		return runPeer(ctx, os.Args[2], os.Args[3:])
	}
	var s settings
	only := flag.String("only", "", "scenarios to run, by comma: "+strings.Join(names(), ", "))
	flag.StringVar(&s.binary, "binary", "../seamtag", "the seamtag to measure")
	flag.StringVar(&s.report, "report", "", "file to write the report to; default: standard output")
	flag.IntVar(&s.rounds, "rounds", 5, "interleaved rounds")
	flag.Parse()
	if *only != "" {
		s.only = strings.Split(*only, ",")
	}
	if os.Getenv(pinned) == "" {
		return pin()
	}
	return s.measure(ctx)
}

// pin starts this program again on the core of the load: children inherit it.
func pin() error {
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return fmt.Errorf("pin to a core: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("pin to a core: %w", err)
	}
	args := append([]string{"taskset", "-c", coreLoad, self}, os.Args[1:]...)
	return fmt.Errorf("pin to a core: %w", syscall.Exec(taskset, args, append(os.Environ(), pinned+"=1")))
}

// scenario measures one thing and adds its tables to the report.
type scenario struct {
	name string
	run  func(ctx context.Context, s settings, r *report) error
}

func scenarios() []scenario {
	return []scenario{
		{"ingress", ingress},
		{"drain", drain},
		{"latency", latency},
		{"rest", atRest},
		{"footprint", footprint},
		{"idle", idle},
	}
}

func names() []string {
	var all []string
	for _, s := range scenarios() {
		all = append(all, s.name)
	}
	return all
}

func (s settings) measure(ctx context.Context) error {
	for _, name := range s.only {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("there is no scenario %q", name)
		}
	}
	r, err := newReport(ctx, s)
	if err != nil {
		return err
	}
	for _, one := range scenarios() {
		if len(s.only) > 0 && !slices.Contains(s.only, one.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "bench:", one.name)
		if err := one.run(ctx, s, r); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
	}
	return r.write(s.report)
}
