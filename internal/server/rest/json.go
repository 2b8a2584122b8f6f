package rest

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/server/rest/answer"
)

// Media types of streams, as the API's description has them.
const (
	eventStream = "text/event-stream"
	lines       = "application/x-ndjson"
)

// plainJSON writes answers as package answer has them, and reads requests strictly.
type plainJSON struct {
	// JSONPb has the media type, and writes what is no message of the API.
	runtime.JSONPb

	form answer.Form
}

func newJSON() *plainJSON { return &plainJSON{form: answer.Full} }

// StreamContentType implements runtime.StreamContentType.
func (*plainJSON) StreamContentType(any) string { return lines }

// Marshal implements runtime.Marshaler. The gateway wraps what it streams as {"result": ...} or {"error": ...}.
func (j *plainJSON) Marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case proto.Message:
		return inScratch(func(b []byte) ([]byte, error) { return j.message(b, v) })
	case map[string]any:
		if message, ok := v["result"].(proto.Message); ok && len(v) == 1 {
			return j.wrapped(`{"result":`, message)
		}
	case map[string]proto.Message:
		if failure, ok := v["error"]; ok && len(v) == 1 {
			return j.wrapped(`{"error":`, failure)
		}
	}
	return j.JSONPb.Marshal(v)
}

func (j *plainJSON) wrapped(begin string, message proto.Message) ([]byte, error) {
	return inScratch(func(b []byte) ([]byte, error) {
		b, err := j.message(append(b, begin...), message)
		return append(b, '}'), err
	})
}

// message appends one message.
func (j *plainJSON) message(b []byte, message proto.Message) ([]byte, error) {
	form := j.form
	if deleted(message) {
		form = answer.Sparse
	}
	return answer.Append(b, message, form)
}

// deleted tells of a message of a stream that it is about something that was deleted: nothing but what is left of it is
// shown.
func deleted(message proto.Message) bool {
	watched, ok := message.(*consentv1.WatchConsentsResponse)
	return ok && watched.GetEvent().GetType() == consentv1.ConsentEvent_DELETED
}

// NewDecoder implements runtime.Marshaler.
func (j *plainJSON) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		if b, ok := r.(*body); ok {
			return b.decode(v)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return &fieldError{"body", "cannot be read"}
		}
		return decode(text, v)
	})
}

// Unmarshal implements runtime.Marshaler.
func (j *plainJSON) Unmarshal(text []byte, v any) error { return decode(text, v) }

// decode reads JSON into a message, or into a pointer to one that is made as needed. An empty body is an empty message.
func decode(text []byte, v any) error {
	message, err := target(v)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	if parse(text, message) != nil {
		// protojson quotes what it does not understand: find the place, and say that.
		return locate(text, message.ProtoReflect().Descriptor())
	}
	return nil
}

// parse reads JSON into a message. The error quotes the text.
func parse(text []byte, message proto.Message) error {
	if err := (protojson.UnmarshalOptions{}).Unmarshal(text, message); err != nil {
		return err
	}
	return refuseUnspecified(text, message.ProtoReflect().Descriptor())
}

// target gives the message to decode into.
func target(v any) (proto.Message, error) {
	if message, ok := v.(proto.Message); ok {
		return message, nil
	}
	message, ok := newTarget(v)
	if !ok {
		return nil, &fieldError{"body", "cannot be read"}
	}
	return message, nil
}

// events writes streams as Server-Sent Events. Whatever is not a stream is JSON.
type events struct{ *plainJSON }

// StreamContentType implements runtime.StreamContentType.
func (*events) StreamContentType(any) string { return eventStream }

// Delimiter implements runtime.Delimited: each event ends with its own blank line.
func (*events) Delimiter() []byte { return nil }

// Marshal implements runtime.Marshaler. The gateway wraps what it streams as {"result": ...} or {"error": ...}.
func (e *events) Marshal(v any) ([]byte, error) {
	switch chunk := v.(type) {
	case map[string]any:
		if message, ok := chunk["result"].(proto.Message); ok {
			return e.event(message)
		}
	case map[string]proto.Message:
		if failure, ok := chunk["error"]; ok {
			return e.frame("error", "", failure)
		}
	}
	return e.plainJSON.Marshal(v)
}

// event writes one message of a stream. Its resume token becomes the event's id, which a browser sends back as
// Last-Event-ID.
func (e *events) event(message proto.Message) ([]byte, error) {
	kind := ""
	fields := message.ProtoReflect()
	if field := fields.Descriptor().Fields().ByName("kind"); field != nil && field.Kind() == protoreflect.EnumKind {
		value := field.Enum().Values().ByNumber(fields.Get(field).Enum())
		if value != nil && value.Name() == "HEARTBEAT" {
			kind = "heartbeat" // a browser's onmessage does not see it
		}
	}
	id := ""
	if token, ok := message.(interface{ GetResumeToken() string }); ok {
		id = token.GetResumeToken()
	}
	return e.frame(kind, id, message)
}

func (e *events) frame(kind, id string, message proto.Message) ([]byte, error) {
	return inScratch(func(b []byte) ([]byte, error) {
		if kind != "" {
			b = append(append(append(b, "event: "...), kind...), '\n')
		}
		if id != "" {
			b = append(append(append(b, "id: "...), id...), '\n')
		}
		b, err := e.message(append(b, "data: "...), message)
		return append(b, "\n\n"...), err
	})
}

// streamHeaders keeps proxies from holding a stream back.
func streamHeaders(_ context.Context, w http.ResponseWriter, message proto.Message) error {
	if message == nil { // the gateway asks so before the first message of a stream
		w.Header().Set("X-Accel-Buffering", "no")
	}
	w.Header().Set("Cache-Control", "no-store")
	return nil
}
