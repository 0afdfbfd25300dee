package embedded

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
)

// A log file larger than this many bytes is begun anew at the next start.
const longestJournal = 1 << 20

// journal takes the server's own log: all of it goes to a file, its warnings also to ours. Redis writes no keys and no
// values there.
type journal struct {
	log zerolog.Logger
	up  atomic.Bool // warnings count only between the first answer and the end: its greetings are warnings too

	mu   sync.Mutex
	file *os.File
	part []byte // a line not yet complete
	said string // the last line, without pid and time
}

func openJournal(path string, log zerolog.Logger) (*journal, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > longestJournal {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the redis log: %w", err)
	}
	return &journal{file: f, log: log}, nil
}

// Write never fails: a full disk must not take the server's output, and so the server, down.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = j.file.Write(p)
	j.part = append(j.part, p...)
	for {
		line, rest, ok := bytes.Cut(j.part, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		j.hear(strings.TrimSpace(string(line)))
		j.part = rest
	}
}

// hear reads a line such as `812:M 23 Nov 2026 14:30:00.123 # Can't save in background: fork`; # marks a warning.
func (j *journal) hear(line string) {
	if line == "" {
		return
	}
	_, warning, ok := strings.Cut(line, " # ")
	if !ok {
		j.said = line
		return
	}
	j.said = warning
	if j.up.Load() {
		j.log.Warn().Str("redis", warning).Msg("the embedded redis warns")
	}
}

// last is the last line the server wrote, without its time.
func (j *journal) last() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.said
}

func (j *journal) close() { _ = j.file.Close() } // a log: nothing to be done about a failure
