package rest

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"google.golang.org/protobuf/proto"

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
func readBody(w http.ResponseWriter, r *http.Request, at *route, admission Admission) error {
	if r.Body == nil || r.Body == http.NoBody {
		return at.needsBody(nil)
	}
	text, err := readAll(w, r, admission)
	if err != nil {
		return err
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

// firstRoom is how much room is made for a body whose length its sender does not tell.
const firstRoom = 16 << 10

// readAll reads a body into room that was made for it.
func readAll(w http.ResponseWriter, r *http.Request, admission Admission) ([]byte, error) {
	limit := admission.MaxBody()
	switch {
	case r.ContentLength > limit:
		return nil, kerr.TooLarge(limit)
	case r.ContentLength < 0:
		return readUntold(http.MaxBytesReader(w, r.Body, limit), limit, admission)
	}
	if err := admission.Hold(r.ContentLength); err != nil {
		return nil, err
	}
	text := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, text); err != nil {
		return nil, errUnreadable
	}
	return text, nil
}

// readUntold reads a body whose length its sender did not tell.
func readUntold(from io.Reader, limit int64, admission Admission) ([]byte, error) {
	var text []byte
	for held, room := int64(0), min(firstRoom, limit); ; held, room = room, min(2*room, limit) {
		if err := admission.Hold(room - held); err != nil {
			return nil, err
		}
		text = append(make([]byte, 0, room+1), text...) // the end shows where one more byte would stand
		for len(text) < cap(text) {
			n, err := from.Read(text[len(text):cap(text)])
			text = text[:len(text)+n]
			if errors.Is(err, io.EOF) {
				return text, nil
			}
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return nil, kerr.TooLarge(limit)
			}
			if err != nil {
				return nil, errUnreadable
			}
		}
	}
}

var errUnreadable = kerr.InvalidField("body", "cannot be read")

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
