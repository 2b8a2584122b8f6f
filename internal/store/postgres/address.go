package postgres

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Form is how an address looks, for people.
const Form = "postgres://<user>@<host>/<database>"

// listenParameter, in the query of an address, says where changes are listened for: "off", or a host and port in place
// of the address's.
const listenParameter = "kontor_listen"

// defaultConnections is how many connections a store has at most, unless the address says so by pool_max_conns.
const defaultConnections = 16

// errAddress never quotes the address: it may hold a password.
var errAddress = errors.New("must be " + Form)

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
	query := address.Query()
	listen := query.Get(listenParameter)
	query.Del(listenParameter)
	address.RawQuery = query.Encode()
	pool, err := pgxpool.ParseConfig(address.String())
	if err != nil {
		return settings{}, errAddress // pgx quotes the address, though not the password.
	}
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
		return settings{}, fmt.Errorf("%s must be off, or a host and port", listenParameter)
	}
	address.Host = listen
	query.Del("host")
	query.Del("port")
	address.RawQuery = query.Encode()
	other, err := pgxpool.ParseConfig(address.String())
	if err != nil {
		return settings{}, errAddress
	}
	s.listen = other.ConnConfig
	return s, nil
}
