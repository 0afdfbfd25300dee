package drill

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// row is what a drill found.
type row struct {
	fault                                          string
	sent, accepted, refused, tagged, lost, doubled int
	again, goesOn, slowest, stopped                time.Duration
}

func (r *row) String() string {
	return fmt.Sprintf("%s: accepted %d, refused %d, tagged %d, lost %d, doubled %d; accepts again after %s, goes on after %s, slowest answer %s, stops in %s",
		r.fault, r.accepted, r.refused, r.tagged, r.lost, r.doubled, seconds(r.again), seconds(r.goesOn), seconds(r.slowest), seconds(r.stopped))
}

// table is the rows in Markdown, with the conditions.
func table(rows []*row, start time.Time) string {
	var b strings.Builder
	b.WriteString(columns("fault", "accepted", "refused", "tagged", "lost", "doubled", "accepts again after", "goes on after", "slowest answer", "stops in"))
	b.WriteString("|---" + strings.Repeat("|---:", 9) + "|\n")
	for _, r := range rows {
		if r == nil {
			continue
		}
		n := strconv.Itoa
		b.WriteString(columns(r.fault, n(r.accepted), n(r.refused), n(r.tagged), n(r.lost), n(r.doubled),
			seconds(r.again), seconds(r.goesOn), seconds(r.slowest), seconds(r.stopped)))
	}
	fmt.Fprintf(&b, "\n%s, %d cores (shared), %s, %s, %d events a second, Seam answering after %d ms; took %s.\n",
		start.UTC().Format("2006-01-02 15:04 UTC"), runtime.NumCPU(), runtime.Version(), redisVersion(), rate*(twice+1)/twice, seamLatency,
		time.Since(start).Round(time.Second))
	return b.String()
}

func redisVersion() string {
	out, err := exec.Command("redis-server", "--version").Output()
	if err != nil {
		return "no redis-server"
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(string(out), "Redis server v="), " ")
	return "Redis " + version
}

//go:embed report.md
var reportText string

func writeReport(file, table string) error {
	return os.WriteFile(file, []byte(strings.Replace(reportText, "{{table}}\n", table, 1)), 0o644)
}
