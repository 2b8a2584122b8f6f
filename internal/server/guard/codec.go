package guard

import (
	"errors"
	"runtime"
	"time"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that is wrapped
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// patientCodec is the ordinary codec, but for messages that cannot be read: grpc-go answers those by itself, with an
// error that has no reason and no request id. They come through as empty messages with a mark, and the guard refuses
// the mark.
type patientCodec struct{ encoding.CodecV2 }

// Codec makes the codec of a gRPC server whose services are guarded.
func Codec() encoding.CodecV2 { return patientCodec{encoding.GetCodecV2("proto")} }

// Marshal implements encoding.CodecV2.
func (c patientCodec) Marshal(v any) (mem.BufferSlice, error) {
	if packed, ok := v.(mem.BufferSlice); ok {
		return packed, nil
	}
	return c.CodecV2.Marshal(v)
}

// maxCounted is how much of one answer counts, so that there is room for any.
const maxCounted = 32 << 20

// longUnread is how long an answer counts at most.
const longUnread = 15 * time.Minute

// pack makes the bytes of an answer, which count as the client's until the library has written them, or lost them with
// the connection: a client may call and never read.
func (c *call) pack(reply any) (mem.BufferSlice, error) {
	message, ok := reply.(proto.Message)
	if !ok {
		return nil, errors.New("guard: the answer is no message")
	}
	give, ok := c.guard.bodies.take(c.client, min(int64(proto.Size(message)), maxCounted))
	if !ok {
		return nil, errBusy("bytes of answers")
	}
	data, err := proto.MarshalOptions{UseCachedSize: true}.Marshal(message)
	if err != nil || mem.IsBelowBufferPoolingThreshold(cap(data)) { // The library does not tell when it wrote it.
		give()
		return mem.BufferSlice{mem.SliceBuffer(data)}, err
	}
	w := &written{give, time.AfterFunc(longUnread, give)}
	runtime.AddCleanup(w, func(give func()) { give() }, give)
	return mem.BufferSlice{mem.NewBuffer(&data, w)}, nil
}

// written is told when the library needs an answer no longer. Where it forgets to tell, the garbage collector does, or
// in the end the clock: a client must not lose its room for good.
type written struct {
	give func()
	last *time.Timer
}

// Get implements mem.BufferPool.
func (*written) Get(length int) *[]byte {
	data := make([]byte, length)
	return &data
}

// Put implements mem.BufferPool.
func (w *written) Put(*[]byte) {
	w.last.Stop()
	w.give()
}

// Unmarshal implements encoding.CodecV2.
func (c patientCodec) Unmarshal(data mem.BufferSlice, v any) error {
	err := c.CodecV2.Unmarshal(data, v)
	if message, ok := v.(proto.Message); ok && err != nil {
		proto.Reset(message)
		message.ProtoReflect().SetUnknown(unreadable)
		return nil //nolint:nilerr // the mark is the error
	}
	return err
}

// unreadable is the mark: a field of the highest number, which no message has.
var unreadable = protoreflect.RawFields(
	protowire.AppendVarint(protowire.AppendTag(nil, protowire.MaxValidNumber, protowire.VarintType), 1))
