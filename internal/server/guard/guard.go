package guard

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/api"
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/server/origin"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/telemetry"
)

// Options are what a guard is made of.
type Options struct {
	// Services are the services that it stands before.
	Services []api.Implementation
	// Authenticator finds out who calls; see NewKeys.
	Authenticator Authenticator
	// Limits bound what callers can use up.
	Limits config.Limits
	// Quotas is where clients' quotas are counted together with other processes; nil where this one serves alone. See
	// Guard.ShareQuotas.
	Quotas store.Quotas
	// Proxies are whose word on where a gRPC call came from is taken. HTTP's is in the context that Admit gets.
	Proxies origin.Proxies
	// Vouch is told of each call whose sender is known, with the context that it came with. May be nil.
	Vouch func(ctx context.Context)
	// BodyTimeout is how long the request of a call of gRPC may take to arrive.
	BodyTimeout time.Duration
	// Telemetry records what happens.
	Telemetry *telemetry.Telemetry
	// Audit notes a change, a read of bank data, or a call without the scope for it, that was refused or failed.
	// Resource is the name that the caller gave, which may be none of Kontor's. It gives what the caller is told: the
	// failure, or another one when that could not be noted. May be nil.
	Audit func(ctx context.Context, method, resource string, failure error) error
}

// Guard stands before every method of the API. It wraps service descriptions instead of being an interceptor, since
// interceptors come too late for one thing: a request is read only after its sender was let in.
type Guard struct {
	services      []api.Implementation
	rules         map[string]rule
	nowhere       rule // of what is called and does not exist
	authenticator Authenticator
	quotas        quotas
	// calls and streams are the places for those under way, bodies the bytes of their requests.
	calls, streams, bodies shares
	reflections            shares
	watchers               watchers
	unknown                atomic.Int64
	timeout, bodyTimeout   time.Duration
	validation             *validation
	telemetry              *telemetry.Telemetry
	clock                  func() time.Time
	proxies                origin.Proxies
	vouch                  func(context.Context)
	strangers              *Sampler
	audit                  func(ctx context.Context, method, resource string, failure error) error
	// running counts calls under way, so that a stop can wait for them.
	running tally
}

// New makes a guard. A method that gives no rule is an error: nothing is served by default.
func New(o Options) (*Guard, error) {
	rules, requests, err := newRules(o.Services, o.Limits.MaxRequestBytes)
	if err != nil {
		return nil, err
	}
	validation, err := newValidation(requests)
	if err != nil {
		return nil, err
	}
	for method, r := range rules {
		r.metrics = o.Telemetry.RPC.Method(r.service, r.method, r.stream)
		r.metrics.Expect()
		rules[method] = r
	}
	g := &Guard{
		services: o.Services, rules: rules, authenticator: o.Authenticator, validation: validation,
		telemetry: o.Telemetry, clock: time.Now, timeout: o.Limits.Timeout, bodyTimeout: o.BodyTimeout, audit: o.Audit,
		calls: shares{max: int64(o.Limits.MaxInFlight)}, streams: shares{max: int64(o.Limits.MaxStreams)},
		bodies: shares{max: int64(o.Limits.MaxBodyBytes)}, reflections: shares{max: maxReflections},
		proxies: o.Proxies, vouch: o.Vouch, strangers: newSampler(o.Telemetry.Logger),
	}
	g.nowhere = g.beside("unknown", "unknown")
	g.quotas = quotas{
		perSecond: rate.Limit(o.Limits.RequestsPerSecond), burst: o.Limits.Burst,
		clock: func() time.Time { return g.clock() },
	}
	if o.Quotas != nil {
		g.quotas.shared = &sharedQuotas{
			ledger: o.Quotas, clock: g.quotas.clock, log: o.Telemetry.Logger, come: make(chan struct{}, 1),
			rate: store.QuotaRate{PerSecond: float64(o.Limits.RequestsPerSecond), Burst: float64(o.Limits.Burst)},
		}
	}
	return g, nil
}

// ShareQuotas counts clients' quotas together with other processes, until the context ends.
func (g *Guard) ShareQuotas(ctx context.Context) {
	if g.quotas.shared != nil {
		g.quotas.shared.run(ctx)
	}
}

// Register gives a channel within the process the services with every method guarded.
func (g *Guard) Register(to grpc.ServiceRegistrar) {
	for _, s := range g.services {
		wrapped := *s.Desc
		wrapped.Methods, wrapped.Streams = slices.Clone(s.Desc.Methods), slices.Clone(s.Desc.Streams)
		for i := range wrapped.Methods {
			m := &wrapped.Methods[i]
			m.Handler = g.unary(g.rule(s.Desc, m.MethodName), m.Handler)
		}
		for i := range wrapped.Streams {
			m := &wrapped.Streams[i]
			m.Handler = g.stream(g.rule(s.Desc, m.StreamName), m.Handler)
		}
		to.RegisterService(&wrapped, s.Server)
	}
}

// Strangers bounds the log's lines about requests whose sender nobody knows.
func (g *Guard) Strangers() *Sampler { return g.strangers }

// RegisterGRPC gives a server of gRPC the services with every method guarded. To the server every method is a stream:
// it reads the request of a method that is none before anybody is asked, and unpacks it.
func (g *Guard) RegisterGRPC(to grpc.ServiceRegistrar) {
	for _, s := range g.services {
		wrapped := *s.Desc
		wrapped.Methods, wrapped.Streams = nil, slices.Clone(s.Desc.Streams)
		for i := range wrapped.Streams {
			m := &wrapped.Streams[i]
			m.Handler = g.stream(g.rule(s.Desc, m.StreamName), m.Handler)
		}
		for _, m := range s.Desc.Methods {
			wrapped.Streams = append(wrapped.Streams, grpc.StreamDesc{
				StreamName: m.MethodName, Handler: g.single(g.rule(s.Desc, m.MethodName), m.Handler),
			})
		}
		to.RegisterService(&wrapped, s.Server)
	}
}

func (g *Guard) rule(service *grpc.ServiceDesc, method string) rule {
	return g.rules["/"+service.ServiceName+"/"+method]
}

// Usage is what callers take up at a moment.
type Usage struct {
	// Calls and Streams are under way; Bodies are the bytes of their requests.
	Calls, Streams, Bodies int64
	// Strangers are calls of gRPC of which nobody knows yet who sent them.
	Strangers int64
}

// Usage tells what callers take up now.
func (g *Guard) Usage() Usage {
	return Usage{g.calls.now(), g.streams.now(), g.bodies.now(), g.unknown.Load()}
}

// Wait returns once no call is under way.
func (g *Guard) Wait() { g.running.wait() }

// unary guards a method that answers once, as the channel calls it.
func (g *Guard) unary(r rule, method grpc.MethodHandler) grpc.MethodHandler {
	return func(
		service any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
	) (reply any, err error) {
		c, enter, leave := g.admitted(ctx, r)
		defer g.running.add()()
		defer leave()
		defer func() {
			if err = c.end(recover(), err); err != nil {
				reply = nil
			}
		}()
		if err := enter(); err != nil {
			return nil, err
		}
		return c.answer(service, method, decode)
	}
}

// single guards a method that answers once, as a server of gRPC calls it.
func (g *Guard) single(r rule, method grpc.MethodHandler) grpc.StreamHandler {
	return func(service any, stream grpc.ServerStream) error {
		defer g.running.add()()
		c := g.begin(stream.Context(), r, g.senderOf(stream.Context()))
		defer func() { c.leave() }()
		var packed mem.BufferSlice
		var dropped func()
		err := func() (err error) {
			defer func() { err = c.end(recover(), err) }()
			c.sendRequestID(stream)
			if err := c.enter(); err != nil {
				return err
			}
			var request any
			reply, err := c.answer(service, method, func(into any) error {
				request = into
				return c.receive(stream, into)
			})
			if err != nil {
				return err
			}
			if err := fits(request, reply); err != nil {
				return err
			}
			packed, dropped, err = c.pack(reply)
			return err
		}()
		if err != nil {
			return err
		}
		err = stream.SendMsg(packed)
		if errors.Is(stream.Context().Err(), context.Canceled) {
			dropped()
		}
		return err
	}
}

// answer has a method answer a call that was let in.
func (c *call) answer(service any, method grpc.MethodHandler, decode func(any) error) (any, error) {
	if _, ok := c.ctx.Deadline(); !ok && c.guard.timeout > 0 {
		var cancel context.CancelFunc
		c.ctx, cancel = context.WithTimeout(c.ctx, c.guard.timeout)
		defer cancel()
	}
	return method(service, c.ctx, func(request any) error { return c.read(request, decode) }, nil)
}

// sendRequestID answers with the id of the request.
func (c *call) sendRequestID(stream grpc.ServerStream) {
	if c.transport == "grpc" {
		_ = stream.SetHeader(metadata.Pairs(keyRequestID, c.requestID)) // fails only once headers are sent
	}
}

// Unknown answers a method that is not in the API.
func (g *Guard) Unknown(_ any, stream grpc.ServerStream) error {
	c := g.begin(stream.Context(), g.nowhere, g.senderOf(stream.Context()))
	defer known(stream.Context())
	c.sendRequestID(stream)
	return c.end(nil, kerr.New(errorv1.Error_METHOD_NOT_FOUND, "there is no such method"))
}

// read reads a request and refuses one that does not fit.
func (g *Guard) read(request any, decode func(any) error) error {
	if err := decode(request); err != nil {
		return err
	}
	message, ok := request.(proto.Message)
	if !ok {
		return errors.New("the request is no message")
	}
	return g.validation.check(message)
}

// tally counts what is under way. Unlike a sync.WaitGroup it may be added to while somebody waits, and nobody waits for
// a lock to be counted.
type tally struct {
	count   atomic.Int64
	waiting atomic.Bool

	mu   sync.Mutex
	idle chan struct{} // closed when count is zero; nil when nobody waits
}

// add counts one more, until done is called.
func (t *tally) add() (done func()) {
	t.count.Add(1)
	return func() {
		if t.count.Add(-1) == 0 && t.waiting.Load() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.end()
		}
	}
}

// end tells those who wait that nothing is under way, if that is so. The lock is held.
func (t *tally) end() {
	if t.idle != nil && t.count.Load() == 0 {
		close(t.idle)
		t.idle = nil
		t.waiting.Store(false)
	}
}

// wait returns once nothing is under way.
func (t *tally) wait() {
	t.mu.Lock()
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.waiting.Store(true) // before the count is looked at
	t.end()
	t.mu.Unlock()
	<-idle
}
