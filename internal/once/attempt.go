package once

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/slot"
	"kontor.dev/kontor/internal/store"
)

// Attempt is one attempt of a creating request. It belongs to at most one idempotency record.
type Attempt struct {
	// Tenant is the caller's.
	Tenant string
	// Repeatable says that the provider recognises a repetition of the write: what may have happened can be
	// tried again with the same key.
	Repeatable bool
	// Resumed says that a process stopped in the middle of an earlier attempt, so that parts of it may stand
	// already.
	Resumed bool

	// CustomerID is whose data the answer and the intents are about: they are removed with the customer. Empty for
	// nobody's.
	CustomerID string
	// ConsentID is which consent the answer is about: it is erased with the consent. Empty for none.
	ConsentID string

	runner   *Runner
	method   string
	key      string // a keyed hash of the caller's; "" when the caller sent none
	request  store.Lookup
	owner    string
	begun    time.Time // when the request first came
	intent   string
	resource string // what the newest intent is for
	pinned   bool   // the record has its answer
	// unclaimed says that the key is to be claimed by Intend.
	unclaimed bool
	// unknown says that nobody can find out what became of the write that was intended.
	unknown bool
	// goingOn says that the work goes on without its caller; keepOn makes it so, if the caller has not left yet.
	goingOn bool
	keepOn  func() bool
	// until is the caller's deadline, zero for none.
	until time.Time
}

// Update writes to the store, and no later than the caller waits as long as the work ends with its caller.
func (a *Attempt) Update(ctx context.Context, fn func(store.Tx) error) error {
	if !a.goingOn && !a.until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, a.until)
		defer cancel()
	}
	return a.runner.Store.Update(ctx, a.Tenant, fn)
}

// GoOn has the work go on from here even if its caller leaves: something is about to happen that must be recorded.
// When the caller has left already, it answers the error of the work's context, and nothing must happen.
func (a *Attempt) GoOn(ctx context.Context) error {
	if !a.goingOn && a.keepOn != nil && !a.keepOn() {
		return ctx.Err()
	}
	a.goingOn = true
	return nil
}

// id identifies the record in this process.
func (a *Attempt) id() string { return a.Tenant + "\x00" + a.method + "\x00" + a.key }

// Owner is the attempt's name on the leases that it holds.
func (a *Attempt) Owner() string { return a.owner }

// Lease is a lease for what the attempt is about to do. It is renewed as long as the attempt is at work.
func (a *Attempt) Lease() store.Lease { return a.runner.lease(a.owner) }

// Holds tells whether somebody is at work under a lease: another process as long as it lasts, and this one as long as
// the attempt that has it.
func (a *Attempt) Holds(lease store.Lease) bool { return a.runner.holds(lease) }

const (
	// While another process is at work on a key, it is asked for the answer again soon at first, then less often.
	answerFirst, answerMost = 20 * time.Millisecond, 500 * time.Millisecond
	// answerLimit is how long it is waited for: longer than the lease of a process that died lasts.
	answerLimit = 2 * leaseTime
	// answerMargin is how long before the caller's deadline it is no longer waited for, so that the caller learns why.
	answerMargin = 100 * time.Millisecond
)

// begin claims the key. It gives the record when there is an answer already. While another process is at work on
// it, it waits as long as the caller's deadline allows.
func (a *Attempt) begin(ctx context.Context) (*store.Idempotency, error) {
	limit := time.Now().Add(answerLimit)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-answerMargin).Before(limit) {
		limit = deadline.Add(-answerMargin)
	}
	for wait := answerFirst; ; wait = min(2*wait, answerMost) {
		answer, err := a.claim(ctx)
		if !errors.Is(err, store.ErrClaimed) {
			return answer, err
		}
		if time.Until(limit) < wait {
			return nil, kerr.New(errorv1.Error_STORE_UNAVAILABLE, "the same request is at work; try again",
				kerr.WithRetry(time.Second))
		}
		slot.Wait(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// beginOr begins, and calls free unless the attempt goes on: also when it panics, or the key would stay taken for as
// long as the process lives.
func (a *Attempt) beginOr(ctx context.Context, free func()) (answer *store.Idempotency, err error) {
	goesOn := false
	defer func() {
		if !goesOn {
			free()
		}
	}()
	answer, err = a.begin(ctx)
	goesOn = err == nil && answer == nil
	return answer, err
}

// claim claims the key if nobody is at work on it, else ErrClaimed. It gives the record when there is an answer.
func (a *Attempt) claim(ctx context.Context) (answer *store.Idempotency, err error) {
	r := a.runner
	var begun time.Time
	var resumed bool
	err = r.Store.Update(ctx, a.Tenant, func(tx store.Tx) error {
		answer, begun, resumed = nil, a.begun, false
		have, err := tx.Idempotency(a.method, a.key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return tx.InsertIdempotency(a.record(begun))
		case err != nil:
			return err
		case !bytes.Equal(have.Request, a.request):
			return kerr.New(errorv1.Error_IDEMPOTENCY_KEY_REUSED, "another request came with this idempotency key")
		case !have.Done && r.holds(have.Lease):
			return store.ErrClaimed
		case !have.Done:
			// Who was at work on it is gone. If a write may have happened, that is the answer; else the request goes
			// on.
			if answer, err = r.settleRecord(tx, have); err != nil || answer != nil {
				return err
			}
			begun, resumed = have.CreateTime, true
			return tx.TakeOverIdempotency(have, a.Lease())
		}
		answer = have
		return nil
	})
	if err == nil {
		a.begun, a.Resumed = begun, resumed
	}
	return answer, err
}

// record is the key's, claimed by this attempt from now on.
func (a *Attempt) record(begun time.Time) *store.Idempotency {
	return &store.Idempotency{
		Tenant: a.Tenant, Method: a.method, Key: a.key, Request: a.request, Lease: a.Lease(), CreateTime: begun,
	}
}

// Done stores the answer with the result, in the result's transaction, and closes the intent.
func (a *Attempt) Done(tx store.Tx, resp proto.Message) error {
	if err := a.Settle(tx, store.IntentDone); err != nil {
		return err
	}
	if a.key == "" {
		return nil
	}
	body, err := proto.Marshal(resp)
	if err != nil {
		return err
	}
	return tx.CompleteIdempotency(&store.Idempotency{
		Tenant: a.Tenant, Method: a.method, Key: a.key, Lease: store.Lease{Owner: a.owner}, CustomerID: a.CustomerID,
		ConsentID: a.ConsentID, Response: body,
	})
}

// Answer stores the answer by itself, for work whose result is stored already.
func (a *Attempt) Answer(ctx context.Context, resp proto.Message) error {
	if a.key == "" {
		return nil
	}
	return a.runner.Store.Update(ctx, a.Tenant, func(tx store.Tx) error { return a.Done(tx, resp) })
}

// failed settles the record of a request that failed. What may have happened stays on record as the answer,
// unless the provider recognises a repetition. Where the store failed beside a provider that did what it was asked to,
// or recognises a repetition, the record is left as that of a process that died: the repetition finds what stands and
// goes on from there. Any other failure frees the key.
func (a *Attempt) failed(ctx context.Context, failure error) error {
	outcomeUnknown := kerr.Reason(failure) == errorv1.Error_OUTCOME_UNKNOWN
	if a.pinned || outcomeUnknown && !a.unknown {
		return failure
	}
	err := a.runner.Store.Update(ctx, a.Tenant, func(tx store.Tx) error {
		if !outcomeUnknown || a.Repeatable {
			return tx.DeleteIdempotency(a.method, a.key, a.owner)
		}
		return a.pin(tx, failure)
	})
	// The record is no longer this attempt's when it went with its customer, or another process took it over.
	if err != nil && !errors.Is(err, store.ErrClaimLost) {
		a.runner.Log.ErrorContext(ctx, "idempotency record left open", "method", a.method, "error", err.Error())
	}
	return failure
}

// pin makes a failure the answer of the record, within a transaction.
func (a *Attempt) pin(tx store.Tx, failure error) error {
	body, err := proto.Marshal(status.Convert(failure).Proto())
	if err != nil {
		return err
	}
	return tx.CompleteIdempotency(&store.Idempotency{
		Tenant: a.Tenant, Method: a.method, Key: a.key, Lease: store.Lease{Owner: a.owner}, CustomerID: a.CustomerID,
		ConsentID: a.ConsentID, Failure: body,
	})
}

// Own answers ErrClaimLost, within a transaction, when the attempt's record is no longer its own: another process took
// the request over while this one stood still, and does the same work under the same ids. An attempt without a key has
// no record to lose.
func (a *Attempt) Own(tx store.Tx) error {
	if a.key == "" {
		return nil
	}
	record, err := tx.Idempotency(a.method, a.key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.ErrClaimLost
	case err != nil:
		return err
	case record.Lease.Owner != a.owner, record.Done && !a.pinned: // with an answer that somebody else gave
		return store.ErrClaimLost
	}
	return nil
}

// Intend stores the note that a write to a provider is about to be made, with whatever else must be durable
// before it. It answers ErrClaimLost when another process took the request over: the provider must not be asked then.
// Of work that DoAtOnce runs it claims the key, in the same transaction.
func (a *Attempt) Intend(
	ctx context.Context, p *providers.Provider, operation, resource string, also func(store.Tx) error,
) error {
	intent := &store.Intent{
		Tenant: a.Tenant, ID: service.NewID(), Provider: p.ID, Operation: operation, Resource: resource,
		CustomerID: a.CustomerID, State: store.IntentOpen,
	}
	if a.key != "" && !a.Repeatable {
		intent.IdempotencyMethod, intent.IdempotencyKey = a.method, a.key
	}
	claims, durable := a.unclaimed, false
	err := a.Update(ctx, func(tx store.Tx) (err error) {
		defer func() { durable = err == nil }()
		if claims {
			err = tx.InsertIdempotency(a.record(a.begun))
		} else {
			err = a.Own(tx)
		}
		if err != nil {
			return err
		}
		if err := a.GoOn(ctx); err != nil {
			return err
		}
		// The transaction may have waited for others: a lease from before that would be over too soon.
		now := a.runner.Clock.Now()
		intent.Lease, intent.CreateTime, intent.UpdateTime = a.Lease(), now, now
		if err := tx.InsertIntent(intent); err != nil {
			return err
		}
		if also != nil {
			return also(tx)
		}
		return nil
	})
	if err == nil {
		a.intent, a.resource = intent.ID, resource
	}
	a.unclaimed = claims && !durable // What failed behind that, with the COMMIT, may be durable all the same.
	return err
}

// Settle closes the open intent within a transaction.
func (a *Attempt) Settle(tx store.Tx, state store.IntentState) error {
	if a.intent == "" {
		return nil
	}
	return tx.UpdateIntent(a.intent, state, a.runner.Clock.Now())
}

// Settled says that the transaction in which the open intent was closed is durable.
func (a *Attempt) Settled() { a.intent = "" }

// Abandon closes the open intent after the provider's answer was a failure, with whatever else must be stored
// about it. It returns the failure. That the outcome is unknown becomes the key's answer in the same
// transaction: a closed intent no longer keeps the key from being used again.
func (a *Attempt) Abandon(ctx context.Context, failure error, also func(store.Tx) error) error {
	state, answer := store.IntentFailed, service.CallError(failure)
	if service.MayHaveHappened(failure) {
		state, answer = store.IntentUnknown, naming(service.CallError(failure), a.resource)
		a.unknown = true
	}
	pins := state == store.IntentUnknown && a.key != "" && !a.Repeatable
	// Of an intent that stays open others take the outcome for unknown, although the provider told it.
	err := a.runner.Store.Update(service.Patient(ctx), a.Tenant, func(tx store.Tx) error {
		if err := a.Settle(tx, state); err != nil {
			return err
		}
		if pins {
			if err := a.pin(tx, answer); err != nil {
				return err
			}
		}
		if also != nil {
			return also(tx)
		}
		return nil
	})
	if err != nil {
		a.runner.Log.ErrorContext(ctx, "intent left open", "method", a.method, "intent", a.intent, "error", err.Error())
	}
	a.pinned = pins && err == nil
	a.intent = ""
	var answered *providers.Error
	if a.Repeatable && errors.As(failure, &answered) && answered.Status != 0 {
		// The provider answered, and it recognises a repetition: the caller may simply try again with the same key.
		plain := *answered
		plain.MayHaveHappened = false
		return service.CallError(&plain)
	}
	return answer
}

// naming adds to a failure of unknown outcome the name under which the caller can look what became of it.
func naming(failure error, resource string) error {
	if strings.HasPrefix(resource, "shipments/") {
		return kerr.With(failure, "shipment", resource)
	}
	return failure
}

// Unrecorded is the error for what a provider did and the store did not take. Where the provider recognises a
// repetition, a request that another process took over goes on there: its answer is the only one, and the caller gets
// it by trying again.
func (a *Attempt) Unrecorded(ctx context.Context, p *providers.Provider, operation string, cause error) error {
	a.runner.Log.ErrorContext(ctx, "provider wrote, store did not", "provider", p.ID, "operation", operation,
		"intent", a.intent, "error", cause.Error())
	if a.Repeatable && errors.Is(cause, store.ErrClaimLost) {
		return cause
	}
	a.unknown = !a.Repeatable
	return naming(service.Unrecorded(kerr.WithMetadata(kerr.KeyProvider, p.ID),
		kerr.WithMetadata(kerr.KeyOperation, operation)), a.resource)
}

// ProviderKey derives the key by which the provider recognises a repetition of this request. Without a
// caller's key there is none. The request is part of it: a key whose request failed may come with another
// one, for another person.
func (a *Attempt) ProviderKey() string {
	if a.key == "" {
		return uuid.NewString()
	}
	return uuid.NewSHA1(uuid.NameSpaceURL, a.derive("provider key")).String()
}

// NewID makes the id of a resource that is stored before the request is answered. Of a request with a key it
// is always the same, so that a repetition finds what stands already; like all ids it begins with the time,
// here that of the first attempt.
func (a *Attempt) NewID() string {
	id := uuid.Must(uuid.NewV7())
	if a.key == "" {
		return id.String()
	}
	ms := a.begun.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	copy(id[6:], a.derive("id")[:10])
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80 // version 7, RFC 9562's variant
	return id.String()
}

// derive gives bytes that are always the same for this request with its key, and that nobody else can compute.
func (a *Attempt) derive(what string) []byte {
	return a.runner.Keys.MAC(keys.Requests, a.Tenant, []byte(what), []byte(a.method), []byte(a.key), a.request)
}

// replay gives the stored answer.
func replay[Resp proto.Message](answer *store.Idempotency, err error) (Resp, error) {
	var none Resp
	if err != nil {
		return none, err
	}
	if answer.Erased {
		return none, service.NotFound(errorv1.Error_CONSENT_NOT_FOUND, "consent")
	}
	if len(answer.Failure) > 0 {
		var failure statuspb.Status
		if err := proto.Unmarshal(answer.Failure, &failure); err != nil {
			return none, err
		}
		return none, status.FromProto(&failure).Err()
	}
	resp, ok := none.ProtoReflect().New().Interface().(Resp)
	if !ok {
		return none, errors.New("once: a message is not of its own type")
	}
	if err := proto.Unmarshal(answer.Response, resp); err != nil {
		return none, err
	}
	return resp, nil
}

// hashKey gives what stands for a caller's key in the store: callers may put into it what they like. It is "" for none.
func (r *Runner) hashKey(tenant, method, key string) string {
	if key == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(
		r.Keys.MAC(keys.Requests, tenant, []byte("key"), []byte(method), []byte(key)))
}

// requestLookup hashes a request without its key. The hash is keyed: requests hold national ids, which could be guessed
// from a plain one. It depends on the store's keys alone, so that no change of a provider's credentials makes a request
// another one.
func (r *Runner) requestLookup(tenant, method string, req keyed) (store.Lookup, error) {
	bare := proto.Clone(req)
	field := bare.ProtoReflect().Descriptor().Fields().ByName("request_id")
	bare.ProtoReflect().Clear(field)
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare)
	if err != nil {
		return nil, err
	}
	return r.Keys.MAC(keys.Requests, tenant, []byte("request"), []byte(method), body), nil
}
