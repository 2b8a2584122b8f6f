package server_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/server"
	"kontor.dev/kontor/internal/server/guard"
	"kontor.dev/kontor/internal/server/origin"
)

// peers gives where the lines of the access log say that requests came from.
func (h *harness) peers(t *testing.T, message string) (peers []any) {
	t.Helper()
	for _, line := range h.log.lines(t, message) {
		peers = append(peers, line["peer"])
	}
	return peers
}

// TestPeers: where a request came from stands in each line of the access log and in what services see, over both
// transports; who is no trusted proxy cannot say otherwise, whatever header they try.
func TestPeers(t *testing.T) {
	t.Parallel()
	claims := []string{
		"X-Forwarded-For", "192.0.2.66, 127.0.0.1, 192.0.2.7", "Forwarded", "for=192.0.2.66", "X-Real-Ip", "192.0.2.66",
		"True-Client-Ip", "192.0.2.66", "Cf-Connecting-Ip", "192.0.2.66", "X-Client-Ip", "192.0.2.66",
		"Grpc-Metadata-X-Forwarded-For", "192.0.2.66", "X-Forwarded", "192.0.2.66", "X-Cluster-Client-Ip", "192.0.2.66",
	}
	for want, proxies := range map[string]origin.Proxies{
		"127.0.0.1": {netip.MustParsePrefix("10.0.0.0/8")},
		"192.0.2.7": {netip.MustParsePrefix("127.0.0.0/8")},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			h := start(t, func(o *server.Options) { o.Proxies = proxies })
			var lower []string
			for i, text := range claims {
				if i%2 == 0 {
					text = strings.ToLower(text)
				}
				lower = append(lower, text)
			}
			request := &consentv1.GetConsentRequest{Name: "consents/1"}
			if _, err := h.client.GetConsent(as(t.Context(), allKey, lower...), request); err != nil {
				t.Fatal(err)
			}
			h.do(t, "GET", "/v1/consents/1", allKey, "", claims...)
			for i, call := range h.consents.calls {
				if call.peer != want {
					t.Errorf("the service sees call %d from %s", i, call.peer)
				}
			}
			if _, err := h.client.GetConsent(as(t.Context(), nobodyKey, lower...), request); err == nil {
				t.Error("nobody is taken")
			}
			h.do(t, "GET", "/v1/consents/1", nobodyKey, "", claims...)
			h.do(t, "GET", "/openapi.json", "", "", claims...)
			h.do(t, "GET", "/nowhere", "", "", claims...)
			h.do(t, "POST", "/callbacks/fimento/webhook/none", "", "", claims...)
			lines := append(h.peers(t, "call"), h.peers(t, "request")...)
			if len(lines) != 7 {
				t.Errorf("%d lines", len(lines))
			}
			for i, peer := range lines {
				if peer != want {
					t.Errorf("line %d is from %v", i, peer)
				}
			}
			if strings.Contains(h.log.String(), "192.0.2.66") {
				t.Error("a claim is in the log")
			}
		})
	}
}

// TestStrangersAreNotTraced: who is not authenticated begins a trace of their own, and joins none.
func TestStrangersAreNotTraced(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	h := start(t, func(o *server.Options) {
		o.Telemetry.Tracer = trace.NewTracerProvider(trace.WithSpanProcessor(recorder)).Tracer("test")
	})
	const parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
	for _, key := range []string{nobodyKey, ""} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", parent)
		if key != "" {
			ctx = as(ctx, key)
		}
		_, _ = h.client.GetConsent(ctx, &consentv1.GetConsentRequest{Name: "consents/1"})
		_ = h.conn.Invoke(ctx, "/kontor.consent.v1.ConsentService/Nothing", &consentv1.GetConsentRequest{},
			&consentv1.Consent{})
	}
	eventually(t, "each call has a span", func() bool { return len(recorder.Ended()) == 4 })
	for _, span := range recorder.Ended() {
		if span.Parent().IsValid() || span.SpanContext().TraceID().String() == parent[3:35] {
			t.Errorf("a stranger joins a trace: %s", span.Name())
		}
	}
}

// TestStrangersLinesAreBounded: a flood of requests without authentication leaves a bounded number of lines and says
// how many it left out, whatever way they come; the lines of callers who are known stay whole.
func TestStrangersLinesAreBounded(t *testing.T) {
	t.Parallel()
	request := &consentv1.GetConsentRequest{Name: "consents/1"}
	for way, knock := range map[string]func(*harness){
		"gRPC":     func(h *harness) { _, _ = h.client.GetConsent(as(t.Context(), nobodyKey), request) },
		"REST":     func(h *harness) { h.do(t, "GET", "/v1/consents/1", nobodyKey, "") },
		"callback": func(h *harness) { h.do(t, "GET", "/callbacks/redirects/none/success", "", "") },
		"nowhere":  func(h *harness) { h.do(t, "GET", "/nowhere", "", "") },
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			const flood, every = 400, 10
			for i := range flood {
				knock(h)
				if i%every != 0 {
					continue
				}
				if _, err := h.client.GetConsent(as(t.Context(), readerKey), request); err != nil {
					t.Fatal(err)
				}
			}
			var strangers, left int
			eventually(t, "every request has a line or is counted", func() bool {
				strangers, left = 0, 0
				for _, line := range append(h.log.lines(t, "call"), h.log.lines(t, "request")...) {
					if line["client"] == nil {
						strangers++
					}
				}
				for _, line := range h.log.lines(t, "lines about requests without authentication were left out") {
					left += int(line["lines"].(float64))
				}
				return strangers+left == flood
			})
			if left == 0 {
				t.Errorf("%d lines, and none was left out", strangers)
			}
			known := 0
			for _, line := range h.log.lines(t, "call") {
				if line["client"] != nil {
					known++
				}
			}
			if known != flood/every {
				t.Errorf("%d lines of %d calls", known, flood/every)
			}
		})
	}
}

// bound are the fronts of a server that asks for client certificates of an authority.
type bound struct {
	*harness

	server *authority
}

func startBound(t *testing.T, clients *authority, change ...func(*server.Options)) *bound {
	t.Helper()
	b := &bound{server: newAuthority(t)}
	files := newCertificateFiles(t)
	files.ClientCAFile = filepath.Join(filepath.Dir(files.CertFile), "clients.pem")
	files.renew(t, b.server, 1)
	if err := os.WriteFile(files.ClientCAFile, clients.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	b.harness = start(t, append(change, func(o *server.Options) { o.TLS = &files.TLS })...)
	return b
}

// answers gives what a caller gets over gRPC and over REST, with a client certificate or none.
func (b *bound) answers(t *testing.T, key string, certificate ...tls.Certificate) (overGRPC, overREST string) {
	t.Helper()
	side := &tls.Config{RootCAs: b.server.pool(), Certificates: certificate}
	conn, err := grpc.NewClient(b.Addresses().GRPC, grpc.WithTransportCredentials(credentials.NewTLS(side)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = consentv1.NewConsentServiceClient(conn).GetConsent(as(t.Context(), key, "x-request-id", "same"),
		&consentv1.GetConsentRequest{Name: "consents/1"})
	overGRPC = status.Convert(err).Proto().String()
	if status.Code(err) == codes.Unavailable {
		overGRPC = "no handshake"
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: side, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+b.Addresses().HTTP+"/v1/consents/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("X-Request-Id", "same")
	answer, err := web.Do(r)
	if err != nil {
		return overGRPC, "no handshake"
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	header := answer.Header.Clone()
	header.Del("Date")
	shown, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return overGRPC, answer.Status + string(shown) + string(text)
}

// TestBoundKeys: a key that is bound to a certificate or to networks is taken with those alone, over both transports;
// every refusal looks like every other, and the log tells them apart without the key.
func TestBoundKeys(t *testing.T) {
	t.Parallel()
	clients := newAuthority(t)
	mine, another := clients.client(t, time.Hour)[0], clients.client(t, time.Hour)[0]
	foreign := newAuthority(t).client(t, time.Hour)[0]
	const withKey, hereKey, elsewhereKey, overKey = "canary-with", "canary-here", "canary-elsewhere", "canary-over"
	client := func(key string) config.Client {
		return config.Client{ID: key[7:], Tenant: "one", Keys: [][32]byte{sum(key)}, Scopes: []string{"*"}}
	}
	with, here, elsewhere, over := client(withKey), client(hereKey), client(elsewhereKey), client(overKey)
	with.Certificates = [][32]byte{sha256.Sum256(mine.Certificate[0])}
	here.Addresses = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	elsewhere.Addresses = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	over.Expires = time.Now().Add(-time.Minute)
	b := startBound(t, clients, func(o *server.Options) {
		o.Authenticator = guard.NewKeys([]config.Client{with, here, elsewhere, over})
	})
	const taken, refused, none = "taken", "refused", "no handshake"
	refusals := map[string]bool{}
	for what, c := range map[string]struct {
		key         string
		certificate []tls.Certificate
		grpc, rest  string
	}{
		"with its certificate":        {withKey, []tls.Certificate{mine}, taken, taken},
		"with another's certificate":  {withKey, []tls.Certificate{another}, refused, refused},
		"with a foreign certificate":  {withKey, []tls.Certificate{foreign}, none, none},
		"without certificate":         {withKey, nil, none, refused},
		"here":                        {hereKey, []tls.Certificate{another}, taken, taken},
		"here, without certificate":   {hereKey, nil, none, taken},
		"from elsewhere":              {elsewhereKey, []tls.Certificate{another}, refused, refused},
		"after its end":               {overKey, []tls.Certificate{mine}, refused, refused},
		"of nobody":                   {nobodyKey, []tls.Certificate{mine}, refused, refused},
		"of nobody, with nothing":     {nobodyKey, nil, none, refused},
		"elsewhere, with nothing":     {elsewhereKey, nil, none, refused},
		"after its end, with nothing": {overKey, nil, none, refused},
	} {
		overGRPC, overREST := b.answers(t, c.key, c.certificate...)
		for transport, got := range map[string][2]string{"gRPC": {overGRPC, c.grpc}, "REST": {overREST, c.rest}} {
			outcome := got[0]
			switch {
			case outcome == none:
			case outcome == "<nil>", strings.HasPrefix(outcome, "200 OK"):
				outcome = taken
			default:
				refusals[transport+got[0]] = true
				outcome = refused
			}
			if outcome != got[1] {
				t.Errorf("a key %s over %s: %s", what, transport, got[0])
			}
		}
	}
	if len(refusals) != 2 {
		t.Errorf("refusals can be told apart: %v", refusals)
	}
	log := b.log.String()
	for _, why := range []string{
		"client with: its key came with another client certificate", "client with: its key came without",
		"client elsewhere: its key comes from an address", "client over: its key has expired", "no client has this key",
	} {
		if !strings.Contains(log, why) {
			t.Errorf("the log does not say: %s", why)
		}
	}
	if strings.Contains(log, "canary") || strings.Contains(log, nobodyKey) {
		t.Error("a key is in the log")
	}
}

// TestAddressesBehindProxies: a client's networks are those behind the proxies that are trusted.
func TestAddressesBehindProxies(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *server.Options) {
		o.Proxies = origin.Proxies{netip.MustParsePrefix("127.0.0.1/32")}
		o.Authenticator = guard.NewKeys([]config.Client{{
			ID: "c", Tenant: "one", Keys: [][32]byte{sum(allKey)}, Scopes: []string{"*"},
			Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
		}})
	})
	for forwarded, want := range map[string]codes.Code{
		"10.1.2.3": codes.OK, "192.0.2.1, 10.1.2.3": codes.OK, "10.1.2.3, 192.0.2.1": codes.Unauthenticated,
		"10.1.2.3, unknown": codes.Unauthenticated, "127.0.0.1": codes.Unauthenticated, "": codes.Unauthenticated,
	} {
		_, err := h.client.GetConsent(as(t.Context(), allKey, "x-forwarded-for", forwarded),
			&consentv1.GetConsentRequest{Name: "consents/1"})
		r := h.do(t, "GET", "/v1/consents/1", allKey, "", "X-Forwarded-For", forwarded)
		if status.Code(err) != want || (r.status == http.StatusOK) != (want == codes.OK) {
			t.Errorf("%q: %v, %d, want %s", forwarded, err, r.status, want)
		}
	}
}

// TestSuites: neither front takes a cipher suite with CBC, and both take one without.
func TestSuites(t *testing.T) {
	t.Parallel()
	a, files := newAuthority(t), newCertificateFiles(t)
	files.renew(t, a, 1)
	files.Admin = true
	h := start(t, func(o *server.Options) { o.TLS = &files.TLS })
	for _, address := range []string{h.Addresses().GRPC, h.Addresses().HTTP, h.Addresses().Admin} {
		for suite, want := range map[uint16]bool{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: false, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: false,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: false, tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA: false,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: true, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: true,
		} {
			conn, err := tls.Dial("tcp", address, &tls.Config{
				RootCAs: a.pool(), MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}, NextProtos: []string{"h2"},
			})
			if err == nil {
				_ = conn.Close()
			}
			if (err == nil) != want {
				t.Errorf("%s at %s: %v", tls.CipherSuiteName(suite), address, err)
			}
		}
		if conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: a.pool(), MaxVersion: tls.VersionTLS11}); err == nil {
			_ = conn.Close()
			t.Error("TLS 1.1 is spoken")
		}
	}
}

// TestAdminOverTLS: with tls.admin probes and metrics come over TLS, and nobody is asked for a certificate there.
func TestAdminOverTLS(t *testing.T) {
	t.Parallel()
	b := startBound(t, newAuthority(t))
	if answer, err := http.Get("http://" + b.Addresses().Admin + "/livez"); err != nil {
		t.Error(err)
	} else {
		answer.Body.Close()
	}
	a, files := newAuthority(t), newCertificateFiles(t)
	files.renew(t, a, 1)
	files.Admin, files.ClientCAFile = true, files.CertFile
	h := start(t, func(o *server.Options) { o.TLS = &files.TLS })
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.pool()}}}
	defer web.CloseIdleConnections()
	answer, err := web.Get("https://" + h.Addresses().Admin + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
}

// TestNoSessionOutlivesItsAuthority: a connection that is resumed would be vouched for by whom nobody trusts any more.
func TestNoSessionOutlivesItsAuthority(t *testing.T) {
	t.Parallel()
	clients := newAuthority(t)
	b := startBound(t, clients)
	for _, address := range []string{b.Addresses().GRPC, b.Addresses().HTTP} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			side := &tls.Config{
				RootCAs: b.server.pool(), Certificates: clients.client(t, time.Hour), MaxVersion: version,
				ClientSessionCache: tls.NewLRUClientSessionCache(4), ServerName: "127.0.0.1", NextProtos: []string{"h2"},
			}
			for range 3 {
				conn, err := tls.Dial("tcp", address, side)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = conn.Read(make([]byte, 9)) // the first frame comes behind any ticket
				if conn.ConnectionState().DidResume {
					t.Errorf("%s resumes with %s", address, tls.VersionName(version))
				}
				_ = conn.Close()
			}
		}
	}
}
