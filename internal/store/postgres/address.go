package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Form is how an address looks, for people.
const Form = "postgres://<user>@<host>/<database>"

// listenParameter, in the query of an address, says where changes are listened for: "off", or a host and port in place
// of the address's.
const listenParameter = "kontor_listen"

// userTimeoutParameter, in the query of an address, is libpq's: milliseconds.
const userTimeoutParameter = "tcp_user_timeout"

// defaultConnections is how many connections a store has at most, unless the address says so by pool_max_conns.
const defaultConnections = 16

// errAddress never quotes the address: it may hold a password.
var errAddress = errors.New("must be " + Form + ", with %2F for / in a password, %23 for # and so on")

// settings is what an address says.
type settings struct {
	pool *pgxpool.Config
	// listen is the connection on which changes are listened for; nil for none.
	listen *pgx.ConnConfig
}

// Check tells whether the rest of an address, behind "postgres:", is one.
func Check(rest string) error {
	_, err := parse(rest)
	return err
}

func parse(rest string) (settings, error) {
	address, err := url.Parse("postgres:" + rest)
	if err != nil || !strings.HasPrefix(rest, "//") {
		return settings{}, errAddress
	}
	query := parameters(address)
	listen, userTimeout := query.Get(listenParameter), defaultUserTimeout
	query.Del(listenParameter)
	if text := query.Get(userTimeoutParameter); text != "" {
		milliseconds, err := strconv.ParseInt(text, 10, 32)
		if err != nil || milliseconds < 0 {
			return settings{}, fmt.Errorf("its parameter %s must be milliseconds", userTimeoutParameter)
		}
		userTimeout = time.Duration(milliseconds) * time.Millisecond
		query.Del(userTimeoutParameter)
	}
	address.RawQuery = encoded(query)
	pool, err := pgxpool.ParseConfig(address.String())
	if err != nil {
		return settings{}, misread(address)
	}
	if query.Get("pool_ping_timeout") == "" {
		pool.PingTimeout = defaultConnectTimeout
	}
	harden(pool.ConnConfig, query, userTimeout)
	if query.Get("pool_max_conns") == "" {
		pool.MaxConns = defaultConnections
	}
	if query.Get("default_query_exec_mode") == "" {
		// Statements have no name on the server, so that transactions of one connection may run on several there.
		pool.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	s := settings{pool: pool}
	switch listen {
	case "off":
		return s, nil
	case "":
		s.listen = pool.ConnConfig.Copy()
		return s, nil
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil || host == "" || port == "" {
		return settings{}, fmt.Errorf("its parameter %s must be off, or a host and port", listenParameter)
	}
	address.Host = listen
	query.Del("host")
	query.Del("port")
	address.RawQuery = encoded(query)
	other, err := pgxpool.ParseConfig(address.String())
	if err != nil {
		return settings{}, misread(address)
	}
	harden(other.ConnConfig, query, userTimeout)
	s.listen = other.ConnConfig
	return s, nil
}

// parameters gives the query of an address as libpq reads it: a plus sign is one, and no space.
func parameters(address *url.URL) url.Values {
	literal := *address
	literal.RawQuery = strings.ReplaceAll(address.RawQuery, "+", "%2B")
	return literal.Query()
}

// encoded writes parameters as libpq reads them.
func encoded(query url.Values) string { return strings.ReplaceAll(query.Encode(), "+", "%20") }

// misread names the parameter that keeps an address from being read, the first without which it can be. pgx's own error
// quotes the address.
func misread(address *url.URL) error {
	query := parameters(address)
	for _, name := range slices.Sorted(maps.Keys(query)) {
		rest, without := *address, maps.Clone(query)
		without.Del(name)
		rest.RawQuery = encoded(without)
		if _, err := pgxpool.ParseConfig(rest.String()); err != nil {
			continue
		}
		_, err := pgxpool.ParseConfig(address.String())
		if unread, ok := errors.AsType[*fs.PathError](err); ok {
			return fmt.Errorf("its parameter %s must name a file that can be read: %w", name, unread.Err)
		}
		return fmt.Errorf("its parameter %s must be one that PostgreSQL's clients take", name)
	}
	return errAddress
}

// harden bounds how long a host is believed in that says nothing, and passes by those that cannot be written where
// there are several.
func harden(c *pgx.ConnConfig, query url.Values, userTimeout time.Duration) {
	c.DialFunc = dialer(userTimeout)
	if query.Get("connect_timeout") == "" && c.ConnectTimeout == 0 {
		c.ConnectTimeout = defaultConnectTimeout
	}
	several := slices.ContainsFunc(c.Fallbacks, func(f *pgconn.FallbackConfig) bool {
		return f.Host != c.Host || f.Port != c.Port
	})
	switch query.Get("target_session_attrs") {
	case "":
		if several && c.ValidateConnect == nil {
			c.ValidateConnect = writable
		}
	case "read-write":
		c.ValidateConnect = writable
	}
}

// writable refuses a server that cannot be written.
func writable(ctx context.Context, c *pgconn.PgConn) error {
	err := pgconn.ValidateConnectTargetSessionAttrsReadWrite(ctx, c)
	if err != nil && !c.IsClosed() && code(err) == "" {
		return fmt.Errorf("%w: %w", errStandby, err)
	}
	return err
}
