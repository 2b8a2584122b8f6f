//go:build unix

package server

import "syscall"

// openFiles tells how many files the process may have open, zero for not known. Go has raised that to the most that is
// allowed. Tests lower it.
var openFiles = func() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur) //nolint:unconvert // it is signed on some systems
}
