package postgres

import (
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDialer: a host that vanished holds a connection for seconds, not for a quarter of an hour.
func TestDialer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for rest, want := range map[string]time.Duration{
		"//kontor@db/kontor":                       defaultUserTimeout,
		"//kontor@db/kontor?tcp_user_timeout=3000": 3 * time.Second,
		"//kontor@db/kontor?tcp_user_timeout=0":    0,
	} {
		s, err := parse(rest)
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.pool.ConnConfig.DialFunc(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		raw, err := c.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		for name, option := range map[string]struct{ number, want int }{
			"user timeout":       {unix.TCP_USER_TIMEOUT, int(want.Milliseconds())},
			"idle before probes": {unix.TCP_KEEPIDLE, int(probeIdle.Seconds())},
			"time between":       {unix.TCP_KEEPINTVL, int(probeEach.Seconds())},
			"probes":             {unix.TCP_KEEPCNT, probeMost},
		} {
			var got int
			if e := raw.Control(func(fd uintptr) {
				got, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option.number)
			}); e != nil || err != nil || got != option.want {
				t.Errorf("%s: %s is %d, %v, %v; want %d", rest, name, got, e, err, option.want)
			}
		}
	}
}
