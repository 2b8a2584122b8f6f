package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// memoryRoom is how much garbage may wait for collection, in percent of what is in use. What the gateway keeps is
	// small beside what its calls use up, so that the 100 % of the Go runtime has it collect many times a second: reads
	// cost an eighth to a fifth more CPU with it (make bench, GOGC=100 beside it).
	memoryRoom = 400
	// memoryShare is how much of the memory that its container has the process fills before it collects more often.
	memoryShare = 0.8
)

// useMemory has the process collect garbage seldom, and often only when the memory of its container comes to an end.
// What the operator says by GOGC or GOMEMLIMIT stands.
func useMemory(log *slog.Logger) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(memoryRoom)
	}
	_, err := memlimit.Set(memlimit.WithRatio(memoryShare), memlimit.WithProvider(memlimit.FromCgroup))
	none := errors.Is(err, memlimit.ErrNoCgroup) || errors.Is(err, memlimit.ErrCgroupsNotSupported) ||
		errors.Is(err, fs.ErrNotExist)
	if err != nil && !none {
		log.Warn("the container's memory limit cannot be read: set GOMEMLIMIT if there is one", "error", err)
	}
}
