// Package assembly puts Kontor's services together: New says who depends on whom. It knows no adapter and no
// database; cmd/gateway gives it the tenants' providers and the store.
package assembly

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/bankdata"
	"kontor.dev/kontor/internal/callbacks"
	"kontor.dev/kontor/internal/follow"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/listing"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/service/banking"
	"kontor.dev/kontor/internal/service/consents"
	"kontor.dev/kontor/internal/service/customers"
	"kontor.dev/kontor/internal/service/documents"
	"kontor.dev/kontor/internal/service/insights"
	"kontor.dev/kontor/internal/service/providers"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/watch"
)

// Options are what the services need.
type Options struct {
	Store   store.Database
	Tenants service.Tenants
	// Refs keeps how providers name consents; adapters that remember something of a consent have their keepers from
	// it.
	Refs *history.Refs
	// PublicURL is where providers and browsers reach Kontor's /callbacks.
	PublicURL string
	Logger    *slog.Logger
	// Clock is time.Now when nil.
	Clock func() time.Time
	// Stopping is closed when streams must end.
	Stopping <-chan struct{}
	// Ending is closed when what is still under way must not wait any longer for a store that is away. Nil for never.
	Ending <-chan struct{}
	// Heartbeat is the longest silence of a stream; 15 s when zero.
	Heartbeat time.Duration
	// Hold is how long a listing of bank data is held in memory for its further pages, and HoldBytes how much memory
	// all of them take. Nothing is held when either is zero.
	Hold      time.Duration
	HoldBytes int64
	// Polling tells how often providers are asked for news.
	Polling follow.Polling
	// Webhooks registers Kontor's address at providers that call one.
	Webhooks bool
	// AuditRetention is how old entries of the audit trail become; zero for ever.
	AuditRetention time.Duration
	// CallersPerProvider is how many callers wait for one provider account at a time; zero for no bound.
	CallersPerProvider int
	// LogRetention is how old entries of the logs that streams follow become; zero for ever.
	LogRetention time.Duration
	// ShipmentRetention is how old shipments become that belong to no customer; zero for ever.
	ShipmentRetention time.Duration
	// AuditGap is told when an entry is missing in the audit. May be nil.
	AuditGap func()
	// AuditBroken is told when an audit trail is found changed. May be nil.
	AuditBroken func()
}

// Services are the RPC services, and what works for them.
type Services struct {
	Servers Servers

	Store     *service.Store
	Tenants   service.Tenants
	Load      *service.Loader
	Audit     *audit.Trail
	Follower  *follow.Follower
	Once      *once.Runner
	Reads     *bankdata.Reader
	Callbacks *callbacks.Callbacks
	Tickets   service.Tickets

	sealer   *audit.Sealer
	webhooks bool
}

// Servers are the RPC services.
type Servers struct {
	Customer  customerv1.CustomerServiceServer
	Consent   consentv1.ConsentServiceServer
	Banking   bankingv1.BankingServiceServer
	Insights  insightsv1.InsightsServiceServer
	Documents documentsv1.DocumentServiceServer
	Provider  providerv1.ProviderServiceServer
}

// Register hands over what answers each service of package api. The server does not start without one of them.
func (s Servers) Register(to grpc.ServiceRegistrar) {
	customerv1.RegisterCustomerServiceServer(to, s.Customer)
	consentv1.RegisterConsentServiceServer(to, s.Consent)
	bankingv1.RegisterBankingServiceServer(to, s.Banking)
	insightsv1.RegisterInsightsServiceServer(to, s.Insights)
	documentsv1.RegisterDocumentServiceServer(to, s.Documents)
	providerv1.RegisterProviderServiceServer(to, s.Provider)
}

// NewRefs makes what keeps how providers name consents. It comes before New, since adapters are opened with it.
func NewRefs(db store.Store, log *slog.Logger) *history.Refs {
	return &history.Refs{Store: &service.Store{Store: db, Log: log}}
}

// New puts the services together. Once.Repair goes before any call, and Run starts what works in the background.
func New(o Options) (*Services, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 15 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Refs == nil {
		o.Refs = NewRefs(o.Store, o.Logger)
	}
	redirects, err := consents.NewRedirectLists(o.Tenants)
	if err != nil {
		return nil, err
	}
	// What all of them use.
	clock, log, tenants := service.Clock(o.Clock), o.Logger, o.Tenants
	db := &service.Store{Store: o.Store, Log: log, Ending: o.Ending}
	o.Refs.Store.Ending = o.Ending
	keys := o.Store.Keys()
	names, tokens := service.Names{Keys: keys}, service.Tokens{Keys: keys}
	// The port to the rows of all tenants is for what works by itself, and each gets the part that it needs.
	system, process := o.Store.System(), uuid.NewString()
	load := &service.Loader{Store: db, Tenants: tenants}
	trail := &audit.Trail{Store: db, Clock: clock, Log: log, Noted: make(chan struct{}, 1), Gap: o.AuditGap}
	sealer := &audit.Sealer{
		Store: o.Store, Tenants: system, MAC: keys, Clock: clock, Log: log, Noted: trail.Noted,
		Retention: o.AuditRetention, Broken: o.AuditBroken,
	}

	// What lasts longer than a call.
	crowd := service.NewCrowd(o.CallersPerProvider)
	plan := follow.NewPlan(o.Polling, tenants, clock)
	held := listing.New(o.Hold, o.HoldBytes)
	writer := &history.Writer{
		Store: db, Refs: o.Refs, Names: names, Clock: clock, NextPoll: plan.Next,
		Changed: func(row *store.Consent) { bankdata.Settle(held, row) },
	}
	follower := follow.New(follow.Deps{
		Store: db, Claims: system, Tenants: tenants, Clock: clock, Log: log, History: writer, Plan: plan,
		Crowd: crowd, Process: process,
	})
	runner := &once.Runner{
		Store: db, Leases: system, Sweeps: system, Keys: keys, Clock: clock, Log: log, Process: process,
		LogRetention: o.LogRetention, ShipmentRetention: o.ShipmentRetention, Beat: system.Beat,
		Time: system.Time,
	}
	sessions := &callbacks.Sessions{
		Store: db, Keys: keys, Clock: clock, Follower: follower, History: writer, Audit: trail,
		PublicURL: o.PublicURL,
	}
	streams := &watch.Streams{Store: db, Stopping: o.Stopping, Heartbeat: o.Heartbeat}
	reads := &bankdata.Reader{
		Load: load, Follower: follower, Audit: trail, Names: names, Tokens: tokens, Crowd: crowd, Held: held,
	}
	registry := &customers.Registry{
		Store: db, Tenants: tenants, Clock: clock, Load: load, Keys: keys, Audit: trail, History: writer,
	}

	tickets := service.Tickets{Keys: keys, Clock: clock}

	return &Services{
		Tickets: tickets,
		Store:   db, Tenants: tenants, Load: load, Audit: trail, Follower: follower, Once: runner, Reads: reads,
		Callbacks: &callbacks.Callbacks{
			Store: db, Tokens: system, Keys: keys, Tenants: tenants, Clock: clock, Log: log, Follower: follower,
			History: writer, Audit: trail, PublicURL: o.PublicURL,
		},
		Servers: Servers{
			Customer: &customers.Server{
				Store: db, Tenants: tenants, Clock: clock, Tokens: tokens, Load: load, Audit: trail, Once: runner,
				Customers: registry,
			},
			Consent: &consents.Server{
				Store: db, Tenants: tenants, Clock: clock, Tokens: tokens, Log: log, Load: load, Keys: keys,
				Audit: trail, History: writer, Follower: follower, Once: runner, Sessions: sessions,
				Customers: registry, Streams: streams, Feed: consents.NewFeed(system, keys, clock, log),
				Redirects: redirects, Tickets: tickets,
			},
			Banking: &banking.Server{
				Store: db, Tenants: tenants, Clock: clock, Tokens: tokens, Load: load, Audit: trail, History: writer,
				Follower: follower, Once: runner,
				Sessions: sessions, Customers: registry, Reads: reads, Heartbeat: o.Heartbeat,
			},
			Insights: &insights.Server{Tenants: tenants, Reads: reads},
			Documents: &documents.Server{
				Store: db, Tenants: tenants, Clock: clock, Tokens: tokens, Load: load, Audit: trail, Once: runner,
				Reports: &callbacks.Reports{Keys: keys, Clock: clock, PublicURL: o.PublicURL}, Streams: streams,
				Feed: documents.NewFeed(system, keys, clock, log),
			},
			Provider: &providers.Server{
				Store: db, Tenants: tenants, Clock: clock, Tokens: tokens, Audit: trail, Once: runner,
			},
		},
		sealer: sealer, webhooks: o.Webhooks,
	}, nil
}

// Run registers webhooks, follows consents and seals the audit until the context ends. It returns when all work has
// stopped, that of calls included.
func (s *Services) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer inTurn(ctx, s.sealer.Run, s.Audit.Run)()
	if s.webhooks {
		running.Go(func() { s.Callbacks.RegisterWebhooks(ctx) })
	}
	running.Go(func() { s.Follower.Run(ctx) })
	running.Go(func() { s.Once.Run(ctx) })
	running.Wait()
	return nil
}

// inTurn starts what runs longer than the context, and gives what ends one after the other, the last first: what is
// counted is noted before the last entries are sealed.
func inTurn(ctx context.Context, all ...func(context.Context)) (end func()) {
	ends := make([]func(), len(all))
	for i, run := range all {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		var running sync.WaitGroup
		running.Go(func() { run(ctx) })
		ends[i] = func() {
			cancel()
			running.Wait()
		}
	}
	return func() {
		for _, end := range slices.Backward(ends) {
			end()
		}
	}
}
