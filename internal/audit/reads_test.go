package audit

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
)

// TestCallsThatEndLeaveTheLine has calls end while their entries wait for another's that is being written. They take up
// no room, and are not in the audit as reads that went well; a failure of the store is logged with the next one's id.
func TestCallsThatEndLeaveTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTrail(t)
		var log bytes.Buffer
		w.Store.Log = slog.New(slog.NewTextHandler(&log, nil))
		w.db.entered, w.db.gate = make(chan struct{}), make(chan struct{})
		var calls sync.WaitGroup
		read := func(ctx context.Context, n int, want errorv1.Error_Reason) {
			calls.Go(func() {
				err := w.Beside(ctx, "m", "", readNothing)
				if err, _ := kerr.Finish(err, ""); kerr.Reason(err) != want {
					t.Errorf("call %d is told %v, want %s", n, err, want)
				}
			})
		}
		read(call("t", "c", 1), 1, errorv1.Error_REASON_UNSPECIFIED)
		<-w.db.entered
		ctx, cancel := context.WithCancel(call("t", "c", 2))
		read(ctx, 2, errorv1.Error_CANCELLED)
		synctest.Wait()
		read(call("t", "c", 3), 3, errorv1.Error_STORE_UNAVAILABLE)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if n := len(w.reads.room); n != 2 {
			t.Errorf("%d entries take up room, want 2", n)
		}
		w.db.gate <- struct{}{}
		w.db.fail(errors.New("disk full"))
		<-w.db.entered
		w.db.gate <- struct{}{}
		calls.Wait()
		if got := w.entries("t"); len(got) != 1 || got[0].RequestID != "r-1" {
			t.Errorf("the audit has %v", got)
		}
		if !strings.Contains(log.String(), "request_id=r-3") {
			t.Errorf("the log has %s", log.String())
		}
	})
}

// TestReadsDoNotWaitForFailures has a read come while entries of failures are written.
func TestReadsDoNotWaitForFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTrail(t)
		w.db.entered, w.db.gate = make(chan struct{}, 2), make(chan struct{})
		var calls sync.WaitGroup
		calls.Go(func() { _ = w.Failure(call("t", "c", 1), "m", "", errDown) })
		<-w.db.entered
		calls.Go(func() {
			if err := w.Beside(call("t", "c", 2), "m", "", readNothing); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if len(w.db.entered) != 1 {
			t.Error("the read's entry waits for that of a failure")
		}
		close(w.db.gate)
		calls.Wait()
	})
}

// TestReadsTheStoreDoesNotTake has the store take an entry too late, and too many wait.
func TestReadsTheStoreDoesNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTrail(t)
		w.db.entered, w.db.gate = make(chan struct{}, 1), make(chan struct{})
		began := time.Now()
		err := w.Beside(call("t", "c", 1), "m", "", readNothing)
		if kerr.Reason(err) != errorv1.Error_STORE_UNAVAILABLE || time.Since(began) != readTimeout {
			t.Errorf("after %s the caller is told %v", time.Since(began), err)
		}
		for range maxWaiting {
			w.reads.room <- struct{}{}
		}
		if err := w.Beside(call("t", "c", 2), "m", "", func(context.Context, func() error) error {
			t.Error("it is read although there is no room for its entry")
			return nil
		}); kerr.Reason(err) != errorv1.Error_GATEWAY_RATE_LIMITED {
			t.Errorf("the caller is told %v", err)
		}
	})
}

func readNothing(context.Context, func() error) error { return nil }
