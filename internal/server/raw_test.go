package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rawGRPC is a connection of gRPC, frame by frame: what no library would send.
type rawGRPC struct {
	t      *testing.T
	conn   net.Conn
	framer *http2.Framer
	next   uint32
}

func (h *harness) dialRaw(t *testing.T) *rawGRPC {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.Addresses().GRPC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r := &rawGRPC{t: t, conn: conn, framer: http2.NewFramer(conn, conn), next: 1}
	r.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	r.must(r.framer.WriteSettings())
	return r
}

func (r *rawGRPC) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// open begins a call with header pairs, and gives its stream.
func (r *rawGRPC) open(method string, pairs ...string) uint32 {
	r.t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSize(0)
	all := append([]string{
		":method", "POST", ":scheme", "http", ":path", method, ":authority", "kontor",
		"content-type", "application/grpc", "te", "trailers",
	}, pairs...)
	for i := 0; i < len(all); i += 2 {
		r.must(encoder.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}))
	}
	id := r.next
	r.next += 2
	r.must(r.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true,
	}))
	return id
}

// send sends a message, of which the head says that it has so many bytes.
func (r *rawGRPC) send(stream uint32, flags byte, length int, data []byte, end bool) {
	r.t.Helper()
	head := append([]byte{flags}, binary.BigEndian.AppendUint32(nil, uint32(length))...)
	r.must(r.framer.WriteData(stream, end, append(head, data...)))
}

// status waits for the end of a call, or with 0 of any, and gives its status.
func (r *rawGRPC) status(stream uint32) string {
	r.t.Helper()
	for {
		frame, err := r.framer.ReadFrame()
		if err != nil {
			r.t.Fatalf("no answer: %v", err)
		}
		headers, ok := frame.(*http2.MetaHeadersFrame)
		if !ok || stream != 0 && headers.StreamID != stream {
			continue
		}
		for _, field := range headers.Fields {
			if field.Name == "grpc-status" {
				return field.Value
			}
		}
	}
}

// ended waits until the server closes the connection.
func (r *rawGRPC) ended() {
	r.t.Helper()
	for {
		if _, err := r.framer.ReadFrame(); err != nil {
			if timedOut(err) {
				r.t.Fatal("the connection stays open")
			}
			return
		}
	}
}

// timedOut tells whether nothing came in time.
func timedOut(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// openHTTP sends the head of a request that says it has a body of so many bytes, and gives the connection.
func (h *harness) openHTTP(ctx context.Context, t *testing.T, head string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", h.Addresses().HTTP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(head)); err != nil {
		t.Fatal(err)
	}
	return conn
}
