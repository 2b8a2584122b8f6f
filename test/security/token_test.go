package security

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"kontor.dev/kontor/test/worldtest"
)

// issuer is the OpenID provider of all worlds. Every world's gateway takes its tokens for the tenant default.
var issuer = newTokenIssuer()

type tokenIssuer struct {
	url string
	key *rsa.PrivateKey
}

func newTokenIssuer() *tokenIssuer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	i := &tokenIssuer{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(object{"issuer": i.url, "jwks_uri": i.url + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(object{"keys": []object{{
			"kty": "RSA", "kid": "one", "use": "sig", "n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
			"e": "AQAB",
		}}})
	})
	i.url = httptest.NewServer(mux).URL // for as long as the tests run
	return i
}

// token makes a token that is good for everything, but for what is changed.
func (i *tokenIssuer) token(changes object) string {
	claims := object{
		"iss": i.url, "aud": "kontor", "sub": "scoring", "exp": time.Now().Add(time.Hour).Unix(), "scope": "*",
	}
	for name, value := range changes {
		claims[name] = value
	}
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := part(object{"alg": "RS256", "kid": "one"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func init() { //nolint:gochecknoinits // tables that the matrix, in another file, goes through
	extras = append(extras, func() string {
		return fmt.Sprintf("oidc: [{issuer: %q, audience: kontor, tenant: default}]\n", issuer.url)
	})
	intruders = append(intruders,
		intruder{
			what: "expired token", authorization: issuer.token(object{"exp": time.Now().Add(-time.Minute).Unix()}),
			reason: "UNAUTHENTICATED",
		},
		intruder{
			what: "token for others", authorization: issuer.token(object{"aud": "others"}), reason: "UNAUTHENTICATED",
		},
		intruder{
			what: "token without scope", authorization: issuer.token(object{"scope": "openid profile"}),
			reason: "SCOPE_MISSING",
		},
	)
}

// TestTokens: what the matrix's tokens lack is all that they lack.
func TestTokens(t *testing.T) {
	w := newWorld(t, worldOptions{minInterval: time.Hour})
	for _, m := range worldtest.Methods() {
		if name := m.Name(); name != "ListCustomers" && name != "WatchConsents" {
			continue
		}
		for _, front := range fronts {
			token := issuer.token(nil)
			if a := w.call(t, w.stubs(t, token), front, token, m, object{}); a.failure != nil {
				t.Errorf("%s %s: %v", m.Name(), front, a.failure)
			}
		}
	}
}
