package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	kontor "kontor.dev/kontor"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/server"
)

func TestCallbacks(t *testing.T) {
	h := start(t)
	const token = "TOKEN" + canary
	got := ""
	h.callbacks.webhook = func(provider, token string, body []byte) error {
		got = fmt.Sprintf("%s %s %s", provider, token, body)
		return nil
	}
	h.callbacks.report = func(token string, query url.Values) error {
		got = fmt.Sprintf("%s %s", token, query.Encode())
		return nil
	}
	h.callbacks.redirect = func(token, outcome string, query url.Values) (string, error) {
		got = fmt.Sprintf("%s %s %s", token, outcome, query.Encode())
		return "https://app.example.com/done?a=b#c", nil
	}
	post := func(path, body string) reply { return h.do(t, "POST", path, "", body) }

	if r := post("/callbacks/fimento/webhook/"+token, "hint "+canary); r.status != 204 || r.body != "" ||
		got != "fimento "+token+" hint "+canary {
		t.Errorf("webhook: %d %q, got %q", r.status, r.body, got)
	}
	if r := post("/callbacks/shipments/"+token+"?requestid=1&success=true", ""); r.status != 204 ||
		got != token+" requestid=1&success=true" {
		t.Errorf("report: %d, got %q", r.status, got)
	}
	r := h.do(t, "GET", "/callbacks/redirects/"+token+"/success?userID=u", "", "")
	if r.status != 303 || r.header.Get("Location") != "https://app.example.com/done?a=b#c" ||
		r.header.Get("Referrer-Policy") != "no-referrer" ||
		r.header.Get("Cache-Control") != "no-store" || r.body != "" || got != token+" success userID=u" {
		t.Errorf("redirect: %d %v %q, got %q", r.status, r.header, r.body, got)
	}
	got = ""
	r = h.do(t, "HEAD", "/callbacks/redirects/"+token+"/success?userID=u", "", "")
	if r.status != 303 || r.header.Get("Location") != "https://app.example.com/looked" || got != "" {
		t.Errorf("looking where a redirect leads: %d %v, got %q", r.status, r.header, got)
	}
	for _, path := range []string{
		"/callbacks/redirects/" + token + "/elsewhere", "/callbacks/redirects/" + strings.Repeat("t", 201) + "/success",
	} {
		if r := h.do(t, "GET", path, "", ""); r.status != 404 || got != "" {
			t.Errorf("%s: %d %s", path, r.status, got)
		}
	}
	if r := post("/callbacks/fimento/webhook/"+token, strings.Repeat("x", 64<<10+1)); r.status != 413 || got != "" {
		t.Errorf("a large webhook: %d", r.status)
	}
	for _, c := range []struct{ verb, path string }{
		{"GET", "/callbacks/fimento/webhook/" + token}, {"GET", "/callbacks/shipments/" + token},
		{"POST", "/callbacks/redirects/" + token + "/success"},
		{"GET", "/callbacks/"}, {"POST", "/callbacks/" + token}, {"POST", "/callbacks/a/b/" + token},
	} {
		if r := h.do(t, c.verb, c.path, "", ""); r.status != 404 || got != "" || strings.Contains(r.body, token) {
			t.Errorf("%s %s: %d %s", c.verb, c.path, r.status, r.body)
		}
	}

	// A token that nobody knows, and a failure.
	unknown := func() error { return fmt.Errorf("%s: %w", canary, kerr.ErrUnknownCallback) }
	down := func() error { return errors.New("the store is down") }
	for want, fail := range map[int]func() error{404: unknown, 503: down} {
		h.callbacks.webhook = func(string, string, []byte) error { return fail() }
		h.callbacks.report = func(string, url.Values) error { return fail() }
		h.callbacks.redirect = func(string, string, url.Values) (string, error) { return "", fail() }
		for _, r := range []reply{
			post("/callbacks/fimento/webhook/"+token, ""), post("/callbacks/shipments/"+token, ""),
			h.do(t, "GET", "/callbacks/redirects/"+token+"/exit", "", ""),
		} {
			if r.status != want || r.body != "" || r.header.Get("Location") != "" {
				t.Errorf("want %d: %d %q", want, r.status, r.body)
			}
		}
	}
	if len(h.log.lines(t, "a callback failed")) != 3 {
		t.Error("failures are not logged")
	}
	if text := h.log.String(); strings.Contains(text, token) || strings.Contains(text, canary) {
		t.Error("a token, or a body, is in the log")
	}
	if lines := h.log.lines(t, "request"); len(lines) == 0 ||
		lines[0]["route"] != "POST /callbacks/{provider}/webhook/{token}" || lines[0]["status"] != 204.0 {
		t.Errorf("the access log has %v", lines)
	}
}

func TestCallbackPanics(t *testing.T) {
	h := start(t)
	h.callbacks.webhook = func(string, string, []byte) error { panic(canary) }
	r := h.do(t, "POST", "/callbacks/fimento/webhook/t", "", "")
	if err := r.err(t); r.status != 500 || kerr.Reason(err) != errorv1.Error_INTERNAL ||
		strings.Contains(r.body, canary) {
		t.Errorf("%d %s", r.status, r.body)
	}
	if len(h.log.lines(t, "a request panicked")) != 1 || strings.Contains(h.log.String(), canary) {
		t.Errorf("logged: %s", h.log)
	}
}

func TestDocs(t *testing.T) {
	h := start(t)
	r := h.do(t, "GET", "/openapi.json", "", "")
	var document struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal([]byte(r.body), &document); r.status != 200 || err != nil ||
		r.body != string(kontor.OpenAPI) || r.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d, %v", r.status, err)
	}
	r = h.do(t, "GET", "/docs", "", "")
	if r.status != 200 || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") ||
		!strings.Contains(r.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("%d %v", r.status, r.header)
	}
	if strings.Contains(r.body, "<script") || strings.Contains(r.body, "//cdn") || strings.Contains(r.body, "src=") {
		t.Error("the page loads something")
	}
	count := 0
	for path, item := range document.Paths {
		for verb := range item {
			count++
			if !strings.Contains(r.body, ">"+strings.ToUpper(verb)+"</span>"+path+"</code>") {
				t.Errorf("the page lacks %s %s", verb, path)
			}
		}
	}
	if shown := strings.Count(r.body, "<summary>Answer to: "); count < 35 || shown < count {
		t.Errorf("only %d operations, with %d answers", count, shown)
	}
	// The document must have every route that is served.
	for _, m := range methods() {
		if m.stream {
			continue
		}
		if r := h.do(t, m.verb, m.path, allKey, ""); r.status == 404 &&
			strings.Contains(r.body, "there is no such path") || strings.Contains(r.body, "does not take this method") {
			t.Errorf("%s %s is not served: %s", m.verb, m.path, r.body)
		}
	}
}

func TestHome(t *testing.T) {
	for _, sandbox := range []bool{false, true} {
		h := start(t, func(o *server.Options) { o.Sandbox = sandbox })
		r := h.do(t, "GET", "/", "", "")
		if r.status != 200 || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") ||
			!strings.Contains(r.body, `href="/docs"`) || !strings.Contains(r.body, `href="/openapi.json"`) ||
			strings.Contains(r.body, "made up") != sandbox {
			t.Errorf("sandbox %t: %d %s", sandbox, r.status, r.body)
		}
	}
}

func TestWhatStopsTheStart(t *testing.T) {
	for _, document := range []string{"", "{", `{"paths": {"/a": {"get": 1}}}`} {
		_, options := prepare(t)
		options.OpenAPI = []byte(document)
		if _, err := server.New(options); err == nil {
			t.Errorf("%q is taken", document)
		}
	}
	_, options := prepare(t)
	all := options.Services
	options.Services = func(to grpc.ServiceRegistrar) { all(without{to, "kontor.insights.v1.InsightsService"}) }
	if _, err := server.New(options); err == nil || !strings.Contains(err.Error(), "InsightsService") {
		t.Errorf("a missing service: %v", err)
	}
}

// without is a registrar that passes over one service.
type without struct {
	grpc.ServiceRegistrar
	name string
}

// RegisterService implements grpc.ServiceRegistrar.
func (w without) RegisterService(desc *grpc.ServiceDesc, service any) {
	if desc.ServiceName != w.name {
		w.ServiceRegistrar.RegisterService(desc, service)
	}
}

func TestSecurityHeaders(t *testing.T) {
	h := start(t)
	for _, path := range []string{"/v1/consents/1", "/v1/nowhere", "/nowhere", "/", "/docs", "/openapi.json",
		"/callbacks/redirects/t/success"} {
		r := h.do(t, "GET", path, allKey, "", "Origin", "https://evil.example")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Access-Control-Allow-Origin": "", "Server": "", "Strict-Transport-Security": "",
		} {
			if got := r.header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if !strings.Contains(r.header.Get("Content-Security-Policy"), "default-src 'none'") ||
			r.header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v", path, r.header)
		}
	}
	r := h.do(t, "OPTIONS", "/v1/consents", "", "", "Origin", "https://evil.example", "Access-Control-Request-Method",
		"POST")
	if r.status < 400 || r.header.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("CORS is on: %d %v", r.status, r.header)
	}
}

func TestLargeHeader(t *testing.T) {
	h := start(t)
	r, err := http.NewRequestWithContext(t.Context(), "GET", h.base+"/v1/consents/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Large", strings.Repeat("x", 40<<10))
	if got := read(t, r); got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d", got.status)
	}
}

func (h *harness) adminGet(t *testing.T, path string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", h.admin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, r)
}

func TestAdmin(t *testing.T) {
	var down error
	h := start(t, func(o *server.Options) {
		o.Ready = map[string]func(context.Context) error{
			"store":   func(context.Context) error { return nil },
			"fimento": func(context.Context) error { return down },
			"finoos":  func(context.Context) error { return down },
		}
	})
	if r := h.adminGet(t, "/livez"); r.status != 200 || strings.TrimSpace(r.body) != `{"status":"ok"}` {
		t.Errorf("livez: %d %s", r.status, r.body)
	}
	if r := h.adminGet(t, "/readyz"); r.status != 200 {
		t.Errorf("readyz: %d %s", r.status, r.body)
	}
	down = errors.New(canary)
	if r := h.adminGet(t, "/readyz"); r.status != 503 ||
		strings.TrimSpace(r.body) != `{"failing":["fimento","finoos"],"status":"not ready"}` {
		t.Errorf("readyz: %d %s", r.status, r.body)
	}
	if r := h.adminGet(t, "/livez"); r.status != 200 {
		t.Errorf("livez follows readiness: %d", r.status)
	}
	h.do(t, "GET", "/v1/consents/1", allKey, "")
	h.do(t, "GET", "/v1/consents/1", "", "")
	h.do(t, "GET", "/v1/nothing", "", "")
	h.do(t, "GET", "/docs", "", "")
	h.do(t, "POST", "/callbacks/fimento/webhook/"+canary, "", "")
	_, _ = h.client.GetConsent(as(t.Context(), allKey), &consentv1.GetConsentRequest{Name: "bad"})
	r := h.adminGet(t, "/metrics")
	const of = `service="kontor.consent.v1.ConsentService"`
	for _, want := range []string{
		`kontor_rpc_requests_total{code="OK",method="GetConsent",reason="",` + of + `,transport="rest"} 1`,
		`kontor_rpc_requests_total{code="InvalidArgument",method="GetConsent",reason="INVALID_FIELD",` + of +
			`,transport="grpc"} 1`,
		`kontor_http_requests_total{route="GET /docs",status="200"} 1`,
		`kontor_http_requests_total{route="POST /callbacks/{provider}/webhook/{token}",status="404"} 1`,
		`kontor_http_requests_total{route="/v1/",status="404"} 1`,
		`kontor_rpc_requests_total{code="Unauthenticated",method="GetConsent",reason="UNAUTHENTICATED",` + of +
			`,transport="rest"} 1`,
		`go_goroutines`, `process_start_time_seconds`,
	} {
		if !strings.Contains(r.body, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(r.body, canary) {
		t.Error("a token is in the metrics")
	}
	for _, path := range []string{"/v1/consents", "/docs", "/"} {
		if r := h.adminGet(t, path); r.status != 404 {
			t.Errorf("%s on the admin listener: %d", path, r.status)
		}
	}
	if r := h.do(t, "GET", "/metrics", "", ""); r.status != 404 {
		t.Errorf("metrics on the public listener: %d", r.status)
	}
}

func TestHealthAndReflection(t *testing.T) {
	for _, on := range []bool{true, false} {
		h := start(t, func(o *server.Options) { o.Reflection = on })
		for _, service := range []string{"", "kontor.consent.v1.ConsentService",
			"kontor.documents.v1.DocumentService"} {
			answer, err := healthpb.NewHealthClient(h.conn).Check(t.Context(),
				&healthpb.HealthCheckRequest{Service: service})
			if err != nil || answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
				t.Errorf("health of %q: %v, %v", service, answer, err)
			}
		}
		ask := func(ctx context.Context) (string, error) {
			stream, err := reflectionpb.NewServerReflectionClient(h.conn).ServerReflectionInfo(ctx)
			if err != nil {
				t.Fatal(err)
			}
			_ = stream.Send(&reflectionpb.ServerReflectionRequest{
				MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
			})
			answer, err := stream.Recv()
			return answer.GetListServicesResponse().String(), err
		}
		// The least of scopes will do, but nothing less than a key.
		names, err := ask(as(t.Context(), readerKey))
		if on != (err == nil && strings.Contains(names, "kontor.consent.v1.ConsentService")) {
			t.Errorf("reflection %t: %s, %v", on, names, err)
		}
		if names, err := ask(t.Context()); err == nil {
			t.Errorf("reflection %t without a key: %s", on, names)
		}
		for what, ctx := range map[string]context.Context{"a stranger": t.Context(), "a client": as(t.Context(), allKey)} {
			watch, err := healthpb.NewHealthClient(h.conn).Watch(ctx, &healthpb.HealthCheckRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := watch.Recv(); status.Code(err) != codes.Unimplemented {
				t.Errorf("%s watches the health: %v", what, err)
			}
		}
	}
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := config.TLS{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	pool := x509.NewCertPool()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	pool.AppendCertsFromPEM(text)
	if err := errors.Join(os.WriteFile(files.CertFile, text, 0o600),
		os.WriteFile(files.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
			0o600)); err != nil {
		t.Fatal(err)
	}
	server.ShortenTimeouts(t, time.Minute, 50*time.Millisecond)
	h := start(t, func(o *server.Options) { o.TLS, o.Limits.Timeout = &files, 50*time.Millisecond })
	trusting := &tls.Config{RootCAs: pool}
	conn, err := grpc.NewClient(h.Addresses().GRPC, grpc.WithTransportCredentials(credentials.NewTLS(trusting)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := consentv1.NewConsentServiceClient(conn).GetConsent(as(t.Context(), allKey),
		&consentv1.GetConsentRequest{Name: "consents/1"}); err != nil {
		t.Errorf("grpc: %v", err)
	}
	for _, http2 := range []bool{false, true} {
		web := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting.Clone(), ForceAttemptHTTP2: http2}}
		// The stream is silent for longer than an answer may take, before its first message and after it.
		next := make(chan struct{})
		h.consents.watch = story(next, nil)
		go func() {
			for range 4 {
				<-time.After(200 * time.Millisecond)
				next <- struct{}{}
			}
		}()
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+h.Addresses().HTTP+"/v1/consents:watch",
			nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+allKey)
		response, err := web.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != 200 || response.Header.Get("Strict-Transport-Security") == "" ||
			(response.ProtoMajor == 2) != http2 {
			t.Errorf("HTTP/2 %t: %s %v", http2, response.Proto, response.Header)
		}
		if text, err := io.ReadAll(response.Body); err != nil || strings.Count(string(text), "\n") != 3 {
			t.Errorf("HTTP/2 %t: %s, %v", http2, text, err)
		}
		response.Body.Close()
		web.CloseIdleConnections()
	}
	files.KeyFile = files.CertFile
	_, options := prepare(t)
	options.TLS = &files
	if _, err := server.New(options); err == nil {
		t.Error("a certificate without its key is taken")
	}
}

func TestAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	_, options := prepare(t)
	options.Listen = config.Listen{GRPC: address, HTTP: taken.Addr().String(), Admin: "127.0.0.1:0"}
	s, err := server.New(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil || !strings.Contains(err.Error(), "listen.http") {
		t.Errorf("got %v", err)
	}
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("the gRPC address is still taken: %v", err)
	}
	again.Close()
}

// TestUncleanPaths: no address is sent on to another, since that quotes it.
func TestUncleanPaths(t *testing.T) {
	h := start(t)
	for _, path := range []string{
		"/v1//consents?x=" + canary, "//v1/consents/" + canary, "/v1/../" + canary, "/v1/./consents/" + canary,
		"//?" + canary, "/docs/../" + canary,
		"/v1/consents//?" + canary, "/callbacks//redirects/" + canary + "/success",
	} {
		r := h.do(t, "GET", path, allKey, "")
		if r.status != 404 || r.header.Get("Location") != "" || strings.Contains(r.body, canary) ||
			kerr.Reason(r.err(t)).String() != "ROUTE_NOT_FOUND" {
			t.Errorf("%s: %d %v %s", path, r.status, r.header, r.body)
		}
	}
}
