package replicatest

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Fate is what becomes of a COMMIT that passes a Line.
type Fate struct {
	// Delay is how long it waits before it goes on.
	Delay time.Duration
	// CutBefore cuts the connection instead of passing the COMMIT on, CutAfter when the server answers it.
	CutBefore, CutAfter bool
}

// Line leads from one gateway to its database.
type Line struct {
	listener net.Listener
	refuses  atomic.Bool
	onCommit atomic.Pointer[func() Fate]
	// Commits counts those that passed, Before and After the connections that were cut so.
	Commits, Before, After atomic.Int64

	mu     sync.Mutex
	server string
	open   map[net.Conn]struct{}
}

// NewLine gives a line to a server, a host and port.
func NewLine(server string) (*Line, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // ends with Close
	if err != nil {
		return nil, err
	}
	l := &Line{listener: listener, server: server, open: map[net.Conn]struct{}{}}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go l.carry(client)
		}
	}()
	return l, nil
}

// Address is where the line begins.
func (l *Line) Address() string { return l.listener.Addr().String() }

// Close ends the line for good.
func (l *Line) Close() {
	_ = l.listener.Close()
	l.Cut()
}

// OnCommit decides the fate of each COMMIT from now on; nil lets them pass.
func (l *Line) OnCommit(decide func() Fate) {
	if decide == nil {
		l.onCommit.Store(nil)
		return
	}
	l.onCommit.Store(&decide)
}

// Cut cuts all connections that there are.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.open {
		_ = conn.Close()
	}
}

// Lead cuts all connections that there are, and leads new ones to another server.
func (l *Line) Lead(server string) {
	l.mu.Lock()
	l.server = server
	l.mu.Unlock()
	l.Cut()
}

// to is the server that new connections lead to.
func (l *Line) to() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.server
}

// Refuse says whether new connections are refused.
func (l *Line) Refuse(refuse bool) { l.refuses.Store(refuse) }

// hold keeps a connection to be cut until release is called.
func (l *Line) hold(conn net.Conn) (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[conn] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, conn)
		_ = conn.Close()
	}
}

// pieceSize is how much is read at once.
const pieceSize = 64 << 10

func (l *Line) carry(client net.Conn) {
	defer l.hold(client)()
	if l.refuses.Load() {
		return
	}
	server, err := net.Dial("tcp", l.to()) //nolint:noctx // ends with Cut
	if err != nil {
		return
	}
	defer l.hold(server)()
	var cut atomic.Bool // when the server answers
	go func() {
		defer client.Close()
		piece := make([]byte, pieceSize)
		for {
			n, err := server.Read(piece)
			if n > 0 && cut.Load() {
				return
			}
			if _, failed := client.Write(piece[:n]); err != nil || failed != nil {
				return
			}
		}
	}()
	piece := make([]byte, pieceSize)
	for {
		n, err := client.Read(piece)
		if n > 0 {
			fate := l.fate(piece[:n])
			if fate.Delay > 0 {
				<-time.After(fate.Delay)
			}
			if fate.CutBefore {
				return
			}
			if fate.CutAfter {
				cut.Store(true)
			}
			if _, failed := server.Write(piece[:n]); failed != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// execute begins the message that has a statement carried out.
const execute = "E\x00\x00\x00\t"

// fate decides what becomes of a piece that may have a COMMIT of what was written. Its statement goes as text, and in
// one piece with the row by which it can be looked up; once before that for each connection, to have it described only.
func (l *Line) fate(piece []byte) Fate {
	for _, part := range []string{"INSERT INTO commits", "COMMIT", execute} {
		if !bytes.Contains(piece, []byte(part)) {
			return Fate{}
		}
	}
	l.Commits.Add(1)
	decide := l.onCommit.Load()
	if decide == nil {
		return Fate{}
	}
	fate := (*decide)()
	if fate.CutBefore {
		l.Before.Add(1)
	} else if fate.CutAfter {
		l.After.Add(1)
	}
	return fate
}
