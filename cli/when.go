package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// when is a flag that names a time: RFC 3339, a day, or how long ago, such as 36h or 7d.
type when struct {
	time.Time

	given string // as it was written
	now   func() time.Time
}

const whenHelp = "time: 2026-11-23T12:00:00Z, 2026-11-23 (UTC), or how long ago: 90m, 36h, 7d"

// Set implements pflag.Value.
func (w *when) Set(text string) error {
	w.given = text
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			w.Time = t
			return nil
		}
	}
	ago, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n float64
		n, err = strconv.ParseFloat(days, 64)
		ago = time.Duration(n * float64(24*time.Hour))
	}
	if err != nil || ago < 0 {
		return fmt.Errorf("want a %s", whenHelp)
	}
	now := time.Now
	if w.now != nil {
		now = w.now
	}
	w.Time = now().Add(-ago)
	return nil
}

// Type implements pflag.Value.
func (w *when) Type() string { return "time" }

// String implements pflag.Value.
func (w *when) String() string {
	if w == nil || w.IsZero() {
		return ""
	}
	return w.UTC().Format(time.RFC3339Nano)
}
