package server_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/server"
	"kontor.dev/kontor/internal/server/guard"
)

const (
	createShipment = "/kontor.documents.v1.DocumentService/CreateShipment"
	getConsent     = "/kontor.consent.v1.ConsentService/GetConsent"
)

// TestUnreadAnswersOfStrangers: whoever has no key is refused before anything is held, however little of the answers
// is read.
func TestUnreadAnswersOfStrangers(t *testing.T) {
	h := start(t)
	const connections, streams = 8, 100
	for range connections {
		raw := h.dialRaw(t)
		for i := range streams {
			method := reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName
			if i%2 == 0 {
				method = healthpb.Health_Watch_FullMethodName
			}
			raw.send(raw.open(method), 0, 2, []byte{0x3a, 0}, i%4 == 0)
		}
	}
	refused := 0
	eventually(t, "all are refused", func() bool {
		refused = 0
		for _, line := range h.log.lines(t, "call") {
			if reason := line["reason"]; reason == "UNAUTHENTICATED" || reason == "METHOD_NOT_FOUND" {
				refused++
			}
		}
		for _, line := range h.log.lines(t, "lines about requests without authentication were left out") {
			left, _ := line["lines"].(float64)
			refused += int(left)
		}
		return refused == connections*streams
	})
	if held := h.Usage(); held != (guard.Usage{}) {
		t.Errorf("held: %+v", held)
	}
	// Odd names reach no handler, and count for nothing.
	raw := h.dialRaw(t)
	for _, path := range []string{"x", "/", "/x", "//", "/x/", "/x/y/z"} {
		if code := raw.status(raw.open(path)); code == "0" {
			t.Errorf("%s is served", path)
		}
	}
	eventually(t, "nobody is unknown any more", func() bool { return h.Usage() == guard.Usage{} })
}

// TestStrangersAreBounded: beyond a bound calls are refused before anything is made of them.
func TestStrangersAreBounded(t *testing.T) {
	var asked atomic.Int64
	leave := make(chan struct{})
	h := start(t, func(o *server.Options) { o.Authenticator = waiting{o.Authenticator, &asked, leave} })
	const most = 2000
	for range most / 100 {
		raw := h.dialRaw(t)
		for range 100 {
			raw.open(getConsent, "authorization", "Bearer "+nobodyKey)
		}
	}
	eventually(t, "as many as may be are asked about", func() bool { return asked.Load() == most })
	raw := h.dialRaw(t)
	if code := raw.status(raw.open(getConsent)); code != "8" {
		t.Errorf("one too many: status %s", code)
	}
	if held := h.Usage().Strangers; held != most {
		t.Errorf("%d strangers", held)
	}
	close(leave)
	eventually(t, "nobody is unknown any more", func() bool { return h.Usage() == guard.Usage{} })
}

// waiting finds out who calls once it may.
type waiting struct {
	guard.Authenticator
	asked *atomic.Int64
	leave chan struct{}
}

// Authenticate implements guard.Authenticator.
func (w waiting) Authenticate(ctx context.Context, authorization []string) (identity.Identity, error) {
	w.asked.Add(1)
	<-w.leave
	return w.Authenticator.Authenticate(ctx, authorization)
}

// TestHealthHoldsLittle: a health check is answered to anybody, and costs next to nothing.
func TestHealthHoldsLittle(t *testing.T) {
	h := start(t)
	health := healthpb.NewHealthClient(h.conn)
	for service, want := range map[string]codes.Code{
		"": codes.OK, "nobody": codes.NotFound, strings.Repeat("x", 600): codes.ResourceExhausted,
		strings.Repeat("x", 1<<20): codes.ResourceExhausted,
	} {
		_, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if status.Code(err) != want {
			t.Errorf("a name of %d bytes: %v", len(service), err)
		}
	}
	_, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{}, grpc.UseCompressor(gzip.Name))
	if err != nil {
		t.Errorf("an empty message is never compressed: %v", err)
	}
	// One address can hold some questions open. Then it is told how all are, whatever it asks.
	raw := h.dialRaw(t)
	for range 65 {
		raw.open(healthpb.Health_Check_FullMethodName)
	}
	if code := raw.status(0); code != "0" {
		t.Errorf("the first of 65 open questions to end: status %s", code)
	}
}

// TestAdmissionComesBeforeBodies sends heads alone: who may not call is told so without any of the body.
func TestAdmissionComesBeforeBodies(t *testing.T) {
	h := start(t)
	for range 60 {
		conn := h.openHTTP(t.Context(), t, "POST /v1/shipments HTTP/1.1\r\nHost: kontor\r\nAuthorization: Bearer "+
			readerKey+"\r\nContent-Type: application/json\r\nContent-Length: 15728640\r\n\r\n")
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Body.Close(); answer.StatusCode != http.StatusForbidden {
			t.Fatalf("REST: %d", answer.StatusCode)
		}
	}
	raw := h.dialRaw(t)
	for range 60 {
		id := raw.open(createShipment, "authorization", "Bearer "+readerKey)
		raw.send(id, 0, 15<<20, nil, false)
		if code := raw.status(id); code != "7" {
			t.Fatalf("gRPC: status %s", code)
		}
	}
	if held := h.Usage(); held != (guard.Usage{}) {
		t.Errorf("held: %+v", held)
	}
	// What a method does not take is not waited for either.
	id := raw.open(getConsent, "authorization", "Bearer "+allKey)
	raw.send(id, 0, 15<<20, nil, false)
	if code := raw.status(id); code != "8" {
		t.Errorf("15 MiB for a name: status %s", code)
	}
}

// TestRequestSizes sends requests of all methods with a size of their own, just small enough and just too large.
func TestRequestSizes(t *testing.T) {
	h := start(t, func(o *server.Options) { o.Limits.MaxRequestBytes = 2 << 20 })
	ctx := as(t.Context(), allKey)
	big := func(size int) string { return strings.Repeat("x", size) }
	banking, insights := bankingv1.NewBankingServiceClient(h.conn), insightsv1.NewInsightsServiceClient(h.conn)
	for name, c := range map[string]struct {
		limit int
		path  string
		grpc  func(size int) error
	}{
		"CreateCustomer": {64 << 10, "/v1/customers", func(size int) error {
			_, err := customerv1.NewCustomerServiceClient(h.conn).CreateCustomer(ctx,
				&customerv1.CreateCustomerRequest{RequestId: big(size)})
			return err
		}},
		"CreateConsent": {1 << 20, "/v1/consents", func(size int) error {
			_, err := h.client.CreateConsent(ctx, &consentv1.CreateConsentRequest{RequestId: big(size)})
			return err
		}},
		"SearchCompanyLogos": {1 << 20, "/v1/companyLogos:search", func(size int) error {
			_, err := insights.SearchCompanyLogos(ctx, &insightsv1.SearchCompanyLogosRequest{Provider: big(size)})
			return err
		}},
		"ImportConnections": {2 << 20, "/v1/customers/1:importConnections", func(size int) error {
			_, err := banking.ImportConnections(ctx, &bankingv1.ImportConnectionsRequest{RequestId: big(size)})
			return err
		}},
		"CreateShipment": {2 << 20, "/v1/shipments", func(size int) error {
			_, err := documentsv1.NewDocumentServiceClient(h.conn).CreateShipment(ctx,
				&documentsv1.CreateShipmentRequest{RequestId: big(size)})
			return err
		}},
	} {
		tooLarge := func(transport string, err error, want bool) {
			t.Helper()
			got := status.Code(err) == codes.ResourceExhausted
			if got != want {
				t.Errorf("%s over %s, too large %t: %v", name, transport, want, status.Code(err))
			}
			if got && (strings.Contains(status.Convert(err).Proto().String(), "retry_delay") ||
				!strings.Contains(status.Convert(err).Message(), fmt.Sprint(c.limit))) {
				t.Errorf("%s over %s: %v", name, transport, err)
			}
		}
		tooLarge("gRPC", c.grpc(c.limit-100), false)
		tooLarge("gRPC", c.grpc(c.limit), true)
		body := func(size int) string { return `{"requestId":"` + big(size-16) + `"}` }
		tooLarge("REST", h.do(t, "POST", c.path, allKey, body(c.limit)).err(t), false)
		tooLarge("REST", h.do(t, "POST", c.path, allKey, body(c.limit+1)).err(t), true)
	}
}

// TestCompressedRequests: what unpacks to more than was sent is refused before it is unpacked.
func TestCompressedRequests(t *testing.T) {
	h := start(t)
	_, err := h.client.GetConsent(as(t.Context(), allKey), &consentv1.GetConsentRequest{Name: "consents/1"},
		grpc.UseCompressor(gzip.Name))
	if status.Code(err) != codes.Unimplemented || kerr.Reason(err) != errorv1.Error_CAPABILITY_UNSUPPORTED {
		t.Errorf("%v", err)
	}
	raw := h.dialRaw(t)
	for range 100 {
		id := raw.open(createShipment, "authorization", "Bearer "+allKey, "grpc-encoding", "gzip")
		raw.send(id, 1, 4<<20, nil, false)
		if code := raw.status(id); code != "12" {
			t.Fatalf("status %s", code)
		}
	}
	if held := h.Usage(); held.Bodies != 0 || h.consents.count() != 0 {
		t.Errorf("held: %+v; the service was called %d times", held, h.consents.count())
	}
}

// TestBodiesShareRoom: bodies that a client sends slowly take up its share of the room, and no more; others send on.
func TestBodiesShareRoom(t *testing.T) {
	const mb = 1 << 20
	h := start(t, func(o *server.Options) {
		o.Limits.MaxRequestBytes, o.Limits.MaxBodyBytes = 16*mb, 128*mb
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	head := func(key string, bytes int) string {
		return fmt.Sprintf("POST /v1/shipments HTTP/1.1\r\nHost: kontor\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", key, bytes)
	}
	var open []net.Conn
	for range 4 { // 60 MiB of a share of 72
		open = append(open, h.openHTTP(ctx, t, head(allKey, 15*mb)))
	}
	eventually(t, "four bodies are awaited", func() bool { return h.Usage().Bodies == 4*15*mb })
	conn := h.openHTTP(ctx, t, head(allKey, 15*mb))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	if answer.Body.Close(); answer.StatusCode != 429 || !bytes.Contains(text, []byte("retryDelay")) {
		t.Errorf("a body beyond the client's share: %d %s", answer.StatusCode, text)
	}
	raw := h.dialRaw(t)
	id := raw.open(createShipment, "authorization", "Bearer "+allKey)
	if raw.send(id, 0, 15*mb, nil, false); raw.status(id) != "8" {
		t.Error("gRPC has room of its own")
	}
	// The other tenant sends a body as large as any may be.
	r := h.do(t, "POST", "/v1/consents", readerKey, `{"consent": {"market": "SE"}}`)
	if r.status != 403 {
		t.Errorf("the other tenant: %d", r.status)
	}
	for _, conn := range open {
		conn.Close()
	}
	eventually(t, "the room is free again", func() bool { return h.Usage() == guard.Usage{} })
	// Chunk by chunk no more is held than came.
	conn = h.openHTTP(ctx, t, "POST /v1/shipments HTTP/1.1\r\nHost: kontor\r\nAuthorization: Bearer "+allKey+
		"\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := strings.Repeat(" ", 100<<10)
	fmt.Fprintf(conn, "%x\r\n%s\r\n", len(chunk), chunk)
	eventually(t, "a chunk is held", func() bool { return h.Usage().Bodies == 128<<10 })
}

// TestTenantsShare: whoever takes all that it gets leaves something for the others, of calls and of streams.
func TestTenantsShare(t *testing.T) {
	h := start(t, func(o *server.Options) {
		o.Limits.MaxInFlight, o.Limits.MaxStreams = 100, 100
	})
	var under sync.WaitGroup
	defer under.Wait()
	leave := make(chan struct{})
	defer close(leave)
	h.consents.get = func(ctx context.Context, r *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
		if r.GetName() == "consents/slow" {
			<-leave
		}
		return &consentv1.Consent{}, nil
	}
	h.consents.watch = func(_ *consentv1.WatchConsentsRequest, s consentv1.ConsentService_WatchConsentsServer) error {
		if err := s.Send(&consentv1.WatchConsentsResponse{}); err != nil {
			return err
		}
		<-leave
		return nil
	}
	busy := make(chan error, 200)
	for range 100 {
		under.Go(func() {
			_, err := h.client.GetConsent(as(context.Background(), allKey),
				&consentv1.GetConsentRequest{Name: "consents/slow"})
			if kerr.Reason(err) == errorv1.Error_GATEWAY_RATE_LIMITED {
				busy <- err
			}
		})
	}
	const share = 57 // three quarters of three quarters, each rounded up
	eventually(t, "the client has its share of the calls", func() bool {
		return h.Usage().Calls == share && len(busy) == 100-share
	})
	refused := 0
	for range 100 {
		stream, err := h.client.WatchConsents(as(t.Context(), allKey), &consentv1.WatchConsentsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); kerr.Reason(err) == errorv1.Error_GATEWAY_RATE_LIMITED {
			refused++
		}
	}
	if refused != 100-share || h.Usage().Streams != share {
		t.Errorf("%d streams refused, %d open", refused, h.Usage().Streams)
	}
	for range 20 {
		if _, err := h.client.GetConsent(as(t.Context(), readerKey),
			&consentv1.GetConsentRequest{Name: "consents/1"}); err != nil {
			t.Errorf("the other tenant: %v", err)
		}
		if r := h.do(t, "GET", "/v1/consents/1", readerKey, ""); r.status != 200 {
			t.Errorf("the other tenant over REST: %d", r.status)
		}
		stream, err := h.client.WatchConsents(as(t.Context(), readerKey), &consentv1.WatchConsentsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Errorf("the other tenant's stream: %v", err)
		}
	}
}

// TestSlowRequests: a request of gRPC that does not arrive gives its place up.
func TestSlowRequests(t *testing.T) {
	server.ShortenTimeouts(t, 50*time.Millisecond, 30*time.Second)
	h := start(t)
	raw := h.dialRaw(t)
	for _, sent := range []int{-1, 0, 3} {
		id := raw.open(getConsent, "authorization", "Bearer "+allKey)
		if sent >= 0 {
			raw.send(id, 0, 20, make([]byte, sent), false)
		}
		if code := raw.status(id); code != "4" {
			t.Errorf("%d bytes: status %s", sent, code)
		}
	}
	id := raw.open(getConsent, "authorization", "Bearer "+allKey)
	if raw.send(id, 0, 20, make([]byte, 3), true); raw.status(id) != "3" {
		t.Error("a request that breaks off")
	}
	eventually(t, "nothing is held", func() bool { return h.Usage() == guard.Usage{} })
}

// TestIdleConnections: a connection without a request is closed, on both ports.
func TestIdleConnections(t *testing.T) {
	server.ShortenIdle(t, 50*time.Millisecond)
	h := start(t)
	h.dialRaw(t).ended()
	conn := h.openHTTP(t.Context(), t, "GET /docs HTTP/1.1\r\nHost: kontor\r\n\r\n")
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Errorf("HTTP: %v", err)
	}
}

// TestUnreadConnections: who does not read what is sent is let go.
func TestUnreadConnections(t *testing.T) {
	server.ShortenTimeouts(t, time.Minute, 100*time.Millisecond)
	h := start(t)
	ended := make(chan error, 1)
	h.consents.watch = func(_ *consentv1.WatchConsentsRequest, s consentv1.ConsentService_WatchConsentsServer) error {
		consent := &consentv1.Consent{Reference: optional.Of(strings.Repeat("x", 60<<10))}
		for {
			if err := s.Send(&consentv1.WatchConsentsResponse{Consent: consent}); err != nil {
				ended <- err
				return err
			}
		}
	}
	raw := h.dialRaw(t)
	raw.must(raw.framer.WriteSettings())
	raw.must(raw.framer.WriteWindowUpdate(0, 1<<30))
	id := raw.open("/kontor.consent.v1.ConsentService/WatchConsents", "authorization", "Bearer "+allKey)
	raw.must(raw.framer.WriteWindowUpdate(id, 1<<30))
	raw.send(id, 0, 0, nil, true)
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("a reader that does not read is held for ever")
	}
}

// TestConnections bounds them in all and from each address, but for proxies.
func TestConnections(t *testing.T) {
	proxy := netip.MustParseAddr("127.0.0.9")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bounded := server.Bounded(listener, 5, 2, func(a netip.Addr) bool { return a == proxy })
	defer bounded.Close()
	accepted := make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := bounded.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	// dial tells whether a connection from an address is taken, by what then happens to it.
	dial := func(from string) net.Conn {
		t.Helper()
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := dialer.DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			return nil
		}
		t.Cleanup(func() { conn.Close() })
		closed := make(chan struct{})
		go func() {
			_, _ = conn.Read(make([]byte, 1))
			close(closed)
		}()
		select {
		case taken := <-accepted:
			return taken
		case <-closed:
			return nil
		}
	}
	first := dial("127.0.0.1")
	if first == nil || dial("127.0.0.1") == nil {
		t.Fatal("the first two are refused")
	}
	if dial("127.0.0.1") != nil {
		t.Error("a third one from the address is taken")
	}
	first.Close()
	first.Close()
	if dial("127.0.0.1") == nil {
		t.Error("one that was closed still counts")
	}
	if dial("127.0.0.1") != nil {
		t.Error("one that was closed twice counts twice")
	}
	for range 3 {
		if dial(proxy.String()) == nil {
			t.Error("a proxy's is refused")
		}
	}
	if dial("127.0.0.2") != nil {
		t.Error("a sixth one in all is taken")
	}
}

// aRequest is one that is answered without a key.
const aRequest = "GET /nowhere HTTP/1.1\r\nHost: kontor\r\n\r\n"

// TestServerBoundsConnections: both ports are bounded as the configuration says.
func TestServerBoundsConnections(t *testing.T) {
	h := start(t, func(o *server.Options) { o.Limits.MaxConnectionsPerAddress = 2 })
	// What is sent is answered at once where the connection is taken.
	for address, greeting := range map[string]string{
		h.Addresses().GRPC: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		h.Addresses().HTTP: aRequest,
	} {
		var last net.Conn
		for i := range 3 {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
			if err != nil && i < 2 {
				t.Fatal(err)
			}
			if last = conn; conn != nil {
				t.Cleanup(func() { conn.Close() })
			}
		}
		if last == nil {
			continue // It was refused at once.
		}
		_, _ = io.WriteString(last, greeting) // fails where it is closed already
		if err := last.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := last.Read(make([]byte, 1)); err == nil {
			t.Error("there is an answer")
		} else if timedOut(err) {
			t.Errorf("%s: a third connection stays open", address)
		}
	}
}

// TestConnectionsFitTheFiles: files that run out would take the store's and the providers' connections along.
func TestConnectionsFitTheFiles(t *testing.T) {
	for _, c := range []struct {
		files            uint64
		most, perAddress int
	}{
		{0, 10_000, 1000}, {1 << 20, 10_000, 1000}, {21_024, 10_000, 1000}, {21_022, 9999, 1000}, {4096, 1536, 384},
		{1024, 256, 64}, {8, 2, 1}, {1, 1, 1}, {1<<64 - 1, 10_000, 1000},
	} {
		if most, perAddress := server.Within(10_000, 1000, c.files); most != c.most || perAddress != c.perAddress {
			t.Errorf("%d files: %d connections, %d from one address", c.files, most, perAddress)
		}
	}
	server.LimitFiles(t, 8)
	h := start(t)
	first, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.Addresses().HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.Addresses().HTTP)
	if err != nil {
		return // It was refused at once.
	}
	defer second.Close()
	if err := second.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(second, aRequest) // fails where it is closed already
	if _, err := second.Read(make([]byte, 1)); err == nil || timedOut(err) {
		t.Errorf("a second connection from one address stays open: %v", err)
	}
}

// TestFailuresAreAuditedInTheirPlace: a call that failed has its place until that is in the audit.
func TestFailuresAreAuditedInTheirPlace(t *testing.T) {
	var h *harness
	audited := make(chan guard.Usage, 1)
	h = start(t, func(o *server.Options) {
		o.Audit = func(_ context.Context, _, _ string, failure error) error {
			audited <- h.Usage()
			return failure
		}
	})
	h.consents.create = func(context.Context, *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
		return nil, kerr.New(errorv1.Error_CONSENT_REVOKED, "no")
	}
	request := &consentv1.CreateConsentRequest{Consent: &consentv1.Consent{Market: "SE"}}
	_, _ = h.client.CreateConsent(as(t.Context(), allKey), request)
	if held := <-audited; held.Calls != 1 || held.Bodies == 0 {
		t.Errorf("gRPC: %+v", held)
	}
	eventually(t, "nothing is held", func() bool { return h.Usage() == guard.Usage{} })
	h.do(t, "POST", "/v1/consents", allKey, `{"consent": {"market": "SE"}}`)
	if held := <-audited; held.Calls != 1 || held.Bodies == 0 {
		t.Errorf("REST: %+v", held)
	}
	eventually(t, "nothing is held", func() bool { return h.Usage() == guard.Usage{} })
	// One that breaks off before the call begins fails, too.
	h.do(t, "POST", "/v1/consents", allKey, `{"nothing": 1}`)
	if held := <-audited; held.Calls != 1 {
		t.Errorf("a body that does not fit: %+v", held)
	}
	eventually(t, "nothing is held", func() bool { return h.Usage() == guard.Usage{} })
	if calls, requests := len(h.log.lines(t, "call")), len(h.log.lines(t, "request")); calls != 3 || requests != 0 {
		t.Errorf("%d lines of calls, %d of requests", calls, requests)
	}
}
