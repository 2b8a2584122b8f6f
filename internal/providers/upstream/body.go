package upstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"kontor.dev/kontor/internal/jsonread"
)

const (
	// maxRatio is how much a body may unpack beyond freeRatio bytes: JSON packs 10 to 60 to 1, a bomb 1,000 to 1.
	maxRatio  = 200
	freeRatio = 1 << 20
)

// body reads the body of an answer within its limits. It remembers the first thing that went wrong, since decoders hide
// or reword errors.
type body struct {
	src     io.Reader
	wire    *wireReader
	limit   int64 // bytes after decompression
	value   int64 // bytes that the decoder, or who reads, may hold back for one value
	depth   int
	decoder *jsonread.Decoder

	read  int64
	shape shape
	err   error // never io.EOF
}

// newBody reads an answer's body; cancel ends the attempt when the provider keeps us waiting too long.
func newBody(response *http.Response, take consumer, limits *Limits, cancel context.CancelCauseFunc) *body {
	w := &wireReader{src: response.Body, stall: limits.Stall, left: take.wait, cancel: cancel}
	b := &body{src: w, wire: w, limit: take.bytes, value: limits.BodyBytes, depth: limits.Depth}
	switch encoding := strings.ToLower(response.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		b.src = &gzipReader{src: w}
	default:
		b.err = errEncoding
	}
	return b
}

// Read reads on, until a limit is passed.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.decoder != nil && b.read-b.decoder.KeptFrom() > b.value {
		b.err = errTooLarge
		return 0, b.err
	}
	n, err := b.src.Read(p)
	b.read += int64(n)
	if !b.shape.scan(p[:n], b.depth) {
		err = errTooDeep
	}
	if b.read > b.limit || (b.read > freeRatio && b.read > maxRatio*b.wire.count) {
		err = errTooLarge
	}
	if err != nil && err != io.EOF {
		b.err = err
		return 0, err
	}
	return n, err
}

// run lets take decode the body and checks what it leaves over. empty tells that there was no body at all.
func (b *body) run(take consumer) (empty bool, err error) {
	b.decoder = jsonread.NewDecoder(b)
	if b.decoder.PeekKind() == 0 && b.err == nil && !b.shape.begun {
		return true, nil
	}
	if err := take.decode(b.decoder); err != nil {
		return false, err
	}
	if b.err != nil {
		return false, b.err
	}
	// Nothing may follow a value that was read to its end. A stream may also have been left before that.
	if !take.whole && (b.shape.end == 0 || b.decoder.InputOffset() < b.shape.end) {
		return false, nil
	}
	if _, err := b.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return false, errTrailing
	}
	return false, nil
}

// decodeInto lets out read itself, or else has encoding/json read it. Answers that are large or frequent read
// themselves; for all others the tags of their structs are enough.
func decodeInto(out any) func(*jsonread.Decoder) error {
	if reader, ok := out.(jsonread.Reader); ok {
		return reader.UnmarshalJSONFrom
	}
	return func(d *jsonread.Decoder) error {
		text, err := d.ReadValue()
		if err != nil {
			return err
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		return decoder.Decode(out)
	}
}

// shape follows the nesting of JSON text as it streams by. It leaves what is malformed otherwise to the decoder.
type shape struct {
	depth           int
	inside, escaped bool  // of a string
	begun           bool  // something but white space came
	offset, end     int64 // end is where the first value ended, 0 before; scalars have no end of their own
}

// scan takes in more text; false means deeper than limit.
func (s *shape) scan(text []byte, limit int) bool {
	s.begun = s.begun || len(bytes.TrimLeft(text, " \t\r\n")) > 0
	for i := 0; i < len(text); i++ {
		if s.inside {
			if i = s.closing(text, i); i < 0 {
				break
			}
			continue
		}
		switch text[i] {
		case '"':
			s.inside = true
		case '[', '{':
			if s.depth++; s.depth > limit {
				return false
			}
		case ']', '}':
			if s.depth--; s.depth == 0 && s.end == 0 {
				s.end = s.offset + int64(i) + 1
			}
		}
	}
	s.offset += int64(len(text))
	return true
}

// closing finds the quote that ends the string that text is inside of at i; -1 when it ends later.
func (s *shape) closing(text []byte, i int) int {
	if s.escaped && i < len(text) {
		s.escaped = false
		i++
	}
	for {
		quote := bytes.IndexByte(text[i:], '"')
		end := i + quote
		if quote < 0 {
			end = len(text)
		}
		slashes := 0
		for end-slashes > i && text[end-slashes-1] == '\\' {
			slashes++
		}
		odd := slashes%2 == 1
		switch {
		case quote < 0:
			s.escaped = odd
			return -1
		case !odd:
			s.inside = false
			return end
		}
		i = end + 1
	}
}

// wireReader reads what came over the wire. It counts, and ends the attempt when a byte is too long in coming. Only
// waiting for the provider counts, never waiting for whoever reads here.
type wireReader struct {
	src    io.Reader
	stall  time.Duration
	left   time.Duration
	cancel context.CancelCauseFunc
	count  int64
}

// Read reads on.
func (w *wireReader) Read(p []byte) (int, error) {
	wait, cause := w.stall, errStalled
	if w.left < wait {
		wait, cause = w.left, errBodyTooLong
	}
	started := time.Now()
	timer := time.AfterFunc(wait, func() { w.cancel(cause) })
	n, err := w.src.Read(p)
	timer.Stop()
	w.left -= time.Since(started)
	w.count += int64(n)
	return n, err
}

// gzipReader unpacks, from the first read on, so that waiting for the first byte falls under the limits as well.
type gzipReader struct {
	src io.Reader
	zr  *gzip.Reader
}

// Read unpacks more. A body that ends before the end of the packed data is cut off.
func (g *gzipReader) Read(p []byte) (int, error) {
	if g.zr == nil {
		zr, err := gzip.NewReader(g.src)
		if err != nil {
			return 0, err
		}
		g.zr = zr
	}
	return g.zr.Read(p)
}
