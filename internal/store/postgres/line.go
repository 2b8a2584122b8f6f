package postgres

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A server may vanish without a word: its machine lost power, or the network lies between. These bound how long
// connections to it are believed in.
const (
	// defaultConnectTimeout bounds the making of a connection to one host, unless the address says so by
	// connect_timeout.
	defaultConnectTimeout = 5 * time.Second
	// defaultUserTimeout is how long what was sent may go without the other side's TCP having it, unless the address
	// says so by tcp_user_timeout. The system's own limit is a quarter of an hour.
	defaultUserTimeout = 10 * time.Second
	// After probeIdle without a word a connection is probed every probeEach; probeMost probes without an answer end it.
	probeIdle, probeEach, probeMost = 10 * time.Second, 5 * time.Second, 3
	// silence is how long the answer to a statement is waited for where the other side's TCP lives: a frozen server, or
	// a proxy whose server is gone. The server itself gives up statements before.
	silence = statementLimit + 5*time.Second
)

// errSilent says that the server did not answer a statement.
var errSilent = errors.New("postgres: the server does not answer")

// dialer makes connections that do not outlive the other side for long.
func dialer(userTimeout time.Duration) pgconn.DialFunc {
	d := &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: probeIdle, Interval: probeEach, Count: probeMost},
		Control:         limitUnacknowledged(userTimeout),
	}
	return d.DialContext
}

// line is what is known of a connection besides pgx.
type line struct {
	// committing says that a COMMIT is under way.
	committing atomic.Bool
	// warned says that the server warned of something since the COMMIT was sent.
	warned atomic.Bool
}

// lineKey is where a connection has its line.
const lineKey = "line"

// errNoCancel is why a COMMIT is not cancelled.
var errNoCancel = errors.New("postgres: a COMMIT is not cancelled")

// lay gives the connection that is made next a line.
//
// Whenever pgx gives a connection up, it asks the server to cancel what runs there. To cancel a COMMIT that waits for a
// standby means to show everybody what no standby has: readers see events that a failover undoes. So no such request
// leaves while a COMMIT is under way: once a connection stands, nothing else dials for it.
func lay(config *pgx.ConnConfig) {
	l, dial := &line{}, config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if l.committing.Load() {
			return nil, errNoCancel
		}
		return dial(ctx, network, address)
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			l.warned.Store(true)
		}
	}
	config.AfterConnect = func(_ context.Context, c *pgconn.PgConn) error {
		c.CustomData()[lineKey] = l
		return nil
	}
}

// line gives a connection's.
func (c *conn) line() *line {
	l, ok := c.PgConn().CustomData()[lineKey].(*line)
	if !ok {
		return &line{} // A connection that was not made by the pool has none.
	}
	return l
}
