package consents_test

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
)

// shownToTickets are the fields that bearers of tickets see, at any depth.
var shownToTickets = map[protoreflect.FullName]bool{
	"kontor.consent.v1.WatchConsentsResponse.kind":         true,
	"kontor.consent.v1.WatchConsentsResponse.consent":      true,
	"kontor.consent.v1.WatchConsentsResponse.event":        true,
	"kontor.consent.v1.WatchConsentsResponse.resume_token": true,
	"kontor.consent.v1.WatchConsentsResponse.send_time":    true,
	"kontor.consent.v1.Consent.name":                       true,
	"kontor.consent.v1.Consent.status":                     true,
	"kontor.consent.v1.Consent.data_stage":                 true,
	"kontor.consent.v1.Consent.connections":                true,
	"kontor.consent.v1.Connection.status":                  true,
	"kontor.consent.v1.ConsentEvent.type":                  true,
}

// wantGlimpse fails for each field that a bearer of a ticket must not see.
func wantGlimpse(t *testing.T, message proto.Message) {
	t.Helper()
	var visit func(m protoreflect.Message)
	visit = func(m protoreflect.Message) {
		m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
			switch {
			case field.ParentFile().Package() != "kontor.consent.v1":
			case !shownToTickets[field.FullName()]:
				t.Errorf("%s is shown", field.FullName())
			case field.IsList():
				for i := range value.List().Len() {
					visit(value.List().Get(i).Message())
				}
			case field.Message() != nil:
				visit(value.Message())
			}
			return true
		})
	}
	visit(message.ProtoReflect())
}

// A ticket follows one consent until its time is over, and shows how it stands and nothing else.
func TestTickets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			p.Consents = revocable{p.Consents}
		})
		name, other := p.Create(t).Resource.GetName(), p.Create(t).Resource.GetName()
		made, err := p.Servers.Consent.CreateWatchTicket(p.Ctx, &consentv1.CreateWatchTicketRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(made.GetExpireTime().AsTime()); left != 15*time.Minute {
			t.Errorf("the ticket works for %v", left)
		}
		follow := func(consent string) ([]*consentv1.WatchConsentsResponse, error) {
			ticket, ok := p.Tickets.Open(made.GetTicket())
			if !ok {
				t.Fatal("the ticket is not taken")
			}
			client := identity.Identity{ClientID: ticket.ClientID, Tenant: ticket.Tenant, Ticket: &ticket}
			r := &received{ctx: identity.With(t.Context(), client)}
			err := p.Servers.Consent.WatchConsents(&consentv1.WatchConsentsRequest{Consent: consent}, r)
			return r.messages, err
		}
		for _, wrong := range []string{"", other} {
			if got, err := follow(wrong); kerr.Reason(err) != errorv1.Error_CONSENT_NOT_FOUND || len(got) != 0 {
				t.Errorf("a ticket of another consent follows %q: %v, %v", wrong, got, err)
			}
		}
		began := time.Now()
		got, err := follow(name)
		if lasted := time.Since(began); err != nil || lasted != 15*time.Minute {
			t.Errorf("the stream lasted %v and ended with %v", lasted, err)
		}
		for _, m := range got {
			wantGlimpse(t, m)
		}
		first, last := got[0], got[len(got)-1]
		if first.GetConsent().GetName() != name || first.GetConsent().GetStatus() == 0 || first.GetResumeToken() == "" ||
			last.GetKind() != consentv1.WatchConsentsResponse_END || last.GetResumeToken() != "" {
			t.Errorf("the stream began with %v and ended with %v", first, last)
		}
		if _, ok := p.Tickets.Open(made.GetTicket()); ok {
			t.Error("the ticket works when its time is over")
		}
		if _, ok := p.Tickets.Open(made.GetTicket()[1:]); ok {
			t.Error("a ticket that nobody made is taken")
		}

		// The end of the consent is the end of the stream, too.
		if made, err = p.Servers.Consent.CreateWatchTicket(p.Ctx,
			&consentv1.CreateWatchTicketRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
		deleted := make(chan struct{})
		go func() {
			defer close(deleted)
			<-time.After(time.Minute)
			_, err := p.Servers.Consent.DeleteConsent(p.Ctx, &consentv1.DeleteConsentRequest{Name: name})
			if err != nil {
				t.Error(err)
			}
		}()
		got, err = follow(name)
		<-deleted
		if n := len(got); err != nil || n < 2 || got[n-1].GetKind() != consentv1.WatchConsentsResponse_END ||
			got[n-2].GetEvent().GetType() != consentv1.ConsentEvent_DELETED {
			t.Errorf("the stream of a deleted consent was %v, %v", got, err)
		}
	})
}
