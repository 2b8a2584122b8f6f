package rest

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"google.golang.org/protobuf/proto"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
)

// body is the body of a request, read from its sender. The gateway hands it to the decoder as it is, which so knows
// how it may be written.
type body struct {
	*bytes.Reader
	text     []byte
	creation *creation
}

// Close implements io.Closer.
func (*body) Close() error { return nil }

// readBody bounds a body and reads it.
func readBody(w http.ResponseWriter, r *http.Request, at *route, limit int64) error {
	if r.Body == nil || r.Body == http.NoBody {
		return at.needsBody(nil)
	}
	if r.ContentLength > limit {
		return tooLarge()
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge()
	}
	if err != nil {
		return kerr.InvalidField("body", "cannot be read")
	}
	if err := at.needsBody(text); err != nil {
		return err
	}
	if at.update != nil {
		if text, err = at.update.unwrap(text, r.URL); err != nil {
			return err
		}
	}
	r.Body, r.ContentLength = &body{bytes.NewReader(text), text, at.creation}, int64(len(text))
	r.GetBody = nil
	return nil
}

// needsBody refuses an update without a body: it would read as one that empties every field.
func (at *route) needsBody(text []byte) error {
	if at.update != nil && len(blanks(text)) == 0 {
		return kerr.InvalidField("body", "is needed: it holds what is to be changed")
	}
	return nil
}

// decode reads the body into a message.
func (b *body) decode(v any) error {
	if message, ok := v.(proto.Message); ok && b.creation != nil {
		return b.creation.decode(b.text, message)
	}
	return decode(b.text, v)
}

func tooLarge() error {
	return kerr.New(errorv1.Error_GATEWAY_RATE_LIMITED, "the request body is too large",
		kerr.WithMetadata("limit", "body"))
}
