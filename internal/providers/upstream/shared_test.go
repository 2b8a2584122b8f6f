package upstream

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/coalesce"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/slot"
)

// TestSharedCallEndsForItsLastCallersReason: a provider that hangs until callers run out of time is slow, whoever they
// shared the call with, and one whose callers went away is not.
func TestSharedCallEndsForItsLastCallersReason(t *testing.T) {
	for _, test := range []struct {
		context func(context.Context) (context.Context, context.CancelFunc)
		want    providers.ErrorKind
	}{
		{func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, providers.KindDeadline},
		{func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, providers.KindCanceled},
	} {
		synctest.Test(t, func(t *testing.T) {
			var g coalesce.Group[int]
			ctx, cancel := test.context(t.Context())
			defer cancel()
			kinds := make(chan providers.ErrorKind, 1)
			_, err := g.Do(ctx, "a", func(ctx context.Context) (int, error) {
				<-ctx.Done()
				kind, _ := contextKind(ctx)
				kinds <- kind
				return 0, ctx.Err()
			})
			if got := <-kinds; err == nil || got != test.want {
				t.Errorf("the call ended as %s, its caller with %v; want %s", got, err, test.want)
			}
		})
	}
}

// TestAskingIsWaiting: a call that asks a provider is no work for the gateway until the answer is there.
func TestAskingIsWaiting(t *testing.T) {
	waits := false
	c := newTestClient(t, "http://localhost", func(cfg *Config) {
		cfg.Transport = transport(func(*http.Request) (*http.Response, error) {
			if !waits {
				t.Error("the call counts as worked on while the provider answers")
			}
			return reply(200, `{}`), nil
		})
	})
	place := slot.New(func() {})
	place.OnWait(func() { waits = true })
	var out any
	if _, err := c.Do(slot.With(t.Context(), place), get("1"), &out); err != nil {
		t.Error(err)
	}
}
