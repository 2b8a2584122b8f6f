package replicatest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

// Kind is something that callers ask for.
type Kind struct {
	// Name is the method's.
	Name string
	send func(ctx context.Context, c *worldtest.Stubs, e *Entry) (proto.Message, error)
	// finds says that a repetition goes on wherever it was broken off: its outcome is never unknown.
	finds bool
	// ends says that what it is about is gone afterwards, so that a repetition may find nothing.
	ends bool
}

// Entry is a write that a caller asked for, with what they were told.
type Entry struct {
	Kind *Kind
	// Key is the idempotency key. Provider is where a consent is asked for; About is the consent that is changed.
	Key, Provider, About string
	// Answer is what was acknowledged, nil while nothing was; Err is the newest failure, nil once it succeeded.
	Answer proto.Message
	Err    error
	// request is the id of the attempt that was acknowledged; attempts counts those that were sent.
	request  string
	attempts int
}

// The writes that all providers are asked for.
var (
	createCustomer = &Kind{Name: "CreateCustomer", finds: true, send: func(
		ctx context.Context, c *worldtest.Stubs, e *Entry,
	) (proto.Message, error) {
		return answer(c.Customers.CreateCustomer(ctx, &customerv1.CreateCustomerRequest{
			Customer:  &customerv1.Customer{Type: customerv1.Customer_COMPANY, Reference: optional.Of(e.Key)},
			RequestId: e.Key,
		}))
	}}
	createConsent = &Kind{Name: "CreateConsent", send: func(
		ctx context.Context, c *worldtest.Stubs, e *Entry,
	) (proto.Message, error) {
		return answer(c.Consents.CreateConsent(ctx, ConsentRequest(e.Key, e.Provider)))
	}}
	renewLink = &Kind{Name: "RenewConsentLink", send: func(
		ctx context.Context, c *worldtest.Stubs, e *Entry,
	) (proto.Message, error) {
		return answer(c.Consents.RenewConsentLink(ctx, &consentv1.RenewConsentLinkRequest{
			Name: e.About, RequestId: e.Key,
		}))
	}}
	revoke = &Kind{Name: "RevokeConsent", finds: true, send: func(
		ctx context.Context, c *worldtest.Stubs, e *Entry,
	) (proto.Message, error) {
		return answer(c.Consents.RevokeConsent(ctx, &consentv1.RevokeConsentRequest{Name: e.About, RequestId: e.Key}))
	}}
	deleteConsent = &Kind{Name: "DeleteConsent", finds: true, ends: true, send: func(
		ctx context.Context, c *worldtest.Stubs, e *Entry,
	) (proto.Message, error) {
		return answer(c.Consents.DeleteConsent(ctx, &consentv1.DeleteConsentRequest{Name: e.About, RequestId: e.Key}))
	}}
)

// answer is a stub's answer as any message.
func answer[Resp proto.Message](made Resp, err error) (proto.Message, error) {
	if err != nil {
		return nil, err
	}
	return made, nil
}

// ConsentRequest asks for a consent of a new customer, with the key as its reference, too.
func ConsentRequest(key, provider string) *consentv1.CreateConsentRequest {
	request := &consentv1.CreateConsentRequest{
		Consent: &consentv1.Consent{
			Provider: provider, Market: worldtest.Of(provider).Market, Reference: optional.Of(key),
			RedirectUris: &consentv1.Consent_RedirectUris{
				Success: optional.Of("https://app.example.com/success"),
				Error:   optional.Of("https://app.example.com/error"),
				Exit:    optional.Of("https://app.example.com/exit"),
			},
		},
		RequestId: key,
	}
	if worldtest.Of(provider).TakesPsu {
		request.Psu = &consentv1.Psu{NationalId: sandbox.GoodNationalID, FirstName: "Elin", LastName: "Sandström"}
	}
	return request
}

// NewConsent is a write that asks a provider for a consent.
func NewConsent(provider string) *Entry { return &Entry{Kind: createConsent, Provider: provider} }

// NewLink is a write that renews the link of a consent, which is an event.
func NewLink(consent string) *Entry { return &Entry{Kind: renewLink, About: consent} }

// Special are the writes that only a provider is asked for, each with a key of its own.
func Special(provider string) (all []*Entry) {
	for _, kind := range providers.Of(provider).kinds {
		all = append(all, &Entry{Kind: kind, Provider: provider})
	}
	return all
}

// Told notes what a caller was told.
func (e *Entry) Told(answer proto.Message, err error) {
	if e.Err = err; err == nil {
		e.Answer = answer
	}
}

// Ledger is what callers asked for and were told. It is safe for concurrent use; entries are their caller's until
// Settle.
type Ledger struct {
	mu      sync.Mutex
	entries []*Entry
	// reasons counts how attempts ended: "OK", a reason of Kontor's, or else the code.
	reasons map[string]int
	// wrong are failures that no caller may see, each told once.
	wrong map[string]bool
}

// Entries are all that there are.
func (l *Ledger) Entries() []*Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries)
}

// Enter enters a write that a caller is about to ask for, and gives it a key.
func (l *Ledger) Enter(e *Entry) *Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Key = uuid.NewString()
	l.entries = append(l.entries, e)
	return e
}

// Reasons counts how attempts ended so far: "OK", a reason of Kontor's, or else the code.
func (l *Ledger) Reasons() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.reasons)
}

// Count counts how a call ended.
func (l *Ledger) Count(method string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reasons == nil {
		l.reasons, l.wrong = map[string]int{}, map[string]bool{}
	}
	reason := Outcome(err)
	l.reasons[reason]++
	if err != nil && !retryable(err) && reason != outcomeUnknown {
		l.wrong[fmt.Sprintf("%s: %s (%s)", method, reason, status.Convert(err).Message())] = true
	}
}

const outcomeUnknown = "OUTCOME_UNKNOWN"

// Outcome tells how a call ended: "OK", Kontor's reason, or else the code.
func Outcome(err error) string {
	if err == nil {
		return "OK"
	}
	if reason := worldtest.Reason(err); reason != "" {
		return reason
	}
	if ended, ok := errors.AsType[streamError](err); ok {
		return string(ended)
	}
	return status.Code(err).String()
}

// retryable tells whether a caller may repeat what failed.
func retryable(err error) bool { return status.Code(err) == codes.Unavailable }

// callLimit is the callers' deadline. It is long, so that a machine with much else to do meets it.
const callLimit = time.Minute

// tries is how often callers repeat what was UNAVAILABLE before they give up.
const tries = 6

// Do makes a write as a careful caller does: with one key, at one gateway after the other, as long as they say
// UNAVAILABLE, up to a bound. It tells whether the write was acknowledged.
func (w *World) Do(ctx context.Context, e *Entry) bool {
	if e.Key == "" {
		w.Enter(e)
	}
	for try := 0; ; try++ {
		id := uuid.NewString()
		made, err := w.attempt(ctx, e.Kind.Name, func(ctx context.Context, c *worldtest.Stubs) (proto.Message, error) {
			made, err := e.Kind.send(metadata.AppendToOutgoingContext(ctx, "x-request-id", id), c, e)
			e.attempts++
			if e.Kind.ends && e.attempts > 1 && status.Code(err) == codes.NotFound {
				err = nil // an attempt whose answer was lost did it
				id = ""
			}
			return made, err
		})
		if e.Err = err; err == nil {
			e.Answer, e.request = made, id
			return true
		}
		if !retryable(err) || try == tries || ctx.Err() != nil {
			return false
		}
		w.rest(ctx, time.Duration(1+w.Intn(100<<min(try, 4)))*time.Millisecond)
	}
}

// attempt makes one call at whatever gateway, and counts how it ends.
func (w *World) attempt(
	ctx context.Context, method string, call func(context.Context, *worldtest.Stubs) (proto.Message, error),
) (proto.Message, error) {
	r := w.Any()
	stubs := r.Stubs()
	frozen, freezes := r.asleep()
	if stubs == nil || frozen {
		// A load balancer sends nobody to a gateway that does not run, or does not answer. Who is there already is met.
		return nil, status.Error(codes.Unavailable, errDown.Error())
	}
	limited, cancel := context.WithTimeout(worldtest.AsPSU(context.WithoutCancel(ctx)), callLimit)
	defer cancel()
	made, err := call(limited, stubs)
	if _, now := r.asleep(); now != freezes && status.Code(err) == codes.DeadlineExceeded {
		err = status.Error(codes.Unavailable, "the gateway was frozen")
	}
	w.Count(method, err)
	return made, err
}

// Ask makes a write once, as one of several who may ask for it at the same time: what they are told is not noted.
func (e *Entry) Ask(ctx context.Context, c *worldtest.Stubs) (proto.Message, error) {
	if c == nil {
		return nil, status.Error(codes.Unavailable, errDown.Error())
	}
	return e.Kind.send(worldtest.AsPSU(ctx), c, e)
}

// rest lets a caller wait.
func (w *World) rest(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

// named gives the name of what a call answered.
func named(message proto.Message) string {
	if message == nil {
		return ""
	}
	field := message.ProtoReflect().Descriptor().Fields().ByName("name")
	if field == nil {
		return ""
	}
	return message.ProtoReflect().Get(field).String()
}

// idOf is the last part of a name.
func idOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
