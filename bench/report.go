package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// report is a Markdown page that grows by what the scenarios measured.
type report struct {
	conditions []string
	goals      []goal
	sections   bytes.Buffer
}

// goal is a figure to reach.
type goal struct {
	what    string
	target  float64
	atLeast bool // else at most
	got     float64
	unit    string
	why     string // what stands in the way, in figures; said where it is not reached
}

func (g goal) reached() bool {
	if g.atLeast {
		return g.got >= g.target
	}
	return g.got <= g.target
}

func newReport(ctx context.Context, s settings) (*report, error) {
	redis, err := exec.CommandContext(ctx, "redis-server", "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("redis-server: %w", err)
	}
	version, err := exec.CommandContext(ctx, s.binary, "version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.binary, err)
	}
	cpuinfo, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return nil, fmt.Errorf("conditions: %w", err)
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return nil, fmt.Errorf("conditions: %w", err)
	}
	return &report{conditions: []string{
		time.Now().UTC().Format("2006-01-02 15:04 UTC") + ", `" + firstLine(version) + "`",
		field(cpuinfo, "model name") + ", Linux " + firstLine(kernel) + ", " + runtime.Version(),
		"Redis " + word(redis, "v=") + ", append-only file written every second, over loopback",
		peersOf(),
		fmt.Sprintf("%d interleaved rounds; figures are medians, ratios are medians of the ratios within a round (smallest to largest)", s.rounds),
		"core " + coreMeasured + ": what is measured, alone (`taskset`, so GOMAXPROCS is 1); core " + coreLoad +
			": Redis and what makes the load",
	}}, nil
}

// peersOf names the versions compared with.
func peersOf() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return "peers: unknown"
	}
	var all []string
	for _, m := range build.Deps {
		switch m.Path {
		case "github.com/hibiken/asynq", "github.com/ThreeDotsLabs/watermill-redisstream", "github.com/labstack/echo/v4",
			"github.com/redis/go-redis/v9", "github.com/svix/svix-webhooks":
			all = append(all, strings.TrimPrefix(m.Path, "github.com/")+" "+m.Version)
		}
	}
	return strings.Join(all, ", ")
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return line
}

func word(b []byte, prefix string) string {
	for _, w := range strings.Fields(string(b)) {
		if rest, ok := strings.CutPrefix(w, prefix); ok {
			return rest
		}
	}
	return "?"
}

func field(b []byte, name string) string {
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(strings.TrimLeft(rest, "\t :"))
		}
	}
	return "?"
}

func (r *report) atLeast(what string, target, got float64, unit, why string) {
	r.goals = append(r.goals, goal{what, target, true, got, unit, why})
}

func (r *report) atMost(what string, target, got float64, unit, why string) {
	r.goals = append(r.goals, goal{what, target, false, got, unit, why})
}

func (r *report) say(format string, args ...any) { fmt.Fprintf(&r.sections, format, args...) }

// table writes one; the first column is text, the others are figures.
func (r *report) table(head []string, rows [][]string) {
	r.say("| %s |\n|---|%s\n", strings.Join(head, " | "), strings.Repeat("---:|", len(head)-1))
	for _, row := range rows {
		r.say("| %s |\n", strings.Join(row, " | "))
	}
	r.say("\n")
}

func (r *report) ingress(figures map[int]rounds) {
	r.say("## Receiving\n\nSigned events of about 600 bytes. seamtag is the shipped binary in role web: it verifies, reads the event, " +
		"keeps it with its marks and indexes\nin one script, counts it and writes a log line. The handwritten handler verifies, asks `SET NX`, " +
		"then sends `XADD`: no index, no log, no\ncounting, and a crash between the two commands loses the event.\n\n")
	for _, l := range loads {
		f := figures[l.connections]
		r.say("**%s**\n\n", plural(l.connections, "connection"))
		var rows [][]string
		for _, who := range receivers() {
			rows = append(rows, []string{
				who.name, number(f.median(who.name, "requests/s")), number(f.median(who.name, "p50")), number(f.median(who.name, "p99")),
				decimal(f.median(who.name, "cpu")),
				decimal(f.median(who.name, "redis cpu")), decimal(f.median(who.name, "commands")), decimal(f.median(who.name, "memory")),
				f.ratio("requests/s", ours, who.name).String(),
			})
		}
		r.table([]string{
			"", "requests/s", "p50 µs", "p99 µs", "CPU µs a request", "Redis CPU µs a request", "Redis commands a request", "memory at most, MiB", "seamtag by this",
		}, rows)
	}
	one, many := figures[1], figures[64]
	bound := fmt.Sprintf("A request takes seamtag %.0f µs of the measured core and its Redis %.0f µs of the core that it shares with the load; "+
		"the handwritten handler %.0f and %.0f µs, Echo hello %.0f and none.",
		many.median(ours, "cpu"), many.median(ours, "redis cpu"), many.median(handwritten, "cpu"), many.median(handwritten, "redis cpu"),
		many.median(hello, "cpu"))
	r.atLeast("requests/s by those of SET NX + XADD, 64 connections", 1.4, many.ratio("requests/s", ours, handwritten).mid, "×", bound)
	r.atLeast("requests/s by those of Echo hello, 64 connections", 45, 100*many.ratio("requests/s", ours, hello).mid, "%", bound)
	r.atMost("p99 by that of SET NX + XADD, 1 connection", 1, one.ratio("p99", ours, handwritten).mid, "×", "")
	r.atMost("memory while receiving from 64 connections", 64, many.median(ours, "memory"), "MiB", "")
}

func (r *report) drain(f rounds) {
	r.say("## Working off\n\nA backlog of %s messages with a handler that does nothing. seamtag keeps all its books: lease, lock of the account, record with "+
		"history,\nresult, state of the account, indexes, and keeps the payload; asynq and watermill forget or keep as they do by default.\n\n",
		number(drained))
	var rows [][]string
	for i, one := range systems() {
		if i == pollingFaster {
			continue
		}
		rows = append(rows, []string{
			one.name, number(f.median(one.name, "messages/s")), decimal(f.median(one.name, "cpu")),
			decimal(f.median(one.name, "redis cpu")), decimal(f.median(one.name, "commands")),
			f.ratio("messages/s", ours, one.name).String(),
		})
	}
	r.table([]string{"", "messages/s", "CPU µs a message", "Redis CPU µs a message", "Redis commands a message", "seamtag by this"}, rows)
	asynq, watermill := systems()[1].name, systems()[3].name
	bound := fmt.Sprintf("Redis is the bound: a message with all its books takes %.0f µs of its core (and seamtag %.0f µs of its own), "+
		"asynq's %.0f µs (and %.0f), watermill's two commands %.0f µs (and %.0f).",
		f.median(ours, "redis cpu"), f.median(ours, "cpu"), f.median(asynq, "redis cpu"), f.median(asynq, "cpu"),
		f.median(watermill, "redis cpu"), f.median(watermill, "cpu"))
	r.atLeast("drain by asynq's", 3, f.ratio("messages/s", ours, asynq).mid, "×", bound)
	r.atLeast("drain by that of watermill with ten subscribers", 1.2, f.ratio("messages/s", ours, watermill).mid, "×", bound)
}

func (r *report) latency(f rounds) {
	r.say("## From enqueue to start\n\n%d messages a second, one after the other, to a worker that has nothing else to do.\n\n", perSecond)
	var rows [][]string
	for _, one := range systems() {
		rows = append(rows, []string{
			one.name, number(f.median(one.name, "p50")), number(f.median(one.name, "p99")), f.ratio("p99", one.name, ours).String(),
		})
	}
	r.table([]string{"", "p50 µs", "p99 µs", "p99 by seamtag's"}, rows)
	r.atMost("enqueue to start, p99", 1, f.median(ours, "p99")/1000, "ms", "")
}

func (r *report) whole(w whereabouts) {
	r.say("## The whole way\n\nOne process of role all, from the signed request to the end of the event, with a pretend Seam (on the core of the load) " +
		"that is asked\ntwice an event.\n\n")
	r.table([]string{"", "one at a time", fmt.Sprintf("%s events over 64 connections", number(busyEvents))}, [][]string{
		{"calls to Redis an event", decimal(w.callsAtRest), ""},
		{"Redis commands an event, those inside scripts included", decimal(w.commandsAtRest), decimal(w.commandsBusy)},
		{"events/s from request to end", "", number(w.perSecond)},
		{"resident memory, MiB", decimal(w.idle), decimal(w.loaded) + " at most"},
	})
	r.atMost("calls to Redis an event at rest", 4, w.callsAtRest, "", "")
	r.atMost("Redis commands an event at rest", 20, w.commandsAtRest, "", "")
	r.atMost("memory under load, role all", 64, w.loaded, "MiB", "")
}

func (r *report) footprint(f rounds, binary float64) {
	r.say("## Start, stop and size\n\nRole all with an empty Redis; ready is the first 200 of `/readyz`.\n\n")
	r.table([]string{"", "median", "most"}, [][]string{
		{"exec to ready, ms", decimal(f.median(ours, "ready")), decimal(most(f[ours]["ready"]))},
		{"SIGTERM to exit while idle, ms", decimal(f.median(ours, "stop")), decimal(most(f[ours]["stop"]))},
		{"resident memory idle, MiB", decimal(f.median(ours, "idle")), decimal(most(f[ours]["idle"]))},
		{"of it the process's own, the rest being pages of the binary, MiB", decimal(f.median(ours, "own")), decimal(most(f[ours]["own"]))},
		{"binary, MiB", decimal(binary), ""},
	})
	r.atMost("ready after exec", 50, f.median(ours, "ready"), "ms", "")
	r.atMost("stop while idle", 1000, most(f[ours]["stop"]), "ms", "")
	r.atMost("memory idle", 25, f.median(ours, "idle"), "MiB", fmt.Sprintf(
		"%.0f MiB are the process's own; the rest are pages of the binary, which the kernel takes back where memory is short.", f.median(ours, "own")))
}

func (r *report) idle(f rounds) {
	r.say("## Idle\n\nRedis commands in a minute in which nothing happens, of one process.\n\n")
	var rows [][]string
	for _, one := range systems() {
		rows = append(rows, []string{one.name, number(f.median(one.name, "commands"))})
	}
	r.table([]string{"", "commands a minute"}, rows)
	r.atMost("commands a minute while idle", 10, f.median(ours, "commands"), "", "")
}

func (r *report) write(file string) error {
	var page bytes.Buffer
	page.WriteString("# Benchmarks\n\nWritten by `make bench`; do not edit. How it is measured: [bench/](../bench/main.go).\n\n")
	for _, c := range r.conditions {
		page.WriteString("- " + c + "\n")
	}
	page.WriteString("\n## Figures to reach\n\n| | target | measured | |\n|---|---:|---:|---|\n")
	for _, g := range r.goals {
		bound, reached := "≤", "reached"
		if g.atLeast {
			bound = "≥"
		}
		if !g.reached() {
			reached = "**not reached**"
		}
		fmt.Fprintf(&page, "| %s | %s %s | %s | %s |\n", g.what, bound, unit(g.target, g.unit), unit(g.got, g.unit), reached)
	}
	for _, why := range r.obstacles() {
		page.WriteString("\n" + why + "\n")
	}
	page.WriteString("\n" + strings.TrimRight(r.sections.String(), "\n") + "\n")
	if file == "" {
		_, err := io.Copy(os.Stdout, &page)
		return err
	}
	if err := os.WriteFile(file, page.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// obstacles are the reasons for what is not reached, each once.
func (r *report) obstacles() []string {
	var all []string
	for _, g := range r.goals {
		if !g.reached() && g.why != "" && !slices.Contains(all, g.why) {
			all = append(all, g.why)
		}
	}
	return all
}

// String is the median, then from the smallest to the largest.
func (s spread) String() string { return fmt.Sprintf("%.2f× (%.2f to %.2f)", s.mid, s.low, s.high) }

func unit(v float64, u string) string { return strings.TrimSpace(fmt.Sprintf("%.4g %s", v, u)) }

func decimal(v float64) string { return fmt.Sprintf("%.1f", v) }

// number groups thousands by a comma.
func number(v float64) string {
	digits := fmt.Sprintf("%.0f", v)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
