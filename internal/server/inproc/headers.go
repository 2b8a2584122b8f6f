package inproc

import (
	"errors"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

var errHeadersSent = errors.New("inproc: the headers are sent already")

// headers are the metadata that a handler answers with. It implements grpc.ServerTransportStream, by which
// grpc.SetHeader and its like find the call that a context belongs to.
type headers struct {
	method string

	mu      sync.Mutex
	header  metadata.MD
	trailer metadata.MD
	sent    bool // the headers can no longer change
	ended   bool // nor can the trailers
}

// Method implements grpc.ServerTransportStream.
func (h *headers) Method() string { return h.method }

// SetHeader implements grpc.ServerTransportStream.
func (h *headers) SetHeader(md metadata.MD) error { return h.addHeader(md, false) }

// SendHeader implements grpc.ServerTransportStream. The caller sees headers with the first message, or at the end.
func (h *headers) SendHeader(md metadata.MD) error { return h.addHeader(md, true) }

func (h *headers) addHeader(md metadata.MD, send bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sent {
		return errHeadersSent
	}
	h.header = metadata.Join(h.header, md)
	h.sent = send
	return nil
}

// SetTrailer implements grpc.ServerTransportStream.
func (h *headers) SetTrailer(md metadata.MD) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return errors.New("inproc: the call has ended")
	}
	h.trailer = metadata.Join(h.trailer, md)
	return nil
}

// send makes the headers final.
func (h *headers) send() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent = true
}

// end makes headers and trailers final.
func (h *headers) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent, h.ended = true, true
}

// now gives the headers and trailers as they stand. Nothing writes to them any more: what is added makes new ones.
func (h *headers) now() (header, trailer metadata.MD) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.header, h.trailer
}

// wanted is what a caller's options ask for.
type wanted struct{ header, trailer *metadata.MD }

// options reads a caller's options. One that has no meaning here is refused: a caller who sends credentials, say, must
// not believe that they arrive.
func options(opts []grpc.CallOption) (wanted, error) {
	var w wanted
	for _, opt := range opts {
		switch opt := opt.(type) {
		case grpc.HeaderCallOption:
			w.header = opt.HeaderAddr
		case grpc.TrailerCallOption:
			w.trailer = opt.TrailerAddr
		case grpc.StaticMethodCallOption, grpc.EmptyCallOption:
		default:
			return wanted{}, status.Errorf(codes.Internal, "inproc: %T has no meaning within the process", opt)
		}
	}
	return w, nil
}

// take gives a caller the headers and trailers that it asked for.
func (w wanted) take(h *headers) {
	if w.header == nil && w.trailer == nil {
		return
	}
	header, trailer := h.now()
	if w.header != nil {
		*w.header = header
	}
	if w.trailer != nil {
		*w.trailer = trailer
	}
}
