package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"kontor.dev/kontor/internal/config"
)

// certificatesAge is how long certificate files are not looked at again.
const certificatesAge = time.Second

// certificates are what the listeners present, and whom they trust, from files that may change at any time.
// Handshakes look at the files again, at most once in certificatesAge; files that do not fit together keep what was
// there before, and are logged once. Connections that are open stay as they are.
type certificates struct {
	files config.TLS
	log   *slog.Logger
	clock func() time.Time

	mu     sync.Mutex
	looked time.Time
	read   [3][]byte // what the files held when they were last tried
	wrong  string    // what was last said to be wrong with them
	web    *tls.Config
	grpc   *tls.Config
	admin  *tls.Config
}

// suites are what TLS 1.2 may use: AEADs with keys that are gone afterwards, and none with CBC, which keeps giving rise
// to attacks on its padding. TLS 1.3 has no others.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// newCertificates reads the files, which must be right.
func newCertificates(files config.TLS, log *slog.Logger, clock func() time.Time) (*certificates, error) {
	c := &certificates{files: files, log: log, clock: clock, looked: clock()}
	if _, err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// load reads the files, and takes them over when they changed and are right.
func (c *certificates) load() (changed bool, err error) {
	var read [3][]byte
	for i, file := range []string{c.files.CertFile, c.files.KeyFile, c.files.ClientCAFile} {
		if file == "" {
			continue
		}
		if read[i], err = os.ReadFile(file); err != nil {
			return false, fmt.Errorf("server: read the certificates: %w", err)
		}
	}
	if bytes.Equal(read[0], c.read[0]) && bytes.Equal(read[1], c.read[1]) && bytes.Equal(read[2], c.read[2]) {
		return false, nil
	}
	c.read = read
	pair, err := tls.X509KeyPair(read[0], read[1])
	if err != nil {
		return false, fmt.Errorf("server: load the certificate: %w", err)
	}
	admin := &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, CipherSuites: suites,
		NextProtos: []string{"h2", "http/1.1"},
	}
	web, grpc := admin.Clone(), admin.Clone()
	grpc.NextProtos = []string{"h2"}
	if c.files.ClientCAFile != "" {
		authorities := x509.NewCertPool()
		if !authorities.AppendCertsFromPEM(read[2]) {
			return false, errors.New("server: tls.client_ca_file has no certificate")
		}
		for _, asking := range []*tls.Config{web, grpc} {
			// A session that is resumed would bring along whom an authority vouched for that is no longer trusted.
			asking.ClientCAs, asking.SessionTicketsDisabled = authorities, true
		}
		grpc.ClientAuth = tls.RequireAndVerifyClientCert
		web.ClientAuth = tls.VerifyClientCertIfGiven // browsers and providers come there, too
	}
	c.web, c.grpc, c.admin = web, grpc, admin
	return true, nil
}

// look takes over the files if they changed and are right.
func (c *certificates) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = c.clock()
	switch changed, err := c.load(); {
	case err != nil && err.Error() != c.wrong:
		c.wrong = err.Error()
		c.log.Error("the certificates' files cannot be used; the ones before stay", "cause", c.wrong)
	case changed:
		c.wrong = ""
		c.log.Info("the certificates' files changed and are in use")
	}
}

// until is when the certificate in use ends.
func (c *certificates) until() time.Time {
	if c.due() {
		c.look()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	leaf := c.web.Certificates[0].Leaf
	if leaf == nil {
		return time.Time{}
	}
	return leaf.NotAfter
}

// due tells whether the files are to be looked at again.
func (c *certificates) due() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock().Sub(c.looked) >= certificatesAge
}

// serving is the configuration of a listener whose handshakes each go by what pick gives then.
func (c *certificates) serving(pick func() *tls.Config) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: suites, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			if c.due() {
				c.look()
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			return pick(), nil
		},
	}
}

// forWeb is the configuration of the HTTP listener.
func (c *certificates) forWeb() *tls.Config { return c.serving(func() *tls.Config { return c.web }) }

// forGRPC is the configuration of the gRPC listener.
func (c *certificates) forGRPC() *tls.Config {
	outer := c.serving(func() *tls.Config { return c.grpc })
	outer.NextProtos = []string{"h2"}
	return outer
}

// forAdmin is the configuration of the admin listener, which asks nobody for a certificate: probes come there.
func (c *certificates) forAdmin() *tls.Config {
	return c.serving(func() *tls.Config { return c.admin })
}
