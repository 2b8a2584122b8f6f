// Package sandboxes starts both played providers on loopback, over one population and one clock. What they do is in
// the packages sandbox, fimento and finoos; nothing is added here.
package sandboxes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

// closeTimeout bounds how long Close waits for callbacks under way.
const closeTimeout = 5 * time.Second

// Options describe both sandboxes. The zero value is usable.
type Options struct {
	sandbox.Options
	// FimentoAddr and FinoOSAddr are where to listen; they must be loopback addresses. Default "127.0.0.1:0", a free
	// port.
	FimentoAddr, FinoOSAddr string
	// Fimento and FinoOS describe the dialects. An empty BaseURL becomes the address that is listened on.
	Fimento fimento.Config
	FinoOS  finoos.Config
}

// Running are two providers that serve until Close. The cores of the dialects differ in all but clock and population,
// so that each has its own faults and calls.
type Running struct {
	FimentoURL, FinoOSURL   string // without a slash at the end
	Fimento                 *fimento.Server
	FinoOS                  *finoos.Server
	FimentoCore, FinoOSCore *sandbox.Core

	servers []*http.Server
	serving sync.WaitGroup
	close   func() error
}

// Start makes both providers and serves them. They end with Close or with ctx, whichever comes first.
func Start(ctx context.Context, o Options) (*Running, error) {
	fimentoListener, err := listen(ctx, o.FimentoAddr)
	if err != nil {
		return nil, fmt.Errorf("fimento sandbox: %w", err)
	}
	finoosListener, err := listen(ctx, o.FinoOSAddr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("finoOS sandbox: %w", err), fimentoListener.Close())
	}
	r := &Running{FimentoURL: "http://" + fimentoListener.Addr().String(), FinoOSURL: "http://" + finoosListener.Addr().String()}
	r.close = sync.OnceValue(r.shutDown)
	o.Fimento.BaseURL = cmp.Or(o.Fimento.BaseURL, r.FimentoURL)
	o.FinoOS.BaseURL = cmp.Or(o.FinoOS.BaseURL, r.FinoOSURL)

	r.FimentoCore = sandbox.NewCore(o.Options)
	o.Clock, o.Population = r.FimentoCore.Clock, r.FimentoCore.Population
	r.FinoOSCore = sandbox.NewCore(o.Options)
	r.Fimento = fimento.New(r.FimentoCore, o.Fimento)
	r.FinoOS = finoos.New(r.FinoOSCore, o.FinoOS)
	r.serve(fimentoListener, r.Fimento, r.FimentoCore.Log)
	r.serve(finoosListener, r.FinoOS, r.FinoOSCore.Log)
	context.AfterFunc(ctx, func() { _ = r.Close() })
	return r, nil
}

// listen refuses any address that others could reach: the controls ask nobody who they are.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cmp.Or(addr, "127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		return nil, errors.Join(fmt.Errorf("%s is not a loopback address", addr), l.Close())
	}
	return l, nil
}

func (r *Running) serve(l net.Listener, h http.Handler, log *slog.Logger) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	r.servers = append(r.servers, server)
	r.serving.Go(func() { _ = server.Serve(l) }) // returns when the server is closed
}

// Close ends both providers at once, requests under way included. Calling it again does nothing.
func (r *Running) Close() error { return r.close() }

func (r *Running) shutDown() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var errs []error
	for _, server := range r.servers {
		errs = append(errs, server.Close())
	}
	errs = append(errs, r.Fimento.Close(ctx))
	r.serving.Wait()
	return errors.Join(errs...)
}
