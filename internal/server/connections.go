package server

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// connections bounds the connections of a listener, in all and from each address. One that is too many is closed at
// once: whoever comes later may be somebody else.
type connections struct {
	max int
	// perAddress is zero for no bound. An IPv6 address stands for its network of 64 bits, which one host may have all
	// to itself.
	perAddress int
	// exempt tells which addresses the bound of each address is not for, such as a proxy's. May be nil.
	exempt func(netip.Addr) bool
	// strangerIdle is how long a connection may be silent that no known caller has used; zero for ever.
	strangerIdle time.Duration
	// writeTimeout is how long one write may take until a peer that does not read is let go; zero for ever.
	writeTimeout time.Duration
}

// filesKept is how many of the files that a process may have open are not for callers' connections, but at most half:
// the store, connections to providers, and those of the admin listener take the others.
const filesKept = 1024

// within gives bounds that so many open files allow to each of two listeners, and tells whether these are lower. When
// files run out, nobody's connection is taken any more and those of the store and to providers fail. So that one
// address alone cannot take all, it gets a quarter at most. Zero files are without a bound.
func (c connections) within(files uint64) (fitting connections, lower bool) {
	each := (files - min(filesKept, files/2)) / 2
	if files == 0 || uint64(c.max) <= each {
		return c, false
	}
	c.max = max(int(each), 1)
	if c.perAddress > 0 {
		c.perAddress = min(c.perAddress, max(c.max/4, 1))
	}
	return c, true
}

// listener gives a listener whose connections are bounded.
func (c connections) listener(l net.Listener) *boundedListener {
	return &boundedListener{Listener: l, connections: c, from: map[netip.Addr]int{}}
}

type boundedListener struct {
	net.Listener
	connections

	mu   sync.Mutex
	open int
	from map[netip.Addr]int

	conns sync.Map // *boundedConn by the peer's address and port, while nobody known has used it
}

// vouch notes that a known caller uses the connection from an address.
func (l *boundedListener) vouch(peer net.Addr) {
	if tcp, ok := peer.(*net.TCPAddr); ok {
		if conn, ok := l.conns.LoadAndDelete(tcp.AddrPort()); ok {
			conn.(*boundedConn).vouch() //nolint:forcetypeassert // only such are stored
		}
	}
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := l.counted(conn.RemoteAddr())
		if l.enter(from) {
			return l.bounded(conn, from), nil
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // Nothing of it stays behind in the kernel.
		}
		_ = conn.Close()
	}
}

// bounded gives a connection that is counted, and closed when a stranger leaves it idle.
func (l *boundedListener) bounded(conn net.Conn, from netip.Addr) *boundedConn {
	tcp, isTCP := conn.RemoteAddr().(*net.TCPAddr)
	c := &boundedConn{Conn: conn, timeout: l.writeTimeout}
	c.left = sync.OnceFunc(func() {
		c.vouch()
		if isTCP {
			l.conns.CompareAndDelete(tcp.AddrPort(), c)
		}
		l.leave(from)
	})
	if isTCP && l.strangerIdle > 0 {
		l.conns.Store(tcp.AddrPort(), c)
		c.silent.idle = l.strangerIdle
		c.silent.timer = time.AfterFunc(l.strangerIdle, func() { _ = c.Close() })
	}
	return c
}

// counted gives the address under which a connection counts, none for one that counts under no address.
func (l *boundedListener) counted(addr net.Addr) netip.Addr {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || l.perAddress == 0 {
		return netip.Addr{}
	}
	from := tcp.AddrPort().Addr().Unmap().WithZone("")
	if l.exempt != nil && l.exempt(from) {
		return netip.Addr{}
	}
	if from.Is6() {
		return netip.PrefixFrom(from, 64).Masked().Addr()
	}
	return from
}

// enter counts a connection, and tells whether it is not one too many.
func (l *boundedListener) enter(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.max || from.IsValid() && l.from[from] >= l.perAddress {
		return false
	}
	l.open++
	if from.IsValid() {
		l.from[from]++
	}
	return true
}

func (l *boundedListener) leave(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if !from.IsValid() {
		return
	}
	if l.from[from]--; l.from[from] == 0 {
		delete(l.from, from)
	}
}

// boundedConn is a connection that is counted until it is closed.
type boundedConn struct {
	net.Conn

	timeout time.Duration
	left    func()
	// silent ends the connection when nothing comes, until a known caller uses it.
	silent struct {
		timer *time.Timer // nil for never
		idle  time.Duration
		over  atomic.Bool
	}
}

// vouch lets the connection be as idle as its caller likes.
func (c *boundedConn) vouch() {
	if c.silent.timer != nil {
		c.silent.over.Store(true)
		c.silent.timer.Stop()
	}
}

// Read implements net.Conn.
func (c *boundedConn) Read(data []byte) (int, error) {
	n, err := c.Conn.Read(data)
	if n > 0 && c.silent.timer != nil && !c.silent.over.Load() {
		c.silent.timer.Reset(c.silent.idle)
		if c.silent.over.Load() { // somebody vouched in between
			c.silent.timer.Stop()
		}
	}
	return n, err
}

// Write implements net.Conn. What cannot be written ends the connection: the library leaves that to its reader, who
// would wait for a peer that is silent.
func (c *boundedConn) Write(data []byte) (int, error) {
	if c.timeout == 0 {
		return c.Conn.Write(data)
	}
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(data)
	if err != nil {
		_ = c.Close()
	}
	return n, err
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	defer c.left()
	return c.Conn.Close()
}

// CloseWrite ends what is sent, and leaves the peer time to read it. net/http does so before it closes a connection
// whose request it has not read.
func (c *boundedConn) CloseWrite() error {
	if conn, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return conn.CloseWrite()
	}
	return nil
}
