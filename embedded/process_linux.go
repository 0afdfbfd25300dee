package embedded

import "syscall"

// processAttributes puts the server into a process group of its own, so that the terminal's Ctrl-C does not reach it
// and our shutdown can still use it; and lets it end in order when we are killed.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
