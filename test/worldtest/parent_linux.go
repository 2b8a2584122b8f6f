package worldtest

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes a process end when the tests do, however they end: a test binary that runs into its timeout
// cleans nothing up.
func dieWithParent(process *exec.Cmd) {
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
