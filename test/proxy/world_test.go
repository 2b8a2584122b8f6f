package proxy

import (
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
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
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

// Times are shorter here than in the files of deploy/: how long the proxy lets a connection be silent, for which
// heartbeats are in time, and how often it asks for a gateway's health, which it has noticed before delay is over.
const (
	shippedSilence, shippedInterval = "75s", "inter 2s"
	silence                         = 1500 * time.Millisecond
	beat                            = 300 * time.Millisecond
	interval, delay                 = 100 * time.Millisecond, 2 * time.Second
)

// front is what callers meet in the gateways' place: a file of deploy/, and whether it ends TLS.
type front struct {
	file string
	tls  bool
}

var (
	shipped = front{"haproxy/haproxy.cfg", true}
	// composed takes gRPC and REST at two addresses.
	composed = front{"compose/haproxy.cfg", false}
)

// world is gateways behind HAProxy.
type world struct {
	front
	dirs []string
	key  string
	// rest is a URL, address is that of gRPC.
	rest, address string
	gateways      []*worldtest.Gateway
	http          *http.Client
	grpc          *worldtest.Stubs
}

// start runs gateways behind a proxy. Several share a PostgreSQL, one has the store that the environment names.
func start(t *testing.T, front front, gateways int) *world {
	t.Helper()
	played, err := worldtest.Play(context.Background(), sandbox.Options{Seed: *seed, Step: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = played.Close() })
	w := &world{front: front, key: worldtest.KeyOf("proxy", "lending")}
	first, store := t.TempDir(), ""
	if gateways > 1 {
		schema := "proxy_" + strings.ReplaceAll(uuid.NewString(), "-", "")
		if store, err = worldtest.Schema(t.Context(), os.Getenv(worldtest.PostgresVariable), schema); err != nil {
			t.Fatal(err)
		}
	}
	env, err := worldtest.Config{
		PublicURL: "https://kontor.example.com", Store: store,
		Tenants: []worldtest.Tenant{{
			ID: "default", Redirects: "https://app.example.com/*", Providers: worldtest.Blocks(played),
		}},
		Clients: []worldtest.Client{{ID: "lending", Tenant: "default", Key: w.key, Scopes: worldtest.Everything}},
		More: fmt.Sprintf("heartbeat: %s\ntrusted_proxies: [127.0.0.1/32]\nshutdown: {delay: %s}\n", beat,
			map[bool]time.Duration{true: delay}[gateways > 1]),
	}.Write(first)
	if err != nil {
		t.Fatal(err)
	}
	for i := range gateways {
		dir := first
		if i > 0 {
			dir = t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(first)); err != nil {
				t.Fatal(err)
			}
		}
		w.dirs = append(w.dirs, dir)
	}
	for _, dir := range w.dirs {
		gateway, err := worldtest.StartGateway(binary, dir, env...)
		if err != nil {
			t.Fatal(err)
		}
		w.gateways = append(w.gateways, gateway)
		t.Cleanup(gateway.Kill)
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(worldtest.LastWords(dir))
			}
		})
	}
	w.proxy(t)
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

// proxy runs HAProxy, and waits until it sends callers to each gateway.
func (w *world) proxy(t *testing.T) {
	t.Helper()
	command, err := exec.LookPath("haproxy")
	if err != nil {
		if command = "/usr/sbin/haproxy"; !isFile(command) {
			t.Fatal("haproxy is missing: make setup")
		}
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", filepath.FromSlash(w.file)))
	if err != nil {
		t.Fatal(err)
	}
	dir, changed := t.TempDir(), string(text)
	for was, is := range map[string]string{
		" " + shippedSilence: fmt.Sprintf(" %dms", silence.Milliseconds()),
		shippedInterval:      fmt.Sprintf("inter %dms", interval.Milliseconds()),
	} {
		if strings.Count(changed, was) < 3 {
			t.Fatalf("%s has other times than %s", w.file, was)
		}
		changed = strings.ReplaceAll(changed, was, is)
	}
	status := free(t)
	changed += "\nfrontend status\n  bind " + status + "\n  stats enable\n  stats uri /\n"
	config, certificate := filepath.Join(dir, "haproxy.cfg"), filepath.Join(dir, "haproxy.pem")
	if err := os.WriteFile(config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	authorities := lend(t, certificate)
	w.address = free(t)
	haproxy := exec.Command(command, "-db", "-f", config)
	if w.tls {
		w.rest = "https://" + w.address
		haproxy.Env = append(os.Environ(), "KONTOR_BIND="+w.address, "KONTOR_CERTIFICATE="+certificate)
	} else {
		at := free(t)
		w.rest = "http://" + at
		haproxy.Env = append(os.Environ(), "KONTOR_BIND_GRPC="+w.address, "KONTOR_BIND_HTTP="+at)
	}
	for i, gateway := range w.gateways {
		of := ""
		if i > 0 {
			of = fmt.Sprintf("_%d", i+1)
		}
		_, admin, _ := net.SplitHostPort(strings.TrimPrefix(gateway.Admin, "http://"))
		haproxy.Env = append(haproxy.Env, "KONTOR_GRPC"+of+"="+gateway.GRPC,
			"KONTOR_HTTP"+of+"="+strings.TrimPrefix(gateway.HTTP, "http://"), "KONTOR_ADMIN_PORT"+of+"="+admin)
	}
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
	worldtest.Eventually(t, "HAProxy finds the gateways well", func() bool {
		response, err := http.Get("http://" + status + "/;csv")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		table, err := io.ReadAll(response.Body)
		// Each is a server for gRPC and one for REST. Whose check is not over yet is UP, too, but has no L7OK.
		return err == nil && strings.Count(string(table), ",L7OK,") == 2*len(w.gateways)
	})
	w.call(t, authorities)
}

// call makes the clients of callers, who have another address than the proxy.
func (w *world) call(t *testing.T, authorities *x509.CertPool) {
	t.Helper()
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(caller)}}
	w.http = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: authorities}, ForceAttemptHTTP2: true, DialContext: from.DialContext,
		MaxIdleConnsPerHost: 50,
	}}
	t.Cleanup(w.http.CloseIdleConnections)
	secured := insecure.NewCredentials()
	if w.tls {
		secured = credentials.NewTLS(&tls.Config{RootCAs: authorities})
	}
	conn, err := grpc.NewClient("passthrough:///"+w.address, grpc.WithTransportCredentials(secured),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return from.DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		t.Fatal(err)
	}
	w.grpc = &worldtest.Stubs{
		Conn: conn, Consents: consentv1.NewConsentServiceClient(conn),
		Customers: customerv1.NewCustomerServiceClient(conn),
	}
	t.Cleanup(w.grpc.Close)
}

// lend writes a certificate with its key, and gives who vouches for it.
func lend(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	lent := httptest.NewUnstartedServer(nil) // has one
	lent.StartTLS()
	defer lent.Close()
	key, err := x509.MarshalPKCS8PrivateKey(lent.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	pair := append(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: lent.Certificate().Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(file, pair, 0o600); err != nil {
		t.Fatal(err)
	}
	authorities := x509.NewCertPool()
	authorities.AddCert(lent.Certificate())
	return authorities
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// asREST makes a request with the client's key, as one who claims to come from elsewhere.
func (w *world) asREST(t *testing.T, method, path, body, id string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, w.rest+path, strings.NewReader(body))
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
		for _, dir := range w.dirs {
			log, err := os.ReadFile(filepath.Join(dir, "gateway.log"))
			if err != nil {
				t.Fatal(err)
			}
			for one := range strings.Lines(string(log)) {
				if strings.Contains(one, id) && strings.Contains(one, `"msg":"call"`) {
					line = one
				}
			}
		}
		return line != ""
	})
	if !strings.Contains(line, `"peer":"`+caller+`"`) {
		t.Errorf("the call is taken for one from elsewhere than %s: %s", caller, line)
	}
}
