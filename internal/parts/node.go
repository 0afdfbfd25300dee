package parts

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// NPM is the folder of the npm packages that tests use.
func NPM() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "npm")
}

// Node prepares `node script args…` with the npm packages of internal/parts/npm resolvable. script is a path
// below internal/parts/npm. The child ends with the test process.
func Node(tb testing.TB, script string, args ...string) *exec.Cmd {
	tb.Helper()
	dir := NPM()
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		tb.Fatalf("the npm peers are not installed, run: make deps")
	}
	cmd := exec.CommandContext(tb.Context(), lookPath(tb, "node"), append([]string{filepath.Join(dir, script)}, args...)...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}
