package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fullstorydev/grpchan/inprocgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/server/rest"
	"kontor.dev/kontor/internal/telemetry"
)

// Services are the RPC services to serve. All must be set.
type Services struct {
	Customer  customerv1.CustomerServiceServer
	Consent   consentv1.ConsentServiceServer
	Banking   bankingv1.BankingServiceServer
	Insights  insightsv1.InsightsServiceServer
	Documents documentsv1.DocumentServiceServer
	Provider  providerv1.ProviderServiceServer
}

// register hands every service with its description to add.
func (s Services) register(add func(*grpc.ServiceDesc, any)) {
	add(&customerv1.CustomerService_ServiceDesc, s.Customer)
	add(&consentv1.ConsentService_ServiceDesc, s.Consent)
	add(&bankingv1.BankingService_ServiceDesc, s.Banking)
	add(&insightsv1.InsightsService_ServiceDesc, s.Insights)
	add(&documentsv1.DocumentService_ServiceDesc, s.Documents)
	add(&providerv1.ProviderService_ServiceDesc, s.Provider)
}

// Options are what a server is made of.
type Options struct {
	// Listen, Limits, Shutdown, TLS, CORS and Reflection come from the configuration.
	Listen     config.Listen
	Limits     config.Limits
	Shutdown   config.Shutdown
	TLS        *config.TLS
	CORS       config.CORS
	Reflection bool
	// Services answer the calls.
	Services Services
	// Callbacks takes what comes back from providers and browsers.
	Callbacks Callbacks
	// Authenticator finds out who calls; see NewKeys.
	Authenticator Authenticator
	// Audit notes a change, a read of bank data, or a call without the scope for it, that was refused or failed. Resource is the name that the
	// caller gave, which may be none of Kontor's. May be nil.
	Audit func(ctx context.Context, method, resource string, failure error)
	// Telemetry records what happens.
	Telemetry *telemetry.Telemetry
	// OpenAPI is the document served as /openapi.json.
	OpenAPI []byte
	// Ready has the checks of /readyz by what they check.
	Ready map[string]func(context.Context) error
	// Degraded names what does not work although the gateway does, such as one provider, with a reason. It keeps nobody from being ready: one
	// provider's trouble must not take the others' callers away. May be nil.
	Degraded func() map[string]string
	// Stopping is closed by Stop, once, when streams must end: the services get the same channel. Made by New when nil.
	Stopping chan struct{}
}

// Server serves Kontor's API on three listeners.
type Server struct {
	options      Options
	guard        *guard
	grpc         *grpc.Server
	health       *health.Server
	http         *http.Server
	admin        *http.Server
	certificates *certificates // nil for plain text
	listeners    struct{ grpc, http, admin net.Listener }
	draining     atomic.Bool
	stop         sync.Once
	failed       chan error
}

// New builds a server. Nothing listens before Start.
func New(o Options) (*Server, error) {
	o.Stopping = cmp.Or(o.Stopping, make(chan struct{}))
	var services []*grpc.ServiceDesc
	var missing error
	o.Services.register(func(service *grpc.ServiceDesc, implementation any) {
		services = append(services, service)
		if implementation == nil {
			missing = fmt.Errorf("server: %s is not set", service.ServiceName)
		}
	})
	if missing != nil {
		return nil, missing
	}
	guard, err := newGuard(o.Authenticator, o.Limits, o.Telemetry, services)
	if err != nil {
		return nil, err
	}
	guard.audit = o.Audit
	s := &Server{options: o, guard: guard, health: health.NewServer(), failed: make(chan error, 3)}
	if o.TLS != nil {
		if s.certificates, err = newCertificates(*o.TLS, o.Telemetry.Logger, time.Now); err != nil {
			return nil, err
		}
	}
	s.newGRPC()
	if err := s.newHTTP(); err != nil {
		return nil, err
	}
	return s, nil
}

// Bounds of gRPC connections that nobody needs to set.
const (
	maxStreamsPerConnection = 256
	minPing                 = 10 * time.Second // callers who ping more often are cut off
	pingAfter               = time.Minute      // of silence, to notice a caller that is gone
	pingTimeout             = 20 * time.Second
	connectTimeout          = 10 * time.Second
)

func (s *Server) newGRPC() {
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxConcurrentStreams(maxStreamsPerConnection),
		grpc.MaxRecvMsgSize(s.options.Limits.MaxRequestBytes),
		grpc.MaxHeaderListSize(maxHeader),
		grpc.ConnectionTimeout(connectTimeout),
		grpc.UnknownServiceHandler(s.guard.unknown),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			// The library takes zero for "for ever", and spreads the age by a tenth.
			MaxConnectionAge: s.options.Limits.ConnectionAge, MaxConnectionAgeGrace: s.options.Limits.ConnectionAgeGrace,
			Time: pingAfter, Timeout: pingTimeout,
		}),
	}
	if s.certificates != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.certificates.forGRPC())))
	}
	s.grpc = grpc.NewServer(options...)
	s.options.Services.register(func(service *grpc.ServiceDesc, implementation any) {
		s.grpc.RegisterService(s.guard.wrap(service), implementation)
		s.health.SetServingStatus(service.ServiceName, healthpb.HealthCheckResponse_SERVING)
	})
	healthpb.RegisterHealthServer(s.grpc, s.health)
	if s.options.Reflection {
		reflection.Register(s.grpc)
	}
}

func (s *Server) newHTTP() error {
	channel := &inprocgrpc.Channel{}
	s.options.Services.register(func(service *grpc.ServiceDesc, implementation any) {
		channel.RegisterService(s.guard.wrap(service), implementation)
	})
	api, err := rest.New(context.Background(), channel, rest.Options{
		MaxBody: int64(s.options.Limits.MaxRequestBytes),
		Admit: func(r *http.Request) error {
			if _, err := s.options.Authenticator.Authenticate(r.Context(), r.Header.Values("Authorization")); err != nil {
				return errUnauthenticated()
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", api)
	mux.HandleFunc("/", notFound)
	mux.HandleFunc("/v1", notFound) // or it would be sent on to /v1/
	callbacks(mux, s.options.Callbacks, s.options.Telemetry)
	if err := docs(mux, s.options.OpenAPI); err != nil {
		return err
	}
	s.http = newHTTPServer(front(cors(exactPaths(mux), s.options.CORS.AllowedOrigins), s.options.Telemetry, s.options.Limits.Timeout))
	s.admin = newHTTPServer(admin(s.options.Telemetry, readiness{checks: s.options.Ready, degraded: s.options.Degraded, draining: &s.draining}))
	return nil
}

func newHTTPServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		// What net/http says of bad requests may quote them.
		ErrorLog: log.New(io.Discard, "", 0),
	}
}

// Start binds the three listeners and serves on them. When one cannot be bound, none is.
func (s *Server) Start() error {
	for _, bind := range []struct {
		name, address string
		listener      *net.Listener
	}{
		{"grpc", s.options.Listen.GRPC, &s.listeners.grpc},
		{"http", s.options.Listen.HTTP, &s.listeners.http},
		{"admin", s.options.Listen.Admin, &s.listeners.admin},
	} {
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", bind.address)
		if err != nil {
			s.closeListeners()
			return fmt.Errorf("server: listen.%s: %w", bind.name, err)
		}
		*bind.listener = listener
	}
	serve := func(run func() error) {
		go func() {
			if err := run(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) {
				s.failed <- err
			}
		}()
	}
	serve(func() error { return s.grpc.Serve(s.listeners.grpc) })
	serve(func() error {
		if s.certificates == nil {
			return s.http.Serve(s.listeners.http)
		}
		s.http.TLSConfig = s.certificates.forWeb()
		return s.http.ServeTLS(s.listeners.http, "", "")
	})
	serve(func() error { return s.admin.Serve(s.listeners.admin) })
	return nil
}

func (s *Server) closeListeners() {
	for _, listener := range []net.Listener{s.listeners.grpc, s.listeners.http, s.listeners.admin} {
		if listener != nil {
			_ = listener.Close()
		}
	}
}

// Addresses gives the addresses that Start bound, with the ports that it found.
func (s *Server) Addresses() config.Listen {
	return config.Listen{
		GRPC: s.listeners.grpc.Addr().String(), HTTP: s.listeners.http.Addr().String(), Admin: s.listeners.admin.Addr().String(),
	}
}

// Failed gives the error of a listener that broke while serving.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop ends serving: readiness and health go off, after Shutdown.Delay streams end and no connection is taken any more, calls under way have
// Shutdown.Timeout, or until the context ends, to finish, and what is left then is cut off. It returns when no call is under way.
func (s *Server) Stop(ctx context.Context) error {
	var err error
	s.stop.Do(func() { err = s.shutDown(ctx) })
	return err
}
