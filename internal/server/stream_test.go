package server_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
)

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("the stream ended: %v", err)
	}
	return strings.TrimSuffix(text, "\n")
}

// story sends what a watch may send, each message only when the test asks for it.
func story(next <-chan struct{}, end error) func(*consentv1.WatchConsentsRequest,
	consentv1.ConsentService_WatchConsentsServer) error {
	return func(_ *consentv1.WatchConsentsRequest, s consentv1.ConsentService_WatchConsentsServer) error {
		for _, message := range []*consentv1.WatchConsentsResponse{
			{Kind: consentv1.WatchConsentsResponse_STATE,
				Consent: &consentv1.Consent{Name: "consents/1", Reference: optional.Of("line\nbreak")}},
			{Kind: consentv1.WatchConsentsResponse_EVENT, ResumeToken: optional.Of("token-2"),
				Consent: &consentv1.Consent{Name: "consents/1"}},
			{Kind: consentv1.WatchConsentsResponse_HEARTBEAT, ResumeToken: optional.Of("token-2")},
		} {
			select {
			case <-next:
			case <-s.Context().Done():
				return s.Context().Err()
			}
			if err := s.Send(message); err != nil {
				return err
			}
		}
		select {
		case <-next:
		case <-s.Context().Done():
			return s.Context().Err()
		}
		return end
	}
}

// TestLines reads a stream as newline-delimited JSON. Each message must arrive before the next is made.
func TestLines(t *testing.T) {
	h := start(t)
	next := make(chan struct{}, 1)
	h.consents.watch = story(next, nil)
	next <- struct{}{}
	response, r := h.open(t, "/v1/consents:watch")
	if response.StatusCode != 200 || response.Header.Get("Cache-Control") != "no-store" ||
		response.Header.Get("X-Accel-Buffering") != "no" ||
		response.Header.Get("X-Request-Id") == "" {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	if got := line(t, r); !strings.HasPrefix(got, `{"result":{"kind":"STATE","consent":{"name":"consents/1",`) ||
		!strings.Contains(got, `"reference":"line\nbreak"`) ||
		strings.Contains(got, "brokerBanks") {
		t.Errorf("got %s", got)
	}
	next <- struct{}{}
	if got := line(t, r); !strings.Contains(got, `"resumeToken":"token-2"`) {
		t.Errorf("got %s", got)
	}
	next <- struct{}{}
	if got := line(t, r); !strings.Contains(got, `"kind":"HEARTBEAT"`) {
		t.Errorf("got %s", got)
	}
	next <- struct{}{}
	if rest, err := io.ReadAll(r); err != nil || len(rest) != 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
}

// TestEvents reads a stream as Server-Sent Events, and resumes it as a browser does.
func TestEvents(t *testing.T) {
	h := start(t)
	next := make(chan struct{}, 1)
	h.consents.watch = story(next, kerr.New(errorv1.Error_GATEWAY_STOPPING, "stopping", kerr.WithRetry(time.Second)))
	next <- struct{}{}
	response, r := h.open(t, "/v1/consents/1:watch", "Accept", "text/event-stream", "Last-Event-ID", "token-1")
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" ||
		response.Header.Get("Cache-Control") != "no-store" ||
		response.Header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	if s := h.consents.last(t); s.lastEventID != "token-1" {
		t.Errorf("the service sees %q", s.lastEventID)
	}
	if got := line(t, r); !strings.HasPrefix(got,
		`data: {"kind":"STATE","consent":{`) { // no id: the state is not complete yet
		t.Errorf("got %s", got)
	}
	if got := line(t, r); got != "" {
		t.Errorf("got %s", got)
	}
	next <- struct{}{}
	var event []string
	for text := line(t, r); text != ""; text = line(t, r) {
		event = append(event, text)
	}
	if len(event) != 2 || event[0] != "id: token-2" || !strings.HasPrefix(event[1], `data: {"kind":"EVENT"`) {
		t.Errorf("got %q", event)
	}
	next <- struct{}{}
	event = nil
	for text := line(t, r); text != ""; text = line(t, r) {
		event = append(event, text)
	}
	if len(event) != 3 || event[0] != "event: heartbeat" || event[1] != "id: token-2" ||
		!strings.HasPrefix(event[2], `data: {"kind":"HEARTBEAT"`) {
		t.Errorf("got %q", event)
	}
	next <- struct{}{}
	event = nil
	for text := line(t, r); text != ""; text = line(t, r) {
		event = append(event, text)
	}
	data, ok := strings.CutPrefix(event[len(event)-1], "data: ")
	if len(event) != 2 || event[0] != "event: error" || !ok {
		t.Fatalf("got %q", event)
	}
	var st spb.Status
	if err := protojson.Unmarshal([]byte(data), &st); err != nil ||
		kerr.Reason(status.FromProto(&st).Err()) != errorv1.Error_GATEWAY_STOPPING {
		t.Errorf("got %s, %v", data, err)
	}
}

// TestLinesEndWithAnError makes sure that an error within a stream is its last line.
func TestLinesEndWithAnError(t *testing.T) {
	h := start(t)
	next := make(chan struct{}, 4)
	for range 4 {
		next <- struct{}{}
	}
	h.consents.watch = story(next, kerr.New(errorv1.Error_STORE_UNAVAILABLE, "later"))
	_, r := h.open(t, "/v1/consents:watch")
	for range 3 {
		line(t, r)
	}
	if got := line(t, r); !strings.HasPrefix(got, `{"error":{"code":14,"message":"later","details":[`) ||
		!strings.Contains(got, "STORE_UNAVAILABLE") ||
		!strings.Contains(got, "requestId") {
		t.Errorf("got %s", got)
	}
}

// TestErrorBeforeTheFirstMessage makes sure that a stream which never begins is an ordinary error.
func TestErrorBeforeTheFirstMessage(t *testing.T) {
	h := start(t)
	h.consents.watch = func(*consentv1.WatchConsentsRequest, consentv1.ConsentService_WatchConsentsServer) error {
		return kerr.New(errorv1.Error_CONSENT_NOT_FOUND, "no such consent")
	}
	for _, accept := range []string{"", "text/event-stream", "application/json, text/event-stream;q=0.5"} {
		r := h.do(t, "GET", "/v1/consents/1:watch", allKey, "", "Accept", accept)
		if err := r.err(t); r.status != 404 || kerr.Reason(err) != errorv1.Error_CONSENT_NOT_FOUND ||
			r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%q: %d %v %s", accept, r.status, r.header, r.body)
		}
	}
	h.consents.watch = func(*consentv1.WatchConsentsRequest,
		consentv1.ConsentService_WatchConsentsServer) error {
		return nil
	}
	if r := h.do(t, "GET", "/v1/consents:watch", allKey, ""); r.status != 200 || r.body != "" {
		t.Errorf("an empty stream: %d %s", r.status, r.body)
	}
}

// TestCallerLeaves makes sure that a stream's service hears of a caller who went away.
func TestCallerLeaves(t *testing.T) {
	h := start(t)
	left := make(chan error, 1)
	h.consents.watch = func(_ *consentv1.WatchConsentsRequest, s consentv1.ConsentService_WatchConsentsServer) error {
		if err := s.Send(&consentv1.WatchConsentsResponse{}); err != nil {
			return err
		}
		<-s.Context().Done()
		left <- s.Context().Err()
		return s.Context().Err()
	}
	response, r := h.open(t, "/v1/consents:watch")
	line(t, r)
	response.Body.Close()
	wait := func(transport string) {
		t.Helper()
		select {
		case err := <-left:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", transport, err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s: the service waits on", transport)
		}
	}
	wait("rest")
	ctx, cancel := context.WithCancel(as(t.Context(), allKey))
	stream, err := h.client.WatchConsents(ctx, &consentv1.WatchConsentsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	wait("grpc")
	eventually(t, "both ends are logged", func() bool { return len(h.log.lines(t, "call")) == 2 })
	for _, l := range h.log.lines(t, "call") {
		if l["code"] != codes.Canceled.String() || l["reason"] != "CANCELLED" || l["level"] != "INFO" {
			t.Errorf("logged as %v", l)
		}
	}
}

func TestStreamOverGRPC(t *testing.T) {
	h := start(t)
	next := make(chan struct{}, 4)
	for range 4 {
		next <- struct{}{}
	}
	h.consents.watch = story(next, nil)
	stream, err := h.client.WatchConsents(as(t.Context(), allKey, "x-request-id", "r-1", "last-event-id", "token-1"),
		&consentv1.WatchConsentsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	var header metadata.MD
	if header, err = stream.Header(); err != nil || len(header.Get("x-request-id")) != 1 ||
		header.Get("x-request-id")[0] != "r-1" {
		t.Errorf("header %v, %v", header, err)
	}
	if s := h.consents.last(t); s.lastEventID != "token-1" || s.identity.ClientID != "all" || s.deadline != 0 {
		t.Errorf("the service sees %+v", s)
	}
}
