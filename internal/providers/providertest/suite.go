package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/secret"
)

const (
	// patience bounds everything that a test waits for.
	patience = 20 * time.Second
	// address is an end user's, from the range for documentation.
	address = "203.0.113.7"
	// shortest is the length from which a secret is looked for in what the adapter says.
	shortest = 6
)

// suite is one test under way: the harness, with the adapter opened as the provider "first".
type suite struct {
	testing.TB

	h        Harness
	has      Has
	provider *providers.Provider
	keeper   *keeper
	sent     *sent
	logs     *logs
	said     *logs // errors
	// collected says that an approved consent's data was seen on its way.
	collected bool
}

// newSuite opens the adapter. When the test is over, nothing secret may stand in what the adapter said.
func newSuite(tb testing.TB, h Harness) *suite {
	s := &suite{TB: tb, h: h, keeper: &keeper{}, sent: &sent{}, logs: &logs{}, said: &logs{}}
	if h.Has != nil {
		s.has = *h.Has
	}
	s.provider = s.open("first", providers.Policy{Retries: -1}) // without retries, each fault shows as it is
	tb.Cleanup(s.wantNothingSaid)
	return s
}

// open opens the adapter.
func (s *suite) open(id string, policy providers.Policy) *providers.Provider {
	s.Helper()
	p, err := s.h.Settings.Open(s.Context(), s.deps(id, policy))
	if err != nil {
		s.Fatalf("open the adapter: %v", err)
	}
	OnlyTold(s, p)
	return p
}

// deps is what the adapter gets.
func (s *suite) deps(id string, policy providers.Policy) providers.Deps {
	return providers.Deps{
		ID: id, Tenant: "tenant", Observer: s.sent, State: s.keeper, Policy: policy, Clock: s.h.Clock,
		Logger: slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// ctx is the context of a call on behalf of an end user.
func (s *suite) ctx() context.Context {
	return providers.WithCall(s.away(), providers.Call{PSUIP: address, RequestID: uuid.NewString()})
}

// away is the context of a call whose end user is not known.
func (s *suite) away() context.Context {
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	s.Cleanup(cancel)
	return ctx
}

// redirects are addresses that the provider may send the customer back to.
var redirects = providers.Redirects{
	Success: "https://kontor.example.com/callbacks/redirects/t/success?keep=1",
	Error:   "https://kontor.example.com/callbacks/redirects/t/error",
	Exit:    "https://kontor.example.com/callbacks/redirects/t/exit",
}

var flow = providers.Flow{Access: consentv1.Access_RECURRING, Redirects: redirects}

// newConsent describes a consent to ask for, with a user where the provider keeps such.
func (s *suite) newConsent() providers.NewConsent {
	s.Helper()
	request := providers.NewConsent{
		Market: s.h.Market, Access: consentv1.Access_RECURRING,
		DataCollection: consentv1.DataCollection_TRANSACTION_CATEGORISATION,
		Psu:            s.h.Psu, Redirects: redirects, IdempotencyKey: uuid.NewString(),
	}
	if s.provider.Users != nil {
		request.UserID = s.user()
	}
	return request
}

// create asks for a consent.
func (s *suite) create() *providers.CreatedConsent {
	s.Helper()
	created, err := s.provider.Consents.CreateConsent(s.ctx(), s.newConsent())
	if err != nil {
		s.Fatalf("create a consent: %v", s.hear(err))
	}
	s.keeper.add(created.Ref)
	return created
}

// newUser describes a user with all products that tests need.
func (s *suite) newUser() providers.NewUser {
	user := providers.NewUser{
		Type: customerv1.Customer_PERSON, Products: []customerv1.Product_Value{customerv1.Product_BANKING},
	}
	if s.h.Company {
		user.Type = customerv1.Customer_COMPANY
		user.Products = append(user.Products, customerv1.Product_PAYMENT_PARTNER_ANALYSIS)
	}
	return user
}

func (s *suite) user() string {
	s.Helper()
	id, err := s.provider.Users.CreateUser(s.ctx(), s.newUser())
	if err != nil {
		s.Fatalf("create a user: %v", s.hear(err))
	}
	return id
}

// approved makes a consent whose data is ready.
func (s *suite) approved() providers.ConsentRef {
	s.Helper()
	return s.approve(s.create().Ref)
}

// approve lets the customer of a consent approve, and waits until the data is ready. It gives the consent as it is
// named from then on.
func (s *suite) approve(ref providers.ConsentRef) providers.ConsentRef {
	s.Helper()
	ref = s.returned(ref, s.decide(ref))
	ctx := s.ctx()
	for { // bounded by the context
		state, err := s.provider.Consents.GetConsent(ctx, ref)
		if err != nil {
			s.Fatalf("wait for the data of a consent: %v", s.hear(err))
		}
		ref = s.newer(ref, state.Ref)
		got := s.follow(*state)
		if got.DataStage == consentv1.DataStage_READY {
			return ref
		}
		s.collected = s.collected || got.Status == consentv1.Consent_AUTHORIZED
	}
}

// decide lets the customer approve, and gives the query with which they came back.
func (s *suite) decide(ref providers.ConsentRef) url.Values {
	s.Helper()
	switch {
	case s.h.Approve != nil:
		return s.h.Approve(s, ref)
	case s.provider.Simulator == nil:
		s.Fatal("the harness has no Approve, and the adapter no Simulator")
	}
	if err := s.provider.Simulator.SimulateDecision(s.ctx(), ref, true); err != nil {
		s.Fatalf("simulate an approval: %v", s.hear(err))
	}
	return nil
}

// returned lets the adapter read how the customer came back.
func (s *suite) returned(ref providers.ConsentRef, query url.Values) providers.ConsentRef {
	s.Helper()
	if s.provider.Callbacks.Redirect == nil {
		return ref
	}
	back, err := s.provider.Callbacks.Redirect(s.ctx(), ref, providers.OutcomeSuccess, query)
	if err != nil {
		s.Fatalf("the customer's return is refused: %v", s.hear(err))
	}
	return s.newer(ref, back.Ref)
}

// newer gives how a consent is named after a call that may have changed it.
func (s *suite) newer(ref providers.ConsentRef, changed *providers.ConsentRef) providers.ConsentRef {
	if changed != nil {
		ref = *changed
	}
	s.keeper.add(ref)
	return ref
}

// state reads a consent.
func (s *suite) state(ref providers.ConsentRef) providers.ConsentState {
	s.Helper()
	state, err := s.provider.Consents.GetConsent(s.ctx(), ref)
	if err != nil {
		s.Fatalf("get the consent: %v", s.hear(err))
	}
	return *state
}

// now is the played provider's time.
func (s *suite) now() time.Time {
	if s.h.Clock != nil {
		return s.h.Clock()
	}
	return time.Now()
}

// calls counts the calls of an operation at the provider, "" for all.
func (s *suite) calls(operation string) int {
	if s.h.Calls != nil {
		return s.h.Calls(operation)
	}
	return len(s.sent.since(0, operation))
}

// hear remembers an error, in which nothing secret may stand.
func (s *suite) hear(err error) error {
	if err != nil {
		_, _ = s.said.Write([]byte(err.Error() + "\n"))
	}
	return err
}

// failure gives the adapter's error, which must be the one type that adapters return.
func (s *suite) failure(err error) *providers.Error {
	s.Helper()
	var e *providers.Error
	if !errors.As(s.hear(err), &e) {
		s.Fatalf("the error is %v, want a *providers.Error", err)
	}
	return e
}

// wantNothingSaid looks in logs and errors for the configuration's secrets, and for what the adapter remembers.
func (s *suite) wantNothingSaid() {
	var ids []string
	secrets := s.h.Settings.Secrets()
	for _, kept := range s.keeper.all() {
		ids = append(ids, kept.ID)
		secrets = append(secrets, kept.State)
	}
	for where, text := range map[string]string{"the log": s.logs.String(), "an error": s.said.String()} {
		for _, needle := range secrets {
			for _, word := range words(needle, ids...) {
				if strings.Contains(text, word) {
					s.Errorf("%s holds a secret of %d characters", where, len(word))
				}
			}
		}
	}
}

// words are a secret and the texts within it, when it is JSON. The ids of consents are none.
func words(hidden secret.String, ids ...string) []string {
	found := []string{hidden.Reveal()}
	var walk func(any)
	walk = func(value any) {
		switch v := value.(type) {
		case string:
			found = append(found, v)
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for _, item := range v {
				walk(item)
			}
		}
	}
	var document any
	if json.Unmarshal([]byte(hidden.Reveal()), &document) == nil {
		walk(document)
	}
	return slices.DeleteFunc(found, func(word string) bool {
		return len(word) < shortest || slices.Contains(ids, word)
	})
}

// logs collects text. It is safe for concurrent use.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// keeper is a providers.StateKeeper that remembers everything, and what other calls gave. It is safe for concurrent
// use.
type keeper struct {
	mu   sync.Mutex
	kept []providers.ConsentRef
}

// KeepState implements providers.StateKeeper.
func (k *keeper) KeepState(_ context.Context, ref providers.ConsentRef, state secret.String) error {
	ref.State = state
	k.add(ref)
	return nil
}

func (k *keeper) add(ref providers.ConsentRef) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = append(k.kept, ref)
}

func (k *keeper) all() []providers.ConsentRef {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.kept)
}

// sent is a providers.Observer that remembers what the adapter's HTTP client sends. It is safe for concurrent use.
type sent struct {
	mu    sync.Mutex
	calls []providers.CallInfo
}

// Start implements providers.Observer.
func (o *sent) Start(ctx context.Context, call providers.CallInfo) (context.Context, func(providers.CallOutcome)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, call)
	return ctx, func(providers.CallOutcome) {}
}

// BreakerChanged implements providers.Observer.
func (*sent) BreakerChanged(string, providers.BreakerState, providers.BreakerState) {}

// count is how many calls there were so far.
func (o *sent) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.calls)
}

// since gives the calls of an operation after the first so many, "" for all operations.
func (o *sent) since(first int, operation string) []providers.CallInfo {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(o.calls[first:]), func(c providers.CallInfo) bool {
		return operation != "" && c.Operation != operation
	})
}
