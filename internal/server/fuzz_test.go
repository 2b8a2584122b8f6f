package server_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec of answers
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	spb "google.golang.org/genproto/googleapis/rpc/status"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/server"
)

// startForFuzzing starts a server that has no quota to run into.
func startForFuzzing(f *testing.F) *harness {
	f.Helper()
	h := start(f, func(o *server.Options) { o.Limits.RequestsPerSecond, o.Limits.Burst = 1_000_000, 1_000_000 })
	ready := make(chan struct{})
	close(ready)
	h.consents.watch = story(ready, nil)
	h.consents.update = func(_ context.Context, r *consentv1.UpdatePartnerBankRequest) (*consentv1.PartnerBank, error) {
		return r.GetPartnerBank(), nil
	}
	return h
}

// FuzzREST sends any bytes as the head and body of a request. Whatever comes: HTTP is answered, an error of the API
// is a Status that has a reason and is no fault of the server's, nobody is sent elsewhere, and nothing panics.
func FuzzREST(f *testing.F) {
	for _, seed := range []struct{ line, header, body string }{
		{"GET /v1/consents/1 HTTP/1.1", "", ""},
		{"POST /v1/consents HTTP/1.1", "Idempotency-Key: k", `{"consent":{"market":"SE"},"psu":{"nationalId":"1"}}`},
		{"PATCH /v1/customers/1 HTTP/1.1", "Content-Type: application/json", `{"reference":"x"}`},
		{"DELETE /v1/consents/1 HTTP/1.1", "Psu-Ip-Address: 203.0.113.7", ""},
		{"GET /v1/consents?pageSize=-1&statuses=X HTTP/1.1", "X-Request-Id: 1", ""},
		{"GET /v1//..%2f?%zz HTTP/1.1", "Grpc-Metadata-Authorization: x", ""},
		{"POST /v1/companyLogos:search HTTP/1.1", "Transfer-Encoding: chunked", "0\r\n\r\n"},
		{"GET /v1/consents:watch HTTP/1.1", "Accept: text/event-stream\r\nLast-Event-Id: x", ""},
		{"POST /callbacks/fimento/webhook/x HTTP/1.1", "", `{"_id":"x"}`},
		{"POST /callbacks/shipments/x?success=true HTTP/1.1", "Expect: 100-continue", ""},
		{"GET /callbacks/redirects/x/success HTTP/1.0", "Range: bytes=0-", ""},
		{"GET http://127.0.0.1/docs HTTP/1.1", "If-None-Match: *", ""},
		{"PRI * HTTP/2.0", "", "SM\r\n\r\n"},
	} {
		f.Add([]byte(seed.line), []byte(seed.header), []byte(seed.body))
	}
	h := startForFuzzing(f)
	f.Fuzz(func(t *testing.T, line, header, body []byte) {
		conn, err := net.Dial("tcp", h.Addresses().HTTP)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		head := string(line) + "\r\nHost: x\r\nAuthorization: Bearer " + allKey + "\r\nConnection: close\r\n"
		if len(header) > 0 {
			head += string(header) + "\r\n"
		}
		// A server that has seen enough may answer and hang up before all is written. What a request lacks never
		// comes: it ends here.
		_, _ = io.WriteString(conn, head+"\r\n"+string(body))
		_ = conn.(*net.TCPConn).CloseWrite()
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return // it was no request, and the connection was closed
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
		if answer.StatusCode == http.StatusInternalServerError || answer.StatusCode >= 300 &&
			answer.StatusCode < 400 && answer.StatusCode != http.StatusNotModified {
			t.Errorf("%d %v %s", answer.StatusCode, answer.Header, text)
		}
		if answer.StatusCode >= 400 && strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") &&
			len(text) > 0 {
			var st spb.Status
			if err := protojson.Unmarshal(text, &st); err != nil || kerr.Reason(status.FromProto(&st).Err()) == 0 {
				t.Errorf("%d with no Status that has a reason: %v %s", answer.StatusCode, err, text)
			}
		}
		if strings.Contains(h.log.String(), "panicked") {
			t.Error("something panicked")
		}
		h.log.reset()
	})
}

// FuzzGRPC sends any bytes as the message of any method. Whatever comes, an error has a reason and is no fault of the
// server's, and nothing panics.
func FuzzGRPC(f *testing.F) {
	h := startForFuzzing(f)
	var methods []string
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := 0; strings.HasPrefix(string(file.Package()), "kontor.") && i < file.Services().Len(); i++ {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				methods = append(methods, "/"+string(service.FullName())+"/"+string(service.Methods().Get(j).Name()))
			}
		}
		return true
	})
	slices.Sort(methods)
	for i := range methods {
		f.Add(uint8(i), []byte{}, "", "")
		f.Add(uint8(i), []byte("\x0a\x0aconsents/1"), "203.0.113.7", "key")
	}
	f.Add(uint8(0), []byte("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "::1", "")
	f.Add(uint8(1), []byte("\xfa\xff\xff\xff\x0f\x01\x01"), "", "")
	f.Fuzz(func(t *testing.T, which uint8, message []byte, psu, key string) {
		ctx := as(t.Context(), allKey)
		for name, value := range map[string]string{"psu-ip-address": psu, "idempotency-key": key} {
			if value != "" && !strings.ContainsFunc(value,
				func(r rune) bool { return r < ' ' || r > '~' }) { // the library refuses to send others
				ctx = metadata.AppendToOutgoingContext(ctx, name, value)
			}
		}
		stream, err := h.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, methods[int(which)%len(methods)],
			grpc.ForceCodecV2(anyBytes{}))
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.SendMsg(message) // its error is that of the answer
		_ = stream.CloseSend()
		for err == nil {
			err = stream.RecvMsg(&emptypb.Empty{})
		}
		if err != io.EOF { //nolint:errorlint // as grpc-go gives it
			switch code := status.Code(err); {
			case code == codes.Internal, code == codes.Unknown, kerr.Reason(err) == 0 && code != codes.Unimplemented:
				t.Errorf("%s: %v", methods[int(which)%len(methods)], err)
			}
		}
		if strings.Contains(h.log.String(), "panicked") {
			t.Error("something panicked")
		}
		h.log.reset()
	})
}

// anyBytes sends bytes as they are, and reads answers as usual.
type anyBytes struct{}

// Marshal implements encoding.CodecV2.
func (anyBytes) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(bytes.Clone(v.([]byte)))},
		nil //nolint:forcetypeassert // only bytes are sent
}

// Unmarshal implements encoding.CodecV2.
func (anyBytes) Unmarshal(data mem.BufferSlice, v any) error {
	return encoding.GetCodecV2("proto").Unmarshal(data, v)
}

// Name implements encoding.CodecV2.
func (anyBytes) Name() string { return "proto" }

// reset forgets what was logged.
func (o *output) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Reset()
}
