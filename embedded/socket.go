package embedded

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// longestSocket fits sun_path with its closing zero: 108 bytes on Linux, 104 on the BSDs and macOS.
const longestSocket = 103

// makeSocket makes a folder only this user can enter and returns the path of a socket in it. /tmp is the second choice
// for a TMPDIR that is too long.
func makeSocket() (string, error) {
	for _, parent := range []string{os.TempDir(), "/tmp"} {
		dir, err := os.MkdirTemp(parent, "seamtag-") // 0700
		if err != nil {
			return "", fmt.Errorf("make a folder for the socket: %w", err)
		}
		if path := filepath.Join(dir, "redis.sock"); len(path) <= longestSocket {
			return path, nil
		}
		if err := os.Remove(dir); err != nil {
			return "", fmt.Errorf("remove a folder too long for a socket: %w", err)
		}
	}
	return "", fmt.Errorf("no temporary folder has a path short enough for a unix socket (%d bytes): set TMPDIR", longestSocket)
}

// answers reports whether a server behind the socket takes commands; one that is still loading its file does not.
func answers(socket string) bool {
	conn, err := net.DialTimeout("unix", socket, 200*time.Millisecond) //nolint:noctx // bounded, and nothing to cancel it by
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "+PONG")
}
