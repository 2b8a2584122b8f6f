package consents_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// What is left of a deleted consent gives nothing back, whoever still has the key of the request that made it.
func TestDeletedConsentsStayDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			p.Capabilities["DeleteConsent"] = providers.Support{Level: providers.Native}
		})
		p.Report(providers.ConsentState{}, &providers.Error{Kind: providers.KindConsentEnded})
		request := &consentv1.CreateConsentRequest{
			Consent: &consentv1.Consent{
				Provider: "fimento", Market: "SE", Reference: optional.Of("loan-4711"),
				RedirectUris: &consentv1.Consent_RedirectUris{Success: optional.Of("https://app.example.com/done")},
			},
			Psu: &consentv1.Psu{NationalId: "199503096316"}, RequestId: "3b0a6a0e-0000-4000-8000-000000000001",
		}
		create := func(request *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
			return p.Servers.Consent.CreateConsent(p.Ctx, request)
		}
		made, err := create(request)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := create(request); err != nil || !proto.Equal(again, made) {
			t.Fatalf("before it is deleted, its request gives %v, %v", again, err)
		}
		row, _, err := p.Load.Consent(p.Ctx, made.GetName())
		if err != nil {
			t.Fatal(err)
		}
		err = p.Store.Update(p.Ctx, row.Tenant, func(tx store.Tx) error {
			fresh, err := tx.Consent(row.ID)
			if err != nil {
				return err
			}
			fresh.Ended = true // as its provider said: nothing is to be ended there
			return tx.UpdateConsent(fresh)
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Servers.Consent.DeleteConsent(p.Ctx, &consentv1.DeleteConsentRequest{Name: made.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if again, err := create(request); kerr.Reason(err) != errorv1.Error_CONSENT_NOT_FOUND {
				t.Errorf("its request gives %v, %v", again, err)
			}
		}
		other := proto.CloneOf(request)
		other.Psu.NationalId = "197710114682"
		if _, err := create(other); kerr.Reason(err) != errorv1.Error_IDEMPOTENCY_KEY_REUSED {
			t.Errorf("another request with its key gives %v", err)
		}
		if n := p.Made(); n != 1 {
			t.Errorf("the provider made %d consents", n)
		}
		err = p.Store.View(p.Ctx, row.Tenant, func(r store.Reader) error {
			if _, err := r.Consent(row.ID); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("it is found: %v", err)
			}
			entries, err := r.ConsentEntries(row.ID, "", 99)
			if len(entries) != 1 || entries[0].Event.Type != consentv1.ConsentEvent_DELETED ||
				entries[0].After.GetReference() != "" || entries[0].After.GetRedirectUris() != nil {
				t.Errorf("its log is %v", entries)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
