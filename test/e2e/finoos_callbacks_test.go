package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

// redirectOf gives the address that the gateway told finoOS to return a user to, without an outcome.
func (w *world) redirectOf(t *testing.T, operation, userID string) string {
	t.Helper()
	for _, call := range w.core(finoos.ID).Calls.Of(operation) {
		var body struct{ RedirectURL string }
		if strings.Contains(call.Path, userID) && json.Unmarshal(call.Body, &body) == nil {
			return strings.TrimSuffix(body.RedirectURL, "/success")
		}
	}
	t.Fatalf("no %s for the user", operation)
	return ""
}

// TestRedirects: a way back proves nothing by itself. It is bound to one user, cannot be bent, and can be taken again
// without effect.
func TestRedirects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	consent, other := w.createConsent(t, c, finoos.ID), w.createConsent(t, c, finoos.ID)
	user := consent.GetProviderReference()
	way := w.redirectOf(t, "connect", user)
	for what, address := range map[string]string{
		"another user":      way + "/success?userID=" + other.GetProviderReference(),
		"no user at all":    way + "/success?userID=nobody",
		"another outcome":   way + "/approved?userID=" + user,
		"no outcome":        way + "?userID=" + user,
		"a segment more":    way + "/success/error?userID=" + user,
		"half of the token": way[:len(way)-20] + "/success?userID=" + user,
	} {
		if status := get(t, address); status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", what, status)
		}
	}
	wantSame(
		t, "the consent",
		must(c.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent.GetName()}))(t), consent,
	)

	// Nobody logged in at a bank: the way back leads on, and the consent is as it was.
	if location := w.follow(t, way+"/success?userID="+user); location != consent.GetRedirectUris().GetSuccess() {
		t.Errorf("the way back leads to %s", location)
	}
	if got := refresh(t, c, consent.GetName()); got.GetStatus() != consentv1.Consent_AWAITING_AUTHORIZATION {
		t.Errorf("a bare return made the consent %s", got.GetStatus())
	}
	location, err := w.finoOS().CompleteLogin(user)
	if err != nil {
		t.Fatal(err)
	}
	w.follow(t, location)
	authorized := refresh(t, c, consent.GetName()) // the visit had its outcome, so the way back made nobody look
	if authorized.GetStatus() != consentv1.Consent_AUTHORIZED {
		t.Fatalf("after the login the consent is %s", authorized.GetStatus())
	}
	for range 20 {
		w.follow(t, location)
	}
	if got := refresh(t, c, consent.GetName()); got.GetEventCount() != authorized.GetEventCount() {
		t.Errorf("replays added events: %v", types(events(t, c, consent.GetName())))
	}
	// An error after the success does not undo it.
	if location := w.follow(t, way+"/error?userID="+user); location != consent.GetRedirectUris().GetError() {
		t.Errorf("the way back leads to %s", location)
	}
	if got := refresh(t, c, consent.GetName()); got.GetStatus() != consentv1.Consent_AUTHORIZED {
		t.Errorf("an error after the success made the consent %s", got.GetStatus())
	}
}

// TestShipmentReports: the first report counts, and only one that fits.
func TestShipmentReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	w.finoOS().SetCallbacks(finoos.Callbacks{Mode: finoos.CallbacksNever})
	c := w.client(t, lending)
	other := must(c.Documents.CreateShipment(t.Context(), newShipment("Notariat Süd", documentsv1.Channel_FAX)))(t)
	shipment := must(c.Documents.CreateShipment(t.Context(), newShipment("Notariat Nord", documentsv1.Channel_FAX)))(t)
	accepted := w.finoOS().Shipments()
	token, id := accepted[1].CallbackURL, accepted[1].ProcessID
	for what, query := range map[string]string{
		"another shipment's id":   "?requestid=" + accepted[0].ProcessID + "&success=true",
		"no id":                   "?success=true",
		"no outcome":              "?requestid=" + id,
		"an outcome that is none": "?requestid=" + id + "&success=perhaps",
		"nothing":                 "",
	} {
		if status := post(t, token+query, ""); status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", what, status)
		}
	}
	if status := get(t, token+"?requestid="+id+"&success=true"); status/100 == 2 {
		t.Errorf("a report by GET was answered with %d", status)
	}
	for _, s := range []*documentsv1.Shipment{shipment, other} {
		wantSame(
			t, "a shipment",
			must(c.Documents.GetShipment(t.Context(), &documentsv1.GetShipmentRequest{Name: s.GetName()}))(t), s,
		)
	}
	w.report(t, "true")
	settled := delivered(t, c, shipment.GetName(), documentsv1.Shipment_DELIVERED)
	for _, success := range []string{"false", "true", "false"} {
		w.report(t, success)
	}
	wantSame(
		t, "a settled shipment",
		must(c.Documents.GetShipment(t.Context(), &documentsv1.GetShipmentRequest{Name: shipment.GetName()}))(t),
		settled,
	)
}

// TestVisits: a visit has one outcome, the first. Looking where an address leads changes nothing, and neither that nor
// coming back makes the gateway ask the provider again and again.
func TestVisits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	consent := w.createConsent(t, c, finoos.ID)
	user := consent.GetProviderReference()
	way, query := w.redirectOf(t, "connect", user), "?userID="+user
	to := map[string]string{
		"success": consent.GetRedirectUris().GetSuccess(), "error": consent.GetRedirectUris().GetError(),
		"exit": consent.GetRedirectUris().GetExit(),
	}
	before := w.calls()
	for range 200 {
		for outcome, want := range to {
			resp, err := httpClient.Head(way + "/" + outcome + query)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || got != want {
				t.Fatalf("HEAD of %s answers %d, %s", outcome, resp.StatusCode, got)
			}
		}
	}
	if made := w.callsSince(before); len(made) > 0 {
		t.Errorf("HEAD made the gateway call %v", made)
	}
	wantSame(
		t, "the consent",
		must(c.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent.GetName()}))(t), consent,
	)

	// All outcomes at once: the first counts, and it alone makes the gateway look.
	var browsers sync.WaitGroup
	for range 50 {
		for outcome, want := range to {
			browsers.Go(func() {
				if got := w.follow(t, way+"/"+outcome+query); got != want {
					t.Errorf("%s leads to %s", outcome, got)
				}
			})
		}
	}
	browsers.Wait()
	if reads := w.callsSince(before)["get_logins"]; reads > 1 {
		t.Errorf("%d reads, want one", reads)
	}
	told := 0
	for _, event := range types(events(t, c, consent.GetName())) {
		switch event {
		case consentv1.ConsentEvent_LINK_EXITED, consentv1.ConsentEvent_AUTHORIZATION_FAILED,
			consentv1.ConsentEvent_APPROVED:
			told++
		}
	}
	if told > 1 { // A success without a login tells nothing.
		t.Errorf("noted are %v", types(events(t, c, consent.GetName())))
	}
}
