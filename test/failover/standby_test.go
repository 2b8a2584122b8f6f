//go:build failover

package failover

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/postgres"
	"kontor.dev/kontor/test/replicatest"
	"kontor.dev/kontor/test/worldtest"
)

// TestStandby leads a store that is open to the standby, as a name or a proxy may that knows no better: what is written
// fails with a word, and succeeds when the way leads to the primary again, without a restart.
func TestStandby(t *testing.T) {
	primary, standby := newCluster(t).whole()
	line, s := openByLine(t, primary)
	if err := s.write(t, "before"); err != nil {
		t.Fatal(err)
	}
	line.Lead(standby.address())
	err := s.write(t, "meanwhile")
	fault, ok := errors.AsType[*store.FaultError](s.Ping(t.Context()))
	if err == nil || !ok || fault.Kind != store.FaultReadOnly {
		t.Errorf("at the standby: %v, Ping %v; want %q", err, fault, store.FaultReadOnly)
	}
	line.Lead(primary.address())
	if err := errors.Join(s.write(t, "after"), s.Ping(t.Context())); err != nil {
		t.Errorf("at the primary again: %v", err)
	}
	// Of two hosts the one that can be written is found, whichever comes first.
	for _, hosts := range [][]member{{standby, primary}, {primary, standby}} {
		other, err := postgres.Open(t.Context(), fmt.Sprintf("//kontor@/kontor?sslmode=disable&host=%s,%s&port=%d,%d",
			hosts[0].Host, hosts[1].Host, hosts[0].Port, hosts[1].Port), keystest.StoreKey())
		if err != nil {
			t.Errorf("%v: %v", hosts, err)
			continue
		}
		if err := errors.Join(other.Ping(t.Context()), other.Close()); err != nil {
			t.Errorf("%v: %v", hosts, err)
		}
	}
}

// TestUnconfirmed loses the connection of a COMMIT that waits for a frozen standby. Nobody sees what it commits as long
// as the standby has to confirm it, and whoever asked for it is told once it did, or once Patroni goes on without.
func TestUnconfirmed(t *testing.T) {
	c := newCluster(t)
	primary, standby := c.whole()
	line, s := openByLine(t, primary)
	reader, err := pgx.Connect(t.Context(), "postgres://kontor@"+primary.address()+"/kontor?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(t.Context())
	if _, err := reader.Exec(t.Context(), "SET kontor.tenant = '*'"); err != nil {
		t.Fatal(err)
	}
	id := "unconfirmed " + uuid.NewString()
	look := func() (waits, seen int, names string) {
		const query = `SELECT
			(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = 'kontor'),
			(SELECT count(*) FROM customers WHERE id = $1), current_setting('synchronous_standby_names')`
		if err := reader.QueryRow(t.Context(), query, id).Scan(&waits, &seen, &names); err != nil {
			t.Fatal(err)
		}
		return waits, seen, names
	}
	c.do("freeze", standby.node())
	written := make(chan error, 1)
	go func() { written <- s.write(t, id) }()
	worldtest.Within(t, "a COMMIT that waits for the standby", patience, func() bool {
		waits, _, _ := look()
		return waits > 0
	})
	line.Cut() // The connection is lost.
	early := 0
	worldtest.Within(t, "Patroni to go on without the standby", patience, func() bool {
		_, seen, names := look()
		if names != "" {
			early += seen
		}
		return names == "" && seen > 0
	})
	// A look may be between Patroni's change and the server's telling of it.
	if early > 2 {
		t.Errorf("%d looks saw what the standby had not confirmed", early)
	}
	c.do("thaw", standby.node())
	if err := <-written; err != nil {
		t.Error(err)
	}
	c.whole()
}

// opened is a store that is open.
type opened struct{ *postgres.Store }

// openByLine opens a store by a line, which leads to a node at first.
func openByLine(t *testing.T, first member) (*replicatest.Line, opened) {
	t.Helper()
	line, err := replicatest.NewLine(first.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(line.Close)
	s, err := postgres.Open(t.Context(), fmt.Sprintf("//kontor@%s/kontor?sslmode=disable", line.Address()),
		keystest.StoreKey())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return line, opened{s}
}

// write stores a customer.
func (s opened) write(t *testing.T, id string) error {
	t.Helper()
	return s.Update(t.Context(), "hansa", func(tx store.Tx) error {
		return tx.InsertCustomer(&store.Customer{Tenant: "hansa", ID: id, Resource: &customerv1.Customer{}})
	})
}
