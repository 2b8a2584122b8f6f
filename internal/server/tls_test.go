package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/server"
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

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// issue makes a certificate, for servers and clients, and its key.
func (a *authority) issue(t *testing.T, serial int64, end time.Duration) (certificate, private []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(end), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

func (a *authority) client(t *testing.T, end time.Duration) []tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(a.issue(t, 99, end))
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{pair}
}

// certificateFiles are files that a test replaces.
type certificateFiles struct {
	config.TLS
}

func newCertificateFiles(t *testing.T) *certificateFiles {
	t.Helper()
	dir := t.TempDir()
	return &certificateFiles{config.TLS{CertFile: filepath.Join(dir, "tls.crt"),
		KeyFile: filepath.Join(dir, "tls.key")}}
}

func (f *certificateFiles) write(t *testing.T, certificate, private []byte) {
	t.Helper()
	if err := errors.Join(os.WriteFile(f.CertFile, certificate, 0o600),
		os.WriteFile(f.KeyFile, private, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// renew puts a certificate with its key in place.
func (f *certificateFiles) renew(t *testing.T, a *authority, serial int64) {
	t.Helper()
	certificate, private := a.issue(t, serial, time.Hour)
	f.write(t, certificate, private)
}

// presented gives the serial number of what a listener presents.
func presented(t *testing.T, address string, trusting *tls.Config) int64 {
	t.Helper()
	c := trusting.Clone()
	c.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", address, c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// TestCertificatesReload: both listeners present what the files hold, while they hold something of use.
func TestCertificatesReload(t *testing.T) {
	t.Parallel()
	a, files := newAuthority(t), newCertificateFiles(t)
	files.renew(t, a, 1)
	h := start(t, func(o *server.Options) { o.TLS = &files.TLS })
	trusting := &tls.Config{RootCAs: a.pool()}
	both := func() [2]int64 {
		return [2]int64{presented(t, h.Addresses().GRPC, trusting), presented(t, h.Addresses().HTTP, trusting)}
	}
	if got := both(); got != [2]int64{1, 1} {
		t.Fatalf("at first %v", got)
	}
	files.renew(t, a, 2)
	eventually(t, "the second certificate", func() bool { return both() == [2]int64{2, 2} })

	files.renew(t, a, 7)
	h.Reload()
	if got := both(); got != [2]int64{7, 7} {
		t.Errorf("as soon as it is told to look: %v", got)
	}
	files.renew(t, a, 2)
	h.Reload()

	certificate, _ := a.issue(t, 3, time.Hour)
	_, other := a.issue(t, 4, time.Hour)
	files.write(t, certificate, other)
	const refused = "the certificates' files cannot be used; the ones before stay"
	eventually(t, "a word on files that do not fit",
		func() bool { return both() == [2]int64{2, 2} && len(h.log.lines(t, refused)) == 1 })
	if err := os.Remove(files.KeyFile); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a word on a file that is missing",
		func() bool { return both() == [2]int64{2, 2} && len(h.log.lines(t, refused)) == 2 })
	if strings.Contains(h.log.String(), "PRIVATE KEY") {
		t.Error("a key stands in the log")
	}
	files.renew(t, a, 5)
	eventually(t, "the fifth certificate", func() bool { return both() == [2]int64{5, 5} })
}

// TestClientCertificates: with client_ca_file, gRPC demands a certificate of that authority beside the key, and HTTP
// does not.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	a, trusted, files := newAuthority(t), newAuthority(t), newCertificateFiles(t)
	files.ClientCAFile = filepath.Join(filepath.Dir(files.CertFile), "clients.pem")
	files.renew(t, a, 1)
	if err := os.WriteFile(files.ClientCAFile, trusted.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	h := start(t, func(o *server.Options) { o.TLS = &files.TLS })
	call := func(key string, certificates []tls.Certificate) codes.Code {
		conn, err := grpc.NewClient(h.Addresses().GRPC,
			grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: a.pool(),
				Certificates: certificates})))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = consentv1.NewConsentServiceClient(conn).GetConsent(as(t.Context(), key),
			&consentv1.GetConsentRequest{Name: "consents/1"})
		return status.Code(err)
	}
	for what, c := range map[string]struct {
		key          string
		certificates []tls.Certificate
		want         codes.Code
	}{
		"both":                       {allKey, trusted.client(t, time.Hour), codes.OK},
		"no certificate":             {allKey, nil, codes.Unavailable},
		"of another authority":       {allKey, a.client(t, time.Hour), codes.Unavailable},
		"a certificate that ended":   {allKey, trusted.client(t, -time.Minute), codes.Unavailable},
		"a certificate without key":  {nobodyKey, trusted.client(t, time.Hour), codes.Unauthenticated},
		"a certificate, other scope": {readerKey, trusted.client(t, time.Hour), codes.OK},
	} {
		if got := call(c.key, c.certificates); got != c.want {
			t.Errorf("%s: got %s, want %s", what, got, c.want)
		}
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.pool()}}}
	defer web.CloseIdleConnections()
	response, err := web.Get("https://" + h.Addresses().HTTP + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()

	// Whom to trust is read again, too.
	if err := os.WriteFile(files.ClientCAFile, a.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	mine, before := a.client(t, time.Hour), trusted.client(t, time.Hour)
	eventually(t, "another authority to be trusted", func() bool { return call(allKey, mine) == codes.OK })
	if got := call(allKey, before); got != codes.Unavailable {
		t.Errorf("an authority that is no longer trusted: got %s", got)
	}
	if err := os.WriteFile(files.ClientCAFile, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, options := prepare(t)
	options.TLS = &files.TLS
	if _, err := server.New(options); err == nil {
		t.Error("authorities without a certificate are taken")
	}
}
