//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package embedded

import "syscall"

// processAttributes puts the server into a process group of its own, so that the terminal's Ctrl-C does not reach it
// and our shutdown can still use it. There is no signal on our death here: an orphan keeps the folder locked.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
