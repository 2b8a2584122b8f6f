package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"modernc.org/sqlite"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/store"
)

// insert inserts a customer.
func insert(tx store.Tx, id string) error {
	return tx.InsertCustomer(&store.Customer{
		Tenant: tenant, ID: id, Resource: &customerv1.Customer{Name: "customers/" + id},
	})
}

// stored tells whether a customer is there.
func stored(t *testing.T, s *Store, id string) bool {
	t.Helper()
	err := s.View(context.Background(), tenant, func(r store.Reader) error {
		_, err := r.Customer(id)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("View: %v", err)
	}
	return err == nil
}

// wantStored compares which customers are there.
func wantStored(t *testing.T, s *Store, want map[string]bool) {
	t.Helper()
	for id, want := range want {
		if got := stored(t, s, id); got != want {
			t.Errorf("customer %s is stored: %t, want %t", id, got, want)
		}
	}
}

// awaitLine waits until a number of Updates wait for the writer.
func awaitLine(t *testing.T, s *Store, length int) {
	t.Helper()
	for limit := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		s.writer.mu.Lock()
		waiting := len(s.writer.line)
		s.writer.mu.Unlock()
		if waiting >= length {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%d wait for the writer, want %d", waiting, length)
		}
	}
}

// member is one Update of those that together runs.
type member struct {
	ctx context.Context
	fn  func(store.Tx) error
	// runs counts how often fn ran.
	runs atomic.Int32
	err  error
	// ended says that Update did not come back: fn panicked or ended its goroutine.
	ended bool
}

func newMember(fn func(store.Tx) error) *member { return &member{ctx: context.Background(), fn: fn} }

// inserting is a member that inserts a customer.
func inserting(id string) *member {
	return newMember(func(tx store.Tx) error { return insert(tx, id) })
}

// together runs Updates that all share one transaction, in order: the first begins it and goes on when all others wait
// for the writer. It gives how many commits that took.
func together(t *testing.T, s *Store, members ...*member) (commits int64) {
	t.Helper()
	s.writer.shareFor = time.Hour
	before := s.writer.commits.Load()
	begun, waiting := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	for i, m := range members {
		group.Go(func() {
			m.ended = true
			defer func() { _ = recover() }()
			m.err = s.Update(m.ctx, tenant, func(tx store.Tx) error {
				if m.runs.Add(1) == 1 && i == 0 {
					close(begun)
					<-waiting
				}
				return m.fn(tx)
			})
			m.ended = false
		})
		if i == 0 {
			<-begun
		} else {
			awaitLine(t, s, i)
		}
	}
	close(waiting)
	group.Wait()
	// Whatever they did, the writer is free.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	commits = s.writer.commits.Load() - before
	if err := s.Update(ctx, tenant,
		func(tx store.Tx) error { return tx.PauseProvider("none", time.Time{}) }); err != nil {
		t.Errorf("a later Update: %v", err)
	}
	return commits
}

// wantMembers compares what became of members: the error of each, and how often its function ran.
func wantMembers(t *testing.T, members []*member, wantErr []error, wantRuns []int32) {
	t.Helper()
	for i, m := range members {
		if !errors.Is(m.err, wantErr[i]) {
			t.Errorf("Update %d: error %v, want %v", i, m.err, wantErr[i])
		}
		if got := m.runs.Load(); got != wantRuns[i] {
			t.Errorf("the function of Update %d ran %d times, want %d", i, got, wantRuns[i])
		}
	}
}

func TestSharedCommit(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	members := []*member{inserting("a"), inserting("b"), inserting("c"), inserting("d")}
	if commits := together(t, s, members...); commits != 1 {
		t.Errorf("4 Updates took %d commits, want 1", commits)
	}
	wantMembers(t, members, make([]error, 4), []int32{1, 1, 1, 1})
	wantStored(t, s, map[string]bool{"a": true, "b": true, "c": true, "d": true})
}

// slowDisk makes commits take their time, as they do where they wait for a real disk.
func slowDisk(s *Store) {
	committed := s.writer.committed
	s.writer.committed = func(c *conn) {
		committed(c)
		<-time.After(time.Millisecond)
	}
}

// TestSharedUnderLoad counts commits and what they made durable.
func TestSharedUnderLoad(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	slowDisk(s)
	const writers, each = 32, 25
	var group sync.WaitGroup
	for n := range writers {
		group.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", n, i)
				if err := s.Update(t.Context(), tenant, func(tx store.Tx) error { return insert(tx, id) }); err != nil {
					t.Errorf("Update: %v", err)
				}
				if !stored(t, s, id) {
					t.Errorf("%s is acknowledged and not there", id)
				}
			}
		})
	}
	group.Wait()
	commits := s.writer.commits.Load()
	t.Logf("%d Updates took %d commits", writers*each, commits)
	if commits > writers*each/4 {
		t.Errorf("%d Updates took %d commits, want at most a quarter", writers*each, commits)
	}
}

// TestSharingIsBounded bounds transactions in number and in time.
func TestSharingIsBounded(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	var members []*member
	for n := range 7 {
		members = append(members, inserting(fmt.Sprint(n)))
	}
	s.writer.maxMembers = 3
	if commits := together(t, s, members...); commits != 3 {
		t.Errorf("7 Updates of which 3 may share took %d commits, want 3", commits)
	}
	s = openNew(t)
	members = []*member{newMember(func(tx store.Tx) error {
		s.writer.shareFor = time.Nanosecond // The transaction is old already.
		return insert(tx, "a")
	}), inserting("b"), inserting("c")}
	if commits := together(t, s, members...); commits != 3 {
		t.Errorf("3 Updates took %d commits although time was over, want 3", commits)
	}
}

// TestNotBeforeTheCommit looks at an Update that is done while another goes on in the same transaction.
func TestNotBeforeTheCommit(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	s.writer.shareFor = time.Hour
	enter, leave, first, second := make(chan struct{}), make(chan struct{}), make(chan error, 1), make(chan error, 1)
	begun, waiting := make(chan struct{}), make(chan struct{})
	go func() {
		first <- s.Update(t.Context(), tenant, func(tx store.Tx) error {
			close(begun)
			<-waiting
			return insert(tx, "a")
		})
	}()
	<-begun
	go func() {
		second <- s.Update(t.Context(), tenant, func(tx store.Tx) error {
			close(enter)
			<-leave
			return insert(tx, "b")
		})
	}()
	awaitLine(t, s, 1)
	close(waiting)
	<-enter
	if stored(t, s, "a") {
		t.Error("what is not committed can be read")
	}
	select {
	case err := <-first:
		t.Errorf("an Update came back before its commit: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(leave)
	for _, result := range []chan error{first, second} {
		if err := <-result; err != nil {
			t.Errorf("Update: %v", err)
		}
	}
	wantStored(t, s, map[string]bool{"a": true, "b": true})
}

// TestFailureInShared has the second of three fail, in every way in which it can without harm to the transaction.
func TestFailureInShared(t *testing.T) {
	t.Parallel()
	undo := errors.New("undo")
	cancelled, cancel := context.WithCancel(t.Context())
	for name, test := range map[string]struct {
		ctx   context.Context
		end   func(store.Tx) error
		want  error
		ended bool
	}{
		"error":  {end: func(store.Tx) error { return undo }, want: undo},
		"panic":  {end: func(store.Tx) error { panic("boom") }, ended: true},
		"Goexit": {end: func(store.Tx) error { runtime.Goexit(); return nil }, ended: true},
		"another tenant": {
			end: func(tx store.Tx) error { _ = tx.AppendAudit(&store.Audit{}); return nil }, want: store.ErrTenant,
		},
		"context": {
			ctx: cancelled, end: func(tx store.Tx) error { cancel(); return insert(tx, "b3") }, want: context.Canceled,
		},
		"bad statement": {end: func(tx store.Tx) error {
			_, err := asTx(tx).exec("INSERT INTO nothing VALUES (1)")
			if err == nil {
				t.Error("a bad statement is no error")
			}
			return undo
		}, want: undo},
	} {
		t.Run(name, func(t *testing.T) {
			s := openNew(t)
			second := newMember(func(tx store.Tx) error {
				return errors.Join(insert(tx, "b"), insert(tx, "b2"),
					test.end(tx))
			})
			if test.ctx != nil {
				second.ctx = test.ctx
			}
			members := []*member{inserting("a"), second, inserting("c")}
			if commits := together(t, s, members...); commits != 1 {
				t.Errorf("it took %d commits, want 1", commits)
			}
			wantMembers(t, members, []error{nil, test.want, nil}, []int32{1, 1, 1})
			if second.ended != test.ended {
				t.Errorf("the second ended its goroutine: %t, want %t", second.ended, test.ended)
			}
			wantStored(t, s, map[string]bool{"a": true, "b": false, "b2": false, "b3": false, "c": true})
		})
	}
}

// asTx is the transaction behind the interface.
func asTx(x store.Tx) *tx { return x.(*tx) }

// TestFailureAtTheEnds has the first, the last, or all fail.
func TestFailureAtTheEnds(t *testing.T) {
	t.Parallel()
	undo := errors.New("undo")
	failing := func(id string) *member {
		return newMember(func(tx store.Tx) error { return errors.Join(insert(tx, id), undo) })
	}
	for name, test := range map[string]struct {
		fails   [3]bool
		commits int64
	}{
		"the first": {[3]bool{true, false, false}, 1}, "the last": {[3]bool{false, false, true}, 1},
		"all":               {[3]bool{true, true, true}, 0},
		"all but the first": {[3]bool{false, true, true}, 1}, "all but the last": {[3]bool{true, true, false}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := openNew(t)
			var members []*member
			want, errs := map[string]bool{}, make([]error, 3)
			for i, fails := range test.fails {
				id := fmt.Sprint(i)
				members, want[id] = append(members, inserting(id)), !fails
				if fails {
					members[i], errs[i] = failing(id), undo
				}
			}
			if commits := together(t, s, members...); commits != test.commits {
				t.Errorf("it took %d commits, want %d", commits, test.commits)
			}
			wantMembers(t, members, errs, []int32{1, 1, 1})
			wantStored(t, s, want)
		})
	}
}

// withinAStatement is what the SQL function within_a_statement calls.
var withinAStatement atomic.Pointer[context.CancelFunc]

// makeWithinAStatement makes that function, for all connections that are opened later.
var makeWithinAStatement = sync.OnceFunc(func() {
	sqlite.MustRegisterScalarFunction("within_a_statement", 0,
		func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
			(*withinAStatement.Load())()
			return "", nil
		})
})

// TestInterruption ends the context of an Update in the middle of a long statement: SQLite would roll back the whole
// transaction if it were interrupted, and all who share it would run again.
func TestInterruption(t *testing.T) {
	t.Parallel()
	makeWithinAStatement()
	s := openNew(t)
	ctx, cancel := context.WithCancel(t.Context())
	withinAStatement.Store(&cancel)
	const rows = 20_000
	second := newMember(func(tx store.Tx) error {
		n, err := asTx(tx).exec(`
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO audit (time, tenant, actor, method, resource, peer, request_id, outcome)
			SELECT i, 'hansa', CASE i WHEN 1000 THEN within_a_statement() ELSE '' END, '', '', '', '', '' FROM n`, rows)
		if n != rows || err != nil {
			t.Errorf("the statement made %d rows (%v), want %d", n, err, rows)
		}
		<-ctx.Done()
		return nil
	})
	second.ctx = ctx
	members := []*member{inserting("a"), second, inserting("c")}
	if commits := together(t, s, members...); commits != 1 {
		t.Errorf("it took %d commits, want 1", commits)
	}
	wantMembers(t, members, []error{nil, context.Canceled, nil}, []int32{1, 1, 1})
	wantStored(t, s, map[string]bool{"a": true, "c": true})
	if err := s.View(t.Context(), tenant, func(r store.Reader) error {
		found, err := r.AuditTrail(0, 1)
		if len(found) != 0 {
			t.Error("what was given up is stored")
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// TestLostTransaction ends the transaction from under its members, in the second one's function. The others run again,
// alone.
func TestLostTransaction(t *testing.T) {
	t.Parallel()
	undo := errors.New("undo")
	for name, test := range map[string]struct {
		end      func(x *tx) error
		want     error // nil for any
		lastRuns int32
	}{
		"and it says so": {end: func(x *tx) error {
			_, err := x.c.exec(context.Background(), "ROLLBACK")
			return errors.Join(err, undo)
		}, want: undo, lastRuns: 1},
		"and it does not know": {end: func(x *tx) error {
			_, err := x.c.exec(context.Background(), "ROLLBACK")
			return err
		}, lastRuns: 1},
		"and it goes on": {end: func(x *tx) error {
			_, err := x.c.exec(context.Background(), "ROLLBACK")
			return errors.Join(err, insert(x, "beyond"))
		}, lastRuns: 1},
		"by its COMMIT": {end: func(x *tx) error {
			// What is wrong shows when the transaction ends.
			_, err := x.exec("PRAGMA defer_foreign_keys = ON")
			_, err2 := x.exec("INSERT INTO customer_users (tenant, customer_id, provider, user_id) VALUES ('hansa', 'none', 'p', 'u')")
			return errors.Join(err, err2)
		}, lastRuns: 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := openNew(t)
			second := newMember(func(tx store.Tx) error { return errors.Join(insert(tx, "b"), test.end(asTx(tx))) })
			members := []*member{inserting("a"), second, inserting("c")}
			commits := together(t, s, members...)
			if second.err == nil || test.want != nil && !errors.Is(second.err,
				test.want) || errors.Is(second.err, errAgain) {
				t.Errorf("the second Update: %v", second.err)
			}
			for _, i := range []int{0, 2} {
				if members[i].err != nil {
					t.Errorf("Update %d: %v", i, members[i].err)
				}
			}
			if runs := members[0].runs.Load(); runs != 2 {
				t.Errorf("the function of the first ran %d times, want 2", runs)
			}
			if runs := members[2].runs.Load(); runs != test.lastRuns {
				t.Errorf("the function of the last ran %d times, want %d", runs, test.lastRuns)
			}
			if commits != 2 {
				t.Errorf("it took %d commits, want one for each that succeeded", commits)
			}
			want := map[string]bool{"a": true, "b": false, "c": true}
			if name == "and it goes on" {
				// Only this test goes on with a connection behind the store's back.
				delete(want, "b")
			}
			wantStored(t, s, want)
		})
	}
}

// TestFailureOfALostTransaction sees that nobody is told of a failure by something that then did not happen: the second
// finds a customer whom the first has made, in a transaction that is lost.
func TestFailureOfALostTransaction(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	undo := errors.New("undo")
	var first *member
	first = newMember(func(tx store.Tx) error {
		if first.runs.Load() > 1 {
			return undo
		}
		return insert(tx, "a")
	})
	third := newMember(func(tx store.Tx) error {
		_, err := asTx(tx).c.exec(context.Background(), "ROLLBACK")
		return errors.Join(err, undo)
	})
	members := []*member{first, inserting("a"), third}
	together(t, s, members...)
	wantMembers(t, members, []error{undo, nil, undo}, []int32{2, 2, 1})
	wantStored(t, s, map[string]bool{"a": true})
}

// TestFullFileInShared lets one of those who share a transaction fill the file.
func TestFullFileInShared(t *testing.T) {
	t.Parallel()
	s := openAt(t, filepath.Join(t.TempDir(), "kontor.db"), pragma{"max_page_count", "120", "120"})
	large := newMember(func(tx store.Tx) error {
		for n := range 200 {
			if err := tx.AppendAudit(&store.Audit{Tenant: tenant, Method: strings.Repeat("x", 3000)}); err != nil {
				return err
			}
			if n == 199 {
				t.Error("the file does not become full")
			}
		}
		return nil
	})
	members := []*member{inserting("a"), large, inserting("c")}
	together(t, s, members...)
	if large.err == nil || members[0].err != nil || members[2].err != nil {
		t.Errorf("errors %v, %v, %v; want one for the second alone", members[0].err, large.err, members[2].err)
	}
	wantStored(t, s, map[string]bool{"a": true, "c": true})
}

// TestGivingUpAsTheTurnComes ends the context of one who waits just as the transaction of others is handed to them: it
// is committed all the same.
func TestGivingUpAsTheTurnComes(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	// The test is the one before in line, with a transaction that has a member.
	turn := s.writer.tryAcquire()
	if err := turn.begin(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	open := turn.open
	x := &tx{
		reader:  reader{ctx: t.Context(), run: t.Context(), c: turn.conn, tenant: tenant, Opener: s.opener()},
		touched: map[store.Log]store.Cursor{},
	}
	if err := turn.run(x, func(x *tx) error { return insert(x, "a") }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	go func() {
		gaveUp <- s.Update(ctx, tenant, func(store.Tx) error {
			t.Error("an Update whose context has ended runs")
			return nil
		})
	}()
	awaitLine(t, s, 1)
	place := s.writer.next(false)
	cancel()
	select {
	case err := <-gaveUp:
		t.Fatalf("it left with the turn on its way: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	place <- turn
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("Update: %v, want %v", err, context.Canceled)
	}
	<-open.ended
	if open.err != nil {
		t.Errorf("the transaction: %v", open.err)
	}
	wantStored(t, s, map[string]bool{"a": true})
	inUpdate(t, s, func(tx store.Tx) error { return insert(tx, "b") })
}

// TestGivingUpUnderLoad has many give up at random moments: what is acknowledged is there, what is refused is not, and
// the writer goes on.
func TestGivingUpUnderLoad(t *testing.T) {
	t.Parallel()
	randomSeed := rand.Uint64()
	t.Logf("seed %d", randomSeed)
	s := openNew(t)
	const writers, each = 24, 40
	var done, gaveUp atomic.Int32
	var group sync.WaitGroup
	for n := range writers {
		random := rand.New(rand.NewPCG(randomSeed, uint64(n)))
		group.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", n, i)
				ctx, cancel := context.WithTimeout(context.Background(),
					time.Duration(random.Int64N(int64(4*time.Millisecond))))
				err := s.Update(ctx, tenant, func(tx store.Tx) error { return insert(tx, id) })
				cancel()
				switch {
				case err == nil:
					done.Add(1)
				case errors.Is(err, context.DeadlineExceeded):
					gaveUp.Add(1)
				default:
					t.Errorf("Update: %v", err)
				}
				if got := stored(t, s, id); got != (err == nil) {
					t.Errorf("customer %s is stored: %t; Update said %v", id, got, err)
				}
			}
		})
	}
	group.Wait()
	t.Logf("%d done, %d gave up, %d commits", done.Load(), gaveUp.Load(), s.writer.commits.Load())
	inUpdate(t, s, func(tx store.Tx) error { return insert(tx, "last") })
}

// TestTurnsOfOtherStores has one store write without a pause, and another that comes now and then: it gets its turn
// soon.
func TestTurnsOfOtherStores(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	busy, other := openAt(t, path), openAt(t, path)
	turns, committed := map[time.Time]bool{}, busy.writer.committed
	busy.writer.committed = func(c *conn) {
		turns[busy.writer.since] = true
		committed(c)
	}
	var group sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer group.Wait()
	defer stop()
	for n := range 8 {
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				inUpdate(t, busy, func(tx store.Tx) error {
					<-time.After(time.Millisecond) // as if the disk took its time
					return insert(tx, fmt.Sprintf("%d-%d", n, i))
				})
			}
		})
	}
	longest, began := time.Duration(0), time.Now()
	for n := range 20 {
		for before := busy.writer.commits.Load(); busy.writer.commits.Load() < before+5; {
			runtime.Gosched()
		}
		begin := time.Now()
		inUpdate(t, other, func(tx store.Tx) error { return insert(tx, fmt.Sprint("other-", n)) })
		longest = max(longest, time.Since(begin))
	}
	took := time.Since(began)
	stop()
	group.Wait()
	t.Logf("the other store waited at most %v; the busy one took %d turns in %v", longest, len(turns), took)
	if longest > 5*time.Second {
		t.Errorf("the other store waited %v", longest)
	}
	if want := int(took / (4 * turnLength)); len(turns) < want {
		t.Errorf("the busy store took %d turns in %v, want at least %d", len(turns), took, want)
	}
}

// BenchmarkUpdate measures small transactions, one after the other and from many sides.
func BenchmarkUpdate(b *testing.B) {
	run := func(b *testing.B, parallel int) {
		s := openNew(b)
		setUp(b, s)
		var n atomic.Int64
		update := func() {
			id := fmt.Sprint("c-", n.Add(1))
			if err := s.Update(context.Background(), tenant,
				func(tx store.Tx) error { return insert(tx, id) }); err != nil {
				b.Error(err)
			}
		}
		before := s.writer.commits.Load()
		b.ReportAllocs()
		b.ResetTimer()
		if parallel == 0 {
			for range b.N {
				update()
			}
		} else {
			b.SetParallelism(parallel)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					update()
				}
			})
		}
		b.ReportMetric(float64(s.writer.commits.Load()-before)/float64(b.N), "commits/op")
	}
	b.Run("serial", func(b *testing.B) { run(b, 0) })
	b.Run("parallel", func(b *testing.B) { run(b, 32) })
}

// TestLineIsBounded: who would wait behind too many is refused at once, and nobody else is.
func TestLineIsBounded(t *testing.T) {
	s := openNew(t)
	s.writer.maxLine = 2
	first, err := s.writer.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	for i := range 2 {
		waiting.Go(func() {
			if err := s.Update(t.Context(), tenant, func(tx store.Tx) error {
				return insert(tx, fmt.Sprint(i))
			}); err != nil {
				t.Error(err)
			}
		})
		awaitLine(t, s, i+1)
	}
	if err := s.Update(t.Context(), tenant, func(store.Tx) error { return nil }); !errors.Is(err, store.ErrBusy) {
		t.Errorf("a third in line: %v", err)
	}
	first.pass()
	waiting.Wait()
	wantStored(t, s, map[string]bool{"0": true, "1": true})
}

// TestWhoWouldWaitTooLong: an Update that could not have its turn before its deadline is told so at once.
func TestWhoWouldWaitTooLong(t *testing.T) {
	s := openNew(t)
	s.writer.maxMembers = 1
	first, err := s.writer.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if err := s.Update(t.Context(), tenant, func(tx store.Tx) error { return insert(tx, "a") }); err != nil {
			t.Error(err)
		}
	})
	awaitLine(t, s, 1)
	s.writer.took(8*time.Hour, 1) // an eighth counts
	short, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	if err := s.Update(short, tenant, func(store.Tx) error { return nil }); !errors.Is(err, store.ErrBusy) {
		t.Errorf("half an hour for a turn that comes in an hour: %v", err)
	}
	long, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
	defer cancel()
	waiting.Go(func() {
		if err := s.Update(long, tenant, func(tx store.Tx) error { return insert(tx, "b") }); err != nil {
			t.Error(err)
		}
	})
	awaitLine(t, s, 2)
	first.pass()
	waiting.Wait()
	wantStored(t, s, map[string]bool{"a": true, "b": true})
}

// TestExpiredWorkIsDropped: an Update whose caller is gone does not run, also when its turn comes at that moment.
func TestExpiredWorkIsDropped(t *testing.T) {
	// With one processor whoever is woken runs when the test waits: what it was woken by comes first, the other later.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s := openNew(t)
	for i := range 50 {
		turn, err := s.writer.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := turn.begin(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		turn.open.members++
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- s.Update(ctx, tenant, func(store.Tx) error {
				t.Error("it ran")
				return nil
			})
		}()
		awaitLine(t, s, 1)
		// Both are there when it looks: its turn, and the end of its context.
		s.writer.mu.Lock()
		place := s.writer.line[0]
		s.writer.line = nil
		s.writer.mu.Unlock()
		if i%2 == 0 {
			cancel()
			place <- turn
		} else {
			place <- turn
			cancel()
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}
