// Package sandboxes starts played providers on loopback, over one population and one clock. It takes them as a list of
// dialects and knows none by name: what they do is in the packages of the dialects, beside this one.
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
)

// closeTimeout bounds how long Close waits for webhooks and callbacks under way.
const closeTimeout = 5 * time.Second

// Options describe what is played. All but Dialects may be left out.
type Options struct {
	sandbox.Options
	// Dialects are the providers to play, each under an id of its own.
	Dialects []sandbox.Dialect
	// Addr tells where providers listen, by id: loopback addresses. Default "127.0.0.1:0", a free port.
	Addr map[string]string
}

// Played is a provider that serves.
type Played struct {
	sandbox.Dialect
	URL    string // without a slash at the end
	Core   *sandbox.Core
	Player sandbox.Player
}

// Running are providers that serve until Close. Their cores differ in all but clock and population, so that each has
// its own faults and calls.
type Running struct {
	// Played has them by id.
	Played map[string]*Played

	order   []*Played
	servers []*http.Server
	serving sync.WaitGroup
	close   func() error
}

// Start makes the providers and serves them. They end with Close or with ctx, whichever comes first.
func Start(ctx context.Context, o Options) (*Running, error) {
	r := &Running{Played: map[string]*Played{}}
	r.close = sync.OnceValue(r.shutDown)
	listeners := make([]net.Listener, len(o.Dialects))
	fail := func(err error) (*Running, error) {
		for _, l := range listeners {
			if l != nil {
				err = errors.Join(err, l.Close())
			}
		}
		return nil, err
	}
	// All listen before one serves: who is refused a port has started nothing.
	for i, d := range o.Dialects {
		if r.Played[d.ID] != nil {
			return fail(fmt.Errorf("two sandboxes are called %s", d.ID))
		}
		l, err := listen(ctx, o.Addr[d.ID])
		if err != nil {
			return fail(fmt.Errorf("%s sandbox: %w", d.Name, err))
		}
		listeners[i] = l
		r.Played[d.ID] = &Played{Dialect: d, URL: "http://" + l.Addr().String()}
		r.order = append(r.order, r.Played[d.ID])
	}
	for i, p := range r.order {
		p.Core = sandbox.NewCore(o.Options)
		o.Clock, o.Population = p.Core.Clock, p.Core.Population
		p.Player = p.New(p.Core, p.URL)
		r.serve(listeners[i], p.Player, p.Core.Log)
	}
	context.AfterFunc(ctx, func() { _ = r.Close() })
	return r, nil
}

// InOrder gives the providers in the order of Options.Dialects.
func (r *Running) InOrder() []*Played { return r.order }

// As gives the player of a provider as what its dialect made, with the controls that only it has. It panics when the
// provider is not played, or is another dialect's.
func As[P sandbox.Player](r *Running, id string) P {
	played := r.Played[id]
	if played == nil {
		panic("sandboxes: " + id + " is not played")
	}
	player, ok := played.Player.(P)
	if !ok {
		panic(fmt.Sprintf("sandboxes: %s is played by a %T", id, played.Player))
	}
	return player
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
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	r.servers = append(r.servers, server)
	r.serving.Go(func() { _ = server.Serve(l) }) // returns when the server is closed
}

// Close ends all providers at once, requests under way included. Calling it again does nothing.
func (r *Running) Close() error { return r.close() }

func (r *Running) shutDown() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var errs []error
	for _, server := range r.servers {
		errs = append(errs, server.Close())
	}
	for _, p := range r.order {
		errs = append(errs, p.Player.Close(ctx))
	}
	r.serving.Wait()
	return errors.Join(errs...)
}
