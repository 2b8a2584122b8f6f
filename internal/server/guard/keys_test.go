package guard_test

import (
	"crypto/sha256"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/server/guard"
	"kontor.dev/kontor/internal/server/origin"
)

func clientOf(key string, change ...func(*config.Client)) config.Client {
	c := config.Client{
		ID: "c", Tenant: "one", Keys: [][sha256.Size]byte{sha256.Sum256([]byte(key))},
		Scopes: []string{"consents.write", "banking.read"},
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

// TestKeysAreBound: what goes with a key must be there, and why it is refused is for the log alone.
func TestKeysAreBound(t *testing.T) {
	t.Parallel()
	right, other := sha256.Sum256([]byte("right")), sha256.Sum256([]byte("other"))
	keys := guard.NewKeys([]config.Client{
		clientOf("free-canary"),
		clientOf("from-canary", func(c *config.Client) {
			c.Addresses = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("2001:db8::/32")}
		}),
		clientOf("with-canary", func(c *config.Client) { c.Certificates = [][sha256.Size]byte{right, sha256.Sum256(nil)} }),
		clientOf("over-canary", func(c *config.Client) { c.Expires = time.Now().Add(-time.Second) }),
		clientOf("soon-canary", func(c *config.Client) { c.Expires = time.Now().Add(time.Hour) }),
	})
	at := func(address string) origin.Origin { return origin.Origin{Address: netip.MustParseAddr(address)} }
	for what, c := range map[string]struct {
		key  string
		from origin.Origin
		want string // why it is refused; empty when it is not
	}{
		"nothing asked for":       {"free", origin.Origin{}, ""},
		"the right network":       {"from", at("10.1.255.255"), ""},
		"the other right network": {"from", at("2001:db8::1"), ""},
		"another network":         {"from", at("10.2.0.0"), "address"},
		"nobody knows where":      {"from", origin.Origin{}, "address"},
		"the right certificate":   {"with", origin.Origin{Certificate: &right}, ""},
		"another certificate":     {"with", origin.Origin{Certificate: &other}, "another client certificate"},
		"no certificate":          {"with", at("10.1.0.1"), "without a client certificate"},
		"a certificate too many":  {"free", origin.Origin{Certificate: &other}, ""},
		"a key that ended":        {"over", origin.Origin{}, "expired"},
		"a key that ends":         {"soon", origin.Origin{}, ""},
		"no key":                  {"none", origin.Origin{}, "no client has this key"},
	} {
		id, err := keys.Authenticate(origin.With(t.Context(), c.from), []string{"Bearer " + c.key + "-canary"})
		if c.want == "" {
			if err != nil || id.ClientID != "c" {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") ||
			id.ClientID != "" {
			t.Errorf("%s: %+v, %v", what, id, err)
		}
		// Whoever else is asked does not hide why.
		if _, all := (guard.AnyOf{keys, guard.NewOIDC(guard.OIDCOptions{})}).Authenticate(
			origin.With(t.Context(), c.from), []string{"Bearer " + c.key + "-canary"}); all == nil || all.Error() != err.Error() {
			t.Errorf("%s, among others: %v", what, all)
		}
	}
}

// TestLastDay: a key is good to the end of its day, and its streams end with it.
func TestLastDay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(time.Hour)
		keys := guard.NewKeys([]config.Client{clientOf("key", func(c *config.Client) { c.Expires = end })})
		id, err := keys.Authenticate(t.Context(), []string{"Bearer key"})
		if err != nil || !id.Expires.Equal(end) {
			t.Fatalf("%+v, %v", id, err)
		}
		if got := keys.Expiring(2 * time.Hour); !got["c"].Equal(end) || len(keys.Expiring(time.Minute)) > 0 {
			t.Errorf("it ends %v", got)
		}
		time.Sleep(time.Hour - time.Nanosecond)
		if _, err := keys.Authenticate(t.Context(), []string{"Bearer key"}); err != nil {
			t.Errorf("in the last moment: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := keys.Authenticate(t.Context(), []string{"Bearer key"}); err == nil {
			t.Error("it is taken after its end")
		}
	})
}

// TestReplacedKeys: streams end with their key and with any right that it loses, and with nothing else.
func TestReplacedKeys(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		change func(*config.Client)
		ends   bool
	}{
		"the same":       {func(*config.Client) {}, false},
		"one more right": {func(c *config.Client) { c.Scopes = append(c.Scopes, "insights.read") }, false},
		"every right":    {func(c *config.Client) { c.Scopes = []string{"*"} }, false},
		"another key beside it": {func(c *config.Client) {
			c.Keys = append([][sha256.Size]byte{sha256.Sum256([]byte("more"))}, c.Keys...)
		}, false},
		"a right less":     {func(c *config.Client) { c.Scopes = []string{"consents.write"} }, true},
		"a smaller right":  {func(c *config.Client) { c.Scopes = []string{"consents.read", "banking.read"} }, true},
		"another tenant":   {func(c *config.Client) { c.Tenant = "two" }, true},
		"another name":     {func(c *config.Client) { c.ID = "d" }, true},
		"an end":           {func(c *config.Client) { c.Expires = time.Now().Add(time.Hour) }, true},
		"another address":  {func(c *config.Client) { c.Addresses = []netip.Prefix{{}} }, true},
		"a certificate":    {func(c *config.Client) { c.Certificates = make([][sha256.Size]byte, 1) }, true},
		"another key":      {func(c *config.Client) { c.Keys = [][sha256.Size]byte{sha256.Sum256([]byte("more"))} }, true},
		"no key but other": {func(c *config.Client) { c.Keys = nil }, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			keys := guard.NewKeys([]config.Client{clientOf("key"), clientOf("beside", func(c *config.Client) { c.ID = "b" })})
			id, err := keys.Authenticate(t.Context(), []string{"Bearer key"})
			beside, err2 := keys.Authenticate(t.Context(), []string{"Bearer beside"})
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			var ended, besideEnded, late bool
			defer id.OnEnd(func() { ended = true })()
			defer beside.OnEnd(func() { besideEnded = true })()
			for range 2 { // the second changes nothing more
				keys.Replace([]config.Client{
					clientOf("key", c.change), clientOf("beside", func(c *config.Client) { c.ID = "b" }),
				})
			}
			synctest.Wait()
			if ended != c.ends || besideEnded {
				t.Errorf("%s: the stream ended: %t, the one beside it: %t", what, ended, besideEnded)
			}
			defer id.OnEnd(func() { late = true })() // of who was let in just before
			synctest.Wait()
			if late != c.ends {
				t.Errorf("%s: a late stream ended: %t", what, late)
			}
		})
	}
}

// TestReplacingRacesWithCalls: whoever authenticates meanwhile is one of before or of after.
func TestReplacingRacesWithCalls(t *testing.T) {
	t.Parallel()
	keys := guard.NewKeys([]config.Client{clientOf("key")})
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			for range 500 {
				if _, err := keys.Authenticate(t.Context(), []string{"Bearer key"}); err != nil {
					t.Errorf("a key that stays: %v", err)
				}
			}
		})
	}
	for range 100 {
		keys.Replace([]config.Client{clientOf("other"), clientOf("key")})
		keys.Replace([]config.Client{clientOf("key")})
	}
	calls.Wait()
}
