// Package guardtest helps tests whose callers authenticate with tokens.
package guardtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Claims are what a token, or its head, says.
type Claims = map[string]any

// Issuer is an OpenID provider that signs whatever a test wants.
type Issuer struct {
	*httptest.Server

	mu         sync.Mutex
	kid        string
	key        *rsa.PrivateKey
	away       string
	discovered int
	keysRead   int
}

// NewIssuer starts an issuer, which ends with the test.
func NewIssuer(tb testing.TB) *Issuer {
	tb.Helper()
	i := &Issuer{}
	i.Rotate(tb, "one")
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.discovered++
		if i.away != "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, i.away)
			return
		}
		// That an issuer offers an algorithm does not mean that it is taken.
		_ = json.NewEncoder(w).Encode(Claims{
			"issuer": i.URL, "jwks_uri": i.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.keysRead++
		_ = json.NewEncoder(w).Encode(Claims{"keys": []Claims{{
			"kty": "RSA", "kid": i.kid, "use": "sig",
			"n": base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()), "e": "AQAB",
		}}})
	})
	i.Server = httptest.NewServer(mux)
	tb.Cleanup(i.Close)
	return i
}

// Away has the issuer answer that it is unavailable, with a body; empty when it is back.
func (i *Issuer) Away(body string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.away = body
}

// Discovered tells how often the issuer was asked for its description.
func (i *Issuer) Discovered() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.discovered
}

// KeysRead tells how often the issuer was asked for its keys.
func (i *Issuer) KeysRead() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keysRead
}

// Modulus is the public part of the key that tokens are signed with.
func (i *Issuer) Modulus() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.key.N.Bytes()
}

// Rotate gives the issuer another key.
func (i *Issuer) Rotate(tb testing.TB, kid string) {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.kid, i.key = kid, key
}

// Sign makes a token. Entries of its head that are given replace the usual ones.
func (i *Issuer) Sign(tb testing.TB, claims Claims, head ...Claims) string {
	tb.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	all := Claims{"alg": "RS256", "kid": i.kid, "typ": "JWT"}
	for _, more := range head {
		maps.Copy(all, more)
	}
	text := Encode(tb, all) + "." + Encode(tb, claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// Good are claims that are taken, with changes: names, each with its value, nil for none.
func (i *Issuer) Good(now time.Time, changes ...any) Claims {
	claims := Claims{
		"iss": i.URL, "aud": []string{"other", "kontor"}, "sub": "scoring",
		"exp": now.Add(time.Hour).Unix(), "iat": now.Unix(),
		"scope": "openid consents.read banking.write", "org": "two",
	}
	for n := 0; n < len(changes); n += 2 {
		name, _ := changes[n].(string)
		if claims[name] = changes[n+1]; changes[n+1] == nil {
			delete(claims, name)
		}
	}
	return claims
}

// Encode writes a part of a token.
func Encode(tb testing.TB, part any) string {
	tb.Helper()
	text, err := json.Marshal(part)
	if err != nil {
		tb.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}
