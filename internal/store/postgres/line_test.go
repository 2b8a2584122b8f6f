package postgres

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
)

// with sets a parameter of an address.
func with(t *testing.T, rest, name, value string) string {
	t.Helper()
	address, err := url.Parse("postgres:" + rest)
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	query.Set(name, value)
	address.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20") // In an address of PostgreSQL + is a plus.
	return strings.TrimPrefix(address.String(), "postgres:")
}

// TestAddress reads what bounds the trust in a silent host.
func TestAddress(t *testing.T) {
	t.Parallel()
	for rest, want := range map[string]struct {
		connect   time.Duration
		validates bool
	}{
		"//kontor@db/kontor":                             {connect: defaultConnectTimeout},
		"//kontor@db/kontor?connect_timeout=2":           {connect: 2 * time.Second},
		"//kontor@/kontor?host=a,b&port=5432,5432":       {connect: defaultConnectTimeout, validates: true},
		"//kontor@/kontor?host=a,a&port=5432,5433":       {connect: defaultConnectTimeout, validates: true},
		"//kontor@db/kontor?sslmode=prefer":              {connect: defaultConnectTimeout}, // with and without TLS
		"//kontor@db/kontor?kontor_listen=off":           {connect: defaultConnectTimeout},
		"//kontor@db/kontor?kontor_listen=db:5433":       {connect: defaultConnectTimeout},
		"//kontor@db/kontor?tcp_user_timeout=3000":       {connect: defaultConnectTimeout},
		"//kontor@db/kontor?target_session_attrs=any":    {connect: defaultConnectTimeout},
		"//db/kontor?target_session_attrs=read-write":    {connect: defaultConnectTimeout, validates: true},
		"///kontor?host=a,b&target_session_attrs=any":    {connect: defaultConnectTimeout},
		"//db/kontor?pool_ping_timeout=1s&sslmode=allow": {connect: defaultConnectTimeout},
	} {
		s, err := parse(rest)
		if err != nil {
			t.Errorf("%s: %v", rest, err)
			continue
		}
		for _, c := range []*pgx.ConnConfig{s.pool.ConnConfig, s.listen} {
			if c != nil && (c.ConnectTimeout != want.connect || (c.ValidateConnect != nil) != want.validates) {
				t.Errorf("%s: it may take %v to connect, %v for good", rest, c.ConnectTimeout, c.ValidateConnect != nil)
			}
		}
		if s.pool.PingTimeout <= 0 {
			t.Errorf("%s: an answer to a ping is waited for for ever", rest)
		}
	}
	for _, wrong := range []string{"-1", "10s"} {
		if err := Check("//db/kontor?tcp_user_timeout=" + wrong); err == nil {
			t.Errorf("%s milliseconds are taken", wrong)
		}
	}
}

// TestAddressParameters passes parameters on as libpq reads them, whose plus signs are no spaces.
func TestAddressParameters(t *testing.T) {
	t.Parallel()
	const rest = "//u@db/kontor?password=a+b%20c%2Bd&options=-c%20work_mem%3D8MB&kontor_listen=db:5433"
	s, err := parse(rest)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*pgx.ConnConfig{s.pool.ConnConfig, s.listen} {
		if c.Password != "a+b c+d" || c.RuntimeParams["options"] != "-c work_mem=8MB" {
			t.Errorf("password %q, options %q", c.Password, c.RuntimeParams["options"])
		}
	}
}

// TestAddressFault names what keeps an address from being read, and quotes nothing of it.
func TestAddressFault(t *testing.T) {
	t.Parallel()
	for rest, want := range map[string]string{
		"//u:hidden@db/kontor?sslmode=verify-full&sslrootcert=/hidden": "sslrootcert must name a file that can be read",
		"//u:hidden@db/kontor?sslmode=hidden":                          "sslmode must be one",
		"//u:hidden@db/kontor?pool_max_conns=hidden":                   "pool_max_conns must be one",
		"//u:hidden@db/kontor?kontor_listen=hidden":                    "kontor_listen must be off, or",
		"//u:hidden@db/kontor?tcp_user_timeout=hidden":                 "tcp_user_timeout must be milliseconds",
		"//u:hid/den@db/kontor":                                        "%2F for / in a password",
		"kontor:hidden":                                                "must be postgres://<user>@<host>/<database>",
	} {
		err := Check(rest)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hid") {
			t.Errorf("%s: %v, want %q", rest, err, want)
		}
	}
}

// cutOnce has a proxy cut the connection between the next COMMIT and its answer, each time that it is told to.
func cutOnce(p *proxy) *atomic.Bool {
	var cut atomic.Bool
	p.onCommit = func() (bool, bool) { return false, cut.CompareAndSwap(true, false) }
	return &cut
}

// TestCommitIsNotCancelled loses the connection between a COMMIT and its answer: nobody asks the server to cancel it,
// since one that waits for a standby would then be seen by all without the standby. The store has a single connection:
// who is in doubt does not hold the one that it needs.
func TestCommitIsNotCancelled(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	setUp(t, openAt(t, rest), "a")
	p, through := newProxy(t, rest)
	cut := cutOnce(p)
	s, err := Open(t.Context(), with(t, through, "pool_max_conns", "1"), keystest.StoreKey())
	if err != nil {
		t.Fatal(err)
	}
	cut.Store(true)
	if _, err := appendNext(t.Context(), s, "a", "x"); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil { // It waits for what pgx has to do for connections that were lost.
		t.Error(err)
	}
	if n := p.cancels.Load(); n != 0 {
		t.Errorf("%d requests to cancel were sent", n)
	}
	// What the proxy sees of another statement whose connection is lost.
	other := openAt(t, through)
	err = other.View(t.Context(), tenant, func(r store.Reader) error {
		p.cutAll()
		_, err := r.Consent("a")
		return err
	})
	if err == nil {
		t.Error("the connection was not lost")
	}
	for p.cancels.Load() == 0 && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
}

// confirmed counts the events whose transactions were looked up, and written again for a standby to confirm.
func confirmed(t *testing.T, rest string) (again, not int) {
	t.Helper()
	err := sqlOn(t, rest).QueryRow(t.Context(), `
		SELECT count(*) FILTER (WHERE NOT EXISTS (SELECT 1 FROM commits c WHERE c.xmin = l.xmin)),
			count(*) FILTER (WHERE EXISTS (SELECT 1 FROM commits c WHERE c.xmin = l.xmin))
		FROM consent_log l`).Scan(&again, &not)
	if err != nil {
		t.Fatal(err)
	}
	return again, not
}

// TestDoubtIsWrittenAnew: what is found after a lost answer may be on a server that came back and shows what its
// standby never had. It counts once it was written again, which the standby confirms.
func TestDoubtIsWrittenAnew(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	setUp(t, openAt(t, rest), "a")
	p, through := newProxy(t, rest)
	cut := cutOnce(p)
	s := openAt(t, through)
	if _, err := appendNext(t.Context(), s, "a", "acknowledged"); err != nil {
		t.Fatal(err)
	}
	cut.Store(true)
	if _, err := appendNext(t.Context(), s, "a", "in doubt"); err != nil {
		t.Fatal(err)
	}
	if again, not := confirmed(t, rest); again != 1 || not != 1 {
		t.Errorf("%d were written again, and %d not: one of each was wanted", again, not)
	}
}

// TestWarnedCommit: a server whose COMMIT is cancelled while it waits for a standby says that it is done, with a
// warning. The warning is a doubt.
func TestWarnedCommit(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	s := openAt(t, rest)
	setUp(t, s, "a")
	c := sqlOn(t, rest)
	for _, statement := range []string{
		`CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN RAISE WARNING 'canceling wait for synchronous replication'; RETURN NULL; END $$`,
		`CREATE CONSTRAINT TRIGGER warn AFTER INSERT ON commits DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION warn()`,
	} {
		if _, err := c.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := appendNext(t.Context(), s, "a", "warned"); err != nil {
		t.Error(err)
	}
	if _, err := c.Exec(t.Context(), "DROP TRIGGER warn ON commits"); err != nil {
		t.Fatal(err)
	}
	if _, err := appendNext(t.Context(), s, "a", "not warned"); err != nil {
		t.Error(err)
	}
	if again, not := confirmed(t, rest); again != 1 || not != 1 {
		t.Errorf("%d were written again, and %d not: one of each was wanted", again, not)
	}
}

// TestSilentServer has connections whose other side takes what is sent and says nothing any more: they are given up,
// and calls learn that it is the store's fault.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	setUp(t, openAt(t, rest), "a")
	p, through := newProxy(t, rest)
	s := openAt(t, through)
	s.silence = 200 * time.Millisecond
	err := s.View(t.Context(), tenant, func(r store.Reader) error {
		p.mute()
		_, err := r.Consent("a")
		return err
	})
	fault := faultOf(err)
	if fault == nil || fault.Kind != store.FaultFailing || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want a fault of the store", err)
	}
	if err := s.Ping(t.Context()); err != nil { // with a new connection
		t.Errorf("Ping: %v", err)
	}
	p.mute()
	if _, err := appendNext(t.Context(), s, "a", "x"); err != nil {
		t.Errorf("the call did not take another connection: %v", err)
	}
}

// TestPingIsBounded: who asks whether the store is well while a COMMIT hangs is answered in time, and with a word.
func TestPingIsBounded(t *testing.T) {
	t.Parallel()
	p, through := newProxy(t, newSchema(t))
	hangs, goOn := make(chan struct{}, 1), make(chan struct{})
	p.onCommit = func() (bool, bool) {
		select {
		case hangs <- struct{}{}:
		default:
		}
		<-goOn
		return false, false
	}
	s := openAt(t, through)
	defer close(goOn)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(time.Hour))
	defer cancel()
	go func() {
		<-hangs
		cancel()
	}()
	if err := s.Ping(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Ping: %v, want %v", err, context.Canceled)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	fault, ok := errors.AsType[*store.FaultError](s.Ping(late))
	if !ok || fault.Kind != store.FaultBusy {
		t.Errorf("Ping: %v, want %q", fault, store.FaultBusy)
	}
}
