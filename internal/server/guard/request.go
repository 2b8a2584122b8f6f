package guard

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
)

// How a request of gRPC is read. The library reads a message of any size up to one bound for all methods, and unpacks
// it, before anybody can tell it not to. Here the head of a message is read first: what is larger than its method
// allows, or packed, is refused without reading it, and room is made for what is read.

// wire is a stream as the library's transport has it. It is no promise of the library: a test holds it to that.
type wire interface {
	// ReadMessageHeader reads the five bytes before a message.
	ReadMessageHeader(header []byte) error
	// Read reads the message, and lets the sender send that much.
	Read(n int) (mem.BufferSlice, error)
}

// messageHeader is the length of what stands before a message: one byte of flags, and the message's length.
const messageHeader = 5

// receive reads a call's request from a stream of gRPC.
func (c *call) receive(stream grpc.ServerStream, request any) error {
	return receiver{most: c.rule.maxRequest, within: c.guard.bodyTimeout, hold: c.hold}.receive(stream, request)
}

// receiver reads one message of at most so many bytes within a time, once there is room for it.
type receiver struct {
	most   int
	within time.Duration
	hold   func(bytes int64) error
}

func (r receiver) receive(stream grpc.ServerStream, request any) error {
	from, ok := grpc.ServerTransportStreamFromContext(stream.Context()).(wire)
	if !ok {
		return errors.New("guard: the transport cannot be read")
	}
	data, err := r.inTime(stream.Context(), from)
	if err != nil {
		return err
	}
	defer data.Free()
	return Codec().Unmarshal(data, request)
}

// inTime reads a message within the time. The library's reading ends with its stream, which is soon enough where the
// caller's deadline is: a goroutine for each message costs more than to read most of them.
func (r receiver) inTime(ctx context.Context, from wire) (mem.BufferSlice, error) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= r.within {
		data, err := r.read(from)
		if err != nil && ctx.Err() != nil {
			return nil, ctx.Err() // The transport has said the same in its own words.
		}
		return data, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.within)
	defer cancel()
	return r.await(ctx, from)
}

// await reads a message until the context ends. The library's reading ends with its stream only, so it is left to a
// goroutine, which ends when the call has ended and the stream with it.
func (r receiver) await(ctx context.Context, from wire) (mem.BufferSlice, error) {
	type result struct {
		data mem.BufferSlice
		err  error
	}
	results := make(chan result)
	go func() {
		var got result
		got.data, got.err = r.read(from)
		select {
		case results <- got:
		case <-ctx.Done():
			got.data.Free()
		}
	}()
	select {
	case got := <-results:
		if got.err != nil && ctx.Err() != nil {
			return nil, ctx.Err() // The transport has said the same in its own words.
		}
		return got.data, got.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// read reads a message, if it is one that may be read.
func (r receiver) read(from wire) (mem.BufferSlice, error) {
	var header [messageHeader]byte
	if err := from.ReadMessageHeader(header[:]); err != nil {
		return nil, errBrokenOff
	}
	if header[0] != 0 {
		return nil, kerr.New(errorv1.Error_CAPABILITY_UNSUPPORTED, "compressed requests are not taken")
	}
	length := binary.BigEndian.Uint32(header[1:])
	if int64(length) > int64(r.most) {
		return nil, kerr.TooLarge(int64(r.most))
	}
	if err := r.hold(int64(length)); err != nil {
		return nil, err
	}
	data, err := from.Read(int(length))
	if err != nil || data.Len() != int(length) {
		data.Free()
		return nil, errBrokenOff
	}
	return data, nil
}

var errBrokenOff = kerr.InvalidField("request", "is missing, or breaks off")
