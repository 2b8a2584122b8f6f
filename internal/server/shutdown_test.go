package server_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/server"
)

// watchUntilStopped is a watch as the services have it: it ends when the gateway stops.
func watchUntilStopped(h *harness) func(*consentv1.WatchConsentsRequest,
	consentv1.ConsentService_WatchConsentsServer) error {
	return func(_ *consentv1.WatchConsentsRequest, s consentv1.ConsentService_WatchConsentsServer) error {
		if err := s.Send(&consentv1.WatchConsentsResponse{Kind: consentv1.WatchConsentsResponse_STATE,
			ResumeToken: optional.Of("token-1")}); err != nil {
			return err
		}
		select {
		case <-h.stopping:
			return kerr.New(errorv1.Error_GATEWAY_STOPPING, "resume elsewhere", kerr.WithRetry(time.Second))
		case <-s.Context().Done():
			return s.Context().Err()
		}
	}
}

// TestStop stops a server with streams open and calls under way: streams end with a reason, calls finish, and nobody
// is cut off.
func TestStop(t *testing.T) {
	h := start(t)
	h.consents.watch = watchUntilStopped(h)
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	h.consents.get = func(context.Context, *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
		entered <- struct{}{}
		<-leave
		return &consentv1.Consent{Name: "consents/done"}, nil
	}
	stream, err := h.client.WatchConsents(as(t.Context(), allKey), &consentv1.WatchConsentsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	_, lines := h.open(t, "/v1/consents:watch")
	line(t, lines)
	overGRPC, overREST := make(chan error, 1), make(chan reply, 1)
	go func() {
		_, err := h.client.GetConsent(as(context.Background(), allKey),
			&consentv1.GetConsentRequest{Name: "consents/1"})
		overGRPC <- err
	}()
	go func() { overREST <- h.do(t, "GET", "/v1/consents/1", allKey, "") }()
	<-entered
	<-entered

	stopped := make(chan error, 1)
	go func() { stopped <- h.Stop(context.Background()) }()

	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable ||
		kerr.Reason(err) != errorv1.Error_GATEWAY_STOPPING {
		t.Errorf("the gRPC stream ends with %v", err)
	}
	if got := line(t, lines); !strings.HasPrefix(got, `{"error":{"code":14,`) ||
		!strings.Contains(got, "GATEWAY_STOPPING") {
		t.Errorf("the REST stream ends with %s", got)
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("after it: %q, %v", rest, err)
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped with calls under way: %v", err)
	default:
	}
	close(leave)
	if err := <-overGRPC; err != nil {
		t.Errorf("the gRPC call: %v", err)
	}
	if r := <-overREST; r.status != 200 || !strings.Contains(r.body, "consents/done") {
		t.Errorf("the REST call: %d %s", r.status, r.body)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	if err := h.Stop(context.Background()); err != nil {
		t.Errorf("a second stop: %v", err)
	}
	if _, err := http.Get(h.base + "/docs"); err == nil {
		t.Error("HTTP is still served")
	}
	if _, err := http.Get(h.admin + "/livez"); err == nil {
		t.Error("the admin listener is still served")
	}
}

// TestDrain makes sure that load balancers hear of a stop before anything is refused.
func TestDrain(t *testing.T) {
	h := start(t, func(o *server.Options) { o.Shutdown.Delay = time.Hour })
	health := func() healthpb.HealthCheckResponse_ServingStatus {
		answer, err := healthpb.NewHealthClient(h.conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Errorf("health: %v", err)
		}
		return answer.GetStatus()
	}
	if before := health(); before != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("before: %v", before)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- h.Stop(ctx) }()
	eventually(t, "its health says that it is draining", func() bool {
		return health() == healthpb.HealthCheckResponse_NOT_SERVING
	})
	if r := h.adminGet(t, "/readyz"); r.status != 503 || !strings.Contains(r.body, `"stopping"`) {
		t.Errorf("readiness while draining: %d %s", r.status, r.body)
	}
	if r := h.adminGet(t, "/livez"); r.status != 200 {
		t.Errorf("liveness while draining: %d", r.status)
	}
	if _, err := h.client.GetConsent(as(t.Context(), allKey),
		&consentv1.GetConsentRequest{Name: "consents/1"}); err != nil {
		t.Errorf("a call while draining: %v", err)
	}
	select {
	case <-h.stopping:
		t.Error("streams end before the delay is over")
	default:
	}
	cancel()
	<-stopped
	<-h.stopping
}

// TestStopIsBounded stops a server whose call does not end by itself.
func TestStopIsBounded(t *testing.T) {
	h := start(t, func(o *server.Options) { o.Shutdown.Timeout = 50 * time.Millisecond })
	entered := make(chan struct{}, 2)
	h.consents.get = func(ctx context.Context, _ *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
		entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	results := make(chan error, 2)
	go func() {
		_, err := h.client.GetConsent(as(context.Background(), allKey),
			&consentv1.GetConsentRequest{Name: "consents/1"})
		results <- err
	}()
	go func() {
		r, err := http.NewRequest("GET", h.base+"/v1/consents/1", nil)
		if err == nil {
			r.Header.Set("Authorization", "Bearer "+allKey)
			var response *http.Response
			if response, err = client.Do(r); err == nil {
				response.Body.Close()
			}
		}
		results <- err
	}()
	<-entered
	<-entered
	if err := h.Stop(context.Background()); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("stop: %v", err)
	}
	for range 2 {
		if err := <-results; err == nil {
			t.Error("a call that was cut off succeeded")
		}
	}
	if n := len(h.log.lines(t, "call")); n != 2 {
		t.Errorf("%d of 2 calls had ended when Stop returned", n)
	}
}

// TestStopWaitsForAbandonedCalls stops a server while a call goes on whose caller has left: what it uses must not be
// taken away under it.
func TestStopWaitsForAbandonedCalls(t *testing.T) {
	h := start(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	h.consents.get = func(context.Context, *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
		close(entered)
		<-leave
		return &consentv1.Consent{}, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.base+"/v1/consents/1", nil)
		if err == nil {
			r.Header.Set("Authorization", "Bearer "+allKey)
			_, err = client.Do(r)
		}
		left <- err
	}()
	<-entered
	cancel()
	if err := <-left; err == nil {
		t.Fatal("the caller did not leave")
	}
	stopped := make(chan error, 1)
	go func() { stopped <- h.Stop(context.Background()) }()
	<-h.stopping
	select {
	case err := <-stopped:
		t.Errorf("stopped with a call under way: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(leave)
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
}
