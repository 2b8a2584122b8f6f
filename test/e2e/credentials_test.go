package e2e

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"kontor.dev/kontor/test/worldtest"
)

// credential is a setting by which the gateway is known to a provider.
type credential struct{ provider, setting string }

// credentials are those of all providers: whatever is configured of an account but where it is and what it may do.
func (w *world) credentials() (all []credential) {
	for _, id := range worldtest.Providers() {
		for _, setting := range slices.Sorted(maps.Keys(w.Played[id].Player.Settings())) {
			if setting != "base_url" && setting != "partner_bank" && setting != "allow_simulation" {
				all = append(all, credential{id, setting})
			}
		}
	}
	return all
}

// replace configures the gateway's next start with other credentials. What stands before a provider puts the former
// ones in their place, as if the provider had been told of the change.
func (w *world) replace(t *testing.T, changes map[credential]string) {
	t.Helper()
	cfg := w.config()
	for _, tenant := range cfg.Tenants {
		for i := range tenant.Providers {
			b := &tenant.Providers[i]
			b.Set = map[string]string{}
			var pairs []string
			for c, value := range changes {
				if c.provider == b.ID {
					b.Set[c.setting] = value
					pairs = append(pairs, value, w.Played[b.ID].Player.Settings()[c.setting])
				}
			}
			b.URL = translating(t, b.Played.URL, pairs)
		}
	}
	if err := w.configure(cfg); err != nil {
		t.Fatal(err)
	}
}

// translating stands before a provider and replaces texts in what it is sent, given in pairs.
func translating(t *testing.T, target string, pairs []string) string {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(&httputil.ReverseProxy{
		ErrorLog: worldtest.DiscardLog,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			body, err := io.ReadAll(r.In.Body)
			if err != nil {
				return // the gateway hung up
			}
			for i := 0; i < len(pairs); i += 2 {
				body = bytes.ReplaceAll(body, []byte(pairs[i]), []byte(pairs[i+1]))
			}
			r.Out.Body, r.Out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	})
	t.Cleanup(server.Close)
	return server.URL
}

// another gives a credential of the same form.
func another(credential string) string {
	changed := []byte(credential)
	for i := len(changed) / 2; i < len(changed); i++ {
		switch c := changed[i]; {
		case '0' <= c && c <= '9':
			changed[i] = '0' + (c-'0'+1)%10
		case c == 'a':
			changed[i] = 'b'
		case 'a' < c && c <= 'z', 'A' <= c && c <= 'Z':
			changed[i] = 'a'
		default:
			continue
		}
		break
	}
	return string(changed)
}

// TestCredentialsChange: whichever credential of a provider is replaced, each key keeps its answer, and no provider is
// asked for anything again.
func TestCredentialsChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	requests := []*creation{{
		what: "customer", rpc: "kontor.customer.v1.CustomerService/CreateCustomer", setup: "none",
		request: object{"customer": object{"type": "PERSON", "reference": uuid.NewString()}},
	}}
	for _, provider := range worldtest.Providers() {
		for _, c := range providers.Of(provider).creations(w) {
			c.provider = provider
			requests = append(requests, c)
		}
	}
	for _, c := range requests {
		c.request, _ = setupOf(c.provider, c.setup)(
			t, w, w.client(t, lending), c.provider,
		).substitute(t, c.request).(object)
		c.key = uuid.NewString()
		r := c.once(t, w, 0)
		if r.failure != nil {
			t.Fatal(c.what, r.failure)
		}
		c.answer = r.messages[0]
	}
	changes := map[credential]string{}
	for _, which := range w.credentials() {
		// It stays so: in the end all of them are replaced.
		changes[which] = another(w.Played[which.provider].Player.Settings()[which.setting])
		w.restart(t, func() { w.replace(t, changes) })
		before := w.calls()
		for i, c := range requests {
			r := c.once(t, w, i)
			if r.failure != nil {
				t.Errorf("%s, when %s has another %s: %v", c.what, which.provider, which.setting, r.failure)
				continue
			}
			wantSame(t, c.what, r.messages[0], c.answer)
		}
		if made := w.callsSince(before); len(made) > 0 {
			t.Errorf("when %s has another %s, providers are asked again: %v", which.provider, which.setting, made)
		}
	}
	for c, value := range changes {
		if value == w.Played[c.provider].Player.Settings()[c.setting] {
			t.Errorf("%s of %s was not replaced", c.setting, c.provider)
		}
	}
	if len(changes) < 2*len(worldtest.Providers()) {
		t.Errorf("only %d credentials were replaced", len(changes))
	}
}
