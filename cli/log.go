package cli

import (
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/term"

	"seamtag/config"
)

// newLogger logs as the configuration says: JSON lines, or readable lines on a terminal.
func newLogger(c *config.Config, w io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(string(c.LogLevel))
	if err != nil {
		level = zerolog.InfoLevel // cannot happen: config has checked it
	}
	if c.LogFormat == "console" || c.LogFormat == "" && isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, NoColor: !isTerminal(w)}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
