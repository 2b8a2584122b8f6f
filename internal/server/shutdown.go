package server

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errCutOff says that calls were still under way when the time to stop was over.
var errCutOff = errors.New("server: calls were cut off")

// abandonTimeout is how long calls that were cut off have to notice.
const abandonTimeout = 5 * time.Second

func (s *Server) shutDown(ctx context.Context) error {
	s.draining.Store(true)
	s.health.Shutdown()
	wait(ctx, s.options.Shutdown.Delay)
	close(s.options.Stopping)

	if s.options.Shutdown.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.options.Shutdown.Timeout)
		defer cancel()
	}
	var fronts sync.WaitGroup
	fronts.Go(s.grpc.GracefulStop)
	fronts.Go(func() { _ = s.http.Shutdown(ctx) }) // an error says that time is up, which shows below
	var err error
	if !done(ctx, func() { fronts.Wait(); s.guard.Wait() }) {
		err = errCutOff
		s.grpc.Stop()
		_ = s.http.Close()
		// Their contexts have ended. A call that ignores that must not keep the process alive.
		abandoned, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
		defer cancel()
		done(abandoned, s.guard.Wait)
	}
	s.stopBackground()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
	defer cancel()
	done(ending, s.background.Wait)
	_ = s.admin.Close() // probes are answered to the end
	return err
}

// wait waits for a while, or until the context ends.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// done waits for f, or until the context ends, and tells whether f returned.
func done(ctx context.Context, f func()) bool {
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		f()
	}()
	select {
	case <-returned:
		return true
	case <-ctx.Done():
		return false
	}
}
