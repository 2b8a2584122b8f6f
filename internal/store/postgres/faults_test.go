package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

const tenant = "hansa"

// setUp makes a customer and consents.
func setUp(t *testing.T, s store.Store, consents ...string) {
	t.Helper()
	err := s.Update(t.Context(), tenant, func(tx store.Tx) error {
		err := tx.InsertCustomer(&store.Customer{Tenant: tenant, ID: "customer", Resource: &customerv1.Customer{}})
		for _, id := range consents {
			err = errors.Join(err, tx.InsertConsent(&store.Consent{
				Tenant: tenant, ID: id, CustomerID: "customer", Provider: "p", Resource: &consentv1.Consent{},
			}))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// appendNext appends the next event to a consent, which counts them, and gives its sequence.
func appendNext(ctx context.Context, s store.Store, id, key string) (sequence int64, err error) {
	err = s.Update(ctx, tenant, func(tx store.Tx) error {
		c, err := tx.Consent(id)
		if err != nil {
			return err
		}
		c.Resource.EventCount++
		sequence = int64(c.Resource.GetEventCount())
		if err := tx.UpdateConsent(c); err != nil {
			return err
		}
		return tx.AppendEvent(id, consent.Event{Sequence: sequence, Key: key}, c.Resource)
	})
	return sequence, err
}

// keysOf counts the events of a consent by their keys.
func keysOf(t *testing.T, s store.Store, id string) map[string]int {
	t.Helper()
	found := map[string]int{}
	err := s.View(t.Context(), tenant, func(r store.Reader) error {
		events, err := r.Events(id, 0, 1_000_000)
		for i, e := range events {
			found[e.Key]++
			if e.Sequence != int64(i)+1 {
				t.Errorf("event %d of %s has sequence %d", i, id, e.Sequence)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// proxy stands between a store and its server.
type proxy struct {
	listener net.Listener
	server   string
	mu       sync.Mutex
	open     map[net.Conn]bool
	// onCommit is asked for each COMMIT that passes: to cut the connection before it, or when its answer comes.
	onCommit func() (before, after bool)
	refuse   atomic.Bool
	// muted have nothing passed on any more; cancels counts requests to cancel.
	muted   map[net.Conn]bool
	cancels atomic.Int64
}

// mute has what connections there are take all that is sent, and answer nothing.
func (p *proxy) mute() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.muted = maps.Clone(p.open)
}

func (p *proxy) isMute(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.muted[c]
}

// execute begins the message that has a statement carried out.
const execute = "E\x00\x00\x00\t"

// cancelRequest is what a request to cancel has behind its length.
const cancelRequest = 80877102

// newProxy gives a proxy, and an address that leads through it.
func newProxy(t *testing.T, rest string) (*proxy, string) {
	t.Helper()
	address, err := url.Parse("postgres:" + rest)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, server: address.Host, open: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = listener.Close(); p.cutAll() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	address.Host = listener.Addr().String()
	return p, strings.TrimPrefix(address.String(), "postgres:")
}

func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	if p.refuse.Load() {
		return
	}
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.open[client], p.open[server] = true, true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.open, client)
		delete(p.open, server)
		p.mu.Unlock()
	}()
	var cut atomic.Bool // when the server answers
	go func() {
		defer client.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil || cut.Load() {
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if n == 16 && binary.BigEndian.Uint32(buffer[4:]) == cancelRequest {
			p.cancels.Add(1)
		}
		if p.isMute(client) {
			continue
		}
		// The statement is sent as text each time, and in one piece with what goes before it; once before that for each
		// connection, to have it described only.
		if sent := string(buffer[:n]); p.onCommit != nil && strings.Contains(sent, "INSERT INTO commits") &&
			strings.Contains(sent, "COMMIT") && strings.Contains(sent, execute) {
			before, after := p.onCommit()
			if before {
				return
			}
			cut.Store(cut.Load() || after)
		}
		if _, err := server.Write(buffer[:n]); err != nil && !errors.Is(err, io.EOF) {
			return
		}
	}
}

// TestConnectionCut cuts the connection before COMMIT and between COMMIT and its answer, at random, while many write:
// nothing that was acknowledged is lost, nothing is there twice, and it is always known which.
func TestConnectionCut(t *testing.T) {
	t.Parallel()
	const writers, each = 4, 25
	rest := newSchema(t)
	direct := openAt(t, rest)
	ids := []string{"a", "b", "c", "d"}
	setUp(t, direct, ids...)
	p, through := newProxy(t, rest)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	var before, after int
	s := openAt(t, through)
	p.onCommit = func() (bool, bool) {
		mu.Lock()
		defer mu.Unlock()
		switch random.IntN(8) {
		case 0:
			before++
			return true, false
		case 1:
			after++
			return false, true
		}
		return false, false
	}
	var group sync.WaitGroup
	for n := range writers {
		group.Go(func() {
			for i := range each {
				_, err := appendNext(t.Context(), s, ids[n], fmt.Sprint(i))
				for errors.Is(err, errNothing) { // It was cut as often as is tried.
					_, err = appendNext(t.Context(), s, ids[n], fmt.Sprint(i))
				}
				if err != nil {
					t.Errorf("writer %d: %v", n, err)
				}
			}
		})
	}
	group.Wait()
	for _, id := range ids {
		found := keysOf(t, direct, id)
		for i := range each {
			if got := found[fmt.Sprint(i)]; got != 1 {
				t.Errorf("event %d of %s is there %d times", i, id, got)
			}
		}
	}
	if before == 0 || after == 0 {
		t.Errorf("%d connections were cut before and %d after the COMMIT: the test proves nothing", before, after)
	}
	t.Logf("%d connections were cut before, %d after the COMMIT", before, after)
}

// TestNobodyKnows cuts the connection after COMMIT and lets nobody in again: the error says so, and nothing runs twice.
func TestNobodyKnows(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	direct := openAt(t, rest)
	setUp(t, direct, "a")
	p, through := newProxy(t, rest)
	s := openAt(t, through)
	p.onCommit = func() (bool, bool) {
		p.refuse.Store(true)
		p.mu.Lock()
		defer p.mu.Unlock()
		return false, true
	}
	go func() { // Who closes the store waits no longer.
		for !p.refuse.Load() {
			time.Sleep(time.Millisecond)
		}
		s.closed.Store(true)
	}()
	_, err := appendNext(t.Context(), s, "a", "x")
	if !errors.Is(err, errDoubt) || errors.Is(err, store.ErrAway) || faultOf(err) == nil {
		t.Errorf("error %v, want %v", err, errDoubt)
	}
}

// TestAway lets nobody in: who reads and who writes is told that the same may succeed soon, and so it does. A
// transaction that is wrong itself is told otherwise.
func TestAway(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	p, through := newProxy(t, rest)
	s := openAt(t, through)
	setUp(t, s, "a")
	p.refuse.Store(true)
	p.cutAll()
	_, err := appendNext(t.Context(), s, "a", "x")
	read := s.View(t.Context(), tenant, func(r store.Reader) error {
		_, err := r.Consent("a")
		return err
	})
	if !errors.Is(err, store.ErrAway) || !errors.Is(read, store.ErrAway) {
		t.Errorf("who writes is told %v, who reads %v", err, read)
	}
	p.refuse.Store(false)
	if _, err := appendNext(t.Context(), s, "a", "x"); err != nil {
		t.Error(err)
	}
	if _, err := appendNext(t.Context(), s, "none", "x"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

// TestNothingWasDone cuts each connection before COMMIT: that nothing was done is looked up, and told.
func TestNothingWasDone(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	direct := openAt(t, rest)
	setUp(t, direct, "a")
	p, through := newProxy(t, rest)
	s := openAt(t, through)
	var commits atomic.Int64
	p.onCommit = func() (bool, bool) { return commits.Add(1)%2 == 1, false } // whoever looks it up is let through
	_, err := appendNext(t.Context(), s, "a", "x")
	if !errors.Is(err, errNothing) || !errors.Is(err, store.ErrAway) {
		t.Errorf("error %v, want %v", err, errNothing)
	}
	if found := keysOf(t, direct, "a"); len(found) != 0 {
		t.Errorf("there are %v", found)
	}
}

// TestWhatIsAway tells errors apart.
func TestWhatIsAway(t *testing.T) {
	t.Parallel()
	said := func(severity, code string) error {
		return databaseError{&pgconn.PgError{SeverityUnlocalized: severity, Code: code}}
	}
	for _, c := range []struct {
		err  error
		away bool
	}{
		{nil, false},
		{databaseError{io.ErrUnexpectedEOF}, true},
		{databaseError{fmt.Errorf("connect: %w", io.EOF)}, true},
		{said("FATAL", "57P01"), true},
		{said("FATAL", "57P03"), true},
		{databaseError{errStandby}, true},
		{databaseError{fmt.Errorf("%w: %w", errCrowded, said("FATAL", tooManyConnections))}, true},
		{databaseError{fmt.Errorf("%w: %w", errNothing, io.EOF)}, true},
		{databaseError{fmt.Errorf("%w: %w", errDoubt, io.EOF)}, false},
		{databaseError{fmt.Errorf("%w: %w", errDoubt, errStandby)}, false},
		{said("ERROR", serialization), false},
		{said("ERROR", "23514"), false},
		{said("ERROR", "53100"), false},
		{said("ERROR", canceled), false},
		{context.DeadlineExceeded, false},
		{errClosed, false},
		{store.ErrNotFound, false},
		{store.ErrClaimLost, false},
	} {
		if got := away(c.err); errors.Is(got, store.ErrAway) != c.away || !errors.Is(got, c.err) {
			t.Errorf("%v becomes %v", c.err, got)
		}
	}
}

// TestDoubtComesLate asks for the fate of transactions whose ids may be forgotten, as a process does that was suspended
// while it waited for the answer: that an id is not there says nothing any more.
func TestDoubtComesLate(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	s := openAt(t, rest)
	c := sqlOn(t, rest)
	for _, of := range []struct {
		age  time.Duration
		kept bool
		want error
	}{{0, false, errNothing}, {0, true, nil}, {marksKept, false, errDoubt}, {marksKept, true, nil}} {
		id, err := uuid.NewV7()
		if err != nil {
			t.Fatal(err)
		}
		id = earlier(id, of.age)
		if of.kept {
			if _, err := c.Exec(t.Context(), "INSERT INTO commits VALUES ($1, true)", [16]byte(id)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.settle(id, io.ErrUnexpectedEOF); !errors.Is(err, of.want) {
			t.Errorf("%+v: %v", of, err)
		}
	}
}

// TestBackendsKilled kills the server's processes again and again while many write.
func TestBackendsKilled(t *testing.T) {
	t.Parallel()
	const writers, each, kills = 4, 40, 100
	rest := newSchema(t)
	s := openAt(t, rest)
	ids := []string{"a", "b", "c", "d"}
	setUp(t, s, ids...)
	killer, named := sqlOn(t, rest), openAt(t, with(t, rest, "application_name", t.Name()))
	var group sync.WaitGroup
	stop := make(chan struct{})
	killed := 0
	group.Go(func() {
		for killed < kills {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			tag, err := killer.Exec(t.Context(), `
				SELECT pg_terminate_backend(pid) FROM (
					SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()
					AND application_name = $1 AND state <> 'idle' ORDER BY random() LIMIT 1
				) one`, t.Name())
			if err != nil {
				t.Error(err)
				return
			}
			killed += int(tag.RowsAffected())
		}
	})
	var writing sync.WaitGroup
	for n := range writers {
		writing.Go(func() {
			for i := range each {
				for {
					_, err := appendNext(t.Context(), named, ids[n], fmt.Sprint(i))
					if err == nil {
						break
					}
					if faultOf(err) == nil || errors.Is(err, errDoubt) {
						t.Errorf("writer %d: %v", n, err)
						return
					}
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	group.Wait()
	for _, id := range ids {
		found := keysOf(t, s, id)
		for i := range each {
			if got := found[fmt.Sprint(i)]; got != 1 {
				t.Errorf("event %d of %s is there %d times", i, id, got)
			}
		}
	}
	if killed < 10 {
		t.Errorf("only %d were killed", killed)
	}
	t.Logf("%d were killed", killed)
}

// TestDeadlock has two transactions lock two rows crosswise: one is undone and runs again.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	setUp(t, s, "a", "b")
	var runs atomic.Int64
	var first sync.WaitGroup
	first.Add(2)
	crosswise := func(ids ...string) error {
		once := sync.OnceFunc(func() { first.Done(); first.Wait() })
		return s.Update(t.Context(), tenant, func(tx store.Tx) error {
			runs.Add(1)
			for _, id := range ids {
				c, err := tx.Consent(id)
				if err != nil {
					return err
				}
				once()
				c.Flow++
				if err := tx.UpdateConsent(c); err != nil {
					return err
				}
			}
			return nil
		})
	}
	var group sync.WaitGroup
	for _, ids := range [][]string{{"a", "b"}, {"b", "a"}} {
		group.Go(func() {
			if err := crosswise(ids...); err != nil {
				t.Errorf("%v: %v", ids, err)
			}
		})
	}
	group.Wait()
	if runs.Load() < 3 {
		t.Errorf("the functions ran %d times: there was no deadlock", runs.Load())
	}
	err := s.View(t.Context(), tenant, func(r store.Reader) error {
		for _, id := range []string{"a", "b"} {
			if c, err := r.Consent(id); err != nil || c.Flow != 2 {
				t.Errorf("%s: %+v, %v", id, c, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestServerUndoes has the server fail statements in ways that pass, and in ways that do not.
func TestServerUndoes(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	s := openAt(t, rest)
	setUp(t, s, "a")
	for state, want := range map[string]struct {
		runs int
		kind store.FaultKind
	}{
		serialization: {runs: 2}, deadlock: {runs: 2}, uniqueViolation: {runs: 2},
		"53100": {runs: 1, kind: store.FaultFull}, readOnly: {runs: 1, kind: store.FaultReadOnly},
		canceled: {runs: 1, kind: store.FaultBusy}, "58030": {runs: 1, kind: store.FaultFailing},
	} {
		runs := 0
		err := s.write(t.Context(), tenant, func(x *tx) error {
			if runs++; runs > 1 {
				return nil
			}
			_, err := x.exec(fmt.Sprintf("DO $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '%s'; END $$", state))
			return err
		})
		kind := store.FaultKind("")
		if fault := faultOf(err); fault != nil {
			kind = fault.Kind
		}
		if runs != want.runs || kind != want.kind || (err == nil) != (want.kind == "") {
			t.Errorf("%s: %d runs, kind %q, %v; want %+v", state, runs, kind, err, want)
		}
	}
	if stats := s.Stats(); stats.Fault == "" && stats.Failed[store.FaultFull] != 1 {
		t.Errorf("the stats are %+v", stats)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
}

// TestDamageIsMended: a server that met damage may still take other things, and is mended while it is asked. So what a
// store says of it goes when the server is well, without a restart.
func TestDamageIsMended(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	s, server := openAt(t, rest), sqlOn(t, rest)
	setUp(t, s, "a")
	for _, state := range []string{"XX001", "XX002"} {
		met := fmt.Sprintf("DO $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '%s'; END $$", state)
		for what, meet := range map[string]func() error{
			"a write": func() error {
				return s.write(t.Context(), tenant, func(x *tx) error {
					_, err := x.exec(met)
					return err
				})
			},
			"a read": func() error {
				return s.read(t.Context(), tenant, func(r *reader) error {
					_, err := one(r, columns.Only[int64], met)
					return err
				})
			},
		} {
			if err := meet(); err == nil || s.Stats().Fault != store.FaultCorrupt {
				t.Errorf("%s meets %s: %v, and the store says %q", what, state, err, s.Stats().Fault)
			}
			if _, err := appendNext(t.Context(), s, "a", what+state); err != nil || s.Stats().Fault != "" {
				t.Errorf("after %s met %s: %v, and the store says %q", what, state, err, s.Stats().Fault)
			}
			if err := meet(); err == nil {
				t.Errorf("%s is well", what)
			}
			if err := s.Ping(t.Context()); err != nil || s.Stats().Fault != "" {
				t.Errorf("after %s met %s, Ping: %v, and the store says %q", what, state, err, s.Stats().Fault)
			}
		}
	}
	if _, err := server.Exec(t.Context(), `
		CREATE FUNCTION damaged() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN RAISE EXCEPTION USING ERRCODE = ''XX001''; END';
		CREATE TRIGGER damaged BEFORE UPDATE ON pulse FOR EACH ROW EXECUTE FUNCTION damaged()`); err != nil {
		t.Fatal(err)
	}
	probe := func(x *tx) error {
		_, err := x.exec("UPDATE pulse SET probes = probes WHERE id = 1")
		return err
	}
	if err := s.write(t.Context(), allTenants, probe); err == nil {
		t.Error("what is damaged is written")
	}
	for range 2 {
		var fault *store.FaultError
		if err := s.Ping(t.Context()); !errors.As(err, &fault) || fault.Kind != store.FaultCorrupt {
			t.Errorf("while there is damage, Ping: %v", err)
		}
	}
	if _, err := server.Exec(t.Context(), "DROP TRIGGER damaged ON pulse"); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err != nil || s.Stats().Fault != "" {
		t.Errorf("when it is mended, Ping: %v, and the store says %q", err, s.Stats().Fault)
	}
}

// TestClaimsOfTheStopped: what a gateway had claimed that stops is due at once for the others.
func TestClaimsOfTheStopped(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	stopping, other := openAt(t, rest), openAt(t, rest)
	setUp(t, other, "a", "b")
	now := time.Now()
	err := other.Update(t.Context(), tenant, func(tx store.Tx) error {
		for _, id := range []string{"a", "b"} {
			c, err := tx.Consent(id)
			if err != nil {
				return err
			}
			c.NextPoll = now
			if err := tx.UpdateConsent(c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	claim := func(s *Store, owner string) int {
		got, err := s.System().ClaimDue(t.Context(), now, owner, time.Hour,
			[]store.Share{{Tenant: tenant, Provider: "p", Limit: 1}})
		if err != nil {
			t.Fatal(err)
		}
		return len(got)
	}
	if claim(stopping, "stopping")+claim(other, "other")+claim(other, "other") != 2 {
		t.Fatal("two consents are due")
	}
	if err := stopping.Close(); err != nil {
		t.Error(err)
	}
	if n := claim(other, "other"); n != 1 {
		t.Errorf("%d are due, want the one that the stopped had", n)
	}
	if n := claim(other, "other"); n != 0 {
		t.Errorf("%d more are due", n)
	}
}

// TestNewestBeforeItIsSettled has a transaction dally while another one appends to the log: the rows have the event,
// the log has not yet. Newest tells up to where, so that who begins with the rows does not get it again.
func TestNewestBeforeItIsSettled(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	s := openAt(t, rest)
	setUp(t, s, "a", "b")
	dallies := sqlOn(t, rest)
	if _, err := dallies.Exec(t.Context(), "BEGIN; SELECT pg_current_xact_id()"); err != nil {
		t.Fatal(err)
	}
	if _, err := appendNext(t.Context(), s, "a", "early"); err != nil {
		t.Fatal(err)
	}
	var head store.Cursor
	var newest map[string]store.Cursor
	look := func(r store.Reader) error {
		c, err := r.Consent("a") // asked first: so Head does not wait
		if err != nil || c.Resource.GetEventCount() != 1 {
			t.Errorf("the row is %v, %v", c, err)
		}
		if head, err = r.Head(store.ConsentLog); err != nil {
			return err
		}
		newest, err = r.Newest(store.ConsentLog, []string{"a", "b"}, head)
		return err
	}
	if err := s.View(t.Context(), tenant, look); err != nil {
		t.Fatal(err)
	}
	if len(newest) != 1 || !newest["a"].Behind(head) {
		t.Fatalf("behind %s the newest are %v", head, newest)
	}
	if _, err := dallies.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	calm(t, dallies)
	if _, err := appendNext(t.Context(), s, "a", "late"); err != nil {
		t.Fatal(err)
	}
	calm(t, dallies)
	for after, want := range map[store.Cursor]int{head: 2, newest["a"]: 1} {
		if err := s.View(t.Context(), tenant, func(r store.Reader) error {
			entries, err := r.ConsentEntries("a", after, 9)
			if len(entries) != want {
				t.Errorf("behind %s come %d entries, want %d", after, len(entries), want)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
}

// TestTooManyConnections has the server take fewer connections than the gateway may have: whoever gets none waits for
// one that others have, as in a pool that is as small.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	_, direct := newDatabase(t)
	s := openAt(t, direct)
	setUp(t, s, "a")
	address, err := url.Parse("postgres:" + direct)
	if err != nil {
		t.Fatal(err)
	}
	c := sqlOn(t, direct)
	alter := func(limit int) {
		if _, err := c.Exec(t.Context(), fmt.Sprintf("ALTER DATABASE %s CONNECTION LIMIT %d",
			strings.TrimPrefix(address.Path, "/"), limit)); err != nil {
			t.Error(err)
		}
	}
	look := func() error {
		return s.View(t.Context(), tenant, func(r store.Reader) error {
			_, err := r.Consent("a")
			return err
		})
	}
	alter(4)
	const callers, each = 16, 20
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range each {
				if err := look(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	alter(0)
	s.pool.Reset()
	if err := look(); faultOf(err) == nil || faultOf(err).Kind != store.FaultBusy {
		t.Errorf("without any connection: %v", err)
	}
}
