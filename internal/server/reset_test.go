package server_test

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/server"
)

// TestResetStreams: a browser that opens streams over HTTP/2 and resets them at any moment takes nothing down. Once a
// request is over, net/http panics when its answer is touched, in whichever goroutine that happens.
func TestResetStreams(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	issuing, files := newAuthority(t), newCertificateFiles(t)
	files.renew(t, issuing, 1)
	h := start(t, func(o *server.Options) {
		o.TLS = &files.TLS
		o.Limits.RequestsPerSecond, o.Limits.Burst = 1_000_000, 1_000_000
	})
	h.consents.quiet = true
	h.consents.watch = func(_ *consentv1.WatchConsentsRequest, s consentv1.ConsentService_WatchConsentsServer) error {
		return s.Send(&consentv1.WatchConsentsResponse{})
	}
	watch := "https://" + h.Addresses().HTTP + "/v1/consents:watch"
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: issuing.pool()}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	var browsers sync.WaitGroup
	for n := range 8 {
		random := rand.New(rand.NewPCG(seed, uint64(n)))
		browsers.Go(func() {
			for range 250 {
				after := time.Duration(random.IntN(3000)) * time.Microsecond
				ctx, cancel := context.WithTimeout(t.Context(), after)
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, watch, nil)
				if err != nil {
					t.Error(err)
				}
				r.Header.Set("Authorization", "Bearer "+allKey)
				if answer, err := transport.RoundTrip(r); err == nil {
					answer.Body.Close()
				}
				cancel()
			}
		})
	}
	browsers.Wait()
}
