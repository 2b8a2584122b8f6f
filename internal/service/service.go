// Package service implements Kontor's RPC services, blind to which provider serves a call: it knows the seam (package providers), the store
// and the rule by which consents follow from their history (package consent), and no adapter.
//
// Every handler goes the same way: parse the name, load (the tenant is part of the key), find the provider, check port and capability, call,
// store, set names and tokens, translate the error.
//
// Nothing here knows HTTP or listens on anything; that is package server.
package service

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// Tenant is what a tenant's configuration gives the services.
type Tenant struct {
	// Providers are the tenant's providers, in the order of the configuration.
	Providers []*providers.Provider
	// RedirectURIs are the patterns that callers' redirect URIs must match.
	RedirectURIs []string
	// Pepper keys the hashes of requests, so that no identity can be guessed from a stored hash. It must stay the same across restarts and
	// be nowhere in the store.
	Pepper []byte
	// Credentials identifies, per provider id, the credentials in force; a change registers webhooks anew.
	Credentials map[string]string
}

// Options are what the services need.
type Options struct {
	Store   store.Store
	Tenants map[string]Tenant
	// PublicURL is where providers and browsers reach Kontor's /callbacks.
	PublicURL string
	Logger    *slog.Logger
	// Clock is time.Now when nil.
	Clock func() time.Time
	// Stopping is closed when streams must end.
	Stopping <-chan struct{}
	// Heartbeat is the longest silence of a stream; 15 s when zero.
	Heartbeat time.Duration
	// Polling tells how often providers are asked for news.
	Polling Polling
	// Webhooks registers Kontor's address at providers that call one.
	Webhooks bool
	// AuditRetention is how old entries of the audit trail become; zero for ever.
	AuditRetention time.Duration
}

// Polling tells how often the provider is asked about a consent that is under way.
type Polling struct {
	// MinInterval is the shortest time between two reads of a consent that nobody authenticated asked for; 5 s when zero.
	MinInterval time.Duration
	// MaxInterval is how far polling backs off without news; 5 min when zero.
	MaxInterval time.Duration
}

// Service holds what the RPC services share.
type Service struct {
	store     store.Store
	tenants   map[string]Tenant
	publicURL string
	log       *slog.Logger
	clock     func() time.Time
	stopping  <-chan struct{}
	heartbeat time.Duration
	webhooks  bool
	retention time.Duration
	redirects map[string]redirectList
	follower  *follower
	reads     reads
	running   sync.WaitGroup
	inFlight  inFlight
}

// New builds the services. Run starts what works in the background.
func New(o Options) (*Service, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 15 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		store: o.Store, tenants: o.Tenants, publicURL: o.PublicURL, log: o.Logger, clock: o.Clock, stopping: o.Stopping,
		heartbeat: o.Heartbeat, webhooks: o.Webhooks, retention: o.AuditRetention, redirects: make(map[string]redirectList, len(o.Tenants)),
	}
	for id, tenant := range o.Tenants {
		list, err := newRedirectList(tenant.RedirectURIs)
		if err != nil {
			return nil, err
		}
		s.redirects[id] = list
	}
	s.follower = newFollower(s, o.Polling)
	return s, nil
}

// Run registers webhooks and follows consents until the context ends. It returns when all of its work has stopped. Reconcile goes before it,
// and before any call.
func (s *Service) Run(ctx context.Context) error {
	if s.webhooks {
		s.running.Go(func() { s.registerWebhooks(ctx) })
	}
	s.running.Go(func() { s.follower.run(ctx) })
	s.running.Go(func() { s.sweep(ctx) })
	<-ctx.Done()
	s.running.Wait()
	return nil
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

// Servers gives the RPC services.
func (s *Service) Servers() Servers {
	return Servers{
		Customer: &customerServer{Service: s}, Consent: &consentServer{Service: s}, Banking: &bankingServer{Service: s},
		Insights: &insightsServer{Service: s}, Documents: &documentServer{Service: s}, Provider: &providerServer{Service: s},
	}
}

type (
	customerServer struct {
		customerv1.UnimplementedCustomerServiceServer
		*Service
	}
	consentServer struct {
		consentv1.UnimplementedConsentServiceServer
		*Service
	}
	bankingServer struct {
		bankingv1.UnimplementedBankingServiceServer
		*Service
	}
	insightsServer struct {
		insightsv1.UnimplementedInsightsServiceServer
		*Service
	}
	documentServer struct {
		documentsv1.UnimplementedDocumentServiceServer
		*Service
	}
	providerServer struct {
		providerv1.UnimplementedProviderServiceServer
		*Service
	}
)

// now is the clock's time to the microsecond, as the store keeps it.
func (s *Service) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }

// tenantOf gives the caller's tenant.
func tenantOf(ctx context.Context) string { return identity.From(ctx).Tenant }

// newID makes a resource id: a UUID of version 7, so that ids are in the order of creation.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// newToken makes an unguessable callback token of 256 bits, fit for a path.
func newToken() string {
	var token [32]byte
	_, _ = rand.Read(token[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(token[:])
}
