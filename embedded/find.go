package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// ErrNotRunning is what Find answers where no embedded Redis runs on a data folder.
var ErrNotRunning = errors.New("no embedded redis runs on this data folder")

// Find answers the URL of the embedded Redis that another process of this user runs on a data folder. It may hold a
// password: do not log it.
func Find(ctx context.Context, dir string) (string, error) {
	text, err := os.ReadFile(addressFile(dir))
	if errors.Is(err, os.ErrNotExist) {
		return "", ErrNotRunning
	}
	if err != nil {
		return "", fmt.Errorf("find the embedded redis: %w", err)
	}
	u, err := url.Parse(string(text))
	if err != nil {
		return "", ErrNotRunning // cut short: its process died while it wrote
	}
	network, address := "tcp", u.Host
	if u.Scheme == "unix" {
		network, address = "unix", u.Path
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return "", ErrNotRunning // left by a process that was killed
	}
	_ = conn.Close()
	return u.String(), nil
}

// announce lets other processes of this user find the server; the returned function takes that back.
func announce(dir, address string) (withdraw func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded redis: make the data folder: %w", err)
	}
	file := addressFile(dir)
	if err := os.WriteFile(file, []byte(address), 0o600); err != nil {
		return nil, fmt.Errorf("embedded redis: write down the address: %w", err)
	}
	return func() { _ = os.Remove(file) }, nil
}

func addressFile(dir string) string { return filepath.Join(dir, "redis.url") }
