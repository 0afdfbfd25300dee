package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

func report(s settings, f filled, timings []timing) string {
	var b strings.Builder
	version, _ := exec.Command("redis-server", "--version").Output()
	fmt.Fprintf(&b, `# Lists over many events

Written by %smake lists%s on %s: Redis %s, %d cores, %s, over a unix socket, one caller, load average %s when
measured: other work on the machine makes single calls slower than they would be alone.

%d events of %d accounts are retained, each worked off by the queue itself. An event costs %d bytes of Redis memory, its
body, its end and its account's memory included, and %.1f commands, those inside scripts counted (%s to publish
all, %s to work them off, under load: batches share what an event alone pays for itself).

Each line is %d calls for a page of %d, with other words each time.

| asked for | p50 | p99 | slowest | found a call |
|---|---|---|---|---|
`, "`", "`", time.Now().Format(time.DateOnly), strings.TrimPrefix(strings.Fields(string(version) + "- - -")[2], "v="), runtime.NumCPU(),
		runtime.Version(), load(), s.entries, accounts, f.bytes, f.commands, f.published.Round(time.Second), f.drained.Round(time.Second),
		s.rounds, pageSize)
	for _, t := range timings {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %.1f |\n", t.name, ms(t.p50), ms(t.p99), ms(t.max), t.found)
	}
	b.WriteString(closing)
	return b.String()
}

const closing = `
Nothing here walks over all that is kept: a list reads at most 2,000 events, by ranges with a limit (XRANGE, ZREVRANGEBYSCORE),
and a count is the sum of ZCARD or ZCOUNT over few indexes.
`

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	return strings.Fields(string(text) + "unknown")[0]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }
