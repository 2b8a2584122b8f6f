package e2e

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
)

// The ways in which a stream reaches a caller.
const (
	overNDJSON = "NDJSON"
	overSSE    = "SSE"
)

var streamings = []string{overGRPC, overNDJSON, overSSE}

// update is a message of a watch.
type update interface {
	*consentv1.WatchConsentsResponse | *documentsv1.WatchShipmentsResponse
	proto.Message
	GetResumeToken() string
}

// watch is an open stream.
type watch[M update] struct {
	items <-chan item[M]
	leave context.CancelFunc
}

// item is a message, or how a stream ended: by itself when failure is nil.
type item[M update] struct {
	message M
	failure *failure
	broken  error // the stream is not what it should be
	ended   bool
}

// watchConsents follows a consent, or with "" all of the tenant, behind a token.
func watchConsents(t *testing.T, c *client, streaming, consent, token string) *watch[*consentv1.WatchConsentsResponse] {
	t.Helper()
	path := "/v1/consents:watch"
	if consent != "" {
		path = "/v1/" + consent + ":watch"
	}
	return open(t, c, streaming, path, token, func(ctx context.Context) (
		receiver[*consentv1.WatchConsentsResponse], error,
	) {
		return c.Consents.WatchConsents(ctx, &consentv1.WatchConsentsRequest{Consent: consent, ResumeToken: token})
	}, func() *consentv1.WatchConsentsResponse { return &consentv1.WatchConsentsResponse{} })
}

// watchShipments follows a shipment, or with "" all of the tenant, behind a token.
func watchShipments(
	t *testing.T, c *client, streaming, shipment, token string,
) *watch[*documentsv1.WatchShipmentsResponse] {
	t.Helper()
	path := "/v1/shipments:watch"
	if shipment != "" {
		path = "/v1/" + shipment + ":watch"
	}
	return open(t, c, streaming, path, token, func(ctx context.Context) (
		receiver[*documentsv1.WatchShipmentsResponse], error,
	) {
		return c.Documents.WatchShipments(ctx, &documentsv1.WatchShipmentsRequest{
			Shipment: shipment, ResumeToken: token,
		})
	}, func() *documentsv1.WatchShipmentsResponse { return &documentsv1.WatchShipmentsResponse{} })
}

// receiver is a stub's stream.
type receiver[M update] interface{ Recv() (M, error) }

// open opens a stream and reads it in the background until the test ends or leaves it.
func open[M update](
	t *testing.T, c *client, streaming, path, token string, call func(context.Context) (receiver[M], error),
	blank func() M,
) *watch[M] {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	items := make(chan item[M], 1000)
	send := func(i item[M]) {
		select {
		case items <- i:
		case <-ctx.Done():
		}
	}
	t.Cleanup(cancel)
	w := &watch[M]{items, cancel}
	if streaming == overGRPC {
		stream, err := call(ctx)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				message, err := stream.Recv()
				switch {
				case errors.Is(err, io.EOF):
					send(item[M]{ended: true})
					return
				case err != nil:
					send(item[M]{ended: true, failure: failed(err)})
					return
				}
				send(item[M]{message: message})
			}
		}()
		return w
	}
	h := headers{"accept": "application/x-ndjson"}
	switch {
	case streaming == overSSE:
		h = headers{"accept": "text/event-stream"}
		if token != "" {
			h["last-event-id"] = token
		}
	case token != "":
		path += "?resumeToken=" + url.QueryEscape(token)
	}
	resp, err := c.send(ctx, http.MethodGet, path, nil, h)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		f, _, err := readFailure(resp)
		t.Fatalf("%s: %v %v", path, f, err)
	}
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, h["accept"]) {
		t.Fatalf("%s: Content-Type is %q, want %q", path, got, h["accept"])
	}
	go func() {
		defer resp.Body.Close()
		readLines(newLines(resp.Body), streaming, blank, send)
	}()
	return w
}

// readLines reads newline-delimited JSON or Server-Sent Events to the end.
func readLines[M update](l *lines, streaming string, blank func() M, send func(item[M])) {
	var event sseEvent
	for {
		line, err := l.next()
		if errors.Is(err, io.EOF) {
			send(item[M]{ended: true})
			return
		}
		if err != nil {
			send(item[M]{ended: true, broken: err})
			return
		}
		var result, failure []byte
		if streaming == overSSE {
			if !event.take(string(line)) {
				continue
			}
			if event.name == "error" {
				failure = []byte(event.data)
			} else {
				result = []byte(event.data)
			}
		} else if result, failure, err = unwrap(line); err != nil {
			send(item[M]{ended: true, broken: err})
			return
		}
		if failure != nil {
			var st statuspb.Status
			err := protojson.Unmarshal(failure, &st)
			send(item[M]{ended: true, broken: err, failure: failureOf(status.FromProto(&st))})
			return
		}
		message := blank()
		if err := protojson.Unmarshal(result, message); err != nil {
			send(item[M]{ended: true, broken: err})
			return
		}
		if streaming == overSSE && event.id != message.GetResumeToken() {
			send(item[M]{ended: true, broken: errors.New("an event's id is not its message's resume token")})
			return
		}
		send(item[M]{message: message})
		event = sseEvent{}
	}
}

// sseEvent is a Server-Sent Event while it arrives.
type sseEvent struct{ name, id, data string }

// take takes a line and tells whether the event is complete.
func (e *sseEvent) take(line string) bool {
	field, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch field {
	case "event":
		e.name = value
	case "id":
		e.id = value
	case "data":
		e.data += value
	case "":
		return line == "" && e.data != ""
	}
	return false
}

// item gives the next item. It ends the test when none comes in time.
func (w *watch[M]) item(t *testing.T, late <-chan time.Time) item[M] {
	t.Helper()
	select {
	case i := <-w.items:
		if i.broken != nil {
			t.Fatalf("the stream is broken: %v", i.broken)
		}
		return i
	case <-late:
		t.Fatal("in vain waited for what must come on the stream")
	}
	panic("unreachable")
}

// next gives the next message, heartbeats included.
func (w *watch[M]) next(t *testing.T) M {
	t.Helper()
	return w.message(t, time.After(patience))
}

func (w *watch[M]) message(t *testing.T, late <-chan time.Time) M {
	t.Helper()
	i := w.item(t, late)
	if i.ended {
		t.Fatalf("the stream ended: %v", i.failure)
	}
	return i.message
}

// end waits for the stream to end and gives how, nil for by itself. Nothing but heartbeats may come before.
func (w *watch[M]) end(t *testing.T) *failure {
	t.Helper()
	late := time.After(patience)
	for {
		i := w.item(t, late)
		if i.ended {
			return i.failure
		}
		if !isHeartbeat(i.message) {
			t.Fatalf("got %v, want the end of the stream", i.message)
		}
	}
}

// news gives the next message that is no heartbeat.
func (w *watch[M]) news(t *testing.T) M {
	t.Helper()
	late := time.After(patience)
	for {
		if message := w.message(t, late); !isHeartbeat(message) {
			return message
		}
	}
}

// quiet waits for a heartbeat and fails when anything comes before it.
func (w *watch[M]) quiet(t *testing.T) M {
	t.Helper()
	message := w.next(t)
	if !isHeartbeat(message) {
		t.Fatalf("got %v, want nothing but a heartbeat", message)
	}
	return message
}

func isHeartbeat[M update](message M) bool {
	switch m := any(message).(type) {
	case *consentv1.WatchConsentsResponse:
		return m.GetKind() == consentv1.WatchConsentsResponse_HEARTBEAT
	case *documentsv1.WatchShipmentsResponse:
		return m.GetKind() == documentsv1.WatchShipmentsResponse_HEARTBEAT
	}
	return false
}

// until collects events up to the one of a type, and holds each against the consent that comes with it: sequences
// count up by one.
func until(
	t *testing.T, w *watch[*consentv1.WatchConsentsResponse], last consentv1.ConsentEvent_Type, after int32,
) []*consentv1.WatchConsentsResponse {
	t.Helper()
	var all []*consentv1.WatchConsentsResponse
	for {
		m := w.news(t)
		if m.GetKind() != consentv1.WatchConsentsResponse_EVENT || m.GetResumeToken() == "" {
			t.Fatalf("got %v, want an event with a token", m)
		}
		after++
		wantSequence(t, m, after)
		all = append(all, m)
		if m.GetEvent().GetType() == last {
			return all
		}
	}
}

func wantSequence(t *testing.T, m *consentv1.WatchConsentsResponse, sequence int32) {
	t.Helper()
	name := m.GetConsent().GetName() + "/events/" + itoa(sequence)
	if m.GetEvent().GetName() != name || m.GetConsent().GetEventCount() != sequence {
		t.Fatalf(
			"got event %s of a consent with %d events, want %s", m.GetEvent().GetName(),
			m.GetConsent().GetEventCount(), name,
		)
	}
}
