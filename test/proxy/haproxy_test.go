// Package proxy tests the gateway behind a proxy that callers meet in its place, with the configuration that deploy/
// has for it: over one address with TLS, gRPC, REST and streams, and where a call came from.
package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

var seed = flag.Int64("seed", time.Now().UnixNano(), "decides the people at the providers")

// binary is the gateway under test.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	fmt.Printf("seed %d\n", *seed)
	os.Exit(worldtest.Main(m, "proxy", &binary, true, nil))
}

// The proxy has 127.0.0.1, which is trusted; callers have another address of this machine.
const caller, claimed = "127.0.0.2", "203.0.113.9"

// silence is how long the proxy lets a connection be silent here, instead of what deploy/ has; heartbeats are in time.
const (
	shipped = "75s"
	silence = 1500 * time.Millisecond
	beat    = 300 * time.Millisecond
)

// world is a gateway behind HAProxy.
type world struct {
	dir, key, address string
	gateway           *worldtest.Gateway
	http              *http.Client
	grpc              *worldtest.Stubs
}

func start(t *testing.T) *world {
	t.Helper()
	played, err := worldtest.Play(context.Background(), sandbox.Options{Seed: *seed, Step: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = played.Close() })
	w := &world{dir: t.TempDir(), key: worldtest.KeyOf("proxy", "lending"), address: free(t)}
	env, err := worldtest.Config{
		PublicURL: "https://kontor.example.com",
		Tenants: []worldtest.Tenant{{
			ID: "default", Redirects: "https://app.example.com/*", Providers: worldtest.Blocks(played),
		}},
		Clients: []worldtest.Client{{ID: "lending", Tenant: "default", Key: w.key, Scopes: worldtest.Everything}},
		More:    fmt.Sprintf("heartbeat: %s\ntrusted_proxies: [127.0.0.1/32]\n", beat),
	}.Write(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	if w.gateway, err = worldtest.StartGateway(binary, w.dir, env...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.gateway.Kill)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(worldtest.LastWords(w.dir))
		}
	})
	authorities := w.proxy(t)
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(caller)}}
	w.http = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: authorities}, ForceAttemptHTTP2: true, DialContext: from.DialContext,
	}}
	t.Cleanup(w.http.CloseIdleConnections)
	conn, err := grpc.NewClient("passthrough:///"+w.address,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: authorities})),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return from.DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		t.Fatal(err)
	}
	w.grpc = &worldtest.Stubs{Conn: conn, Consents: consentv1.NewConsentServiceClient(conn)}
	t.Cleanup(w.grpc.Close)
	return w
}

// free gives an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// proxy runs HAProxy with deploy/haproxy/haproxy.cfg, and waits until callers reach the gateway through it. It gives
// who vouches for its certificate.
func (w *world) proxy(t *testing.T) *x509.CertPool {
	t.Helper()
	command, err := exec.LookPath("haproxy")
	if err != nil {
		if command = "/usr/sbin/haproxy"; !isFile(command) {
			t.Fatal("haproxy is missing: make setup")
		}
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "haproxy", "haproxy.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), " "+shipped) < 3 {
		t.Fatalf("haproxy.cfg has other times than %s", shipped)
	}
	shortened := strings.ReplaceAll(string(text), " "+shipped, fmt.Sprintf(" %dms", silence.Milliseconds()))
	lent := httptest.NewUnstartedServer(nil) // has a certificate
	lent.StartTLS()
	defer lent.Close()
	key, err := x509.MarshalPKCS8PrivateKey(lent.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := append(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: lent.Certificate().Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	for name, content := range map[string]string{"haproxy.cfg": shortened, "haproxy.pem": string(certificate)} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	haproxy := exec.Command(command, "-db", "-f", filepath.Join(w.dir, "haproxy.cfg"))
	_, admin, _ := net.SplitHostPort(strings.TrimPrefix(w.gateway.Admin, "http://"))
	haproxy.Env = append(os.Environ(),
		"KONTOR_BIND="+w.address, "KONTOR_CERTIFICATE="+filepath.Join(w.dir, "haproxy.pem"),
		"KONTOR_GRPC="+w.gateway.GRPC, "KONTOR_HTTP="+strings.TrimPrefix(w.gateway.HTTP, "http://"),
		"KONTOR_ADMIN_PORT="+admin)
	said := &strings.Builder{}
	haproxy.Stdout, haproxy.Stderr = said, said
	if err := haproxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = haproxy.Process.Kill()
		_ = haproxy.Wait()
		if t.Failed() {
			t.Logf("HAProxy said:\n%s", said)
		}
	})
	authorities := x509.NewCertPool()
	authorities.AddCert(lent.Certificate())
	worldtest.Eventually(t, "HAProxy listens", func() bool {
		conn, err := tls.Dial("tcp", w.address, &tls.Config{RootCAs: authorities})
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return authorities
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// asREST makes a request with the client's key, as one who claims to come from elsewhere.
func (w *world) asREST(t *testing.T, method, path, body, id string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "https://"+w.address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+w.key)
	request.Header.Set("X-Request-Id", id)
	request.Header.Set("X-Forwarded-For", claimed)
	return request
}

// asGRPC does the same for gRPC.
func (w *world) asGRPC(t *testing.T, id string) context.Context {
	t.Helper()
	return metadata.AppendToOutgoingContext(t.Context(),
		"authorization", "Bearer "+w.key, "x-request-id", id, "x-forwarded-for", claimed)
}

// cameFrom demands that the log has a call from the caller's own address.
func (w *world) cameFrom(t *testing.T, id string) {
	t.Helper()
	var line string
	worldtest.Eventually(t, "a line about the call", func() bool {
		log, err := os.ReadFile(filepath.Join(w.dir, "gateway.log"))
		if err != nil {
			t.Fatal(err)
		}
		for one := range strings.Lines(string(log)) {
			if strings.Contains(one, id) && strings.Contains(one, `"msg":"call"`) {
				line = one
			}
		}
		return line != ""
	})
	if !strings.Contains(line, `"peer":"`+caller+`"`) {
		t.Errorf("the call is taken for one from elsewhere than %s: %s", caller, line)
	}
}

// TestHAProxy calls over gRPC and REST, and follows a consent over both for longer than a connection may be silent.
func TestHAProxy(t *testing.T) {
	w := start(t)
	id := uuid.NewString()
	consent, err := w.grpc.Consents.CreateConsent(w.asGRPC(t, id), &consentv1.CreateConsentRequest{
		Consent: &consentv1.Consent{Market: sandbox.Sweden}, Psu: &consentv1.Psu{NationalId: sandbox.GoodNationalID},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.cameFrom(t, id)

	id = uuid.NewString()
	response, err := w.http.Do(w.asREST(t, http.MethodGet, "/v1/"+consent.GetName(), "", id))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != http.StatusOK || response.ProtoMajor != 2 ||
		!strings.Contains(string(body), consent.GetName()) {
		t.Errorf("%s %s, %v: %s", response.Proto, response.Status, err, body)
	}
	w.cameFrom(t, id)

	beats := int(3*silence/beat) + 1
	t.Run("gRPC", func(t *testing.T) {
		t.Parallel()
		stream, err := w.grpc.Consents.WatchConsents(w.asGRPC(t, uuid.NewString()),
			&consentv1.WatchConsentsRequest{Consent: consent.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		for silent := 0; silent < beats; {
			message, err := stream.Recv()
			if err != nil {
				t.Fatalf("the stream ended after %d heartbeats: %v", silent, err)
			}
			if message.GetKind() == consentv1.WatchConsentsResponse_HEARTBEAT {
				silent++
			}
		}
	})
	t.Run("SSE", func(t *testing.T) {
		t.Parallel()
		request := w.asREST(t, http.MethodGet, "/v1/"+consent.GetName()+":watch", "", uuid.NewString())
		request.Header.Set("Accept", "text/event-stream")
		response, err := w.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		silent := 0
		for lines := bufio.NewScanner(response.Body); silent < beats; {
			if !lines.Scan() {
				t.Fatalf("%s: the stream ended after %d heartbeats: %v", response.Status, silent, lines.Err())
			}
			if lines.Text() == "event: heartbeat" {
				silent++
			}
		}
	})
}
