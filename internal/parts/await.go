package parts

import (
	"testing"
	"time"
)

// Await polls until ok, and fails the test when that takes longer than the patience.
func Await(tb testing.TB, what string, patience time.Duration, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			tb.Fatalf("never within %s: %s", patience, what)
		}
		<-time.After(10 * time.Millisecond)
	}
}
