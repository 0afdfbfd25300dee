//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package embedded

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// supervises is false where files cannot be locked as needed: Start then takes the in-memory Redis and says so.
const supervises = false

func takeLock(context.Context, string) (*os.File, error) { return nil, errors.ErrUnsupported }

func killGroup(p *os.Process) { _ = p.Kill() }

func processAttributes() *syscall.SysProcAttr { return nil }
