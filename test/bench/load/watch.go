package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/test/worldtest"
)

// Watchers are streams of a consent's events, or of all of a tenant's.
type Watchers struct {
	Count int
	// SSE has them over HTTP rather than gRPC.
	SSE bool
	// Consent is the one that is watched, "" for all.
	Consent string
	// Events is how many events are caused and timed, each by a fresh read of the consent Cause, over gRPC.
	Events int
	Cause  string
}

const (
	// watchersPerConnection are fewer than the streams that a connection may have.
	watchersPerConnection = 90
	// opening is how many streams begin at one time.
	opening = 200
)

// watching are the streams of a job.
type watching struct {
	ended sync.WaitGroup

	mu     sync.Mutex
	moved  *sync.Cond // when one of the following has changed
	ready  int
	events []time.Time // of the event that is under way, one of each stream
	failed error
}

func newWatching() *watching {
	w := &watching{}
	w.moved = sync.NewCond(&w.mu)
	return w
}

func (w *watching) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	w.moved.Broadcast()
}

// wait waits until a condition holds, or a stream has failed.
func (w *watching) wait(holds func() bool) error {
	late := time.AfterFunc(worldtest.Patience, func() {
		w.change(func() { w.failed = errors.Join(w.failed, errors.New("streams keep silent")) })
	})
	defer late.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for !holds() && w.failed == nil {
		w.moved.Wait()
	}
	return w.failed
}

// Watch opens a job's watchers and times events. The streams stay open until close is called.
func Watch(ctx context.Context, job Job) (result *Result, closeAll func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	w := newWatching()
	closeAll = func() { cancel(); w.ended.Wait() }
	defer func() {
		if err != nil {
			closeAll()
			closeAll = func() {}
		}
	}()
	var stubs *worldtest.Stubs
	for n := range job.Watchers.Count {
		if !job.Watchers.SSE && n%watchersPerConnection == 0 {
			if stubs, err = worldtest.Dial(job.Address, job.Key); err != nil {
				return nil, closeAll, err
			}
			context.AfterFunc(ctx, stubs.Close)
		}
		if err = w.wait(func() bool { return n-w.ready < opening }); err != nil {
			return nil, closeAll, err
		}
		on := stubs
		w.ended.Go(func() {
			err := job.follow(ctx, on, w)
			if ctx.Err() == nil {
				w.change(func() { w.failed = errors.Join(errors.New("a stream ended"), err) })
			}
		})
	}
	if err = w.wait(func() bool { return w.ready == job.Watchers.Count }); err != nil {
		return nil, closeAll, err
	}
	result = &Result{}
	if job.Watchers.Events > 0 {
		err = job.events(ctx, w, result)
	}
	return result, closeAll, err
}

// events causes events and times them.
func (j *Job) events(ctx context.Context, w *watching, result *Result) error {
	stubs, err := worldtest.Dial(j.Address, j.Key)
	if err != nil {
		return err
	}
	defer stubs.Close()
	before, began := worldtest.Used(j.Pid), time.Now()
	for range j.Watchers.Events {
		w.change(func() { w.events = nil })
		if _, err := stubs.Consents.GetConsent(ctx, &consentv1.GetConsentRequest{
			Name: j.Watchers.Cause, Refresh: true,
		}); err != nil {
			return err
		}
		first := time.Now()
		if err := w.wait(func() bool { return len(w.events) >= j.Watchers.Count }); err != nil {
			return err
		}
		w.mu.Lock()
		last := time.Time{}
		for _, at := range w.events {
			if at.Before(first) {
				first = at
			}
			if at.After(last) {
				last = at
			}
		}
		w.mu.Unlock()
		result.Spread = append(result.Spread, last.Sub(first))
		result.Calls++
	}
	result.CPU, result.Took = worldtest.Used(j.Pid)-before, time.Since(began)
	return nil
}

// follow reads a stream until it ends.
func (j *Job) follow(ctx context.Context, stubs *worldtest.Stubs, w *watching) error {
	ready := sync.OnceFunc(func() { w.change(func() { w.ready++ }) })
	if j.Watchers.SSE {
		return j.followSSE(ctx, w, ready)
	}
	stream, err := stubs.Consents.WatchConsents(ctx, &consentv1.WatchConsentsRequest{Consent: j.Watchers.Consent})
	if err != nil {
		return err
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		if message.GetResumeToken() != "" {
			ready()
		}
		if message.GetKind() == consentv1.WatchConsentsResponse_EVENT {
			now := time.Now()
			w.change(func() { w.events = append(w.events, now) })
		}
	}
}

var sse = &http.Client{Transport: &http.Transport{DisableCompression: true}}

func (j *Job) followSSE(ctx context.Context, w *watching, ready func()) error {
	path := "/v1/consents:watch"
	if j.Watchers.Consent != "" {
		path = "/v1/" + j.Watchers.Consent + ":watch"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+j.Address+path, http.NoBody)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+j.Key)
	r.Header.Set("Accept", "text/event-stream")
	resp, err := sse.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	lines := bufio.NewReaderSize(resp.Body, 1<<10)
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull): // the rest of the line comes
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
		if bytes.Contains(line, []byte(`"resumeToken"`)) || bytes.HasPrefix(line, []byte("id:")) {
			ready()
		}
	}
}
