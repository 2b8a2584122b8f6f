package proxy

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

// watcher follows a consent through the proxy, and goes on where a stream ended.
type watcher struct {
	name string
	// seen is the number of the last event, by what is streamed; streams counts those that were begun.
	seen, streams atomic.Int64
	// token is that of the last message; for the watcher's goroutine alone.
	token string
}

// take notes a message. It fails where one is missing or comes again.
func (o *watcher) take(kind consentv1.WatchConsentsResponse_Kind, event, token string, count int64) error {
	if token != "" {
		o.token = token
	}
	switch kind {
	case consentv1.WatchConsentsResponse_STATE:
		if o.seen.Load() != 0 {
			return fmt.Errorf("%s: a resumed stream begins anew", o.name)
		}
		o.seen.Store(count)
	case consentv1.WatchConsentsResponse_EVENT:
		number, err := strconv.ParseInt(event[strings.LastIndex(event, "/")+1:], 10, 64)
		if err != nil || number != o.seen.Load()+1 {
			return fmt.Errorf("%s: %s comes after event %d", o.name, event, o.seen.Load())
		}
		o.seen.Store(number)
	}
	return nil
}

// overGRPC follows until the stream ends, which is no fault.
func (o *watcher) overGRPC(ctx context.Context, w *world, consent string) error {
	stream, err := w.grpc.Consents.WatchConsents(w.authorized(ctx),
		&consentv1.WatchConsentsRequest{Consent: consent, ResumeToken: o.token})
	if err != nil {
		return unlessAway(err)
	}
	o.streams.Add(1)
	for {
		message, err := stream.Recv()
		if err != nil {
			return unlessAway(err)
		}
		err = o.take(message.GetKind(), message.GetEvent().GetName(), message.GetResumeToken(),
			int64(message.GetConsent().GetEventCount()))
		if err != nil {
			return err
		}
	}
}

// unlessAway gives errors that a caller need not expect when a gateway goes away. Of one that is killed the proxy ends
// the answer without its last part, which has the outcome: gRPC calls that INTERNAL, without a reason of Kontor's.
func unlessAway(err error) error {
	switch code := status.Code(err); {
	case code == codes.Unavailable, code == codes.Canceled, code == codes.Internal && worldtest.Reason(err) == "":
		return nil
	}
	return err
}

// overSSE follows as a browser does.
func (o *watcher) overSSE(ctx context.Context, w *world, consent string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.rest+"/v1/"+consent+":watch", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+w.key)
	request.Header.Set("Accept", "text/event-stream")
	if o.token != "" {
		request.Header.Set("Last-Event-ID", o.token)
	}
	response, err := w.http.Do(request)
	if err != nil {
		return nil // nobody was there
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusInternalServerError {
		return nil
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", o.name, response.Status)
	}
	o.streams.Add(1)
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var message struct {
			Kind, ResumeToken string
			Event             struct{ Name string }
			Consent           struct{ EventCount json.Number }
			Error             struct{ Code int }
			Code              int
		}
		if err := json.Unmarshal([]byte(data), &message); err != nil {
			return nil // cut off
		}
		count, _ := message.Consent.EventCount.Int64()
		kind := consentv1.WatchConsentsResponse_Kind(consentv1.WatchConsentsResponse_Kind_value[message.Kind])
		if err := o.take(kind, message.Event.Name, message.ResumeToken, count); err != nil {
			return err
		}
	}
	return nil
}

// authorized is a context with the client's key.
func (w *world) authorized(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+w.key)
}

// unary counts calls, those that failed, and those whose failure is not that a gateway went away.
type unary struct{ calls, failed, unexpected atomic.Int64 }

func (u *unary) count(err error, away bool) {
	u.calls.Add(1)
	if err != nil {
		u.failed.Add(1)
		if !away {
			u.unexpected.Add(1)
		}
	}
}

// TestGatewayGoesAway has one of two gateways go, as told or killed, while callers call and follow a consent through
// the proxy. Told to, it goes without a failed call. Streams are resumed at the other one, without a gap or a repeat.
func TestGatewayGoesAway(t *testing.T) {
	for _, test := range []struct {
		name   string
		front  front
		leave  func(*worldtest.Gateway) error
		killed bool
	}{
		{"told to", shipped, (*worldtest.Gateway).Stop, false},
		{"told to, behind the proxy of deploy/compose", composed, (*worldtest.Gateway).Stop, false},
		{"killed", shipped, func(g *worldtest.Gateway) error { g.Kill(); return nil }, true},
	} {
		t.Run(test.name, func(t *testing.T) { goesAway(t, start(t, test.front, 2), test.leave, test.killed) })
	}
}

func goesAway(t *testing.T, w *world, leave func(*worldtest.Gateway) error, killed bool) {
	ctx, cancel := context.WithCancel(t.Context())
	consent := worldtest.Must(w.grpc.Consents.CreateConsent(w.asGRPC(t, uuid.NewString()),
		&consentv1.CreateConsentRequest{
			Consent: &consentv1.Consent{Market: sandbox.Sweden},
			Psu:     &consentv1.Psu{NationalId: sandbox.GoodNationalID},
		}))(t)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var watchers []*watcher
	for i := range 8 {
		o := &watcher{name: fmt.Sprintf("stream %d", i)}
		watchers = append(watchers, o)
		follow := o.overGRPC
		if i%2 == 1 {
			follow = o.overSSE
		}
		running.Go(func() {
			for ctx.Err() == nil {
				if err := follow(ctx, w, consent.GetName()); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	events := int64(consent.GetEventCount())
	caughtUp := func(what string) {
		worldtest.Eventually(t, what, func() bool {
			for _, o := range watchers {
				if o.seen.Load() != events {
					return false
				}
			}
			return true
		})
	}
	// A further link is a further event.
	happen := func() {
		for {
			renewed, err := w.grpc.Consents.RenewConsentLink(w.asGRPC(t, uuid.NewString()),
				&consentv1.RenewConsentLinkRequest{Name: consent.GetName()})
			if err == nil {
				events = int64(renewed.GetEventCount())
				return
			}
			if !killed || unlessAway(err) != nil {
				t.Fatal(err)
			}
		}
	}
	caughtUp("all streams begin")
	happen()
	caughtUp("all streams tell of a new link")
	for i, gateway := range w.gateways {
		if streams(t, gateway) == 0 {
			t.Fatalf("gateway %d has no streams", i)
		}
	}

	var calls unary
	call := func(once func() (err error, away bool)) {
		running.Go(func() {
			for ctx.Err() == nil {
				if err, away := once(); ctx.Err() == nil {
					calls.count(err, away)
				}
			}
		})
	}
	call(func() (error, bool) {
		_, err := w.grpc.Customers.CreateCustomer(w.authorized(ctx), &customerv1.CreateCustomerRequest{
			Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON}})
		return err, unlessAway(err) == nil
	})
	call(func() (error, bool) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.rest+"/v1/"+consent.GetName(), nil)
		if err != nil {
			return err, false
		}
		request.Header.Set("Authorization", "Bearer "+w.key)
		response, err := w.http.Do(request)
		if err != nil {
			return err, false // the proxy is there
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", response.Status), response.StatusCode > http.StatusInternalServerError
		}
		return nil, false
	})
	more := func(what string, n int64) {
		from := calls.calls.Load()
		worldtest.Eventually(t, what, func() bool { return calls.calls.Load() >= from+n })
	}
	more("calls", 20)
	if err := leave(w.gateways[0]); err != nil {
		t.Fatal(err)
	}
	happen()
	caughtUp("all streams go on at the other gateway")
	failed := calls.failed.Load()
	more("calls at the other gateway", 50)
	if again := calls.failed.Load() - failed; again > 0 {
		t.Errorf("%d calls failed after the streams were back", again)
	}
	if calls.unexpected.Load() > 0 || !killed && calls.failed.Load() > 0 {
		t.Errorf("of %d calls %d failed, %d in a way that nobody expects", calls.calls.Load(), calls.failed.Load(),
			calls.unexpected.Load())
	}
	resumed := 0
	for _, o := range watchers {
		if o.streams.Load() > 1 {
			resumed++
		}
	}
	t.Logf("%d calls, %d failed; %d of %d streams were resumed", calls.calls.Load(), calls.failed.Load(), resumed,
		len(watchers))
	if resumed == 0 {
		t.Error("no stream was with the gateway that went")
	}
}

// streams tells how many streams a gateway has.
func streams(t *testing.T, gateway *worldtest.Gateway) (n float64) {
	t.Helper()
	text := worldtest.Must(gateway.Metrics())(t)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "kontor_rpc_streams{") {
			value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, " "):]), 64)
			if err != nil {
				t.Fatal(err)
			}
			n += value
		}
	}
	return n
}
