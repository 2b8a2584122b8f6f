package guard

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that is wrapped
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"kontor.dev/kontor/internal/broadcast"
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
	if many, ok := v.(*broadcast.Message); ok {
		data, err := many.Write(broadcast.Protobuf, proto.Marshal)
		return mem.BufferSlice{mem.SliceBuffer(data)}, err
	}
	return c.CodecV2.Marshal(v)
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
