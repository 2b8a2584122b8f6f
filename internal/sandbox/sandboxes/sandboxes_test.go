package sandboxes

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

var start = time.Date(2026, 5, 20, 10, 0, 0, 0, time.UTC)

// both is a list as cmd/gateway has one.
func both() []sandbox.Dialect {
	return []sandbox.Dialect{fimento.Dialect(fimento.Config{}), finoos.Dialect(finoos.Config{})}
}

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

func logIn(t *testing.T, r *Running, into any) (fimentoStatus, finoosStatus int) {
	t.Helper()
	f, o := r.Played["fimento"].Player.Settings(), r.Played["finoos"].Player.Settings()
	return post(t, f["base_url"]+"/auth/login", `{"name":"`+f["username"]+`","password":"`+f["password"]+`"}`, into),
		post(t, o["base_url"]+"/auth", `{"name":"`+o["name"]+`","secret":"`+o["secret"]+`"}`, into)
}

func TestAllServe(t *testing.T) {
	clock := sandbox.NewManualClock(start)
	r, err := Start(t.Context(), Options{Options: sandbox.Options{Seed: 5, Clock: clock}, Dialects: both()})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := logIn(t, r, nil); a != 200 || b != 200 {
		t.Errorf("logins answered %d and %d", a, b)
	}
	atFimento, atFinoOS := r.Played["fimento"], r.Played["finoos"]
	if all := r.InOrder(); len(all) != 2 || all[0] != atFimento || all[1] != atFinoOS {
		t.Errorf("in order they are %v", all)
	}
	if atFimento.Core.Population != atFinoOS.Core.Population {
		t.Error("the people are not the same")
	}

	// A fault of one provider is not one of the other, nor is a call.
	atFimento.Core.Faults.Add(sandbox.Fault{Status: 503})
	if a, b := logIn(t, r, nil); a != 503 || b != 200 {
		t.Errorf("with a fault, logins answered %d and %d", a, b)
	}
	if a, b := atFimento.Core.Calls.Count(fimento.OpLogin), atFimento.Core.Calls.Count("authenticate"); a != 2 ||
		b != 0 {
		t.Errorf("counted %d and %d at Fimento", a, b)
	}
	if n := atFinoOS.Core.Calls.Count("authenticate"); n != 2 {
		t.Errorf("counted %d at finoOS", n)
	}

	// The clock is the same.
	var shown struct{ Now time.Time }
	if status := post(t, atFimento.URL+"/_sandbox/clock", `{"advance":"1h"}`, &shown); status != 200 ||
		!shown.Now.Equal(start.Add(time.Hour)) {
		t.Errorf("status %d, clock %v", status, shown.Now)
	}
	if now := atFinoOS.Core.Clock.Now(); !now.Equal(start.Add(time.Hour)) {
		t.Errorf("finoOS's clock shows %v", now)
	}

	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error("closed again:", err)
	}
	for _, played := range r.InOrder() {
		if res, err := http.Get(played.URL); err == nil {
			res.Body.Close()
			t.Errorf("%s still answers", played.URL)
		}
	}
}

func TestLinksPointToTheServer(t *testing.T) {
	r, err := Start(t.Context(), Options{Dialects: both()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	url := r.Played["fimento"].URL
	var login struct {
		Token string `json:"access_token"`
	}
	post(t, url+"/auth/login", `{"name":"demo","password":"demo-password"}`, &login)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/process",
		strings.NewReader(`{"market":"SE","dataCollectionType":"transaction-categorisation"}`))
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
	if err := json.NewDecoder(res.Body).Decode(&process); err != nil ||
		!strings.HasPrefix(process.Link, url+"/consent/") {
		t.Errorf("link %q, %v", process.Link, err)
	}
}

func TestOnlyLoopback(t *testing.T) {
	for _, addr := range []map[string]string{
		{"fimento": "0.0.0.0:0"}, {"finoos": ":0"}, {"fimento": "nonsense"},
	} {
		if r, err := Start(t.Context(), Options{Dialects: both(), Addr: addr}); err == nil {
			_ = r.Close()
			t.Errorf("listens on %v", addr)
		}
	}
}

// TestNobodyIsLeftListening: when one provider is refused its port, the port of those before it is free again.
func TestNobodyIsLeftListening(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	first := taken.Addr().String()
	taken.Close()
	r, err := Start(t.Context(), Options{Dialects: both(), Addr: map[string]string{
		"fimento": first, "finoos": "nonsense",
	}})
	if err == nil {
		_ = r.Close()
		t.Fatal("it started")
	}
	again, err := net.Listen("tcp", first)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Start(ctx, Options{Dialects: both()})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	r.serving.Wait()
}

// TestIDsStayAsTheyAre: a seed gives the same ids in every version, since notes of failures name them.
func TestIDsStayAsTheyAre(t *testing.T) {
	r, err := Start(t.Context(), Options{
		Options: sandbox.Options{Seed: 5, Clock: sandbox.NewManualClock(start)}, Dialects: both(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	var login struct {
		Fimento string `json:"access_token"`
		FinoOS  string `json:"accessToken"`
	}
	logIn(t, r, &login)
	for what, values := range map[string][2]string{
		"Fimento's token": {login.Fimento, "feae64bcc1e9d2bb782a554b08fb6f630a296f78ec427f4ea68578073708bcde"},
		"finoOS's token":  {login.FinoOS[len(login.FinoOS)-40:], "c0M2FmNGJlNjE4ZjBmM2FmMTVkYTNhYmU0MjgxOQ"},
	} {
		if values[0] != values[1] {
			t.Errorf("%s is %s, want %s", what, values[0], values[1])
		}
	}
}

// atlantis is a made-up provider that answers everything with its name.
type atlantis struct{ closed bool }

func (p *atlantis) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "atlantis")
}

func (*atlantis) Settings() map[string]string { return map[string]string{"base_url": ""} }

func (p *atlantis) Close(context.Context) error {
	p.closed = true
	return nil
}

// TestAThirdDialect: a provider that this package never heard of is played like the others.
func TestAThirdDialect(t *testing.T) {
	made := &atlantis{}
	third := sandbox.Dialect{
		ID: "atlantis", Name: "Atlantis", New: func(*sandbox.Core, string) sandbox.Player { return made },
	}
	r, err := Start(t.Context(), Options{Dialects: append(both(), third)})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(r.Played["atlantis"].URL)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if string(body) != "atlantis" || As[*atlantis](r, "atlantis") != made || r.InOrder()[2].Name != "Atlantis" {
		t.Errorf("it says %q", body)
	}
	if r.Played["atlantis"].Core.Population != r.Played["fimento"].Core.Population {
		t.Error("the people are not the same")
	}
	if err := r.Close(); err != nil || !made.closed {
		t.Errorf("closed: %t, %v", made.closed, err)
	}
	if r, err := Start(t.Context(), Options{Dialects: []sandbox.Dialect{third, third}}); err == nil {
		_ = r.Close()
		t.Error("two providers have one id")
	}
}

func TestAsPanicsForAnother(t *testing.T) {
	r, err := Start(t.Context(), Options{Dialects: both()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if As[*finoos.Server](r, "finoos") == nil {
		t.Error("there is no finoOS")
	}
	for what, as := range map[string]func(){
		"not played":        func() { As[*fimento.Server](r, "atlantis") },
		"another's dialect": func() { As[*fimento.Server](r, "finoos") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: nothing panics", what)
				}
			}()
			as()
		}()
	}
}
