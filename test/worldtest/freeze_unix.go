//go:build unix

package worldtest

import (
	"os"
	"syscall"
)

func freeze(process *os.Process) error { return process.Signal(syscall.SIGSTOP) }

func thaw(process *os.Process) error { return process.Signal(syscall.SIGCONT) }
