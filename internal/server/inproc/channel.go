package inproc

import (
	"context"
	"reflect"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Channel is a connection within the process. Services are registered before it is used.
type Channel struct {
	methods map[string]method // by full name, such as "/kontor.consent.v1.ConsentService/GetConsent"
	begun   func(ctx context.Context, stream bool)
}

var (
	_ grpc.ClientConnInterface = (*Channel)(nil)
	_ grpc.ServiceRegistrar    = (*Channel)(nil)
)

// method is how a method is called. One of unary and stream is set.
type method struct {
	service any
	unary   grpc.MethodHandler
	stream  grpc.StreamHandler
}

// New makes a channel without services. Begun is told of each call in the caller's goroutine and with the caller's
// context, just before the handler runs; it may be nil.
func New(begun func(ctx context.Context, stream bool)) *Channel {
	if begun == nil {
		begun = func(context.Context, bool) {}
	}
	return &Channel{methods: map[string]method{}, begun: begun}
}

// RegisterService implements grpc.ServiceRegistrar. A method whose request is a stream is not served.
func (c *Channel) RegisterService(desc *grpc.ServiceDesc, service any) {
	for _, m := range desc.Methods {
		c.methods["/"+desc.ServiceName+"/"+m.MethodName] = method{service: service, unary: m.Handler}
	}
	for _, s := range desc.Streams {
		if !s.ClientStreams {
			c.methods["/"+desc.ServiceName+"/"+s.StreamName] = method{service: service, stream: s.Handler}
		}
	}
}

// Invoke implements grpc.ClientConnInterface: one call, in the goroutine of its caller. The request is the handler's,
// and empty afterwards. Of the answer the caller changes nothing but its own message.
func (c *Channel) Invoke(ctx context.Context, name string, request, answer any, opts ...grpc.CallOption) error {
	m, ok := c.methods[name]
	if !ok || m.unary == nil {
		return unimplemented()
	}
	want, err := options(opts)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return gone(ctx)
	}
	h := &headers{method: name}
	served, cancel := handlerContext(ctx, h)
	defer cancel()
	c.begun(ctx, false)
	given, err := m.unary(m.service, served, func(target any) error { return move(target, request) }, nil)
	h.end()
	want.take(h)
	if err != nil {
		return crossing(err)
	}
	return lend(answer, given)
}

// NewStream implements grpc.ClientConnInterface. The call begins when its request is sent.
func (c *Channel) NewStream(
	ctx context.Context, _ *grpc.StreamDesc, name string, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	m, ok := c.methods[name]
	if !ok || m.stream == nil {
		return nil, unimplemented()
	}
	want, err := options(opts)
	if err != nil {
		return nil, err
	}
	return newClientStream(ctx, c, m, name, want), nil
}

func unimplemented() error {
	return status.Error(codes.Unimplemented, "inproc: there is no such method")
}

// gone is the error of a caller whose context has ended.
func gone(ctx context.Context) error { return status.FromContextError(ctx.Err()).Err() }

// crossing makes of a handler's error what a caller gets over a socket: a status, and nothing of the error behind it.
func crossing(err error) error {
	if st, ok := status.FromError(err); ok {
		return st.Err()
	}
	return status.FromContextError(err).Err()
}

// message gives what v is as a message, an error when it is none.
func message(v any) (proto.Message, error) {
	m, ok := v.(proto.Message)
	if !ok || !m.ProtoReflect().IsValid() {
		return nil, status.Errorf(codes.Internal, "inproc: %T is no message, or none at all", v)
	}
	return m, nil
}

// pair gives two messages, an error when they are not of the same type.
func pair(to, from any) (target, source proto.Message, err error) {
	if target, err = message(to); err != nil {
		return nil, nil, err
	}
	if source, err = message(from); err != nil {
		return nil, nil, err
	}
	if reflect.TypeOf(target) != reflect.TypeOf(source) {
		return nil, nil, status.Errorf(codes.Internal, "inproc: %T is no %T", from, to)
	}
	return target, source, nil
}

// move gives a message the content of another, which is empty afterwards. It costs the same whatever the message holds.
// Two messages must never share their content, so this is for one that nobody but its caller has.
func move(to, from any) error {
	target, source, err := pair(to, from)
	if err != nil {
		return err
	}
	reflect.ValueOf(target).Elem().Set(reflect.ValueOf(source).Elem())
	proto.Reset(source)
	return nil
}

// lend gives a message what another has in it: texts, lists and inner messages are shared. Field by field, since others
// may be reading the other one, which notes its size for that in a place of its own.
func lend(to, from any) error {
	target, source, err := pair(to, from)
	if err != nil {
		return err
	}
	proto.Reset(target)
	into := target.ProtoReflect()
	source.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		into.Set(field, value)
		return true
	})
	return nil
}
