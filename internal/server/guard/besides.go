package guard

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/tap"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
)

// What is served beside the API: health to anybody, as far as it costs next to nothing, and the API's description to
// clients.

// Health is what answers health checks.
type Health interface {
	Check(ctx context.Context, request *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error)
}

// Bounds of health checks, which need no key.
const (
	maxHealthRequest = 512             // bytes: a service's name
	healthTimeout    = 5 * time.Second // for the request to arrive
	maxHealthChecks  = 1024            // at one time
	maxHealthFrom    = 64              // of them from one address
)

// RegisterHealth serves health checks to anybody. Of the service there is Check alone: a Watch would be a stream that
// anybody may hold open.
func RegisterHealth(to grpc.ServiceRegistrar, health Health) {
	checks := &shares{max: maxHealthChecks}
	check := func(_ any, stream grpc.ServerStream) error {
		known(stream.Context())
		request := &healthpb.HealthCheckRequest{}
		from := identity.Identity{Tenant: addressOf(stream.Context())}
		if release, ok := checks.takeUpTo(from, 1, maxHealthFrom); ok {
			defer release()
			body := receiver{most: maxHealthRequest, within: healthTimeout, hold: func(int64) error { return nil }}
			if err := body.receive(stream, request); err != nil {
				return finished(err)
			}
		} // Else it is told how all are, so that nobody keeps others of an address from asking.
		answer, err := health.Check(stream.Context(), request)
		if err != nil {
			return finished(kerr.New(errorv1.Error_ROUTE_NOT_FOUND, "there is no such service"))
		}
		return stream.SendMsg(answer)
	}
	desc := healthpb.Health_ServiceDesc
	desc.HandlerType, desc.Methods = nil, nil
	desc.Streams = []grpc.StreamDesc{{StreamName: "Check", Handler: check}}
	to.RegisterService(&desc, nil)
}

func finished(err error) error {
	err, _ = kerr.Finish(err, "")
	return err
}

// addressOf gives the address that a call of gRPC came from, without the port.
func addressOf(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	if tcp, ok := p.Addr.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("").String()
	}
	return p.Addr.String()
}

// maxReflections bounds how many clients are told about the API at one time: one answer that nobody reads takes up a
// hundred kilobytes.
const maxReflections = 32

// Reflection gives a registrar for the services that describe the API. Whoever is a client may call them.
func (g *Guard) Reflection(to reflection.GRPCServer) reflection.GRPCServer { return described{to, g} }

type described struct {
	reflection.GRPCServer
	guard *Guard
}

// RegisterService implements grpc.ServiceRegistrar.
func (d described) RegisterService(desc *grpc.ServiceDesc, service any) {
	wrapped := *desc
	wrapped.Streams = slices.Clone(desc.Streams)
	for i := range wrapped.Streams {
		s := &wrapped.Streams[i]
		s.Handler = d.guard.describing(d.guard.beside(desc.ServiceName, s.StreamName), s.Handler)
	}
	d.GRPCServer.RegisterService(&wrapped, service)
}

// beside gives the rule of a stream that is no method of the API.
func (g *Guard) beside(service, method string) rule {
	return rule{
		service: service, method: method, stream: true, metrics: g.telemetry.RPC.Method(service, method, true),
	}
}

// describing guards a method that describes the API. Its requests are read by the library, which bounds them.
func (g *Guard) describing(r rule, method grpc.StreamHandler) grpc.StreamHandler {
	return func(service any, stream grpc.ServerStream) (err error) {
		defer g.running.add()()
		c := g.begin(stream.Context(), r, g.senderOf(stream.Context()))
		defer func() { c.leave() }()
		defer func() { err = c.end(recover(), err) }()
		c.sendRequestID(stream)
		if err := c.enter(); err != nil {
			return err
		}
		release, ok := g.reflections.take(c.client, 1)
		if !ok {
			return errBusy("questions about the API")
		}
		defer release()
		return method(service, stream)
	}
}

// maxStrangers bounds how many calls of gRPC there are at one time of which nobody knows yet who sent them. It takes
// microseconds to find out, so that only a flood ever has so many; what each holds is its headers.
const maxStrangers = 2000

type strangerKey struct{}

// arrival is a call of gRPC as it came.
type arrival struct {
	known  func()
	header metadata.MD
}

// Tap counts a call of gRPC until its caller is known, and refuses it when there are too many. It is for
// grpc.InTapHandle.
func (g *Guard) Tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if strings.LastIndexByte(info.FullMethodName, '/') < 1 {
		return ctx, nil // It will reach no handler.
	}
	if g.unknown.Add(1) > maxStrangers {
		g.unknown.Add(-1)
		return nil, finished(errBusy("calls"))
	}
	return context.WithValue(ctx, strangerKey{}, &arrival{
		sync.OnceFunc(func() { g.unknown.Add(-1) }), info.Header,
	}), nil
}

// known ends what Tap began.
func known(ctx context.Context) {
	if a, ok := ctx.Value(strangerKey{}).(*arrival); ok {
		a.known()
	}
}

// forget empties the headers of a stranger's call. The library keeps them until its answer is written, which may be as
// late as the caller likes; nobody else has them, since nothing was begun for the call.
func forget(ctx context.Context) {
	if a, ok := ctx.Value(strangerKey{}).(*arrival); ok {
		clear(a.header)
	}
}
