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

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/peer"

	"kontor.dev/kontor/internal/api"
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/server/guard"
	"kontor.dev/kontor/internal/server/inproc"
	"kontor.dev/kontor/internal/server/origin"
	"kontor.dev/kontor/internal/server/rest"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/telemetry"
)

// Options are what a server is made of.
type Options struct {
	// Listen, Limits, Shutdown, TLS, CORS and Reflection (of gRPC, for clients) come from the configuration.
	Listen     config.Listen
	Limits     config.Limits
	Shutdown   config.Shutdown
	TLS        *config.TLS
	CORS       config.CORS
	Reflection bool
	// Proxies are whose X-Forwarded-For is believed.
	Proxies origin.Proxies
	// Services registers what answers the calls, as one would with a gRPC server: one implementation for each service
	// of package api.
	Services func(grpc.ServiceRegistrar)
	// Callbacks takes what comes back from providers and browsers.
	Callbacks Callbacks
	// Authenticator finds out who calls.
	Authenticator guard.Authenticator
	// Audit notes calls that were refused or failed; see guard.Options. May be nil.
	Audit func(ctx context.Context, method, resource string, failure error) error
	// Quotas is where clients' quotas are counted together with other processes; see guard.Options. May be nil.
	Quotas store.Quotas
	// Telemetry records what happens.
	Telemetry *telemetry.Telemetry
	// OpenAPI is the document served as /openapi.json.
	OpenAPI []byte
	// Sandbox says on the page at / that the providers are played.
	Sandbox bool
	// Ready has the checks of /readyz by what they check.
	Ready map[string]func(context.Context) error
	// Degraded names what does not work although the gateway does, such as one provider, with a reason. It keeps
	// nobody from being ready: one provider's trouble must not take the others' callers away. May be nil.
	Degraded func() map[string]string
	// Admin listens already; made by Start at Listen.Admin when nil.
	Admin *Admin
	// Stopping is closed by Stop, once, when streams must end: the services get the same channel. Made by New when nil.
	Stopping chan struct{}
}

// Server serves Kontor's API on three listeners.
type Server struct {
	options      Options
	guard        *guard.Guard
	grpc         *grpc.Server
	health       *health.Server
	http         *http.Server
	admin        *Admin
	ready        readiness
	certificates *certificates // nil for plain text
	listeners    struct{ grpc, http *boundedListener }
	draining     atomic.Bool
	stop         sync.Once
	failed       chan error
	// background is what goes on beside calls, until stopBackground.
	background     sync.WaitGroup
	stopBackground context.CancelFunc
}

// New builds a server. Nothing listens before Start.
func New(o Options) (*Server, error) {
	o.Stopping = cmp.Or(o.Stopping, make(chan struct{}))
	services, err := api.Implementations(o.Services)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s := &Server{options: o, health: health.NewServer(), failed: make(chan error, 3), stopBackground: func() {}}
	s.guard, err = guard.New(guard.Options{
		Services: services, Authenticator: o.Authenticator, Limits: o.Limits, BodyTimeout: bodyTimeout,
		Telemetry: o.Telemetry, Audit: o.Audit, Quotas: o.Quotas, Proxies: o.Proxies, Vouch: s.vouch,
	})
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if o.TLS != nil {
		if s.certificates, err = newCertificates(*o.TLS, o.Telemetry.Logger, time.Now); err != nil {
			return nil, err
		}
		o.Telemetry.WatchCertificate(s.certificates.until)
	}
	s.newGRPC()
	if err := s.newHTTP(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) newHTTP() error {
	channel := inproc.New(func(ctx context.Context, stream bool) { exchangeOf(ctx).handled(stream) })
	s.guard.Register(channel)
	front, err := rest.New(context.Background(), channel, rest.Options{
		Admit: func(r *http.Request, method string) (rest.Admission, error) {
			exchangeOf(r.Context()).admitted()
			if method == guard.WatchConsents {
				if err := takeTicket(r); err != nil {
					return nil, err
				}
			}
			a, err := s.guard.Admit(r.Context(), guard.Head{Method: method, Header: r.Header})
			if err != nil {
				return nil, err
			}
			r.Header.Del("Authorization") // the admission stands for it, and no service needs to see a key
			return a, nil
		},
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", front)
	mux.HandleFunc("/", notFound)
	mux.HandleFunc("/v1", notFound) // or it would be sent on to /v1/
	callbacks(mux, s.options.Callbacks, s.guard, s.options.Telemetry)
	if err := pages(mux, s.options.OpenAPI, s.options.Sandbox); err != nil {
		return err
	}
	public := cors(exactPaths(mux), s.options.CORS.AllowedOrigins)
	door := entrance{
		telemetry: s.options.Telemetry, answer: s.options.Limits.Timeout, proxies: s.options.Proxies,
		strangers: s.guard.Strangers(),
	}
	s.http = newHTTPServer(door.before(public))
	s.http.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, conn)
	}
	s.ready = readiness{checks: s.options.Ready, degraded: s.options.Degraded, draining: &s.draining}
	return nil
}

// takeTicket moves a watch ticket from the query into the headers, where who calls is looked for: a browser that
// follows a stream cannot send headers of its own.
func takeTicket(r *http.Request) error {
	query := r.URL.Query()
	tickets, ok := query["ticket"]
	if !ok {
		return nil
	}
	if len(tickets) != 1 || r.Header.Get("Authorization") != "" {
		return kerr.InvalidField("ticket", "must be there once, and instead of authorization")
	}
	query.Del("ticket")
	r.URL.RawQuery = query.Encode()
	r.Header.Set("Authorization", guard.TicketScheme+" "+tickets[0])
	return nil
}

// connKey is the key of a request's connection.
type connKey struct{}

// vouch notes that a known caller uses the connection that a call came by.
func (s *Server) vouch(ctx context.Context) {
	if conn, ok := ctx.Value(connKey{}).(net.Conn); ok {
		s.listeners.http.vouch(conn.RemoteAddr())
	} else if p, ok := peer.FromContext(ctx); ok && s.listeners.grpc != nil {
		s.listeners.grpc.vouch(p.Addr)
	}
}

func newHTTPServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreamsPerConnection, MaxReceiveBufferPerConnection: maxUnread,
			MaxReceiveBufferPerStream: maxUnread,
		},
		// What net/http says of bad requests may quote them.
		ErrorLog: log.New(io.Discard, "", 0),
	}
}

// Start binds the listeners and serves on them. When one cannot be bound, none is.
func (s *Server) Start() error {
	limits := s.options.Limits
	public, lower := connections{
		max: limits.MaxConnections, perAddress: limits.MaxConnectionsPerAddress, exempt: s.options.Proxies.Trust,
		strangerIdle: strangerIdle,
	}.within(openFiles())
	if lower {
		s.options.Telemetry.Logger.Warn("the process may not have as many files open as limits.max_connections needs: "+
			"fewer connections are taken", "max_connections", public.max,
			"max_connections_per_address", public.perAddress)
	}
	ofGRPC := public
	ofGRPC.writeTimeout = writeTimeout
	for _, bind := range []struct {
		name, address string
		bounds        connections
		listener      **boundedListener
	}{
		{"grpc", s.options.Listen.GRPC, ofGRPC, &s.listeners.grpc},
		{"http", s.options.Listen.HTTP, public, &s.listeners.http},
	} {
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", bind.address)
		if err != nil {
			s.closeListeners()
			return fmt.Errorf("server: listen.%s: %w", bind.name, err)
		}
		*bind.listener = bind.bounds.listener(listener)
	}
	if s.admin = s.options.Admin; s.admin == nil {
		var err error
		if s.admin, err = StartAdmin(s.options.Listen.Admin, s.options.TLS, s.options.Telemetry); err != nil {
			s.closeListeners()
			return err
		}
	}
	serve := func(run func() error) {
		go func() {
			err := run()
			if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) {
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
	serve(s.admin.wait)
	s.admin.ready.Store(&s.ready)
	ctx, cancel := context.WithCancel(context.Background())
	s.background.Go(func() { s.guard.ShareQuotas(ctx) })
	s.stopBackground = cancel
	return nil
}

// Reload looks at the certificates' files now. Handshakes do so by themselves, at most once in certificatesAge.
func (s *Server) Reload() {
	if s.certificates != nil {
		s.certificates.look()
	}
}

func (s *Server) closeListeners() {
	for _, listener := range []*boundedListener{s.listeners.grpc, s.listeners.http} {
		if listener != nil {
			_ = listener.Close()
		}
	}
}

// Addresses gives the addresses that Start bound, with the ports that it found.
func (s *Server) Addresses() config.Listen {
	return config.Listen{
		GRPC: s.listeners.grpc.Addr().String(), HTTP: s.listeners.http.Addr().String(), Admin: s.admin.Address(),
	}
}

// Failed gives the error of a listener that broke while serving.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop ends serving: readiness and health go off, after Shutdown.Delay streams end and no connection is taken any
// more, calls under way have Shutdown.Timeout, or until the context ends, to finish, and what is left then is cut
// off. It returns when no call is under way.
func (s *Server) Stop(ctx context.Context) error {
	var err error
	s.stop.Do(func() { err = s.shutDown(ctx) })
	return err
}
