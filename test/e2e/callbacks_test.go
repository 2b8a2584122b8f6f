package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

// guess is a token as an attacker may try it: of the right form, or not.
func guess(i int) string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	token := base64.RawURLEncoding.EncodeToString(raw)
	return []string{token, token[:20], token + token, url.PathEscape("../" + token), "%00" + token, "0"}[i%6]
}

// get opens an address and gives the status.
func get(t *testing.T, address string) int {
	t.Helper()
	resp, err := httpClient.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestForgedCallbacks: whoever does not know a token changes nothing, and makes nobody be asked anything.
func TestForgedCallbacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	w.FinoOS.SetCallbacks(finoos.Callbacks{Mode: finoos.CallbacksNever})
	c := w.client(t, lending)
	pending := map[string]*consentv1.Consent{fimentoID: w.createConsent(t, c, fimentoID), finoosID: w.createConsent(t, c, finoosID)}
	shipment := must(c.documents.CreateShipment(t.Context(), newShipment("Notariat Nord", documentsv1.Shipment_FAX)))(t)
	id := strings.TrimPrefix(shipment.GetName(), "shipments/")
	before := w.calls()
	for i := range 600 {
		token := guess(i)
		for what, status := range map[string]int{
			"webhook":  post(t, w.public.URL+"/callbacks/fimento/webhook/"+token, `{"_id":"`+pending[fimentoID].GetProviderReference()+`"}`),
			"redirect": get(t, w.public.URL+"/callbacks/redirects/"+token+"/success?userID="+pending[finoosID].GetProviderReference()),
			"report":   post(t, w.public.URL+"/callbacks/shipments/"+token+"?requestid="+id+"&success=true", ""),
		} {
			if status != http.StatusNotFound && status != http.StatusBadRequest {
				t.Fatalf("a forged %s was answered with %d", what, status)
			}
		}
	}
	if made := w.callsSince(before); len(made) > 0 {
		t.Errorf("forged callbacks made the gateway call %v", made)
	}
	for _, consent := range pending {
		wantSame(t, "a consent", must(c.consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent.GetName()}))(t), consent)
	}
	wantSame(t, "the shipment", must(c.documents.GetShipment(t.Context(), &documentsv1.GetShipmentRequest{Name: shipment.GetName()}))(t), shipment)
}

// redirectOf gives the address that the gateway told finoOS to return a user to, without an outcome.
func (w *world) redirectOf(t *testing.T, operation, userID string) string {
	t.Helper()
	for _, call := range w.FinoOSCore.Calls.Of(operation) {
		var body struct{ RedirectURL string }
		if strings.Contains(call.Path, userID) && json.Unmarshal(call.Body, &body) == nil {
			return strings.TrimSuffix(body.RedirectURL, "/success")
		}
	}
	t.Fatalf("no %s for the user", operation)
	return ""
}

// TestRedirects: a way back proves nothing by itself. It is bound to one user, cannot be bent, and can be taken again without effect.
func TestRedirects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	consent, other := w.createConsent(t, c, finoosID), w.createConsent(t, c, finoosID)
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
	wantSame(t, "the consent", must(c.consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent.GetName()}))(t), consent)

	// Nobody logged in at a bank: the way back leads on, and the consent is as it was.
	if location := w.follow(t, way+"/success?userID="+user); location != consent.GetRedirectUris().GetSuccess() {
		t.Errorf("the way back leads to %s", location)
	}
	if got := refresh(t, c, consent.GetName()); got.GetStatus() != consentv1.Consent_AWAITING_AUTHORIZATION {
		t.Errorf("a bare return made the consent %s", got.GetStatus())
	}
	location, err := w.FinoOS.CompleteLogin(user)
	if err != nil {
		t.Fatal(err)
	}
	w.follow(t, location)
	authorized := must(c.consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent.GetName()}))(t)
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

// TestWebhookReplays: a webhook is a hint. Replayed a hundred times, or naming what is not there, it adds nothing, and hardly asks anybody.
func TestWebhookReplays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	c := w.client(t, lending)
	consent := w.authorized(t, c, fimentoID)
	eventually(t, "a webhook to be registered", func() bool { return w.FimentoCore.Calls.Count(fimento.OpAddWebhook) > 0 })
	var registered struct{ WebhookURL string }
	if err := json.Unmarshal(w.FimentoCore.Calls.Of(fimento.OpAddWebhook)[0].Body, &registered); err != nil {
		t.Fatal(err)
	}
	begun, reads := time.Now(), w.FimentoCore.Calls.Count(fimento.OpGetProcess)
	for i := range 200 {
		body := fmt.Sprintf(`{"_id": %q, "consentFlowStatus": {"current": {"code": "customerDeniedConsent"}}, "consent": "revoked"}`, consent.GetProviderReference())
		if i%2 == 1 {
			body = `{"_id": "000000000000000000000000"}`
		}
		if status := post(t, registered.WebhookURL, body); status/100 != 2 {
			t.Fatalf("a webhook was answered with %d", status)
		}
	}
	for _, body := range []string{"", "no JSON", "[]", `{"_id": {"deep": [[[1]]]}}`, strings.Repeat("[", 10_000)} {
		if status := post(t, registered.WebhookURL, body); status/100 != 2 {
			t.Errorf("a webhook with an odd body was answered with %d", status)
		}
	}
	got := refresh(t, c, consent.GetName())
	wantSame(t, "the consent", got, consent)
	// At most one read in 50 ms, the shortest interval, and the one above.
	if n, most := w.FimentoCore.Calls.Count(fimento.OpGetProcess)-reads, int(time.Since(begun)/(50*time.Millisecond))+3; n > most {
		t.Errorf("the replays made the gateway read the process %d times, want at most %d", n, most)
	}
	if status := post(t, strings.Replace(registered.WebhookURL, "/fimento/", "/finoos/", 1), "{}"); status != http.StatusNotFound {
		t.Errorf("the token at another provider's address was answered with %d", status)
	}
}

// TestShipmentReports: the first report counts, and only one that fits.
func TestShipmentReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	w.FinoOS.SetCallbacks(finoos.Callbacks{Mode: finoos.CallbacksNever})
	c := w.client(t, lending)
	other := must(c.documents.CreateShipment(t.Context(), newShipment("Notariat Süd", documentsv1.Shipment_FAX)))(t)
	shipment := must(c.documents.CreateShipment(t.Context(), newShipment("Notariat Nord", documentsv1.Shipment_FAX)))(t)
	accepted := w.FinoOS.Shipments()
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
		wantSame(t, "a shipment", must(c.documents.GetShipment(t.Context(), &documentsv1.GetShipmentRequest{Name: s.GetName()}))(t), s)
	}
	w.report(t, "true")
	settled := delivered(t, c, shipment.GetName(), documentsv1.Shipment_DELIVERED)
	for _, success := range []string{"false", "true", "false"} {
		w.report(t, success)
	}
	wantSame(t, "a settled shipment", must(c.documents.GetShipment(t.Context(), &documentsv1.GetShipmentRequest{Name: shipment.GetName()}))(t), settled)
}

// TestOpenRedirects: an address that is not on the tenant's list is refused, however it is dressed.
func TestOpenRedirects(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	host := strings.TrimPrefix(w.app.URL, "http://")
	corpus := []string{
		"https://evil.example/", "https://evil.example/back/success", "http://evil.example:80/back/", "https://" + host + "/back/success",
		"http://" + host + "@evil.example/back/success", "http://evil.example@" + host + "/back/success", "http://" + host + ":80@evil.example/",
		"http://" + host + "/back/../admin", "http://" + host + "/back/%2e%2e/admin", "http://" + host + "/back/..%2fadmin", "http://" + host + "/backdoor/success",
		"http://" + host + "/back//evil.example", "http://" + host + "/elsewhere", "http://" + host + "/", "http://" + host + "/back/success#@evil.example",
		"http://" + host + `\@evil.example/back/`, "http://" + host + "\\.evil.example/back/", "//evil.example/back/", "/back/success", "back/success",
		"javascript:alert(1)//" + host + "/back/", "data:text/html,back", "http:///" + host + "/back/success", "http:" + host + "/back/success",
		"http://localhost/back/success", "http://127.1/back/success", "http://2130706433/back/success", "http://0x7f.1/back/success", "http://[::1]/back/success",
		"HTTP://EVIL.EXAMPLE/back/success", "http://" + host + ".evil.example/back/", "http://" + host + "%2eevil.example/back/", "ftp://" + host + "/back/success",
		"http://" + host + "\t.evil.example/back/", "http://" + host + "\n/back/", "http://127.0.0.1/back/success", "http://127.0.0.1:0/back/success", "http://user:pw@" + host + "/back/success",
		"http://ⓔvil.example/back/", "http://127。0。0。1/back/success", "http://" + host + "./back/success", "http://" + host + "/back/*/../../x",
	}
	for _, address := range corpus {
		for _, transport := range transports {
			got, err := c.call(t.Context(), transport, methods()["kontor.consent.v1.ConsentService/CreateConsent"],
				object{"consent": object{"market": "SE", "redirectUris": object{"success": address}}}, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			f := got.failure
			if f == nil || f.reason != "REDIRECT_URI_NOT_ALLOWED" && f.reason != "INVALID_FIELD" || f.fields[0] != "consent.redirectUris.success" || strings.Contains(f.text, "evil") {
				t.Errorf("%q over %s: got %v, want a refusal", address, transport, f)
			}
		}
	}
	for _, address := range []string{w.app.URL + "/back/x", w.app.URL + "/back", w.app.URL + "/back/x/y?z=1&next=https://evil.example/"} {
		consent := w.createConsent(t, c, fimentoID, func(r *consentv1.CreateConsentRequest) { r.Consent.RedirectUris.Success = address })
		visit := w.pages(t, consent.GetLink().GetUri())
		if back := visit.approve(); !strings.HasPrefix(back, w.public.URL+"/callbacks/redirects/") {
			t.Fatalf("Fimento was told to return to %s", back)
		} else if location := w.follow(t, back); location != address {
			t.Errorf("the way back leads to %s, want %s", location, address)
		}
	}
}
