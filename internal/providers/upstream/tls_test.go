package upstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/providers"
)

// authority issues certificates.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key, certificate}
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// issue makes a certificate for a name and its key.
func (a *authority) issue(t *testing.T, name string) (certificate, private []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(
			time.Now().UnixNano(),
		), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(
			&pem.Block{Type: "CERTIFICATE", Bytes: raw},
		), pem.EncodeToMemory(
			&pem.Block{Type: "PRIVATE KEY", Bytes: der},
		)
}

// demanding is a server that demands a client certificate of an authority, and tells whose came.
func (a *authority) demanding(t *testing.T, names *[]string) *httptest.Server {
	t.Helper()
	certificate, key := a.issue(t, "server")
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(a.certificate)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		*names = append(*names, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    clients,
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// files writes PEM into files of a folder.
func files(t *testing.T, folder string, contents map[string][]byte) {
	t.Helper()
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	a, folder := newAuthority(t), t.TempDir()
	certificate, key := a.issue(t, "first")
	files(t, folder, map[string][]byte{"crt": certificate, "key": key, "ca": a.pem(), "other": newAuthority(t).pem()})
	in := func(name string) providers.File { return providers.File(filepath.Join(folder, name)) }
	var names []string
	s := a.demanding(t, &names)
	client := func(with providers.TLS) *Client {
		return newTestClient(t, s.URL, func(cfg *Config) { cfg.TLS, cfg.Policy.Retries = with, -1 })
	}
	ours := client(providers.TLS{CertFile: in("crt"), KeyFile: in("key"), CAFile: in("ca")})
	for _, r := range []Request{get("1"), create()} {
		if _, err := ours.Do(t.Context(), r, nil); err != nil {
			t.Fatal(err)
		}
	}
	// While one of the files is new and the other old, the last pair serves; then the new one.
	certificate, key = a.issue(t, "second")
	files(t, folder, map[string][]byte{"crt": certificate})
	if _, err := ours.Do(t.Context(), create(), nil); err != nil {
		t.Fatal(err)
	}
	files(t, folder, map[string][]byte{"key": key})
	if _, err := ours.Do(t.Context(), create(), nil); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names, " "); got != "first first first second" {
		t.Errorf("the provider saw %s", got)
	}
	// Without a certificate the provider refuses, and one whom we do not trust hears nothing.
	names = nil
	_, err := client(providers.TLS{CAFile: in("ca")}).Do(t.Context(), get("1"), nil)
	wantKind(t, err, providers.KindUnavailable)
	for _, ca := range []providers.File{"", in("other")} {
		_, err := client(
			providers.TLS{CertFile: in("crt"), KeyFile: in("key"), CAFile: ca},
		).Do(t.Context(), create(), nil)
		if e := wantKind(t, err, providers.KindUnavailable); e.MayHaveHappened ||
			e.Err.Error() != string(errCertificate) {
			t.Errorf("error = %+v", e)
		}
	}
	if len(names) != 0 {
		t.Errorf("%d requests came through", len(names))
	}
}

func TestBadCertificateFiles(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]providers.TLS{
		"no pair": {CertFile: "/none", KeyFile: "/none"},
		"no ca":   {CAFile: "/none"},
	} {
		if _, err := New(Config{BaseURL: "https://a", TLS: bad}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
