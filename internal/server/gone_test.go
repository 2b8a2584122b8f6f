package server_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/server"
)

// leaving is a way to leave in the middle of a stream. It begins the stream, waits until the method is at work, and
// leaves.
type leaving struct {
	transport string
	// tls is for what browsers do over TLS alone.
	tls   bool
	leave func(t *testing.T, h *harness, trusting *tls.Config, begun <-chan struct{})
}

var leavings = map[string]leaving{
	"cancels over gRPC": {"grpc", false, func(t *testing.T, h *harness, _ *tls.Config, begun <-chan struct{}) {
		t.Helper()
		ctx, cancel := context.WithCancel(as(t.Context(), allKey))
		defer cancel()
		if _, err := h.client.WatchConsents(ctx, &consentv1.WatchConsentsRequest{}); err != nil {
			t.Fatal(err)
		}
		<-begun
	}},
	"resets the connection of gRPC": {"grpc", false, func(
		t *testing.T, h *harness, _ *tls.Config, begun <-chan struct{},
	) {
		t.Helper()
		conns := make(chan net.Conn, 9)
		dial := func(ctx context.Context, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err == nil {
				conns <- conn
			}
			return conn, err
		}
		client, err := grpc.NewClient(h.Addresses().GRPC, grpc.WithContextDialer(dial),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := consentv1.NewConsentServiceClient(client).WatchConsents(as(t.Context(), allKey),
			&consentv1.WatchConsentsRequest{}); err != nil {
			t.Fatal(err)
		}
		<-begun
		reset(t, <-conns)
	}},
	"resets the connection of REST": {"rest", false, func(
		t *testing.T, h *harness, _ *tls.Config, begun <-chan struct{},
	) {
		t.Helper()
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", h.Addresses().HTTP)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("GET /v1/consents:watch HTTP/1.1\r\nHost: kontor\r\n" +
			"Accept: text/event-stream\r\nAuthorization: Bearer " + allKey + "\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		<-begun
		reset(t, conn)
	}},
	"resets the stream of HTTP/2": {"rest", true, func(
		t *testing.T, h *harness, trusting *tls.Config, begun <-chan struct{},
	) {
		t.Helper()
		transport := &http.Transport{TLSClientConfig: trusting, ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+h.Addresses().HTTP+"/v1/consents:watch", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+allKey)
		go func() {
			<-begun
			cancel()
		}()
		if answer, err := transport.RoundTrip(r); err == nil {
			<-ctx.Done()
			answer.Body.Close()
		}
	}},
}

// reset ends a connection at once, as a process does that is killed, or a proxy.
func reset(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Error(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

// TestCallersWhoLeave has callers leave in the middle of a stream, in each way that there is, and methods notice it in
// each way that there is. It is nobody's fault: CANCELLED, in the log and the metrics, and no warning.
func TestCallersWhoLeave(t *testing.T) {
	type stream = consentv1.ConsentService_WatchConsentsServer
	for how, notice := range map[string]func(stream) error{
		"by the context": func(s stream) error {
			<-s.Context().Done()
			return s.Context().Err()
		},
		"as it sends": func(s stream) error {
			for {
				if err := s.Send(&consentv1.WatchConsentsResponse{}); err != nil {
					return err
				}
			}
		},
		"as it sends too late": func(s stream) error {
			<-s.Context().Done()
			return s.Send(&consentv1.WatchConsentsResponse{})
		},
	} {
		for who, l := range leavings {
			t.Run(who+", noticed "+how, func(t *testing.T) {
				t.Parallel()
				issuing, files := newAuthority(t), newCertificateFiles(t)
				files.renew(t, issuing, 1)
				h := start(t, func(o *server.Options) {
					if l.tls {
						o.TLS = &files.TLS
					}
				})
				before := h.log.String() // which depends on the machine
				begun := make(chan struct{})
				h.consents.watch = func(_ *consentv1.WatchConsentsRequest, s stream) error {
					close(begun)
					return notice(s)
				}
				l.leave(t, h, &tls.Config{RootCAs: issuing.pool()}, begun)
				eventually(t, "the call ends", func() bool { return len(h.log.lines(t, "call")) == 1 })
				line := h.log.lines(t, "call")[0]
				if line["code"] != "Canceled" || line["reason"] != "CANCELLED" || line["level"] != "INFO" ||
					line["transport"] != l.transport || line["cause"] != nil {
					t.Errorf("the log says %v", line)
				}
				since := strings.TrimPrefix(h.log.String(), before)
				if strings.Contains(since, `"level":"WARN"`) || strings.Contains(since, `"level":"ERROR"`) {
					t.Errorf("the log has\n%s", since)
				}
				wantCounted(t, h, "Canceled", "CANCELLED", l.transport)
			})
		}
	}
}

// wantCounted makes sure that of WatchConsents one call was counted, with a code and a reason.
func wantCounted(t *testing.T, h *harness, code, reason, transport string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	var counted []string
	for line := range strings.Lines(read(t, r).body) {
		if strings.HasPrefix(line, "kontor_rpc_requests_total{") && strings.Contains(line, `method="WatchConsents"`) &&
			!strings.HasSuffix(line, " 0\n") {
			counted = append(counted, line)
		}
	}
	if len(counted) != 1 || !strings.HasSuffix(counted[0], " 1\n") {
		t.Fatalf("counted is %q", counted)
	}
	for _, label := range []string{`code="` + code + `"`, `reason="` + reason + `"`, `transport="` + transport + `"`} {
		if !strings.Contains(counted[0], label) {
			t.Errorf("counted is %q, without %s", counted[0], label)
		}
	}
}
