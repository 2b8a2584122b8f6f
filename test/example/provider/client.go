package example

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/upstream"
	"kontor.dev/kontor/internal/secret"
)

// Headers of Skarvholm.
const (
	headerUserIP    = "PSU-IP-Address"
	headerRequestID = "X-Request-ID"
	headerDigest    = "Digest"
	headerSignature = "Signature"
)

// request is one call of an operation.
type request = upstream.Request

// newClient makes the one HTTP client of the adapter. Time-outs, retries, tokens and the circuit breaker are its.
func newClient(
	cfg Config, deps providers.Deps, table providers.Table, login upstream.LoginFunc,
) (*upstream.Client, error) {
	return upstream.New(upstream.Config{
		Provider:        deps.ID,
		BaseURL:         string(cfg.BaseURL),
		Operations:      table,
		Login:           login,
		Authorize:       func(h http.Header, token string) { h.Set("Authorization", "Bearer "+token) },
		Sign:            signer(cfg.SigningKey),
		ErrorCode:       errorCode,
		Classify:        classify,
		RequestIDHeader: headerRequestID,
		Limits:          deps.Limits,
		Policy:          deps.Policy,
		Observer:        deps.Observer,
		Logger:          deps.Logger,
		Clock:           deps.Clock,
		Transport:       deps.Transport,
	})
}

// signer signs requests: Digest is over the exact bytes of the body, Signature over method, path, query and Digest. The
// key may be replaced while the gateway runs, so it is revealed for each request.
func signer(key secret.String) func(r *http.Request, body []byte) error {
	return func(r *http.Request, body []byte) error {
		sum := sha256.Sum256(body)
		digest := "SHA-256=" + base64.StdEncoding.EncodeToString(sum[:])
		mac := hmac.New(sha256.New, []byte(key.Reveal()))
		_, _ = mac.Write([]byte(r.Method + " " + r.URL.RequestURI() + "\n" + digest))
		r.Header.Set(headerDigest, digest)
		r.Header.Set(headerSignature, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		return nil
	}
}

// Check makes sure that there is a valid token.
func (a *adapter) Check(ctx context.Context) error { return a.client.Check(ctx) }

// Health tells how calls to Skarvholm went lately.
func (a *adapter) Health() providers.Health { return a.client.Health() }

// answer is a body that can be told from one that means nothing.
type answer interface {
	// check says what is wrong with it.
	check() error
}

// do sends a request and reads the answer into out; nil when the answer does not matter.
func (a *adapter) do(ctx context.Context, r request, out answer) error {
	if out == nil {
		_, err := a.client.Do(ctx, r, nil)
		return err
	}
	response, err := a.client.Do(ctx, r, out)
	if err != nil {
		return err
	}
	if why := out.check(); why != nil {
		return a.client.Refuse(ctx, r.Operation, response, why)
	}
	return nil
}

func ofConsent(id string) map[string]string { return map[string]string{paramConsent: id} }

// withUserIP tells Skarvholm that the customer is there, when they are: only then a read does not count.
func withUserIP(ctx context.Context) http.Header {
	header := http.Header{}
	if ip := providers.CallOf(ctx).PSUIP; ip != "" {
		header.Set(headerUserIP, ip)
	}
	return header
}
