package sandboxes

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

var start = time.Date(2026, 5, 20, 10, 0, 0, 0, time.UTC)

func post(t *testing.T, url, body string, into any) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if into != nil {
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	return res.StatusCode
}

func logIn(t *testing.T, r *Running) (fimentoStatus, finoosStatus int) {
	t.Helper()
	return post(t, r.FimentoURL+"/auth/login", `{"name":"`+fimento.DefaultName+`","password":"`+fimento.DefaultPassword+`"}`, nil),
		post(t, r.FinoOSURL+"/auth", `{"name":"`+finoos.DemoName+`","secret":"`+finoos.DemoSecret+`"}`, nil)
}

func TestBothServe(t *testing.T) {
	clock := sandbox.NewManualClock(start)
	r, err := Start(t.Context(), Options{Options: sandbox.Options{Seed: 5, Clock: clock}})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := logIn(t, r); a != 200 || b != 200 {
		t.Errorf("logins answered %d and %d", a, b)
	}
	if r.FimentoCore.Population != r.FinoOSCore.Population {
		t.Error("the people are not the same")
	}

	// A fault of one provider is not one of the other, nor is a call.
	r.FimentoCore.Faults.Add(sandbox.Fault{Status: 503})
	if a, b := logIn(t, r); a != 503 || b != 200 {
		t.Errorf("with a fault, logins answered %d and %d", a, b)
	}
	if a, b := r.FimentoCore.Calls.Count(fimento.OpLogin), r.FimentoCore.Calls.Count("authenticate"); a != 2 || b != 0 {
		t.Errorf("counted %d and %d at Fimento", a, b)
	}
	if n := r.FinoOSCore.Calls.Count("authenticate"); n != 2 {
		t.Errorf("counted %d at finoOS", n)
	}

	// The clock is the same.
	var shown struct{ Now time.Time }
	if status := post(t, r.FimentoURL+"/_sandbox/clock", `{"advance":"1h"}`, &shown); status != 200 || !shown.Now.Equal(start.Add(time.Hour)) {
		t.Errorf("status %d, clock %v", status, shown.Now)
	}
	if now := r.FinoOSCore.Clock.Now(); !now.Equal(start.Add(time.Hour)) {
		t.Errorf("finoOS's clock shows %v", now)
	}

	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error("closed again:", err)
	}
	for _, url := range []string{r.FimentoURL, r.FinoOSURL} {
		if res, err := http.Get(url); err == nil {
			res.Body.Close()
			t.Errorf("%s still answers", url)
		}
	}
}

func TestLinksPointToTheServer(t *testing.T) {
	r, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	var login struct {
		Token string `json:"access_token"`
	}
	post(t, r.FimentoURL+"/auth/login", `{"name":"demo","password":"demo-password"}`, &login)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.FimentoURL+"/process", strings.NewReader(`{"market":"SE","dataCollectionType":"transaction-categorisation"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+login.Token)
	req.Header.Set("partner-bank-id", fimento.DefaultPartnerBankID)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var process struct {
		Link string `json:"consent-link"`
	}
	if err := json.NewDecoder(res.Body).Decode(&process); err != nil || !strings.HasPrefix(process.Link, r.FimentoURL+"/consent/") {
		t.Errorf("link %q, %v", process.Link, err)
	}
}

func TestOnlyLoopback(t *testing.T) {
	for _, o := range []Options{{FimentoAddr: "0.0.0.0:0"}, {FinoOSAddr: ":0"}, {FimentoAddr: "nonsense"}} {
		if r, err := Start(t.Context(), o); err == nil {
			_ = r.Close()
			t.Errorf("listens on %s and %s", r.FimentoURL, r.FinoOSURL)
		}
	}
}

func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Start(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	r.serving.Wait()
}

// TestIDsStayAsTheyAre: a seed gives the same ids in every version, since notes of failures name them.
func TestIDsStayAsTheyAre(t *testing.T) {
	r, err := Start(t.Context(), Options{Options: sandbox.Options{Seed: 5, Clock: sandbox.NewManualClock(start)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	var login struct {
		Fimento string `json:"access_token"`
		FinoOS  string `json:"accessToken"`
	}
	post(t, r.FimentoURL+"/auth/login", `{"name":"`+fimento.DefaultName+`","password":"`+fimento.DefaultPassword+`"}`, &login)
	post(t, r.FinoOSURL+"/auth", `{"name":"`+finoos.DemoName+`","secret":"`+finoos.DemoSecret+`"}`, &login)
	for what, values := range map[string][2]string{
		"Fimento's token": {login.Fimento, "feae64bcc1e9d2bb782a554b08fb6f630a296f78ec427f4ea68578073708bcde"},
		"finoOS's token":  {login.FinoOS[len(login.FinoOS)-40:], "c0M2FmNGJlNjE4ZjBmM2FmMTVkYTNhYmU0MjgxOQ"},
	} {
		if values[0] != values[1] {
			t.Errorf("%s is %s, want %s", what, values[0], values[1])
		}
	}
}
