package cli

import (
	"testing"
	"time"
)

func TestWhenReadsTimes(t *testing.T) {
	now := time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2026-11-20T10:00:00+02:00": "2026-11-20T08:00:00Z",
		"2026-11-20":                "2026-11-20T00:00:00Z",
		"90m":                       "2026-11-23T10:30:00Z",
		"7d":                        "2026-11-16T12:00:00Z",
		"1.5d":                      "2026-11-22T00:00:00Z",
		"0s":                        "2026-11-23T12:00:00Z",
		"-3h":                       "",
		"yesterday":                 "",
		"":                          "",
		"d":                         "",
	} {
		w := when{now: func() time.Time { return now }}
		err := w.Set(text)
		if got := w.String(); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}
