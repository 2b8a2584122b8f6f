package inproc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/broadcast"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/server/inproc"
)

// service is a service whose answers a test sets.
type service struct {
	consentv1.UnimplementedConsentServiceServer
	create func(context.Context, *consentv1.CreateConsentRequest) (*consentv1.Consent, error)
	watch  func(*consentv1.WatchConsentsRequest, consentv1.ConsentService_WatchConsentsServer) error
}

func (s *service) CreateConsent(
	ctx context.Context, r *consentv1.CreateConsentRequest,
) (*consentv1.Consent, error) {
	return s.create(ctx, r)
}

func (s *service) WatchConsents(
	r *consentv1.WatchConsentsRequest, stream consentv1.ConsentService_WatchConsentsServer,
) error {
	return s.watch(r, stream)
}

// connect gives a service, and a client of it through a channel.
func connect() (*service, consentv1.ConsentServiceClient) {
	s, channel := &service{}, inproc.New(nil)
	consentv1.RegisterConsentServiceServer(channel, s)
	return s, consentv1.NewConsentServiceClient(channel)
}

func request(market string) *consentv1.CreateConsentRequest {
	return &consentv1.CreateConsentRequest{Consent: &consentv1.Consent{Market: market},
		Psu: &consentv1.Psu{NationalId: "1"}}
}

type valueKey struct{}

// TestContexts: deadline and end reach the handler, values do not, and the handler's context ends with the call.
func TestContexts(t *testing.T) {
	t.Parallel()
	s, client := connect()
	var kept context.Context
	s.create = func(ctx context.Context, _ *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
		kept = ctx
		if ctx.Value(valueKey{}) != nil {
			t.Error("a value crosses")
		}
		if caller := inproc.Caller(ctx); caller == nil || caller.Value(valueKey{}) != "v" {
			t.Error("the caller's context is not to be had")
		}
		if name, _ := grpc.Method(ctx); name != consentv1.ConsentService_CreateConsent_FullMethodName {
			t.Errorf("the method is %s", name)
		}
		deadline, ok := ctx.Deadline()
		if !ok || time.Until(deadline) < 30*time.Minute {
			t.Errorf("the deadline is %s", deadline)
		}
		return &consentv1.Consent{}, nil
	}
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), valueKey{}, "v"), time.Hour)
	defer cancel()
	if _, err := client.CreateConsent(ctx, request("SE")); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(kept.Err(), context.Canceled) {
		t.Errorf("after the call its context says %v", kept.Err())
	}
	if inproc.Caller(ctx) != nil {
		t.Error("a context that did not cross has a caller")
	}

	// A handler's work ends with its caller, and what it begins does as well.
	for _, c := range []struct {
		end  func() (context.Context, context.CancelFunc)
		want codes.Code
	}{
		{func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 10*time.Millisecond)
		},
			codes.DeadlineExceeded},
		{func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			return ctx, cancel
		}, codes.Canceled},
	} {
		s.create = func(ctx context.Context, _ *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
			ctx, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			<-ctx.Done()
			return nil, ctx.Err()
		}
		ctx, cancel := c.end()
		if _, err := client.CreateConsent(ctx, request("SE")); status.Code(err) != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
		cancel()
	}
}

// TestNoGoroutineForACall: neither a unary call nor what its handler derives from its context has a goroutine. It runs
// alone, since it counts.
func TestNoGoroutineForACall(t *testing.T) {
	const deep = 50
	s, client := connect()
	before, depth := runtime.NumGoroutine(), 0
	s.create = func(ctx context.Context, _ *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
		inner, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		if depth++; depth < deep {
			return client.CreateConsent(inner, request("SE"))
		}
		if more := runtime.NumGoroutine() - before; more > deep/2 {
			t.Errorf("%d calls have %d goroutines", deep, more)
		}
		return &consentv1.Consent{}, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := client.CreateConsent(ctx, request("SE")); err != nil || depth != deep {
		t.Fatalf("%v after %d calls", err, depth)
	}
}

// TestMetadata: each side has metadata of its own.
func TestMetadata(t *testing.T) {
	t.Parallel()
	s, client := connect()
	sent, header, trailer := metadata.Pairs("a", "1"), metadata.Pairs("h", "1"), metadata.Pairs("t", "1")
	check := func(ctx context.Context) {
		sent["a"][0] = "changed"
		sent["b"] = []string{"late"}
		got, _ := metadata.FromIncomingContext(ctx)
		if v := got.Get("a"); len(v) != 1 || v[0] != "1" || got.Len() != 1 {
			t.Errorf("the handler sees %v", got)
		}
		sent = metadata.Pairs("a", "1")
	}
	s.create = func(ctx context.Context, _ *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
		check(ctx)
		if err := errors.Join(grpc.SetHeader(ctx, header), grpc.SetTrailer(ctx, trailer)); err != nil {
			t.Error(err)
		}
		header["h"][0], trailer["t"][0] = "changed", "changed"
		if err := grpc.SendHeader(ctx, metadata.Pairs("h", "2")); err != nil {
			t.Error(err)
		}
		if grpc.SetHeader(ctx, header) == nil || grpc.SendHeader(ctx, header) == nil {
			t.Error("headers are taken after they were sent")
		}
		return &consentv1.Consent{}, nil
	}
	var gotHeader, gotTrailer metadata.MD
	ctx := metadata.NewOutgoingContext(t.Context(), sent)
	if _, err := client.CreateConsent(ctx, request("SE"), grpc.Header(&gotHeader),
		grpc.Trailer(&gotTrailer)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(gotHeader["h"], []string{"1", "2"}) || !slices.Equal(gotTrailer["t"], []string{"1"}) {
		t.Errorf("the caller sees %v and %v", gotHeader, gotTrailer)
	}

	var kept grpc.ServerStream
	s.watch = func(_ *consentv1.WatchConsentsRequest, stream consentv1.ConsentService_WatchConsentsServer) error {
		kept = stream
		check(stream.Context())
		if err := errors.Join(grpc.SetHeader(stream.Context(), metadata.Pairs("h", "1")),
			stream.SetHeader(metadata.Pairs("h", "2"))); err != nil {
			t.Error(err)
		}
		if err := stream.Send(&consentv1.WatchConsentsResponse{}); err != nil {
			return err
		}
		if stream.SetHeader(metadata.Pairs("h", "3")) == nil {
			t.Error("headers are taken after the first message")
		}
		stream.SetTrailer(metadata.Pairs("t", "1"))
		return nil
	}
	stream, err := client.WatchConsents(metadata.NewOutgoingContext(t.Context(), sent),
		&consentv1.WatchConsentsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := stream.Header(); err != nil || !slices.Equal(got["h"], []string{"1", "2"}) {
		t.Errorf("headers %v, %v", got, err)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	kept.SetTrailer(metadata.Pairs("t", "late"))
	if got := stream.Trailer(); !slices.Equal(got["t"], []string{"1"}) {
		t.Errorf("trailers %v", got)
	}
}

// TestRequestIsTheHandlers: a handler keeps a request and goes on changing it while its caller uses its message again.
func TestRequestIsTheHandlers(t *testing.T) {
	t.Parallel()
	s, client := connect()
	var late sync.WaitGroup
	s.create = func(_ context.Context, r *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
		late.Go(func() {
			for i := range 100 {
				r.Consent.Market, r.Psu.NationalId, r.RequestId = strconv.Itoa(i), "", ""
			}
		})
		return &consentv1.Consent{Market: "SE"}, nil
	}
	r := request("SE")
	for range 10 {
		consent := r.GetConsent()
		if _, err := client.CreateConsent(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if consent == nil || !proto.Equal(r, &consentv1.CreateConsentRequest{}) {
			t.Errorf("after the call the caller holds %v", r)
		}
		proto.Merge(r, request("SE"))
	}
	late.Wait()
	if !proto.Equal(r, request("SE")) {
		t.Errorf("the handler changes %v", r)
	}
}

// TestRequestOfAStreamIsCopied: the handler reads what was sent, whatever the caller did with its message since.
func TestRequestOfAStreamIsCopied(t *testing.T) {
	t.Parallel()
	changed := make(chan struct{})
	desc := consentv1.ConsentService_ServiceDesc
	desc.Streams = []grpc.StreamDesc{{
		StreamName: "WatchConsents", ServerStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			<-changed
			r := &consentv1.WatchConsentsRequest{}
			if err := stream.RecvMsg(r); err != nil || r.GetConsent() != "consents/1" {
				t.Errorf("got %v, %v", r, err)
			}
			return nil
		},
	}}
	channel := inproc.New(nil)
	channel.RegisterService(&desc, &service{})
	r := &consentv1.WatchConsentsRequest{Consent: "consents/1"}
	stream, err := consentv1.NewConsentServiceClient(channel).WatchConsents(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	r.Consent = "consents/2"
	close(changed)
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

// TestAnswerIsLent: a handler gives many callers the same answer at the same time. What is in it they share, and what a
// caller does with its own message reaches nobody.
func TestAnswerIsLent(t *testing.T) {
	t.Parallel()
	s, client := connect()
	shared := &consentv1.Consent{Name: "consents/1", Link: &typev1.Link{Uri: optional.Of("u")},
		BrokerBanks: []*consentv1.Consent_BrokerBank{{Id: optional.Of("1")}}}
	want := proto.Clone(shared)
	s.create = func(context.Context, *consentv1.CreateConsentRequest) (*consentv1.Consent, error) { return shared, nil }
	var callers sync.WaitGroup
	for i := range 20 {
		callers.Go(func() {
			got, err := client.CreateConsent(t.Context(), request("SE"))
			if err != nil || !proto.Equal(got, want) {
				t.Errorf("got %v, %v", got, err)
				return
			}
			if got.GetLink() != shared.GetLink() || got.GetBrokerBanks()[0] != shared.GetBrokerBanks()[0] {
				t.Error("the answer is copied")
			}
			if _, err := proto.Marshal(shared); err != nil { // as a server of gRPC does at the same time
				t.Error(err)
			}
			got.Name, got.Link, got.BrokerBanks = strconv.Itoa(i), nil, nil
		})
	}
	callers.Wait()
	used, channel := &consentv1.Consent{Reference: optional.Of("of another call")}, inproc.New(nil)
	consentv1.RegisterConsentServiceServer(channel, s)
	err := channel.Invoke(t.Context(), consentv1.ConsentService_CreateConsent_FullMethodName, request("SE"), used)
	if err != nil || !proto.Equal(used, want) {
		t.Errorf("in a message that was used before: %v, %v", used, err)
	}
	if !proto.Equal(shared, want) {
		t.Errorf("the answer became %v", shared)
	}
}

// TestMessagesAreCopied: a handler uses one message for all that it sends, while the caller keeps and changes what it
// got.
func TestMessagesAreCopied(t *testing.T) {
	t.Parallel()
	const count = 200
	s, client := connect()
	s.watch = func(r *consentv1.WatchConsentsRequest, stream consentv1.ConsentService_WatchConsentsServer) error {
		m := &consentv1.WatchConsentsResponse{Consent: &consentv1.Consent{}}
		for i := range count {
			m.ResumeToken, m.Consent.Name, r.Consent = optional.Of(strconv.Itoa(i)), "consents/"+strconv.Itoa(i), ""
			if err := stream.Send(m); err != nil {
				return err
			}
		}
		if err := stream.RecvMsg(&consentv1.WatchConsentsRequest{}); !errors.Is(err, io.EOF) {
			t.Errorf("a second request: %v", err)
		}
		return nil
	}
	r := &consentv1.WatchConsentsRequest{Consent: "consents/1"}
	stream, err := client.WatchConsents(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	var all []*consentv1.WatchConsentsResponse
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if n := strconv.Itoa(len(all)); m.GetResumeToken() != n || m.GetConsent().GetName() != "consents/"+n {
			t.Fatalf("message %s is %v", n, m)
		}
		m.Consent.Name = "mine"
		all = append(all, m)
	}
	if len(all) != count || r.GetConsent() != "consents/1" {
		t.Errorf("%d messages, request %v", len(all), r)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

// TestBackpressure: a handler does not run ahead of a caller who does not read, and is let go when the caller leaves.
func TestBackpressure(t *testing.T) {
	t.Parallel()
	s, client := connect()
	sent, ended := make(chan int, 1000), make(chan error, 1)
	s.watch = func(_ *consentv1.WatchConsentsRequest, stream consentv1.ConsentService_WatchConsentsServer) error {
		for i := range cap(sent) {
			if err := stream.Send(&consentv1.WatchConsentsResponse{}); err != nil {
				ended <- err
				return err
			}
			sent <- i
		}
		ended <- nil
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := client.WatchConsents(ctx, &consentv1.WatchConsentsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		<-sent
	}
	select {
	case <-ended:
		t.Fatal("nobody reads, and the handler has sent everything")
	case <-sent:
		t.Fatal("a ninth message is held")
	case <-time.After(50 * time.Millisecond):
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	<-sent
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the handler is told %v", err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("the caller is told %v", err)
	}
}

// TestSendToNobody: once the caller is gone nothing more is taken, although there is room for it.
func TestSendToNobody(t *testing.T) {
	t.Parallel()
	s, client := connect()
	ended := make(chan struct{})
	s.watch = func(_ *consentv1.WatchConsentsRequest, stream consentv1.ConsentService_WatchConsentsServer) error {
		defer close(ended)
		<-stream.Context().Done()
		for range 20 {
			if err := stream.Send(&consentv1.WatchConsentsResponse{}); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := client.WatchConsents(ctx, &consentv1.WatchConsentsRequest{}); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
}

// TestStreamDeadline: who waits for a message is let go at the deadline, although the handler does not care.
func TestStreamDeadline(t *testing.T) {
	t.Parallel()
	s, client := connect()
	leave := make(chan struct{})
	defer close(leave)
	s.watch = func(*consentv1.WatchConsentsRequest, consentv1.ConsentService_WatchConsentsServer) error {
		<-leave
		return nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	stream, err := client.WatchConsents(ctx, &consentv1.WatchConsentsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
}

// TestErrors: what crosses is a status, as over a socket.
func TestErrors(t *testing.T) {
	t.Parallel()
	s, client := connect()
	detailed, err := status.New(codes.NotFound, "no").WithDetails(&emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("cause")
	for _, c := range []struct {
		given error
		want  codes.Code
	}{
		{cause, codes.Unknown}, {detailed.Err(), codes.NotFound},
		{fmt.Errorf("more: %w", detailed.Err()), codes.NotFound},
		{context.Canceled, codes.Canceled}, {context.DeadlineExceeded, codes.DeadlineExceeded},
		{errors.Join(status.Error(codes.Aborted, "x"), cause), codes.Aborted},
	} {
		s.create = func(context.Context, *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
			return nil, c.given
		}
		s.watch = func(*consentv1.WatchConsentsRequest, consentv1.ConsentService_WatchConsentsServer) error {
			return c.given
		}
		_, unary := client.CreateConsent(t.Context(), request("SE"))
		stream, err := client.WatchConsents(t.Context(), &consentv1.WatchConsentsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		_, streamed := stream.Recv()
		for _, got := range []error{unary, streamed} {
			if status.Code(got) != c.want || errors.Is(got, cause) {
				t.Errorf("%v became %v", c.given, got)
			}
			if c.want == codes.NotFound && len(status.Convert(got).Details()) != 1 {
				t.Errorf("%v lost its details", c.given)
			}
		}
	}
}

// TestHeader: Header waits for the first message, and gives the error of a stream that has none.
func TestHeader(t *testing.T) {
	t.Parallel()
	s, client := connect()
	refused := status.Error(codes.PermissionDenied, "no")
	for messages := range 3 {
		for _, end := range []error{nil, refused} {
			s.watch = func(
				_ *consentv1.WatchConsentsRequest, stream consentv1.ConsentService_WatchConsentsServer,
			) error {
				for range messages {
					if err := stream.Send(&consentv1.WatchConsentsResponse{}); err != nil {
						return err
					}
				}
				return end
			}
			stream, err := client.WatchConsents(t.Context(), &consentv1.WatchConsentsRequest{})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				_, err := stream.Header()
				if refused := status.Code(err) == codes.PermissionDenied; refused != (messages == 0 && end != nil) {
					t.Errorf("%d messages, then %v: Header gives %v", messages, end, err)
				}
			}
			got := 0
			for err == nil {
				if _, err = stream.Recv(); err == nil {
					got++
				}
			}
			if got != messages || end == nil && !errors.Is(err, io.EOF) ||
				end != nil && status.Code(err) != codes.PermissionDenied {
				t.Errorf("%d of %d messages, then %v instead of %v", got, messages, err, end)
			}
		}
	}
}

// TestRefusalBeforeTheRequestIsRead refuses streams without reading their request, as a guard does. The reason must
// come through each time.
func TestRefusalBeforeTheRequestIsRead(t *testing.T) {
	t.Parallel()
	desc := consentv1.ConsentService_ServiceDesc
	desc.Streams = []grpc.StreamDesc{{
		StreamName: "WatchConsents", ServerStreams: true,
		Handler: func(any, grpc.ServerStream) error { return status.Error(codes.PermissionDenied, "no") },
	}}
	channel := inproc.New(nil)
	channel.RegisterService(&desc, &service{})
	client := consentv1.NewConsentServiceClient(channel)
	for range 2000 {
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := client.WatchConsents(ctx, &consentv1.WatchConsentsRequest{})
		if err == nil {
			_, err = stream.Header()
		}
		cancel()
		if status.Code(err) != codes.PermissionDenied {
			t.Fatalf("got %v", err)
		}
	}
}

// TestPanics: a panic reaches the caller's goroutine, and whoever ends a handler's goroutine ends its stream.
func TestPanics(t *testing.T) {
	t.Parallel()
	s, client := connect()
	s.create = func(context.Context, *consentv1.CreateConsentRequest) (*consentv1.Consent, error) { panic("unary") }
	s.watch = func(_ *consentv1.WatchConsentsRequest, stream consentv1.ConsentService_WatchConsentsServer) error {
		if err := stream.Send(&consentv1.WatchConsentsResponse{}); err != nil {
			return err
		}
		panic("stream")
	}
	panicked := func(f func()) (value any) {
		defer func() { value = recover() }()
		f()
		return nil
	}
	if got := panicked(func() { _, _ = client.CreateConsent(t.Context(), request("SE")) }); got != "unary" {
		t.Errorf("got %v", got)
	}
	stream, err := client.WatchConsents(t.Context(), &consentv1.WatchConsentsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Errorf("before the panic: %v", err)
	}
	if got := panicked(func() { _, _ = stream.Recv() }); got != "stream" {
		t.Errorf("got %v", got)
	}
	s.watch = func(*consentv1.WatchConsentsRequest, consentv1.ConsentService_WatchConsentsServer) error {
		runtime.Goexit()
		return nil
	}
	if stream, err = client.WatchConsents(t.Context(), &consentv1.WatchConsentsRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Internal {
		t.Errorf("a handler that vanished: %v", err)
	}
}

// TestBegun: whoever made the channel is told of each call in its caller's goroutine, and of none that never began.
func TestBegun(t *testing.T) {
	t.Parallel()
	type call struct {
		caller any
		stream bool
	}
	var calls []call // guarded by nothing: all of it happens in this goroutine
	s := &service{
		create: func(context.Context, *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
			return &consentv1.Consent{}, nil
		},
		watch: func(*consentv1.WatchConsentsRequest, consentv1.ConsentService_WatchConsentsServer) error { return nil },
	}
	channel := inproc.New(func(ctx context.Context, stream bool) {
		calls = append(calls, call{ctx.Value(valueKey{}), stream})
	})
	consentv1.RegisterConsentServiceServer(channel, s)
	client := consentv1.NewConsentServiceClient(channel)
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), valueKey{}, "v"))
	if _, err := client.CreateConsent(ctx, request("SE")); err != nil {
		t.Fatal(err)
	}
	if _, err := client.WatchConsents(ctx, &consentv1.WatchConsentsRequest{}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := client.CreateConsent(ctx, request("SE")); status.Code(err) != codes.Canceled {
		t.Errorf("a caller who left: %v", err)
	}
	if _, err := client.WatchConsents(ctx, &consentv1.WatchConsentsRequest{}); status.Code(err) != codes.Canceled {
		t.Errorf("a caller who left: %v", err)
	}
	if want := []call{{"v", false}, {"v", true}}; !slices.Equal(calls, want) {
		t.Errorf("got %v", calls)
	}
}

// TestMisuse: what cannot work is an error, and nothing waits for ever.
func TestMisuse(t *testing.T) {
	t.Parallel()
	s, channel := &service{}, inproc.New(nil)
	s.create = func(context.Context, *consentv1.CreateConsentRequest) (*consentv1.Consent, error) { return nil, nil }
	s.watch = func(_ *consentv1.WatchConsentsRequest, stream consentv1.ConsentService_WatchConsentsServer) error {
		if status.Code(stream.SendMsg((*consentv1.Consent)(nil))) != codes.Internal ||
			status.Code(stream.SendMsg("x")) != codes.Internal {
			t.Error("what is no message is sent")
		}
		return nil
	}
	desc := consentv1.ConsentService_ServiceDesc
	desc.Streams = append(slices.Clone(desc.Streams), grpc.StreamDesc{StreamName: "Upload", ClientStreams: true})
	channel.RegisterService(&desc, s)
	const create, watch = consentv1.ConsentService_CreateConsent_FullMethodName,
		consentv1.ConsentService_WatchConsents_FullMethodName
	ctx := t.Context()
	opened := func(name string, opts ...grpc.CallOption) error {
		_, err := channel.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, name, opts...)
		return err
	}
	credentials := grpc.PerRPCCredentials(nil)
	for what, c := range map[string]struct {
		err  error
		want codes.Code
	}{
		"unknown method": {channel.Invoke(ctx, "/a/b", request("SE"), &consentv1.Consent{}), codes.Unimplemented},
		"stream as unary": {channel.Invoke(ctx, watch, &consentv1.WatchConsentsRequest{}, &consentv1.Consent{}),
			codes.Unimplemented},
		"unary as stream":  {opened(create), codes.Unimplemented},
		"unknown stream":   {opened("/a/b"), codes.Unimplemented},
		"streamed request": {opened("/kontor.consent.v1.ConsentService/Upload"), codes.Unimplemented},
		"credentials": {channel.Invoke(ctx, create, request("SE"), &consentv1.Consent{}, credentials),
			codes.Internal},
		"of a stream": {opened(watch, credentials), codes.Internal},
		"no answer":   {channel.Invoke(ctx, create, request("SE"), &consentv1.Consent{}), codes.Internal},
		"no request":  {channel.Invoke(ctx, create, nil, &consentv1.Consent{}), codes.Internal},
		"nil request": {channel.Invoke(ctx, create, (*consentv1.CreateConsentRequest)(nil), &consentv1.Consent{}),
			codes.Internal},
		"another request": {channel.Invoke(ctx, create, &consentv1.Consent{}, &consentv1.Consent{}), codes.Internal},
	} {
		if status.Code(c.err) != c.want {
			t.Errorf("%s: %v, want %s", what, c.err, c.want)
		}
	}
	stream, err := channel.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, watch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); status.Code(err) != codes.Internal {
		t.Errorf("headers before a request: %v", err)
	}
	stream, err = channel.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, watch)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg("x"); status.Code(err) != codes.Internal {
		t.Errorf("a request that is no message: %v", err)
	}
	if err := stream.SendMsg(&consentv1.WatchConsentsRequest{}); err != nil {
		t.Errorf("a request: %v", err)
	}
	if err := stream.SendMsg(&consentv1.WatchConsentsRequest{}); status.Code(err) != codes.Internal {
		t.Errorf("a second request: %v", err)
	}
	if err := stream.RecvMsg(&consentv1.WatchConsentsResponse{}); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

// TestSharedMessages: a caller who asks for messages that many streams send gets them as they are, and any other one a
// copy of its own.
func TestSharedMessages(t *testing.T) {
	t.Parallel()
	s, client := connect()
	message := &consentv1.WatchConsentsResponse{Consent: &consentv1.Consent{Name: "consents/1"}}
	many := broadcast.New(func() proto.Message { return message })
	s.watch = func(_ *consentv1.WatchConsentsRequest, stream consentv1.ConsentService_WatchConsentsServer) error {
		return errors.Join(stream.SendMsg(many), stream.Send(message))
	}
	for _, ctx := range []context.Context{t.Context(), inproc.WithShared(t.Context())} {
		stream, err := client.WatchConsents(ctx, &consentv1.WatchConsentsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		asked := ctx != t.Context()
		got, err := stream.Recv()
		if err != nil || (inproc.Shared(ctx) == many) != asked || proto.Equal(got, message) == asked {
			t.Errorf("asked %t: of many %v, %v", asked, got, err)
		}
		if got.Consent != nil {
			got.Consent.Name = "changed"
		}
		got, err = stream.Recv()
		if err != nil || inproc.Shared(ctx) != nil || !proto.Equal(got, message) {
			t.Errorf("asked %t: of one %v, %v", asked, got, err)
		}
	}
	if message.GetConsent().GetName() != "consents/1" {
		t.Error("what is shared was changed")
	}
}
