package guard

import (
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/api"
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/server/inproc"
	"kontor.dev/kontor/internal/server/origin"
	"kontor.dev/kontor/internal/telemetry"
)

const bearerKey = "Bearer key"

// consents keeps the context of the last call.
type consents struct {
	consentv1.UnimplementedConsentServiceServer
	mu     sync.Mutex
	last   context.Context
	during func(context.Context) // what a call does, nil for nothing
}

func (c *consents) GetConsent(ctx context.Context, _ *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
	c.mu.Lock()
	c.last = ctx
	c.mu.Unlock()
	if c.during != nil {
		c.during(ctx)
	}
	return &consentv1.Consent{}, nil
}

// counted authenticates the one key and counts how often it is asked.
type counted struct {
	Authenticator
	expires time.Time
	asked   atomic.Int64
}

func (c *counted) Authenticate(ctx context.Context, authorization []string) (identity.Identity, error) {
	c.asked.Add(1)
	id, err := c.Authenticator.Authenticate(ctx, authorization)
	id.Expires = c.expires
	return id, err
}

// guarded is a guard with its services behind a channel.
type guarded struct {
	*Guard
	consents      *consents
	authenticator *counted
	channel       *inproc.Channel
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	tel, err := telemetry.New(t.Context(), telemetry.Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	g := &guarded{consents: &consents{}, channel: inproc.New(nil)}
	g.authenticator = &counted{Authenticator: NewKeys([]config.Client{
		{ID: "reader", Tenant: "one", Keys: [][sha256.Size]byte{sha256.Sum256([]byte("key"))},
			Scopes: []string{"consents.read"}},
	})}
	var services []api.Implementation
	for _, s := range api.Services() {
		implementation := api.Implementation{Service: s, Server: nobody{}}
		if reflect.TypeOf(g.consents).Implements(reflect.TypeOf(s.Desc.HandlerType).Elem()) {
			implementation.Server = g.consents
		}
		services = append(services, implementation)
	}
	g.Guard, err = New(Options{Services: services, Authenticator: g.authenticator, Limits: config.Defaults().Limits,
		BodyTimeout: time.Minute, Telemetry: tel})
	if err != nil {
		t.Fatal(err)
	}
	g.Register(g.channel)
	return g
}

// nobody implements nothing: who reaches it panics.
type nobody struct{}

// get makes a call through the channel.
func (g *guarded) get(ctx context.Context) error {
	_, err := consentv1.NewConsentServiceClient(g.channel).GetConsent(ctx,
		&consentv1.GetConsentRequest{Name: "consents/1"})
	return err
}

// head is that of a request for one consent.
func head(authorization ...string) Head {
	return Head{
		Method: consentv1.ConsentService_GetConsent_FullMethodName,
		Header: http.Header{"Authorization": authorization},
	}
}

// admit lets a request for one consent in.
func (g *guarded) admit(t *testing.T) *Admission {
	t.Helper()
	from := origin.Proxies(nil).Of("192.0.2.1:5", nil, nil)
	a, err := g.Admit(origin.With(t.Context(), from), head(bearerKey))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Done)
	return a
}

// TestAdmissionIsBelieved: who was let in once is not asked again, and is who the service sees.
func TestAdmissionIsBelieved(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	a := g.admit(t)
	if err := g.get(a.Context()); err != nil {
		t.Fatal(err)
	}
	if g.authenticator.asked.Load() != 1 {
		t.Errorf("the caller was authenticated %d times", g.authenticator.asked.Load())
	}
	if id := identity.From(g.consents.last); id.ClientID != "reader" || id.Tenant != "one" ||
		identity.Peer(g.consents.last) != "192.0.2.1" {
		t.Errorf("the service sees %+v from %s", id, identity.Peer(g.consents.last))
	}
	// It is for one call.
	if err := g.get(a.Context()); kerr.Reason(err) != errorv1.Error_UNAUTHENTICATED {
		t.Errorf("a second call: %v", err)
	}
}

// TestAdmissionIsForOneMethod: what was admitted for one method is nothing for another one.
func TestAdmissionIsForOneMethod(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	a := g.admit(t)
	_, err := consentv1.NewConsentServiceClient(g.channel).RevokeConsent(a.Context(),
		&consentv1.RevokeConsentRequest{Name: "consents/1"})
	if kerr.Reason(err) != errorv1.Error_UNAUTHENTICATED {
		t.Errorf("another method: %v", err)
	}
	// It is decided before the body: who has no scope gets no admission.
	h := head(bearerKey)
	h.Method = consentv1.ConsentService_RevokeConsent_FullMethodName
	if _, err := g.Admit(t.Context(), h); kerr.Reason(err) != errorv1.Error_SCOPE_MISSING {
		t.Errorf("without the scope: %v", err)
	}
}

// TestWhatIsNoAdmission: nothing else that a context or its metadata may hold lets anybody in.
func TestWhatIsNoAdmission(t *testing.T) {
	t.Parallel()
	g, other := newGuarded(t), newGuarded(t)
	elsewhere, late := other.admit(t).Context(), g.admit(t).Context()
	refused, err := g.Admit(t.Context(), head("Bearer other"))
	if kerr.Reason(err) != errorv1.Error_UNAUTHENTICATED || refused != nil {
		t.Errorf("a wrong key gives %v, %v", refused, err)
	}
	id := identity.Identity{ClientID: "reader", Tenant: "one", Scopes: []string{"*"}}
	type admissionKey struct{} // of another package it would be another type as well
	for what, ctx := range map[string]context.Context{
		"nothing":         t.Context(),
		"another guard's": elsewhere,
		"an identity":     identity.With(t.Context(), id),
		"a value": context.WithValue(t.Context(), admissionKey{},
			&Admission{call: &call{guard: g.Guard, client: id}}),
		"metadata of a name": metadata.AppendToOutgoingContext(t.Context(), "admission", "reader", "client",
			"reader"),
		"a received admission":  metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", bearerKey)),
		"a wrong key":           metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer other"),
		"an admission and more": metadata.AppendToOutgoingContext(elsewhere, "authorization", "Bearer other"),
	} {
		if err := g.get(ctx); kerr.Reason(err) != errorv1.Error_UNAUTHENTICATED {
			t.Errorf("%s: %v", what, err)
		}
	}
	if g.consents.last != nil {
		t.Error("the service was called")
	}
	if err := g.get(metadata.AppendToOutgoingContext(t.Context(), "authorization", bearerKey)); err != nil {
		t.Errorf("without an admission the key alone: %v", err)
	}
	if err := g.get(late); err != nil {
		t.Errorf("a later call: %v", err)
	}
}

// TestAdmissionEnds: a token that ended while its bearer's body arrived lets nobody in.
func TestAdmissionEnds(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	now := time.Now()
	g.clock, g.authenticator.expires = func() time.Time { return now }, now.Add(time.Minute)
	first, second := g.admit(t), g.admit(t)
	now = now.Add(time.Minute)
	if err := g.get(first.Context()); err != nil {
		t.Errorf("in the last moment: %v", err)
	}
	now = now.Add(time.Second)
	if err := g.get(second.Context()); kerr.Reason(err) != errorv1.Error_UNAUTHENTICATED {
		t.Errorf("after the end: %v", err)
	}
}

// TestNothingPassesTheGuard calls every method of every service through the channel without showing who calls.
func TestNothingPassesTheGuard(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	count := 0
	for _, service := range api.Services() {
		methods, err := service.Methods()
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range methods {
			count++
			if !method.IsStreamingServer() {
				err = g.channel.Invoke(t.Context(), api.FullName(method), &emptypb.Empty{}, &emptypb.Empty{})
			} else {
				var stream grpc.ClientStream
				if stream, err = g.channel.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true},
					api.FullName(method)); err == nil {
					if err = stream.SendMsg(&emptypb.Empty{}); err == nil {
						err = stream.RecvMsg(&emptypb.Empty{})
					}
				}
			}
			if kerr.Reason(err) != errorv1.Error_UNAUTHENTICATED {
				t.Errorf("%s: %v", method.FullName(), err)
			}
		}
	}
	if count < 30 || g.authenticator.asked.Load() != int64(count) {
		t.Errorf("%d methods, %d authentications", count, g.authenticator.asked.Load())
	}
}
