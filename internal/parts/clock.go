package parts

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// RedisWithClock is Redis with a wall clock of its own: step sets how far it is off from now on, in whole seconds. The
// server's monotonic clock stays true, as when NTP or an operator steps the time.
func RedisWithClock(tb testing.TB, args ...string) (s *RedisServer, step func(time.Duration)) {
	tb.Helper()
	s = newRedis(tb, args...)
	library := filepath.Join(s.dir, "clock.so")
	_, here, _, _ := runtime.Caller(0)
	source := filepath.Join(filepath.Dir(here), "clock", "clock.c") // in a folder of its own: Go would want cgo beside it
	if out, err := exec.Command(lookPath(tb, "gcc"), "-shared", "-fPIC", "-O1", "-o", library, source).CombinedOutput(); err != nil {
		tb.Fatalf("compile the clock: %v\n%s", err, out)
	}
	file, err := os.Create(filepath.Join(s.dir, "clock"))
	if err != nil {
		tb.Fatalf("make the clock: %v", err)
	}
	tb.Cleanup(func() { _ = file.Close() })
	step = func(offset time.Duration) {
		tb.Helper()
		// In place: the server maps the file into its memory.
		if _, err := file.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(offset/time.Second)), 0); err != nil {
			tb.Fatalf("step the clock: %v", err)
		}
	}
	step(0)
	s.env = []string{"LD_PRELOAD=" + library, "SEAMTAG_CLOCK=" + file.Name()}
	s.Start()
	return s, step
}
