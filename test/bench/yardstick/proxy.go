// Package yardstick has what a gateway is compared with: a proxy that passes answers on, and a gRPC server that does
// nothing but send.
package yardstick

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// connections are as many as callers of a load have, and more.
const connections = 512

// Transport is one for many callers of one server.
func Transport() *http.Transport {
	return &http.Transport{
		MaxIdleConns: connections, MaxIdleConnsPerHost: connections, IdleConnTimeout: time.Minute,
		DisableCompression: true,
	}
}

// Proxy passes requests on to a server and answers back: with connections that are kept, buffers that are used again,
// and nothing looked at.
func Proxy(to *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport:  Transport(),
		BufferPool: &buffers{sync.Pool{New: func() any { return new([32 << 10]byte) }}},
		ErrorLog:   log.New(io.Discard, "", 0),
	}
}

// buffers are those of copies.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte { return b.pool.Get().(*[32 << 10]byte)[:] } //nolint:forcetypeassert // Put and New
// put nothing else in.

// Put implements httputil.BufferPool.
func (b *buffers) Put(buffer []byte) { b.pool.Put((*[32 << 10]byte)(buffer)) }
