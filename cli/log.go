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
func newLogger(p Process, c *config.Config) zerolog.Logger {
	level, err := zerolog.ParseLevel(string(c.LogLevel))
	if err != nil {
		level = zerolog.InfoLevel // cannot happen: config has checked it
	}
	w := p.Stderr
	if c.LogFormat == "console" || c.LogFormat == "" && isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, NoColor: !coloured(p, w)}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// typesIn says whether a person types what is read from r.
func typesIn(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
