package telemetry

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// linesBytes bounds how much waits for a reader of the log that is slow.
	linesBytes = 4 << 20
	// linesChunk is how much is written at once, but for a line that is longer.
	linesChunk = 64 << 10
)

// Lines is a writer of log lines that never waits: it takes what is written and hands it on in the background. What
// finds no room, since nobody reads or the reader is slow, is dropped and counted; when lines go out again, one says
// how many are missing.
//
// Each Write is one line. A Lines must be closed.
type Lines struct {
	to      io.Writer
	dropped atomic.Uint64
	wake    chan struct{}
	ended   chan struct{}

	mu      sync.Mutex
	waiting [][]byte
	size    int // of what is waiting or being written, in bytes
	unsaid  uint64
	notice  func(to io.Writer, missing uint64)
	closed  bool
}

// NewLines hands lines on to a writer.
func NewLines(to io.Writer) *Lines {
	l := &Lines{to: to, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go l.run()
	return l
}

// Write implements io.Writer. It never fails: who logs could do nothing about it.
func (l *Lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	if l.closed || l.size+len(line) > linesBytes {
		l.drop(1)
	} else {
		l.waiting = append(l.waiting, bytes.Clone(line))
		l.size += len(line)
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	l.mu.Unlock()
	return len(line), nil
}

// Dropped is how many lines were dropped so far.
func (l *Lines) Dropped() uint64 { return l.dropped.Load() }

// announce sets how a line is made that says how many are missing.
func (l *Lines) announce(level slog.Level, format string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notice = func(to io.Writer, missing uint64) {
		NewLogger(to, level, format).Warn("log lines are missing: whoever reads the log was slow or away",
			"count", missing)
	}
}

// Close hands on what is waiting, for no longer than given. What is written afterwards is dropped.
func (l *Lines) Close(within time.Duration) {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.wake)
	}
	l.mu.Unlock()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-l.ended:
	case <-timer.C:
	}
}

// drop counts lines. The lock is held.
func (l *Lines) drop(lines uint64) {
	l.unsaid += lines
	l.dropped.Add(lines)
}

func (l *Lines) run() {
	defer close(l.ended)
	for open := true; open; {
		_, open = <-l.wake
		for l.handOn() {
		}
	}
}

// handOn writes some of what is waiting. It tells whether there was any.
func (l *Lines) handOn() bool {
	chunk, lines := l.take()
	if lines == 0 {
		return false
	}
	_, err := l.to.Write(chunk)
	l.mu.Lock()
	l.size -= len(chunk)
	if err != nil {
		l.drop(uint64(lines))
		l.mu.Unlock()
		return true
	}
	missing, notice := l.unsaid, l.notice
	l.unsaid = 0
	l.mu.Unlock()
	if missing > 0 && notice != nil {
		notice(l.to, missing)
	}
	return true
}

// take gives the next lines as one.
func (l *Lines) take() (chunk []byte, lines int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.waiting {
		if lines > 0 && len(chunk)+len(line) > linesChunk {
			break
		}
		chunk = append(chunk, line...)
		lines++
	}
	clear(l.waiting[:lines])
	if l.waiting = l.waiting[lines:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	return chunk, lines
}
