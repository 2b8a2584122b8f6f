package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/server"
	"kontor.dev/kontor/internal/server/guard"
)

// TestStrangersLeave: a connection that nobody known has used does not stay when it is silent, and one that somebody
// known has used stays longer.
func TestStrangersLeave(t *testing.T) {
	server.ShortenStrangers(t, 300*time.Millisecond)
	h := start(t)
	if _, err := h.client.GetConsent(as(t.Context(), allKey), &consentv1.GetConsentRequest{Name: "consents/1"}); err != nil {
		t.Fatal(err)
	}
	known := h.openHTTP(t.Context(), t, "GET /v1/consents/1 HTTP/1.1\r\nHost: kontor\r\nAuthorization: Bearer "+
		allKey+"\r\n\r\n")
	answers := bufio.NewReader(known)
	read := func() error {
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	over := h.openHTTP(t.Context(), t, aRequest)
	raw := h.dialRaw(t)
	for name, conn := range map[string]net.Conn{"HTTP": over, "gRPC": raw.conn} {
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); timedOut(err) {
			t.Errorf("%s: a stranger stays", name)
		}
	}
	if _, err := io.WriteString(known, aRequest); err != nil {
		t.Error(err)
	}
	if err := read(); err != nil {
		t.Errorf("over HTTP a known caller had to go: %v", err)
	}
	if got := h.conn.GetState().String(); got != "READY" {
		t.Errorf("over gRPC a known caller's connection is %s", got)
	}
}

// TestTalkingStrangersStay: somebody unknown who asks again and again keeps the connection.
func TestTalkingStrangersStay(t *testing.T) {
	server.ShortenStrangers(t, time.Second)
	h := start(t)
	conn := h.openHTTP(t.Context(), t, aRequest)
	answers := bufio.NewReader(conn)
	for began := time.Now(); time.Since(began) < 2*time.Second; time.Sleep(100 * time.Millisecond) {
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("after %s: %v", time.Since(began), err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if _, err := io.WriteString(conn, aRequest); err != nil {
			t.Fatalf("after %s: %v", time.Since(began), err)
		}
	}
}

// TestCallbackBodies: a callback's body is read once its token is known, into room that counts.
func TestCallbackBodies(t *testing.T) {
	h := start(t)
	head := func(kind string, length int) string {
		return fmt.Sprintf("POST /callbacks/%s HTTP/1.1\r\nHost: kontor\r\nContent-Length: %d\r\n\r\n", kind, length)
	}
	for _, kind := range []string{"fimento/webhook/unknown", "shipments/unknown"} {
		conn := h.openHTTP(t.Context(), t, head(kind, 60_000)) // and nothing of the body
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if response.Body.Close(); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", kind, response.StatusCode)
		}
	}
	var during guard.Usage
	h.callbacks.webhook = func(_, _ string, body []byte) error {
		during = h.Usage()
		if len(body) != 5 {
			return kerr.ErrUnknownCallback
		}
		return nil
	}
	if r := h.do(t, "POST", "/callbacks/fimento/webhook/token", "", "12345"); r.status != http.StatusNoContent {
		t.Errorf("a callback: %d", r.status)
	}
	if during.Bodies != 5 || h.Usage().Bodies != 0 {
		t.Errorf("a body of 5 bytes takes up %d, and %d afterwards", during.Bodies, h.Usage().Bodies)
	}
}

// TestCallbacksLeaveRoom: callbacks take no more of the room for requests than a client would.
func TestCallbacksLeaveRoom(t *testing.T) {
	h := start(t, func(o *server.Options) { o.Limits.MaxBodyBytes = 100 })
	h.callbacks.webhook = func(string, string, []byte) error { return nil }
	for length, want := range map[int]int{50: http.StatusNoContent, 60: http.StatusServiceUnavailable} {
		if r := h.do(t, "POST", "/callbacks/fimento/webhook/token", "", string(make([]byte, length))); r.status != want {
			t.Errorf("%d bytes: %d, want %d", length, r.status, want)
		}
	}
}
