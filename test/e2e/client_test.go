package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/test/described"
	"kontor.dev/kontor/test/worldtest"
)

// client calls the gateway with one key: by stubs, or by any RPC's name over either transport.
type client struct {
	*worldtest.Stubs
	key  string
	http string // the gateway's REST address
}

// client gives one of the world's clients.
func (w *world) client(t *testing.T, id string) *client {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.clients[id]; ok {
		return c
	}
	c, err := newClient(w.gateway, keyOf(id))
	if err != nil {
		t.Fatal(err)
	}
	w.clients[id] = c
	return c
}

type headers map[string]string

func (h headers) context(ctx context.Context) context.Context {
	for name, value := range h {
		ctx = metadata.AppendToOutgoingContext(ctx, name, value)
	}
	return ctx
}

func (h headers) with(name, value string) headers {
	all := maps.Clone(h)
	if all == nil {
		all = headers{}
	}
	all[name] = value
	return all
}

// The transports.
const (
	overGRPC = "gRPC"
	overREST = "REST"
)

var transports = []string{overGRPC, overREST}

// reply is what a call came to: messages, one for a unary RPC, and then perhaps a failure.
type reply struct {
	messages []proto.Message
	texts    []json.RawMessage // the same as JSON, over REST
	failure  *failure
	ended    bool // a stream ended by itself
	beats    int  // heartbeats before the first message: a stream of transactions sent nothing else until then
}

// failure is an error as a caller sees it, the same over both transports.
type failure struct {
	code     codes.Code
	message  string
	reason   string
	metadata map[string]string
	fields   []string // that BadRequest names
	retry    bool     // there is a RetryInfo
	text     string   // all of it, as it came
}

func (f *failure) String() string {
	if f == nil {
		return "no failure"
	}
	return fmt.Sprintf("%s %s %v: %s", f.code, f.reason, f.fields, f.message)
}

// failureOf reads a status. One that no code of Kontor's made is told by its empty reason.
func failureOf(st *status.Status) *failure {
	text, _ := protojson.Marshal(st.Proto())
	f := &failure{code: st.Code(), message: st.Message(), text: string(text)}
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == "kontor.dev" {
				f.reason, f.metadata = d.GetReason(), d.GetMetadata()
			}
		case *errdetails.BadRequest:
			for _, violation := range d.GetFieldViolations() {
				f.fields = append(f.fields, violation.GetField())
			}
		case *errdetails.RetryInfo:
			f.retry = true
		}
	}
	return f
}

// failed reads the error of a stub's call.
func failed(err error) *failure {
	if err == nil {
		return nil
	}
	return failureOf(status.Convert(err))
}

// wantReason fails unless a call ended with that reason.
func wantReason(t *testing.T, err error, reason string) *failure {
	t.Helper()
	f := failed(err)
	if f == nil || f.reason != reason {
		t.Fatalf("got %v, want %s", f, reason)
	}
	return f
}

// call calls an RPC with a request in JSON, over one of the transports. Of a stream it reads at most limit messages;
// 0 is all.
func (c *client) call(
	ctx context.Context, transport string, m *method, request map[string]any, h headers, limit int,
) (reply, error) {
	if transport == overGRPC {
		return c.callGRPC(ctx, m, request, h, limit)
	}
	return c.callREST(ctx, m, request, h, limit)
}

func (c *client) callGRPC(ctx context.Context, m *method, request map[string]any, h headers, limit int) (reply, error) {
	in, err := m.request(request)
	if err != nil {
		return reply{}, err
	}
	ctx, cancel := context.WithCancel(h.with("x-request-id", uuid.NewString()).context(ctx))
	defer cancel()
	sent, _ := metadata.FromOutgoingContext(ctx)
	var header metadata.MD
	if !m.streams() {
		out := m.response()
		err := c.Conn.Invoke(ctx, m.path(), in, out, grpc.Header(&header))
		if err != nil {
			return reply{failure: failed(err)}, sameRequestID(
				sent.Get("x-request-id"), header.Get("x-request-id"), failed(err),
			)
		}
		return reply{messages: []proto.Message{out}}, sameRequestID(
			sent.Get("x-request-id"), header.Get("x-request-id"), nil,
		)
	}
	stream, err := c.Conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, m.path())
	if err != nil {
		return reply{failure: failed(err)}, nil
	}
	if err := errors.Join(stream.SendMsg(in), stream.CloseSend()); err != nil && !errors.Is(err, io.EOF) {
		return reply{}, err
	}
	var r reply
	for limit == 0 || len(r.messages) < limit {
		out := m.response()
		err := stream.RecvMsg(out)
		if errors.Is(err, io.EOF) {
			r.ended = true
			return r, nil
		}
		if err != nil {
			r.failure = failed(err)
			return r, nil
		}
		switch {
		case !beats(out):
			r.messages = append(r.messages, out)
		case len(r.messages) == 0:
			r.beats++
		}
	}
	return r, nil
}

// beats tells whether a message says only that a stream of transactions lives: whether one comes is the machine's pace.
func beats(m proto.Message) bool {
	kind := m.ProtoReflect().Descriptor().Fields().ByName("kind")
	return m.ProtoReflect().Descriptor().Name() == "StreamTransactionsResponse" &&
		m.ProtoReflect().Get(kind).Enum() == bankingv1.StreamTransactionsResponse_HEARTBEAT.Number()
}

// sameRequestID demands the caller's request id back, in the answer's header and in an error.
func sameRequestID(sent, got []string, f *failure) error {
	if f != nil && f.metadata["requestId"] != sent[0] {
		return errors.New("the error does not carry the caller's x-request-id")
	}
	if f == nil && (len(got) != 1 || got[0] != sent[0]) {
		return errors.New("the answer does not carry the caller's x-request-id")
	}
	return nil
}

func (c *client) callREST(ctx context.Context, m *method, request map[string]any, h headers, limit int) (reply, error) {
	httpMethod, target, body, err := m.transcode(request)
	if err != nil {
		return reply{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h = h.with("x-request-id", uuid.NewString())
	resp, err := c.send(ctx, httpMethod, target, body, h)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/json") &&
		(!m.streams() || !strings.HasPrefix(got, "application/x-ndjson")) {
		return reply{}, fmt.Errorf("Content-Type is %q", got)
	}
	operation, err := described.Find(httpMethod, target)
	if err != nil {
		return reply{}, err
	}
	if resp.StatusCode != http.StatusOK {
		f, text, err := readFailure(resp)
		if err != nil {
			return reply{}, err
		}
		if err := operation.Check(resp.StatusCode, resp.Header.Get("Content-Type"), text); err != nil {
			return reply{}, err
		}
		return reply{failure: f}, sameRequestID([]string{h["x-request-id"]}, resp.Header["X-Request-Id"], f)
	}
	if !m.streams() {
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return reply{}, err
		}
		if err := operation.Check(resp.StatusCode, resp.Header.Get("Content-Type"), text); err != nil {
			return reply{}, err
		}
		out := m.response()
		if err := protojson.Unmarshal(text, out); err != nil {
			return reply{}, fmt.Errorf("the answer is not the JSON of %s: %w", m.desc.Output().FullName(), err)
		}
		return reply{messages: []proto.Message{out}, texts: []json.RawMessage{text}}, sameRequestID(
			[]string{h["x-request-id"]}, resp.Header["X-Request-Id"], nil,
		)
	}
	var r reply
	lines := newLines(resp.Body)
	for limit == 0 || len(r.messages) < limit {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			r.ended = r.failure == nil
			return r, nil
		}
		if err != nil {
			return reply{}, err
		}
		if err := operation.Check(resp.StatusCode, resp.Header.Get("Content-Type"), line); err != nil {
			return reply{}, err
		}
		result, failure, err := unwrap(line)
		if err != nil {
			return reply{}, err
		}
		if failure != nil {
			var st statuspb.Status
			if err := protojson.Unmarshal(failure, &st); err != nil {
				return reply{}, err
			}
			r.failure = failureOf(status.FromProto(&st))
			continue
		}
		out := m.response()
		if err := protojson.Unmarshal(result, out); err != nil {
			return reply{}, err
		}
		switch {
		case !beats(out):
			r.messages, r.texts = append(r.messages, out), append(r.texts, result)
		case len(r.messages) == 0:
			r.beats++
		}
	}
	return r, nil
}

// unwrap takes a streamed line apart: {"result": ...} or {"error": ...}.
func unwrap(line []byte) (result, failure []byte, err error) {
	var envelope struct{ Result, Error json.RawMessage }
	if err := json.Unmarshal(line, &envelope); err != nil || (envelope.Result == nil) == (envelope.Error == nil) {
		return nil, nil, errors.New("a streamed line is neither a result nor an error")
	}
	return envelope.Result, envelope.Error, nil
}

// send sends a REST request with the client's key.
func (c *client) send(ctx context.Context, method, target string, body []byte, h headers) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.http+target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range h {
		req.Header.Set(name, value)
	}
	return httpClient.Do(req)
}

// rest sends a REST request and gives the status and the decoded body.
func (c *client) rest(t *testing.T, method, target string, body any, h headers) (int, map[string]any) {
	t.Helper()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := c.send(t.Context(), method, target, text, h)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var decoded map[string]any
	decoder := json.NewDecoder(resp.Body)
	decoder.UseNumber()
	if err := decoder.Decode(&decoded); err != nil {
		t.Fatalf("%s %s: status %d, and the body is not JSON: %v", method, target, resp.StatusCode, err)
	}
	return resp.StatusCode, decoded
}

// readFailure reads an error's body and holds the HTTP status against the code in it.
func readFailure(resp *http.Response) (*failure, []byte, error) {
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	var st statuspb.Status
	if err := protojson.Unmarshal(text, &st); err != nil {
		return nil, nil, fmt.Errorf("the error's body is not a google.rpc.Status: %w", err)
	}
	f := failureOf(status.FromProto(&st))
	want := httpStatus[f.code]
	if f.reason == "TOO_LARGE" {
		want = http.StatusRequestEntityTooLarge
	}
	if resp.StatusCode != want {
		return nil, nil, fmt.Errorf("%s came with HTTP status %d, want %d", f.code, resp.StatusCode, want)
	}
	return f, text, nil
}

// httpStatus is google.rpc's mapping, with FAILED_PRECONDITION as 400.
var httpStatus = map[codes.Code]int{
	codes.Canceled: 499, codes.Unknown: 500, codes.InvalidArgument: 400, codes.DeadlineExceeded: 504,
	codes.NotFound:      404,
	codes.AlreadyExists: 409, codes.PermissionDenied: 403, codes.ResourceExhausted: 429,
	codes.FailedPrecondition: 400, codes.Aborted: 409,
	codes.OutOfRange: 400, codes.Unimplemented: 501, codes.Internal: 500, codes.Unavailable: 503, codes.DataLoss: 500,
	codes.Unauthenticated: 401,
}

func newClient(g *worldtest.Gateway, key string) (*client, error) {
	stubs, err := worldtest.Dial(g.GRPC, key)
	if err != nil {
		return nil, err
	}
	return &client{Stubs: stubs, key: key, http: g.HTTP}, nil
}

// psuIP is the header with an end user's address, which some operations demand.
var psuIP = headers{"psu-ip-address": worldtest.PSUIP}

// asPSU is a context for stubs that carries psuIP.
func asPSU(t *testing.T) context.Context { return psuIP.context(t.Context()) }

// must gives a stub's answer, or ends the test.
func must[T any](answer T, err error) func(t *testing.T) T { return worldtest.Must(answer, err) }

var httpClient = worldtest.NoRedirects
