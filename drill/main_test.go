package drill

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"seamtag/queue"
)

var (
	all    = flag.Bool("drill.all", false, "run every drill, not only the short form")
	report = flag.String("drill.report", "", "write the table to this file")
)

// seamRole in the environment makes this test binary the pretend Seam.
const seamRole = "SEAMTAG_DRILL_SEAM"

func TestMain(m *testing.M) {
	if os.Getenv(seamRole) != "" {
		if err := serveSeam(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	queue.SilenceRedis()
	flag.Parse()
	if !isSet("test.parallel") {
		_ = flag.Set("test.parallel", "6") // drills wait more than they work
	}
	goleak.VerifyTestMain(m)
}

func isSet(name string) bool {
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// binary is the program, built once, as `make build` does.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "seamtag-drill")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "seamtag")
	cmd := exec.Command("make", "-C", "..", "build", "BINARY="+file, "VERSION=drill")
	cmd.Env = append(os.Environ(), "MAKEFLAGS=", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return file, nil
})
