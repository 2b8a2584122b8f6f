package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// ordering is a way to number the entries of a log such that readers can go on behind the last number that they saw.
// The ways are compared in bare SQL on one table, so that only they differ (docs/decisions/0091).
type ordering struct {
	name string
	// tenants is how many share the log.
	tenants int
	// first is done at the start of a transaction that appends, "" for nothing.
	first string
	// add appends an entry of a tenant, $1, with a body, $2.
	add string
	// last is done before the commit, "" for nothing.
	last string
	// settled is the condition that an entry can be seen.
	settled string
	// after is done after commits, at most every newsEvery, "" for nothing.
	after string
}

const notifyEntries = "SELECT pg_notify('entries', 'more')"

// The numbers as this store has them, and those of a sequence.
const (
	addByTransaction = "INSERT INTO entries VALUES (pg_current_xact_id()::text::bigint << 20, $1, $2)"
	addBySequence    = "INSERT INTO entries VALUES (nextval('numbers'), $1, $2)"
)

var settledByTransaction = "position < " + strings.ReplaceAll(bound, "$1", "0")

var (
	bySequence    = ordering{name: "sequence", tenants: 1, add: addBySequence, settled: "true"}
	byTransaction = ordering{
		name: "transactions", tenants: 1, add: addByTransaction, settled: settledByTransaction,
	}
)

// orderings are the ways that were thought of.
func orderings() []ordering {
	lock := bySequence
	lock.name, lock.first = "lock", "SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 91))"
	row := ordering{
		name: "row of one tenant", tenants: 1, settled: "true",
		add: "WITH turn AS (UPDATE heads SET head = head + 1 WHERE tenant = $1 RETURNING head) " +
			"INSERT INTO entries SELECT head, $1, $2 FROM turn",
	}
	rows := row
	rows.name, rows.tenants = "rows of eight tenants", 8
	within, after := byTransaction, byTransaction
	within.name, within.last = "transactions, NOTIFY within", notifyEntries
	after.name, after.after = "transactions, NOTIFY after", notifyEntries
	return []ordering{bySequence, lock, row, rows, byTransaction, within, after}
}

// newEntries makes the tables of an ordering, with a row for each writer to change.
func newEntries(tb testing.TB, rest string, o ordering, writers int) {
	tb.Helper()
	c := sqlOn(tb, rest)
	for _, statement := range []string{
		`CREATE SEQUENCE numbers`,
		`CREATE TABLE entries (position BIGINT, tenant INT, body BYTEA, PRIMARY KEY (tenant, position))`,
		`CREATE TABLE heads (tenant INT PRIMARY KEY, head BIGINT NOT NULL)`,
		`CREATE TABLE changed (id INT PRIMARY KEY, version BIGINT NOT NULL)`,
		fmt.Sprintf(`INSERT INTO heads SELECT n, 0 FROM generate_series(1, %d) n`, o.tenants),
		fmt.Sprintf(`INSERT INTO changed SELECT n, 0 FROM generate_series(1, %d) n`, writers),
	} {
		if _, err := c.Exec(tb.Context(), statement); err != nil {
			tb.Fatal(err)
		}
	}
}

// begin starts a transaction of a writer that changes its row and appends.
func (o ordering) begin(ctx context.Context, c *pgx.Conn, writer int, body []byte) (pgx.Tx, error) {
	t, err := c.Begin(ctx)
	if err != nil {
		return nil, err
	}
	if o.first != "" {
		if _, err := t.Exec(ctx, o.first); err != nil {
			return nil, err
		}
	}
	if _, err := t.Exec(ctx, "UPDATE changed SET version = version + 1 WHERE id = $1", writer); err != nil {
		return nil, err
	}
	if _, err := t.Exec(ctx, o.add, 1+(writer-1)%o.tenants, body); err != nil {
		return nil, err
	}
	if o.last != "" {
		if _, err := t.Exec(ctx, o.last); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// tail reads a log of several tenants as who follows it does: each time what lies behind the last that it saw.
type tail struct {
	c       *pgx.Conn
	query   string
	tenants []int32
	after   []int64
	seen    int
}

func newTail(tb testing.TB, rest string, o ordering) *tail {
	tb.Helper()
	t := &tail{
		c: sqlOn(tb, rest), after: make([]int64, o.tenants),
		query: "SELECT tenant, position FROM unnest($1::int[], $2::bigint[]) a (tenant, after) JOIN entries " +
			"USING (tenant) WHERE position > after AND " + o.settled + " ORDER BY position",
	}
	for n := range o.tenants {
		t.tenants = append(t.tenants, int32(n+1))
	}
	return t
}

// read reads what is new, and tells how many entries.
func (t *tail) read(ctx context.Context) (int, error) {
	rows, err := t.c.Query(ctx, t.query, t.tenants, t.after)
	if err != nil {
		return 0, err
	}
	var tenant int32
	var position int64
	tag, err := pgx.ForEachRow(rows, []any{&tenant, &position}, func() error {
		t.after[tenant-1] = position
		t.seen++
		return nil
	})
	return int(tag.RowsAffected()), err
}

// TestOrder shows why the log's order is not that of a sequence: an entry with a lower number that is committed later
// is lost for who reads behind the higher one.
func TestOrder(t *testing.T) {
	t.Parallel()
	for _, o := range []ordering{bySequence, byTransaction} {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			rest := newSchema(t)
			newEntries(t, rest, o, 2)
			ctx := t.Context()
			slow, fast, tail, watch := sqlOn(t, rest), sqlOn(t, rest), newTail(t, rest, o), sqlOn(t, rest)
			first, err := o.begin(ctx, slow, 1, []byte("first"))
			if err != nil {
				t.Fatal(err)
			}
			second, err := o.begin(ctx, fast, 2, []byte("second"))
			if err != nil {
				t.Fatal(err)
			}
			if err := second.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			early, err := tail.read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := first.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			calm(t, watch)
			if _, err := tail.read(ctx); err != nil {
				t.Fatal(err)
			}
			want := [2]int{0, 2} // early, in all
			if o.name == bySequence.name {
				want = [2]int{1, 1}
			}
			if got := [2]int{early, tail.seen}; got != want {
				t.Errorf("%v entries were seen before the first commit and in all, want %v", got, want)
			}
		})
	}
}

// BenchmarkOrder has eight writers append while one reader follows, in each of the ways, and tells how many
// transactions they make in a second and how many entries the reader never saw.
func BenchmarkOrder(b *testing.B) {
	const writers = 8
	body := make([]byte, 500)
	for _, o := range orderings() {
		b.Run(o.name, func(b *testing.B) {
			rest := newSchema(b)
			newEntries(b, rest, o, writers)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			listener := sqlOn(b, rest)
			if _, err := listener.Exec(ctx, "LISTEN entries"); err != nil {
				b.Fatal(err)
			}
			conns := make([]*pgx.Conn, writers)
			for n := range conns {
				conns[n] = sqlOn(b, rest)
			}
			following, tail := make(chan error), newTail(b, rest, o)
			go func() { following <- tail.follow(ctx) }()
			news, telling := make(chan struct{}, 1), make(chan error, 1)
			teller := sqlOn(b, rest)
			go func() { telling <- o.tell(ctx, teller, news) }()

			b.ResetTimer()
			var group errgroup.Group
			var left atomic.Int64
			left.Store(int64(b.N))
			for n, c := range conns {
				group.Go(func() error {
					for left.Add(-1) >= 0 {
						t, err := o.begin(ctx, c, n+1, body)
						if err != nil {
							return err
						}
						if err := t.Commit(ctx); err != nil {
							return err
						}
						select {
						case news <- struct{}{}:
						default:
						}
					}
					return nil
				})
			}
			err := group.Wait()
			b.StopTimer()
			took := b.Elapsed().Seconds()
			cancel()
			if err != nil {
				b.Fatal(err)
			}
			for _, ended := range []chan error{following, telling} {
				if err := <-ended; err != nil {
					b.Fatal(err)
				}
			}
			// What is committed by now, and settled, is read by a connection that was not cancelled.
			rested := sqlOn(b, rest)
			calm(b, rested)
			tail.c = rested
			if _, err := tail.read(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/took, "tx/s")
			b.ReportMetric(float64(b.N-tail.seen), "lost")
		})
	}
}

// follow reads every millisecond until the context ends.
func (t *tail) follow(ctx context.Context) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if _, err := t.read(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// tell tells those who listen of commits, until the context ends.
func (o ordering) tell(ctx context.Context, c *pgx.Conn, news <-chan struct{}) error {
	ticker := time.NewTicker(newsEvery)
	defer ticker.Stop()
	for o.after != "" {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		}
		if _, err := c.Exec(ctx, o.after); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}
