package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/test/worldtest"
)

// TestWebhookReplays: a webhook is a hint. Replayed a hundred times, or naming what is not there, it adds nothing,
// and hardly asks anybody.
func TestWebhookReplays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	c := w.client(t, lending)
	consent := w.authorized(t, c, fimento.ID)
	eventually(t, "a webhook to be registered", func() bool {
		return w.core(fimento.ID).Calls.Count(fimento.OpAddWebhook) > 0
	})
	var registered struct{ WebhookURL string }
	if err := json.Unmarshal(w.core(fimento.ID).Calls.Of(fimento.OpAddWebhook)[0].Body, &registered); err != nil {
		t.Fatal(err)
	}
	begun, reads := time.Now(), w.core(fimento.ID).Calls.Count(fimento.OpGetProcess)
	for i := range 200 {
		body := fmt.Sprintf(
			`{"_id": %q, "consentFlowStatus": {"current": {"code": "customerDeniedConsent"}}, "consent": "revoked"}`,
			consent.GetProviderReference(),
		)
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
	if n, most := w.core(fimento.ID).Calls.Count(fimento.OpGetProcess)-reads, int(
		time.Since(begun)/(50*time.Millisecond),
	)+3; n > most {
		t.Errorf("the replays made the gateway read the process %d times, want at most %d", n, most)
	}
	for _, other := range worldtest.Others(fimento.ID) {
		address := strings.Replace(registered.WebhookURL, "/"+fimento.ID+"/", "/"+other+"/", 1)
		if status := post(t, address, "{}"); status != http.StatusNotFound {
			t.Errorf("the token at another provider's address was answered with %d", status)
		}
	}
}

// TestOpenRedirects: an address that is not on the tenant's list is refused, however it is dressed.
func TestOpenRedirects(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	host := strings.TrimPrefix(w.app.URL, "http://")
	corpus := []string{
		"https://evil.example/", "https://evil.example/back/success", "http://evil.example:80/back/",
		"https://" + host + "/back/success",
		"http://" + host + "@evil.example/back/success", "http://evil.example@" + host + "/back/success",
		"http://" + host + ":80@evil.example/",
		"http://" + host + "/back/../admin", "http://" + host + "/back/%2e%2e/admin",
		"http://" + host + "/back/..%2fadmin", "http://" + host + "/backdoor/success",
		"http://" + host + "/back//evil.example", "http://" + host + "/elsewhere", "http://" + host + "/",
		"http://" + host + "/back/success#@evil.example",
		"http://" + host + `\@evil.example/back/`, "http://" + host + "\\.evil.example/back/", "//evil.example/back/",
		"/back/success", "back/success",
		"javascript:alert(1)//" + host + "/back/", "data:text/html,back", "http:///" + host + "/back/success",
		"http:" + host + "/back/success",
		"http://localhost/back/success", "http://127.1/back/success", "http://2130706433/back/success",
		"http://0x7f.1/back/success", "http://[::1]/back/success",
		"HTTP://EVIL.EXAMPLE/back/success", "http://" + host + ".evil.example/back/",
		"http://" + host + "%2eevil.example/back/", "ftp://" + host + "/back/success",
		"http://" + host + "\t.evil.example/back/", "http://" + host + "\n/back/", "http://127.0.0.1/back/success",
		"http://127.0.0.1:0/back/success", "http://user:pw@" + host + "/back/success",
		"http://ⓔvil.example/back/", "http://127。0。0。1/back/success", "http://" + host + "./back/success",
		"http://" + host + "/back/*/../../x",
	}
	for _, address := range corpus {
		for _, transport := range transports {
			got, err := c.call(t.Context(), transport, methods()["kontor.consent.v1.ConsentService/CreateConsent"],
				object{"consent": object{
					"provider": fimento.ID, "market": "SE", "redirectUris": object{"success": address},
				}}, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			f := got.failure
			if f == nil || f.reason != "REDIRECT_URI_NOT_ALLOWED" && f.reason != "INVALID_FIELD" ||
				f.fields[0] != "consent.redirectUris.success" || strings.Contains(f.text, "evil") {
				t.Errorf("%q over %s: got %v, want a refusal", address, transport, f)
			}
		}
	}
	for _, address := range []string{
		w.app.URL + "/back/x", w.app.URL + "/back", w.app.URL + "/back/x/y?z=1&next=https://evil.example/",
	} {
		consent := w.createConsent(t, c, fimento.ID, func(r *consentv1.CreateConsentRequest) {
			r.Consent.RedirectUris.Success = optional.Of(address)
		})
		visit := w.pages(t, consent.GetLink().GetUri())
		if back := visit.approve(); !strings.HasPrefix(back, w.public.URL+"/callbacks/redirects/") {
			t.Fatalf("Fimento was told to return to %s", back)
		} else if location := w.follow(t, back); location != address {
			t.Errorf("the way back leads to %s, want %s", location, address)
		}
	}
}
