//go:build unix

package sqlite

import "syscall"

// Of access(2): what is asked for.
const (
	mayEnterIt = 1
	mayWriteIt = 2
	mayReadIt  = 4
)

// mayUse tells whether this process's user may read and write a file, mayChange whether they may make files in a
// folder.
func mayUse(file string) bool { return syscall.Access(file, mayReadIt|mayWriteIt) == nil }

func mayChange(folder string) bool { return syscall.Access(folder, mayWriteIt|mayEnterIt) == nil }
