package consents_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/broadcast"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
)

// revocable are consents that can be revoked.
type revocable struct{ providers.Consents }

func (revocable) RevokeConsent(context.Context, providers.ConsentRef) error { return nil }

// received is a caller's stream that keeps what it received.
type received struct {
	grpc.ServerStream

	ctx      context.Context //nolint:containedctx // of the call
	messages []*consentv1.WatchConsentsResponse
}

func (r *received) Context() context.Context { return r.ctx }

func (r *received) Send(m *consentv1.WatchConsentsResponse) error {
	r.messages = append(r.messages, m)
	return nil
}

func (r *received) SendMsg(m any) error {
	return r.Send(m.(*broadcast.Message).Proto().(*consentv1.WatchConsentsResponse)) //nolint:forcetypeassert // news
}

// A stream of a consent ends with the consent. Whoever resumes it behind that learns that there is nothing to wait for,
// and whoever resumes it before is sent the end.
func TestStreamsOfADeletedConsentAreNotResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			p.Consents = revocable{p.Consents}
		})
		name := p.Create(t).Resource.GetName()
		watch := func(token string) ([]*consentv1.WatchConsentsResponse, error) {
			ctx, cancel := context.WithTimeout(p.Ctx, time.Hour)
			defer cancel()
			r := &received{ctx: ctx}
			err := p.Servers.Consent.WatchConsents(
				&consentv1.WatchConsentsRequest{Consent: name, ResumeToken: token}, r)
			if ctx.Err() != nil {
				t.Errorf("the stream ran for an hour and sent %d messages", len(r.messages))
			}
			return r.messages, err
		}
		deleted := make(chan error)
		go func() {
			<-time.After(time.Minute)
			_, err := p.Servers.Consent.DeleteConsent(p.Ctx, &consentv1.DeleteConsentRequest{Name: name})
			deleted <- err
		}()
		all, err := watch("")
		if err := <-deleted; err != nil {
			t.Fatal(err)
		}
		last := all[len(all)-1]
		if err != nil || last.GetEvent().GetType() != consentv1.ConsentEvent_DELETED {
			t.Fatalf("the last message is %v, %v", last, err)
		}
		again, err := watch(all[0].GetResumeToken())
		if err != nil || len(again) == 0 || again[len(again)-1].GetEvent().GetType() != consentv1.ConsentEvent_DELETED {
			t.Errorf("resumed before its end it sends %v, %v", again, err)
		}
		if _, err := watch(last.GetResumeToken()); kerr.Reason(err) != errorv1.Error_CONSENT_NOT_FOUND {
			t.Errorf("resumed behind its end it ends with %v", err)
		}
	})
}

// Whoever resumes a stream late is sent what happened, but for the addresses of links that are over or were replaced.
func TestAddressesOfLateReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, seldom)
		watch := func(token string) []*consentv1.WatchConsentsResponse {
			ctx, cancel := context.WithTimeout(p.Ctx, time.Second)
			defer cancel()
			r := &received{ctx: ctx}
			_ = p.Servers.Consent.WatchConsents(&consentv1.WatchConsentsRequest{ResumeToken: token}, r)
			return r.messages
		}
		token := watch("")[0].GetResumeToken()
		name := p.Create(t).Resource.GetName()
		_, err := p.Servers.Consent.RenewConsentLink(p.Ctx, &consentv1.RenewConsentLinkRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		addresses := func(messages []*consentv1.WatchConsentsResponse) (n int) {
			for _, m := range messages {
				if m.GetConsent().GetLink().GetUri() != "" {
					n++
				}
			}
			return n
		}
		// Created, issued, issued again: the last one holds.
		if got := watch(token); len(got) < 3 || addresses(got) != 1 {
			t.Errorf("while the second link holds %d of %d messages have an address", addresses(got), len(got))
		}
		assemblytest.Pass(25 * time.Hour)
		if got := watch(token); len(got) < 4 || addresses(got) != 0 {
			t.Errorf("when it is over %d of %d messages have an address", addresses(got), len(got))
		}
	})
}
