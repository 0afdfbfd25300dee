package parts

import (
	"bufio"
	"encoding/json"
	"testing"
)

// FakeSeam starts Seam's own fake, filled as seed says (see npm/fake-seam.mjs), and ends it with the test. It answers the
// line of JSON that the script prints.
func FakeSeam(tb testing.TB, seed any) []byte {
	tb.Helper()
	arg, err := json.Marshal(seed)
	if err != nil {
		tb.Fatal(err)
	}
	cmd := Node(tb, "fake-seam.mjs", string(arg))
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		tb.Fatalf("the fake said nothing: %v", err)
	}
	return line
}
