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
	grpc := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}
	web := grpc.Clone()
	web.NextProtos = []string{"h2", "http/1.1"}
	if c.files.ClientCAFile != "" {
		grpc.ClientCAs, grpc.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !grpc.ClientCAs.AppendCertsFromPEM(read[2]) {
			return false, errors.New("server: tls.client_ca_file has no certificate")
		}
	}
	c.web, c.grpc = web, grpc
	return true, nil
}

// current gives what a handshake goes by now.
func (c *certificates) current() (web, grpc *tls.Config) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.clock(); now.Sub(c.looked) >= certificatesAge {
		c.looked = now
		switch changed, err := c.load(); {
		case err != nil && err.Error() != c.wrong:
			c.wrong = err.Error()
			c.log.Error("the certificates' files cannot be used; the ones before stay", "cause", c.wrong)
		case changed:
			c.wrong = ""
			c.log.Info("the certificates' files changed and are in use")
		}
	}
	return c.web, c.grpc
}

// forWeb is the configuration of the HTTP listener. It asks for no client certificate: browsers and providers come
// there.
func (c *certificates) forWeb() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			web, _ := c.current()
			return web, nil
		},
	}
}

// forGRPC is the configuration of the gRPC listener.
func (c *certificates) forGRPC() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			_, grpc := c.current()
			return grpc, nil
		},
	}
}
