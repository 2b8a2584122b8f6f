package providers

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"sync"
	"time"
)

// TLS is how a provider and Kontor show each other who they are, beyond what every https address does. The zero value
// adds nothing. Adapters have it in their Config under a key of their own, most often `tls`, and hand it to upstream.
type TLS struct {
	// CertFile and KeyFile are the client certificate with its chain, and its private key, as PEM. They are read
	// again when they change.
	CertFile File `config:"cert_file"`
	KeyFile  File `config:"key_file"`
	// CAFile has the authorities that the provider's certificate may come from, as PEM, in place of those that the
	// machine trusts. It is read at the start.
	CAFile File `config:"ca_file"`
}

// Check tells what is wrong with the files.
func (t TLS) Check() error {
	var faults Faults
	switch {
	case t.CertFile != "" && t.KeyFile == "":
		faults = append(faults, Fault{"key_file", "is missing"})
	case t.CertFile == "" && t.KeyFile != "":
		faults = append(faults, Fault{"cert_file", "is missing"})
	case t.CertFile != "":
		if _, err := t.load(); err != nil {
			faults = append(faults, Fault{"cert_file", err.Error()})
		}
	}
	if _, err := t.RootCAs(); err != nil {
		faults = append(faults, Fault{"ca_file", err.Error()})
	}
	return faults.Err()
}

// RootCAs gives the authorities, nil for the machine's own.
func (t TLS) RootCAs() (*x509.CertPool, error) {
	if t.CAFile == "" {
		return nil, nil //nolint:nilnil // as crypto/tls has it
	}
	text, err := os.ReadFile(string(t.CAFile))
	if err != nil {
		return nil, errors.New("cannot be read")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("must hold certificates as PEM")
	}
	return pool, nil
}

// ClientCertificate gives the client certificate whenever a provider asks for one; nil without one. While the files
// hold no pair that fits, as between the two steps of replacing them, the last good one serves.
func (t TLS) ClientCertificate() (func(*tls.CertificateRequestInfo) (*tls.Certificate, error), error) {
	if t.CertFile == "" {
		return nil, nil //nolint:nilnil // as crypto/tls has it
	}
	now := t.version()
	first, err := t.load()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	current, read := first, now
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if now := t.version(); now != read {
			if fresh, err := t.load(); err == nil {
				current, read = fresh, now
			}
		}
		return current, nil
	}, nil
}

func (t TLS) load() (*tls.Certificate, error) {
	certificate, err := tls.LoadX509KeyPair(string(t.CertFile), string(t.KeyFile))
	if err != nil {
		// The error could quote a path.
		return nil, errors.New("must be a certificate as PEM that fits the key in key_file")
	}
	return &certificate, nil
}

// version changes when one of the files does.
func (t TLS) version() [2]fileVersion {
	return [2]fileVersion{versionOf(t.CertFile), versionOf(t.KeyFile)}
}

type fileVersion struct {
	size     int64
	modified time.Time
}

func versionOf(file File) fileVersion {
	info, err := os.Stat(string(file))
	if err != nil {
		return fileVersion{}
	}
	return fileVersion{info.Size(), info.ModTime()}
}
