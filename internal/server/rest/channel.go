package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// peekingChannel makes an error that comes before the first message of a stream an ordinary error, with its HTTP status and body. The gateway
// asks a stream for its headers before it answers; at that moment the first message is read.
type peekingChannel struct{ grpc.ClientConnInterface }

// NewStream implements grpc.ClientConnInterface.
func (c peekingChannel) NewStream(ctx context.Context, d *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := c.ClientConnInterface.NewStream(ctx, d, method, opts...)
	if err != nil {
		return nil, err
	}
	name := strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", ".")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, fmt.Errorf("rest: %s: %w", method, err)
	}
	descriptor, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fmt.Errorf("rest: %s is no method", method)
	}
	answer, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.Output().FullName())
	if err != nil {
		return nil, fmt.Errorf("rest: %s: %w", method, err)
	}
	return &peekedStream{ClientStream: stream, first: answer.New().Interface()}, nil
}

// peekedStream hands out the first message again.
type peekedStream struct {
	grpc.ClientStream
	first  proto.Message // nil once handed out
	peeked bool
	end    error
}

// SendMsg implements grpc.ClientStream. A service may refuse a call before it reads the request; as over the wire, receiving then tells why.
func (s *peekedStream) SendMsg(m any) error {
	if err := s.ClientStream.SendMsg(m); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Header implements grpc.ClientStream.
func (s *peekedStream) Header() (metadata.MD, error) {
	if !s.peeked {
		s.peeked, s.end = true, s.ClientStream.RecvMsg(s.first)
	}
	if s.end != nil && !errors.Is(s.end, io.EOF) {
		return nil, s.end
	}
	// None of a stream's own headers leaves, and the in-process channel would wait for the second message now.
	return nil, nil //nolint:nilnil // no headers are an ordinary answer
}

// RecvMsg implements grpc.ClientStream.
func (s *peekedStream) RecvMsg(m any) error {
	if !s.peeked || s.first == nil {
		return s.ClientStream.RecvMsg(m)
	}
	first, end := s.first, s.end
	s.first = nil
	if end != nil {
		return end
	}
	message, ok := m.(proto.Message)
	if !ok {
		return fmt.Errorf("rest: %T is no message", m)
	}
	proto.Merge(message, first)
	return nil
}
