package consents_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
)

// The address of a link is a key to act as the customer: who may only read consents never sees it, whichever way they
// look, and whoever looks at the same time.
func TestLinksAreForWritersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		name := p.Create(t).Resource.GetName()
		as := func(scope string) context.Context {
			ctx, cancel := context.WithTimeout(p.Ctx, time.Hour)
			t.Cleanup(cancel)
			return identity.With(ctx, identity.Identity{ClientID: scope, Tenant: "default", Scopes: []string{scope}})
		}
		streams := map[string]*received{}
		for _, scope := range []string{"consents.read", "consents.write", "*"} {
			for _, topic := range []string{name, ""} {
				r := &received{ctx: as(scope)}
				streams[scope+" "+topic] = r
				go func() {
					_ = p.Servers.Consent.WatchConsents(&consentv1.WatchConsentsRequest{Consent: topic}, r)
				}()
			}
		}
		ticket := identity.From(as("*"))
		ticket.Ticket = &identity.Ticket{
			Tenant: "default", ConsentID: service.LastSegment(name), Expires: time.Now().Add(time.Hour),
		}
		glimpses := &received{ctx: identity.With(as("*"), ticket)}
		go func() {
			_ = p.Servers.Consent.WatchConsents(&consentv1.WatchConsentsRequest{Consent: name}, glimpses)
		}()
		synctest.Wait()
		_, err := p.Servers.Consent.RenewConsentLink(p.Ctx, &consentv1.RenewConsentLinkRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		assemblytest.Pass(time.Second)
		for _, m := range glimpses.messages {
			wantGlimpse(t, m)
		}
		if len(glimpses.messages) < 2 {
			t.Errorf("the ticket shows %d messages", len(glimpses.messages))
		}
		for key, r := range streams {
			scope := r.ctx
			events := 0
			for _, m := range r.messages {
				if m.GetKind() == consentv1.WatchConsentsResponse_HEARTBEAT || m.GetConsent() == nil {
					continue
				}
				events++
				wantLink(t, key, scope, m.GetConsent())
			}
			if events < 2 {
				t.Errorf("%s: %d messages", key, events)
			}
		}
		for _, scope := range []string{"consents.read", "consents.write", "*"} {
			ctx := as(scope)
			got, err := p.Servers.Consent.GetConsent(ctx, &consentv1.GetConsentRequest{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			wantLink(t, "get as "+scope, ctx, got)
			list, err := p.Servers.Consent.ListConsents(ctx, &consentv1.ListConsentsRequest{})
			if err != nil || len(list.GetConsents()) != 1 {
				t.Fatal(list, err)
			}
			wantLink(t, "list as "+scope, ctx, list.GetConsents()[0])
		}
	})
}

// A repeated request gets the same answer, but for the address of a link that was replaced meanwhile.
func TestRememberedAnswersHaveLiveLinksOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		create := func() *consentv1.Consent {
			t.Helper()
			made, err := p.Servers.Consent.CreateConsent(p.Ctx, &consentv1.CreateConsentRequest{
				Consent: &consentv1.Consent{
					Provider: "fimento", Market: "SE",
					RedirectUris: &consentv1.Consent_RedirectUris{Success: optional.Of("https://app.example.com/done")},
				},
				RequestId: "3b0a6a0e-0000-4000-8000-000000000001",
			})
			if err != nil {
				t.Fatal(err)
			}
			return made
		}
		made := create()
		if again := create(); made.GetLink().GetUri() == "" || !proto.Equal(made, again) {
			t.Errorf("the same request got %v, then %v", made, again)
		}
		renewed, err := p.Servers.Consent.RenewConsentLink(p.Ctx,
			&consentv1.RenewConsentLinkRequest{Name: made.GetName()})
		if err != nil || renewed.GetLink().GetUri() == "" {
			t.Fatal(renewed, err)
		}
		again := create()
		if again.GetLink().GetUri() != "" {
			t.Error("the answer has the address of a link that was replaced")
		}
		again.Link.Uri = optional.Of(made.GetLink().GetUri())
		if !proto.Equal(made, again) {
			t.Errorf("the same request got %v, then %v", made, again)
		}
	})
}

// A stream that is resumed sends what happened while it was away, as it then stood, but for addresses of links that are
// over by now: completed, replaced, past their time, or of a consent that cannot be looked up.
func TestResumedStreamsHaveLiveLinksOnly(t *testing.T) {
	for what, end := range map[string]func(t *testing.T, p *assemblytest.Gateway, name string){
		"live": nil,
		"replaced": func(t *testing.T, p *assemblytest.Gateway, name string) {
			t.Helper()
			if _, err := p.Servers.Consent.RenewConsentLink(p.Ctx,
				&consentv1.RenewConsentLinkRequest{Name: name}); err != nil {
				t.Fatal(err)
			}
		},
		"completed": func(t *testing.T, p *assemblytest.Gateway, _ string) {
			t.Helper()
			p.Report(providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{
				{ID: "bank", Active: true},
			}}, nil)
			assemblytest.Pass(time.Minute)
		},
		"past its time": func(*testing.T, *assemblytest.Gateway, string) { assemblytest.Pass(25 * time.Hour) },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := assemblytest.New(t, seldom)
				watch := func(topic, token string) []*consentv1.WatchConsentsResponse {
					ctx, cancel := context.WithTimeout(p.Ctx, time.Second)
					defer cancel()
					r := &received{ctx: ctx}
					_ = p.Servers.Consent.WatchConsents(
						&consentv1.WatchConsentsRequest{Consent: topic, ResumeToken: token}, r)
					return r.messages
				}
				empty := watch("", "")
				name := p.Create(t).Resource.GetName()
				if end != nil {
					end(t, p, name)
				}
				now, err := p.Servers.Consent.GetConsent(p.Ctx, &consentv1.GetConsentRequest{Name: name})
				if err != nil {
					t.Fatal(err)
				}
				events, addresses := 0, 0
				for _, m := range watch("", empty[len(empty)-1].GetResumeToken()) {
					uri := m.GetConsent().GetLink().GetUri()
					if m.GetEvent() != nil {
						events++
					}
					if uri != "" {
						addresses++
					}
					if uri != "" && uri != now.GetLink().GetUri() {
						t.Errorf("%s: event %s shows the address of a link that is over", what, m.GetEvent().GetType())
					}
				}
				if events < 2 || (addresses > 0) != (now.GetLink().GetUri() != "") {
					t.Errorf("%d events with %d addresses, and now the link is %v", events, addresses, now.GetLink())
				}
			})
		})
	}
}

// wantLink sees that a consent shows its link's address to writers alone, and its state to all.
func wantLink(t *testing.T, what string, ctx context.Context, c *consentv1.Consent) { //nolint:revive // t goes first
	t.Helper()
	writes := identity.From(ctx).Allows("consents.write")
	if got := c.GetLink().GetUri() != ""; got != writes {
		t.Errorf("%s: shows the address: %t, want %t", what, got, writes)
	}
	if c.GetLink().GetExpireTime() == nil || c.GetName() == "" || c.GetEventCount() == 0 {
		t.Errorf("%s: got %v", what, c)
	}
}
