package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/server"
)

// dial sends the head of an HTTP/1.1 request and gives the connection.
func (h *harness) dial(t *testing.T, head, key string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", h.Addresses().HTTP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "%s\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n", head, key); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestSlowBody sends half a body and then nothing. The rest is not waited for without end.
func TestSlowBody(t *testing.T) {
	server.ShortenTimeouts(t, 100*time.Millisecond, 30*time.Second)
	h := start(t)
	for path, key := range map[string]string{"/v1/consents": allKey, "/v1/customers": nobodyKey,
		"/callbacks/fimento/webhook/t": "", "/nowhere": ""} {
		conn := h.dial(t, "POST "+path+" HTTP/1.1", key)
		if _, err := io.WriteString(conn, "Content-Length: 100\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		response.Body.Close()
		if response.StatusCode < 400 {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
	if h.consents.count() != 0 {
		t.Error("half a body reached the service")
	}
}

// TestSlowCall answers a request later than its body had to be there: the body's deadline is the body's alone.
func TestSlowCall(t *testing.T) {
	server.ShortenTimeouts(t, 50*time.Millisecond, 30*time.Second)
	h := start(t)
	h.consents.create = func(ctx context.Context, r *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
		select {
		case <-time.After(200 * time.Millisecond):
			return r.GetConsent(), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if r := h.do(t, "POST", "/v1/consents", allKey, `{"consent": {"market": "SE"}}`); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestIdleStream keeps a stream silent for longer than an answer or a body may take, after a request that had a body
// on the same connection.
func TestIdleStream(t *testing.T) {
	server.ShortenTimeouts(t, 50*time.Millisecond, 50*time.Millisecond)
	h := start(t, func(o *server.Options) { o.Limits.Timeout = 50 * time.Millisecond })
	next := make(chan struct{}, 1)
	h.consents.watch = story(next, nil)
	if r := h.do(t, "POST", "/v1/consents", allKey, `{"consent": {"market": "SE"}}`); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	next <- struct{}{}
	_, r := h.open(t, "/v1/consents:watch")
	line(t, r)
	<-time.After(300 * time.Millisecond)
	next <- struct{}{}
	if got := line(t, r); !strings.Contains(got, "token-2") {
		t.Errorf("got %s", got)
	}
}

// TestStuckReader opens a stream and never reads from it. The service must be let go.
func TestStuckReader(t *testing.T) {
	server.ShortenTimeouts(t, time.Minute, 100*time.Millisecond)
	h := start(t)
	ended := make(chan error, 1)
	h.consents.watch = func(_ *consentv1.WatchConsentsRequest, s consentv1.ConsentService_WatchConsentsServer) error {
		message := &consentv1.WatchConsentsResponse{
			Consent: &consentv1.Consent{Reference: optional.Of(strings.Repeat("x", 1<<20))},
		}
		for {
			if err := s.Send(message); err != nil {
				ended <- err
				return err
			}
		}
	}
	conn := h.dial(t, "GET /v1/consents:watch HTTP/1.1", allKey)
	if _, err := io.WriteString(conn, "\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the service writes to somebody who does not read")
	}
}
