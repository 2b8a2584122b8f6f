package service

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

const (
	// idempotencyKept is how long an answer is remembered; callers are promised 24 hours.
	idempotencyKept = 48 * time.Hour
	// intentsKept is how long a closed intent is remembered: long enough to look into one of unknown outcome.
	intentsKept = 30 * 24 * time.Hour
	// writeTimeout bounds a creating request that goes on although its caller left.
	writeTimeout = 90 * time.Second
)

// creation is one attempt of a creating request. It belongs to at most one idempotency record.
type creation struct {
	s          *Service
	tenant     string
	method     string
	key        string // "" when the caller sent none
	hash       [32]byte
	operation  string
	repeatable bool
	// begun is when the request first came, resumed that a process stopped in the middle of it, so that parts of it may stand already.
	begun    time.Time
	resumed  bool
	intent   string
	resource string // what the newest intent is for
	pinned   bool   // the record has its answer
}

// keyed is a request that carries an idempotency key.
type keyed interface {
	proto.Message
	GetRequestId() string
}

// create runs a creating request. With an idempotency key, the same request gives the same answer, work that is under way is waited for, and
// another request with the key is refused. The work goes on when the caller leaves, so that what happens at the provider is recorded.
//
// work must commit its result in a transaction that calls creation.done, so that result and answer become durable together.
func create[Req keyed, Resp proto.Message](ctx context.Context, s *Service, method string, req Req, work func(context.Context, *creation) (Resp, error)) (Resp, error) {
	var none Resp
	c := &creation{s: s, tenant: tenantOf(ctx), method: method, key: req.GetRequestId(), operation: uuid.NewString(), begun: s.now()}
	if c.key == "" {
		c.key = identity.IdempotencyKey(ctx)
	}
	if c.key == "" {
		return detached(ctx, s, func(ctx context.Context) (Resp, error) { return work(ctx, c) })
	}
	hash, err := s.requestHash(c.tenant, req)
	if err != nil {
		return none, err
	}
	c.hash = hash
	for {
		done := s.inFlight.enter(c.id())
		if done != nil { // another call of this process is at work on the key
			select {
			case <-done:
				continue
			case <-ctx.Done():
				return none, ctx.Err()
			}
		}
		answer, err := c.begin(ctx)
		if err != nil || answer != nil {
			s.inFlight.leave(c.id())
			return replay[Resp](answer, err)
		}
		return detached(ctx, s, func(ctx context.Context) (Resp, error) {
			defer s.inFlight.leave(c.id())
			resp, err := work(ctx, c)
			if err != nil {
				err = c.failed(ctx, err)
			}
			return resp, err
		})
	}
}

// detached runs work that must be finished once it is begun. The caller gets its result, or leaves before.
func detached[Resp any](ctx context.Context, s *Service, work func(context.Context) (Resp, error)) (Resp, error) {
	type result struct {
		resp Resp
		err  error
	}
	results := make(chan result, 1)
	s.running.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
		defer cancel()
		var r result
		defer func() {
			// The server's recovery does not reach this goroutine.
			if fault := recover(); fault != nil {
				s.log.ErrorContext(ctx, "panic", "stack", string(debug.Stack()), "request_id", identity.RequestID(ctx))
				r.err = kerr.New(errorv1.Error_INTERNAL, "internal error")
			}
			results <- r
		}()
		r.resp, r.err = work(ctx)
	})
	select {
	case r := <-results:
		return r.resp, r.err
	case <-ctx.Done():
		var none Resp
		return none, ctx.Err()
	}
}

// id identifies the record in this process.
func (c *creation) id() string { return c.tenant + "\x00" + c.method + "\x00" + c.key }

// begin claims the key. It gives the record when there is an answer already.
func (c *creation) begin(ctx context.Context) (*store.Idempotency, error) {
	var answer *store.Idempotency
	err := c.s.update(ctx, func(tx store.Tx) error {
		answer = nil
		claim := &store.Idempotency{
			Tenant: c.tenant, Method: c.method, Key: c.key, RequestHash: c.hash, Operation: c.operation, CreateTime: c.begun,
		}
		have, err := tx.Idempotency(c.tenant, c.method, c.key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return tx.InsertIdempotency(claim)
		case err != nil:
			return err
		case have.RequestHash != c.hash:
			return kerr.New(errorv1.Error_IDEMPOTENCY_KEY_REUSED, "another request came with this idempotency key")
		case !have.Done && have.Operation == "": // released: a process stopped in the middle of it
			c.begun, c.resumed = have.CreateTime, true
			claim.CreateTime = have.CreateTime
			if err := tx.DeleteIdempotency(c.tenant, c.method, c.key); err != nil {
				return err
			}
			return tx.InsertIdempotency(claim)
		case !have.Done:
			// At work elsewhere: another process shares the store.
			return kerr.New(errorv1.Error_STORE_UNAVAILABLE, "the same request is at work; try again", kerr.WithRetry(time.Second))
		}
		answer = have
		return nil
	})
	return answer, err
}

// done stores the answer with the result, in the result's transaction, and closes the intent.
func (c *creation) done(tx store.Tx, resp proto.Message) error {
	if err := c.settle(tx, store.IntentDone); err != nil {
		return err
	}
	if c.key == "" {
		return nil
	}
	body, err := proto.Marshal(resp)
	if err != nil {
		return err
	}
	return tx.CompleteIdempotency(&store.Idempotency{
		Tenant: c.tenant, Method: c.method, Key: c.key, RequestHash: c.hash, Operation: c.operation, Done: true, Response: body,
	})
}

// failed settles the record of a request that failed. What may have happened stays on record as the answer, unless the provider recognises
// a repetition; any other failure frees the key.
func (c *creation) failed(ctx context.Context, failure error) error {
	if c.pinned {
		return failure
	}
	err := c.s.update(ctx, func(tx store.Tx) error {
		if kerr.Reason(failure) != errorv1.Error_OUTCOME_UNKNOWN || c.repeatable {
			return tx.DeleteIdempotency(c.tenant, c.method, c.key)
		}
		return c.pin(tx, failure)
	})
	if err != nil {
		c.s.log.ErrorContext(ctx, "idempotency record left open", "method", c.method, "error", err.Error())
	}
	return failure
}

// pin makes a failure the answer of the record, within a transaction.
func (c *creation) pin(tx store.Tx, failure error) error {
	body, err := proto.Marshal(status.Convert(failure).Proto())
	if err != nil {
		return err
	}
	return tx.CompleteIdempotency(&store.Idempotency{
		Tenant: c.tenant, Method: c.method, Key: c.key, RequestHash: c.hash, Operation: c.operation, Done: true, Failure: body,
	})
}

// intend stores the note that a write to a provider is about to be made, with whatever else must be durable before it.
func (c *creation) intend(ctx context.Context, p *providers.Provider, operation, resource string, also func(store.Tx) error) error {
	now := c.s.now()
	c.intent, c.resource = newID(), resource
	intent := &store.Intent{
		Tenant: c.tenant, ID: c.intent, Provider: p.ID, Operation: operation, Resource: resource, State: store.IntentOpen, CreateTime: now,
		UpdateTime: now,
	}
	if c.key != "" && !c.repeatable {
		intent.IdempotencyMethod, intent.IdempotencyKey = c.method, c.key
	}
	return c.s.update(ctx, func(tx store.Tx) error {
		if err := tx.InsertIntent(intent); err != nil {
			return err
		}
		if also != nil {
			return also(tx)
		}
		return nil
	})
}

// settle closes the open intent within a transaction.
func (c *creation) settle(tx store.Tx, state store.IntentState) error {
	if c.intent == "" {
		return nil
	}
	return tx.UpdateIntent(c.tenant, c.intent, state, c.s.now())
}

// abandon closes the open intent after the provider's answer was a failure, with whatever else must be stored about it. It returns the
// failure. That the outcome is unknown becomes the key's answer in the same transaction: a closed intent no longer keeps the key from being
// used again.
func (c *creation) abandon(ctx context.Context, failure error, also func(store.Tx) error) error {
	state, answer := store.IntentFailed, callError(failure)
	if mayHaveHappened(failure) {
		state, answer = store.IntentUnknown, naming(callError(failure), c.resource)
	}
	pins := state == store.IntentUnknown && c.key != "" && !c.repeatable
	err := c.s.update(ctx, func(tx store.Tx) error {
		if err := c.settle(tx, state); err != nil {
			return err
		}
		if pins {
			if err := c.pin(tx, answer); err != nil {
				return err
			}
		}
		if also != nil {
			return also(tx)
		}
		return nil
	})
	if err != nil {
		c.s.log.ErrorContext(ctx, "intent left open", "method", c.method, "intent", c.intent, "error", err.Error())
	}
	c.pinned = pins && err == nil
	c.intent = ""
	var answered *providers.Error
	if c.repeatable && errors.As(failure, &answered) && answered.Status != 0 {
		// The provider answered, and it recognises a repetition: the caller may simply try again with the same key.
		plain := *answered
		plain.MayHaveHappened = false
		return callError(&plain)
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

// unrecorded is the error for what a provider did and the store did not take.
func (c *creation) unrecorded(ctx context.Context, p *providers.Provider, operation string, cause error) error {
	c.s.log.ErrorContext(ctx, "provider wrote, store did not", "provider", p.ID, "operation", operation, "intent", c.intent,
		"error", cause.Error())
	return naming(kerr.New(errorv1.Error_OUTCOME_UNKNOWN, "the provider did it, and the gateway could not record it",
		kerr.WithMetadata(kerr.KeyProvider, p.ID), kerr.WithMetadata(kerr.KeyOperation, operation)), c.resource)
}

// providerKey derives the key by which the provider recognises a repetition of this request. Without a caller's key there is none. The
// request is part of it: a key whose request failed may come with another one, for another person.
func (c *creation) providerKey() string {
	if c.key == "" {
		return uuid.NewString()
	}
	return uuid.NewSHA1(uuid.NameSpaceURL, append([]byte(c.id()), c.hash[:]...)).String()
}

// newID makes the id of a resource that is stored before the request is answered. Of a request with a key it is always the same, so that a
// repetition finds what stands already; like all ids it begins with the time, here that of the first attempt.
func (c *creation) newID() string {
	id := uuid.Must(uuid.NewV7())
	if c.key == "" {
		return id.String()
	}
	ms := c.begun.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	same := sha256.Sum256(append([]byte("id\x00"+c.id()), c.hash[:]...))
	copy(id[6:], same[:10])
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80 // version 7, RFC 9562's variant
	return id.String()
}

// replay gives the stored answer.
func replay[Resp proto.Message](answer *store.Idempotency, err error) (Resp, error) {
	var none Resp
	if err != nil {
		return none, err
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
		return none, errors.New("service: a message is not of its own type")
	}
	if err := proto.Unmarshal(answer.Response, resp); err != nil {
		return none, err
	}
	return resp, nil
}

// requestHash hashes a request without its key. It is keyed with the tenant's pepper: requests hold national ids, which could be guessed
// from a plain hash.
func (s *Service) requestHash(tenant string, req keyed) ([32]byte, error) {
	bare := proto.Clone(req)
	field := bare.ProtoReflect().Descriptor().Fields().ByName("request_id")
	bare.ProtoReflect().Clear(field)
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare)
	if err != nil {
		return [32]byte{}, err
	}
	mac := hmac.New(sha256.New, s.tenants[tenant].Pepper)
	mac.Write(body)
	return [32]byte(mac.Sum(nil)), nil
}

// inFlight lets the calls of this process with one key go one after the other.
type inFlight struct {
	mu   sync.Mutex
	busy map[string]chan struct{}
}

// enter claims a key. When it is taken it gives a channel that is closed once it is free.
func (f *inFlight) enter(key string) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if done, ok := f.busy[key]; ok {
		return done
	}
	if f.busy == nil {
		f.busy = make(map[string]chan struct{})
	}
	f.busy[key] = make(chan struct{})
	return nil
}

// leave frees a key.
func (f *inFlight) leave(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.busy[key])
	delete(f.busy, key)
}

// exclusive claims a key, waiting for it. release frees it.
func (f *inFlight) exclusive(ctx context.Context, key string) (release func(), err error) {
	for {
		busy := f.enter(key)
		if busy == nil {
			return func() { f.leave(key) }, nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Reconcile settles at start what a crash left open, before the first call is taken. A write whose outcome was not stored may or may not have
// happened; it is not repeated.
func (s *Service) Reconcile(ctx context.Context) error {
	for {
		var open []*store.Intent
		err := s.update(ctx, func(tx store.Tx) error {
			var err error
			if open, err = tx.OpenIntents(100); err != nil {
				return err
			}
			for _, intent := range open {
				if err := tx.UpdateIntent(intent.Tenant, intent.ID, store.IntentUnknown, s.now()); err != nil {
					return err
				}
				if err := s.pinUnknown(tx, intent); err != nil {
					return err
				}
				if err := tx.AppendAudit(&store.Audit{
					Time: s.now(), Tenant: intent.Tenant, Actor: actorKontor, Method: intent.Operation, Resource: intent.Resource,
					Outcome: errorv1.Error_OUTCOME_UNKNOWN.String(),
				}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, intent := range open {
			s.log.WarnContext(ctx, "a write was interrupted", "tenant", intent.Tenant, "provider", intent.Provider,
				"operation", intent.Operation, "resource", intent.Resource)
		}
		if len(open) < 100 {
			break
		}
	}
	// Records that are still open waited for nothing that could have happened, or for what the provider recognises: a repetition goes on.
	return s.update(ctx, func(tx store.Tx) error { return tx.ReleaseIdempotency() })
}

// pinUnknown makes OUTCOME_UNKNOWN the answer of the record that waited for an interrupted write.
func (s *Service) pinUnknown(tx store.Tx, intent *store.Intent) error {
	if intent.IdempotencyKey == "" {
		return nil
	}
	record, err := tx.Idempotency(intent.Tenant, intent.IdempotencyMethod, intent.IdempotencyKey)
	if errors.Is(err, store.ErrNotFound) || err == nil && record.Done {
		return nil
	}
	if err != nil {
		return err
	}
	unknown := naming(kerr.New(errorv1.Error_OUTCOME_UNKNOWN, "the gateway stopped while the provider was asked; it is not repeated by itself",
		kerr.WithMetadata(kerr.KeyProvider, intent.Provider), kerr.WithMetadata(kerr.KeyOperation, intent.Operation)), intent.Resource)
	if record.Failure, err = proto.Marshal(status.Convert(unknown).Proto()); err != nil {
		return err
	}
	record.Done = true
	return tx.CompleteIdempotency(record)
}

// sweep forgets what need not be remembered any longer.
func (s *Service) sweep(ctx context.Context) {
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	for {
		err := s.update(ctx, func(tx store.Tx) error {
			if _, err := tx.DeleteIdempotencyBefore(s.now().Add(-idempotencyKept)); err != nil {
				return err
			}
			if _, err := tx.DeleteIntentsBefore(s.now().Add(-intentsKept)); err != nil {
				return err
			}
			if s.retention > 0 {
				if _, err := tx.DeleteAuditBefore(s.now().Add(-s.retention)); err != nil {
					return err
				}
			}
			_, err := tx.DeleteCallbacksBefore(s.now())
			return err
		})
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "sweep failed", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
