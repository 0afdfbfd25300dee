//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// supervises reports whether this system lets us lock a folder and look after a child.
const supervises = true

// orphanEnds is how long a folder may stay locked by a server whose parent was killed and which is just ending.
const orphanEnds = 2 * time.Second

// takeLock locks the file for as long as the returned file, or a child's copy of it, is open.
func takeLock(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	if err := awaitLock(ctx, f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func awaitLock(ctx context.Context, f *os.File) error {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	late := time.NewTimer(orphanEnds)
	defer late.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		select {
		case <-again.C:
		case <-late.C:
			return fmt.Errorf("the data folder %s is in use by another process; give this one its own with SEAMTAG_DATA",
				filepath.Dir(f.Name()))
		case <-ctx.Done():
			return fmt.Errorf("lock %s: %w", f.Name(), context.Cause(ctx))
		}
	}
}

// killGroup kills a server together with the children it forks to rewrite its file.
func killGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }
