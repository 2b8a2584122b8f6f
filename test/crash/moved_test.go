package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/test/worldtest"
)

// moving is a world whose store lies in a SQLite file, and an empty database on PostgreSQL.
func moving(t *testing.T) (w *world, file, database string) {
	t.Helper()
	var err error
	name := "moved_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if database, err = worldtest.Schema(t.Context(), os.Getenv(worldtest.PostgresVariable), name); err != nil {
		t.Fatal(err)
	}
	file = "sqlite:kontor.db"
	return newWorld(t, options{store: file, config: "heartbeat: 300ms\n"}), file, database
}

// TestStoreIsMoved copies the store of a gateway that was killed in the middle of a write into PostgreSQL, as
// docs/operations.md has it. A gateway that goes on there answers everything as before: resources and histories,
// idempotency keys, tokens of streams and pages, deletions; what was open is settled, and the audit goes on.
func TestStoreIsMoved(t *testing.T) {
	t.Parallel()
	w, file, database := moving(t)
	random := rand.New(rand.NewPCG(uint64(*seed), 6))
	var before []*request
	ask := func(n int) {
		for range n {
			r := &request{kind: creatingKinds()[random.IntN(len(creatingKinds()))], key: uuid.NewString()}
			r.answer = must(r.send(w.context(), w.client))(t)
			before = append(before, r)
		}
	}
	ask(12)
	goes := newCustomer(t, w)
	erased := must(w.client.Consents.CreateConsent(w.context(), consentRequest(uuid.NewString(),
		worldtest.Providers()[0], "", goes)))(t)
	receipt := must(w.client.Customers.DeleteCustomer(w.context(), &customerv1.DeleteCustomerRequest{Name: goes}))(t)
	for _, provider := range worldtest.Providers() {
		request := consentRequest(uuid.NewString(), provider, "", "")
		w.approve(must(w.client.Consents.CreateConsent(w.context(), request))(t))
	}
	streams := w.beginStreams(t)
	page := must(w.client.Consents.ListConsents(w.context(), &consentv1.ListConsentsRequest{PageSize: 2}))(t)
	ask(12)
	streams.follow(t, w)

	// The configuration has the store's path from its own folder on, and the command line from where it is.
	from := "sqlite:" + w.path("kontor.db")
	if said, err := w.tryRun("store", "copy", "--from", from, "--to", database); err == nil ||
		!strings.Contains(said, "in use") {
		t.Errorf("beside the gateway that has it: %v, %s", err, said)
	}
	provider := worldtest.Providers()[random.IntN(len(worldtest.Providers()))]
	open := providers.Of(provider).operations[0]
	openStep := open.steps[len(open.steps)-1]
	once := open.prepare(t, w, uuid.NewString())
	effects, each := open.count(w)
	all := w.everything(t)
	killed := make(chan struct{})
	w.gates[provider].set(openStep.operation, done, func() { w.kill(); close(killed) })
	if _, err := once(w.context(), w.client); err == nil {
		t.Fatal("the gateway was not killed")
	}
	<-killed
	export := w.path("audit.jsonl")
	if err := os.WriteFile(export, []byte(w.run("audit", "export")), 0o600); err != nil {
		t.Fatal(err)
	}
	exported := w.audit()

	said := w.run("store", "copy", "--to", database)
	t.Log(said)
	if !strings.Contains(said, "copied and compared") || !strings.Contains(said, ": whole") {
		t.Errorf("the copy says %s", said)
	}
	if said, err := w.tryRun("store", "copy", "--from", from, "--to", database); err == nil ||
		!strings.Contains(said, "not empty") {
		t.Errorf("a second copy: %v, %s", err, said)
	}
	w.goOnWith(file, database)
	w.verified()
	w.run("audit", "verify", "--file", export)
	w.start()

	first, firstErr := once(w.context(), w.client)
	second, secondErr := once(w.context(), w.client)
	if !same(first, firstErr, second, secondErr) || firstErr != nil && reason(firstErr) != "OUTCOME_UNKNOWN" {
		t.Errorf("what was open gives %v, %v and then %v, %v", first, firstErr, second, secondErr)
	}
	after, _ := open.count(w)
	if n := after - effects; n > max(each, 1) {
		t.Errorf("the provider did what was open %d times", n)
	}
	for name, was := range all {
		if now, ok := w.everything(t)[name]; !ok || !proto.Equal(was, now) {
			t.Errorf("%s was %v and is %v", name, was, now)
		}
	}
	for _, r := range before {
		w.settle(t, r)
		w.stands(t, r.answer, false)
	}
	w.isErased(t, erased, receipt)
	streams.resume(t, w)
	next := must(w.client.Consents.ListConsents(w.context(), &consentv1.ListConsentsRequest{
		PageSize: 2, PageToken: page.GetNextPageToken(),
	}))(t)
	for _, c := range next.GetConsents() {
		if len(next.GetConsents()) != 2 || c.GetName() <= page.GetConsents()[1].GetName() {
			t.Errorf("behind %v comes %v", page.GetConsents(), next.GetConsents())
		}
	}
	later := w.audit("--after", position(exported))
	if len(later) == 0 || later[0].Position <= exported[len(exported)-1].Position {
		t.Errorf("the audit goes on with %v", later)
	}
	w.eventually("all is sealed", func() bool { return strings.Contains(w.verified(), " 0 not sealed yet") })
	w.restart()
	w.verified()
}

// position is that of the last entry, as an argument.
func position(entries []entry) string { return fmt.Sprint(entries[len(entries)-1].Position) }

// isErased asks for what was deleted: it is not there, and the receipt is.
func (w *world) isErased(t *testing.T, erased *consentv1.Consent, receipt *customerv1.DeletionReceipt) {
	t.Helper()
	if _, err := w.client.Consents.GetConsent(w.context(), &consentv1.GetConsentRequest{
		Name: erased.GetName(),
	}); reason(err) != "CONSENT_NOT_FOUND" {
		t.Errorf("a deleted consent: %v", err)
	}
	again := must(w.client.Customers.GetDeletionReceipt(w.context(), &customerv1.GetDeletionReceiptRequest{
		Name: receipt.GetName(),
	}))(t)
	if !proto.Equal(again, receipt) {
		t.Errorf("the receipt is %v, was %v", again, receipt)
	}
}

// goOnWith names another store in kontor.yaml.
func (w *world) goOnWith(former, store string) {
	w.t.Helper()
	text, err := os.ReadFile(w.path("kontor.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	changed := strings.Replace(string(text), former, store, 1)
	if changed == string(text) {
		w.t.Fatalf("kontor.yaml does not name %s", former)
	}
	if err := os.WriteFile(w.path("kontor.yaml"), []byte(changed), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// everything reads all that a caller can list, by name.
func (w *world) everything(t *testing.T) map[string]proto.Message {
	t.Helper()
	all := map[string]proto.Message{}
	for token := ""; ; {
		page := must(w.client.Consents.ListConsents(w.context(), &consentv1.ListConsentsRequest{PageToken: token}))(t)
		for _, c := range page.GetConsents() {
			all[c.GetName()] = c
			for _, e := range must(w.client.Consents.ListConsentEvents(w.context(), &consentv1.ListConsentEventsRequest{
				Parent: c.GetName(), PageSize: 1000,
			}))(t).GetEvents() {
				all[e.GetName()] = e
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	for _, c := range must(w.client.Customers.ListCustomers(w.context(), &customerv1.ListCustomersRequest{
		PageSize: 1000,
	}))(t).GetCustomers() {
		all[c.GetName()] = c
	}
	for _, s := range must(w.client.Documents.ListShipments(w.context(), &documentsv1.ListShipmentsRequest{
		PageSize: 1000,
	}))(t).GetShipments() {
		all[s.GetName()] = s
	}
	return all
}

// streams are those that a caller follows: the tokens of what it saw last, and what came behind that before the move.
type streams struct {
	consents, shipments string
	events, sent        []string
}

// beginStreams takes the present state of all streams.
func (w *world) beginStreams(t *testing.T) *streams {
	t.Helper()
	ctx, cancel := context.WithCancel(w.context())
	defer cancel()
	s := &streams{}
	consents := must(w.client.Consents.WatchConsents(ctx, &consentv1.WatchConsentsRequest{}))(t)
	for s.consents == "" {
		s.consents = must(consents.Recv())(t).GetResumeToken()
	}
	shipments := must(w.client.Documents.WatchShipments(ctx, &documentsv1.WatchShipmentsRequest{}))(t)
	for s.shipments == "" {
		s.shipments = must(shipments.Recv())(t).GetResumeToken()
	}
	return s
}

// read resumes the streams and gives what comes, in order, up to where all is there that comes from consents of the
// last requests, and a heartbeat says that nothing else does.
func (s *streams) read(t *testing.T, w *world, last ...string) (events, sent []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(w.context())
	defer cancel()
	consents := must(w.client.Consents.WatchConsents(ctx, &consentv1.WatchConsentsRequest{ResumeToken: s.consents}))(t)
	for quiet := false; !quiet || slices.ContainsFunc(last, func(name string) bool {
		return !slices.Contains(events, name)
	}); {
		m := must(consents.Recv())(t)
		if quiet = m.GetKind() == consentv1.WatchConsentsResponse_HEARTBEAT; !quiet {
			events = append(events, m.GetEvent().GetName())
		}
	}
	shipments := must(w.client.Documents.WatchShipments(ctx, &documentsv1.WatchShipmentsRequest{
		ResumeToken: s.shipments,
	}))(t)
	for quiet := false; !quiet; {
		m := must(shipments.Recv())(t)
		if quiet = m.GetKind() == documentsv1.WatchShipmentsResponse_HEARTBEAT; !quiet {
			sent = append(sent, m.GetShipment().GetName()+" "+m.GetShipment().GetStatus().String())
		}
	}
	return events, sent
}

// follow notes what comes before the move.
func (s *streams) follow(t *testing.T, w *world) {
	t.Helper()
	if s.events, s.sent = s.read(t, w); len(s.events) == 0 || len(s.sent) == 0 {
		t.Fatalf("nothing is there to be missed: %v, %v", s.events, s.sent)
	}
}

// resume goes on with the tokens from before the move: what came then comes again in the same order, and behind it what
// is new, all of it once.
func (s *streams) resume(t *testing.T, w *world) {
	t.Helper()
	consent := must(w.client.Consents.CreateConsent(w.context(), consentRequest(uuid.NewString(),
		worldtest.Providers()[0], "", "")))(t)
	events, sent := s.read(t, w, consent.GetName()+"/events/1")
	if len(events) < len(s.events) || !slices.Equal(events[:len(s.events)], s.events) {
		t.Errorf("behind the token came %v, and comes %v", s.events, events)
	}
	if len(sent) < len(s.sent) || !slices.Equal(sent[:len(s.sent)], s.sent) {
		t.Errorf("of shipments came %v, and comes %v", s.sent, sent)
	}
	seen := map[string]bool{}
	for _, name := range events {
		if seen[name] {
			t.Errorf("%s comes twice", name)
		}
		seen[name] = true
	}
}

// TestKilledWhileMoving kills a copy at its last tables: the database is as empty as before, and a further copy, which
// nothing hinders, is whole.
func TestKilledWhileMoving(t *testing.T) {
	t.Parallel()
	w, file, database := moving(t)
	name := newCustomer(t, w)
	w.kill()
	w.goOnWith(file, database)
	w.run("migrate") // so that a table is there that can be held
	c := must(pgx.Connect(w.context(), database))(t)
	defer c.Close(context.WithoutCancel(t.Context()))
	holder := must(c.Begin(w.context()))(t)
	if _, err := holder.Exec(w.context(), "LOCK TABLE audit_roll IN SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "store", "copy", "--from", "sqlite:"+w.path("kontor.db"), "--config",
		w.path("kontor.yaml"))
	cmd.Env = append(os.Environ(), w.env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const waits = "SELECT pid FROM pg_locks WHERE relation = 'audit_roll'::regclass AND NOT granted"
	var pid int
	w.eventually("the copy waits for the table", func() bool {
		return holder.QueryRow(w.context(), waits).Scan(&pid) == nil
	})
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the copy was not killed")
	}
	if err := holder.Rollback(w.context()); err != nil {
		t.Fatal(err)
	}
	w.eventually("the server has given it up", func() bool {
		var there bool
		err := c.QueryRow(w.context(), "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = $1)", pid).Scan(&there)
		return err == nil && !there
	})
	var left int
	if err := c.QueryRow(w.context(), "SELECT (SELECT count(*) FROM working_keys) + (SELECT count(*) FROM audit_roll)").
		Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows are left, %v", left, err)
	}
	w.run("store", "copy", "--from", "sqlite:"+w.path("kontor.db"))
	w.start()
	w.stands(t, &customerv1.Customer{Name: name}, false)
}
