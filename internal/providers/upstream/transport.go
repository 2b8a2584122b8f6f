package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"
)

// newTransports makes the transport for reads, which keeps connections, and the one for everything else, which does
// not. Both speak HTTP/1.1 only, dial only one address, and follow no proxy setting of the environment. They are used
// without http.Client: there are no redirects, no cookies, and no errors that quote URLs.
func newTransports(cfg *Config, base *url.URL) (reads, writes *http.Transport, err error) {
	certificate, err := cfg.TLS.ClientCertificate()
	if err != nil {
		return nil, nil, err
	}
	roots, err := cfg.TLS.RootCAs()
	if err != nil {
		return nil, nil, err
	}
	target := base
	if cfg.Proxy != nil {
		target = cfg.Proxy
	}
	only := hostPort(target)
	dialer := &net.Dialer{Timeout: cfg.Limits.Dial, KeepAlive: 15 * time.Second}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	build := func() *http.Transport {
		t := &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if address != only {
					return nil, errForeignHost
				}
				raw, err := dialer.DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return &conn{Conn: raw, stall: cfg.Limits.Stall}, nil
			},
			TLSClientConfig: &tls.Config{
				MinVersion: tls.VersionTLS12, GetClientCertificate: certificate, RootCAs: roots,
			},
			TLSHandshakeTimeout:    cfg.Limits.Dial,
			ResponseHeaderTimeout:  cfg.Limits.Header,
			MaxResponseHeaderBytes: cfg.Limits.HeaderBytes,
			MaxIdleConnsPerHost:    cfg.Policy.MaxConcurrent,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true, // done by body, which watches the ratio
			Protocols:              &protocols,
		}
		if cfg.Proxy != nil {
			t.Proxy = http.ProxyURL(cfg.Proxy)
		}
		return t
	}
	reads, writes = build(), build()
	writes.DisableKeepAlives = true
	return reads, writes, nil
}

// hostPort gives the address as net/http dials it.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// conn counts what is written, lets no write hang, and notes when the other side ends it.
type conn struct {
	net.Conn
	stall time.Duration

	mu      sync.Mutex
	written int64
	writing int
	sealed  bool
	ended   bool
}

// Read reads.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.mu.Lock()
		c.ended = true
		c.mu.Unlock()
	}
	return n, err
}

// Write writes, unless the connection is sealed.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.sealed {
		c.mu.Unlock()
		return 0, net.ErrClosed
	}
	c.writing++
	c.mu.Unlock()
	// A deadline that cannot be set is one of a closed connection; the write tells.
	_ = c.SetWriteDeadline(time.Now().Add(c.stall))
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	c.writing--
	c.written += int64(n)
	c.mu.Unlock()
	return n, err
}

func (c *conn) count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// seal ends all writing, and tells whether anything was written, or may yet be, after the first base bytes.
func (c *conn) seal(base int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sealed = true
	return c.written > base || c.writing > 0
}

// wire follows one attempt through net/http.
type wire struct {
	resent func() // called when net/http sends the request once more on its own

	mu       sync.Mutex
	conns    int   // connections that the request was given
	conn     *conn // the last of them, nil when it is not ours
	base     int64 // what had been written on it before
	answered bool  // a byte of the answer came
}

// trace hooks w into a context.
func (w *wire) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			w.mu.Lock()
			defer w.mu.Unlock()
			// net/http resends a read whose kept connection the provider had closed. When something had been written,
			// that is a retry.
			if w.conn != nil && w.conn.count() > w.base {
				w.resent()
			}
			w.conns++
			w.conn = unwrap(info.Conn)
			if w.conn != nil {
				w.base = w.conn.count()
			}
		},
		GotFirstResponseByte: func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.answered = true
		},
	})
}

// connected tells whether the request got a connection, whether an answer began, and whether the connection ended under
// it: net/http may take half a header for a bad one.
func (w *wire) connected() (connected, answered, ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		w.conn.mu.Lock()
		defer w.conn.mu.Unlock()
		ended = w.conn.ended
	}
	return w.conns > 0, w.answered, ended
}

// stop makes sure that nothing more of a failed write is sent, and tells whether anything may have been.
func (w *wire) stop() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.conns == 0:
		return false
	case w.conn == nil:
		return true
	default:
		return w.conn.seal(w.base)
	}
}

// unwrap finds our connection below TLS.
func unwrap(c net.Conn) *conn {
	for {
		if ours, ok := c.(*conn); ok {
			return ours
		}
		inner, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = inner.NetConn()
	}
}
