package security

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails" // what errors carry
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"kontor.dev/kontor/test/worldtest"
)

// The ways into the gateway.
const (
	overGRPC = "gRPC"
	overREST = "REST"
	overSSE  = "SSE"
)

var fronts = []string{overGRPC, overREST, overSSE}

type object = map[string]any

// answer is what came of a call: all that was said, and its failure.
type answer struct {
	text    string // every message, in JSON
	failure *statuspb.Status
	header  string
}

// reason is that of the failure's ErrorInfo.
func (a answer) reason() string {
	for _, detail := range a.failure.GetDetails() {
		if m, err := detail.UnmarshalNew(); err == nil {
			if info, ok := m.(interface{ GetReason() string }); ok {
				return info.GetReason()
			}
		}
	}
	return ""
}

// streamTime bounds how long a stream is read.
const streamTime = 300 * time.Millisecond

// call calls an RPC by one of the fronts, with a key or token or none. Of a stream it reads what comes in a short time.
func (w *world) call(
	t *testing.T, s *worldtest.Stubs, front, authorization string, m protoreflect.MethodDescriptor, request object,
) answer {
	t.Helper()
	ctx := t.Context()
	if m.IsStreamingServer() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, streamTime)
		defer cancel()
	}
	if front == overGRPC {
		return callGRPC(t, ctx, s, m, request)
	}
	return w.callREST(t, ctx, front, authorization, m, request)
}

func callGRPC(
	t *testing.T, ctx context.Context, s *worldtest.Stubs, m protoreflect.MethodDescriptor, request object,
) answer {
	t.Helper()
	in := newMessage(t, m.Input())
	if err := protojson.Unmarshal(marshal(t, request), in); err != nil {
		t.Fatalf("%s: %v", m.FullName(), err)
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "psu-ip-address", worldtest.PSUIP)
	stream, err := s.Conn.NewStream(
		ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+string(m.Parent().FullName())+"/"+string(m.Name()),
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(stream.SendMsg(in), stream.CloseSend()); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	var a answer
	for {
		out := newMessage(t, m.Output())
		err := stream.RecvMsg(out)
		if err == nil {
			a.text += protojson.Format(out)
			continue
		}
		header, _ := stream.Header()
		a.header = fmt.Sprint(header, stream.Trailer())
		// The time to read a stream may be over at the gateway a moment before it is over here.
		_, bounded := ctx.Deadline()
		over := ctx.Err() != nil || bounded && status.Code(err) == codes.DeadlineExceeded
		if !errors.Is(err, io.EOF) && !over {
			a.failure = status.Convert(err).Proto()
		}
		return a
	}
}

func (w *world) callREST(
	t *testing.T, ctx context.Context, front, authorization string, m protoreflect.MethodDescriptor, request object,
) answer {
	t.Helper()
	verb, target, body := transcode(t, m, request)
	r, err := http.NewRequestWithContext(ctx, verb, w.front.URL+target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Psu-Ip-Address", worldtest.PSUIP)
	if authorization != "" {
		r.Header.Set("Authorization", "Bearer "+authorization)
	}
	if front == overSSE {
		r.Header.Set("Accept", "text/event-stream")
	}
	resp, err := worldtest.NoRedirects.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return answer{} // a stream that said nothing
		}
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	a := answer{text: string(text), header: fmt.Sprint(resp.Header)}
	failure := text
	if resp.StatusCode == http.StatusOK {
		// A stream may fail after it began.
		failure = nil
		for line := range bytes.Lines(text) {
			if rest, ok := bytes.CutPrefix(line, []byte(`{"error":`)); ok {
				failure = bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("}"))
			} else if strings.HasPrefix(a.text, "event: error") && bytes.HasPrefix(line, []byte("data: ")) {
				failure = bytes.TrimPrefix(line, []byte("data: "))
			}
		}
	}
	if failure != nil {
		a.failure = &statuspb.Status{}
		if err := protojson.Unmarshal(failure, a.failure); err != nil {
			t.Fatalf("%s %s: the error is no Status: %v: %s", front, m.FullName(), err, failure)
		}
		a.text = ""
	}
	return a
}

var variable = regexp.MustCompile(`\{([a-z_.]+)=[^}]*\}`)

// transcode writes a request as its google.api.http mapping has it, by the mapping that puts most into the path.
func transcode(t *testing.T, m protoreflect.MethodDescriptor, request object) (verb, target string, body []byte) {
	t.Helper()
	rule := worldtest.Rule(m)
	if rule == nil {
		t.Fatalf("%s has no HTTP mapping", m.FullName())
	}
	for _, more := range rule.GetAdditionalBindings() {
		if field := variable.FindStringSubmatch(more.GetGet()); field != nil && request[field[1]] != nil {
			rule = more
		}
	}
	rest := object{}
	if err := json.Unmarshal(marshal(t, request), &rest); err != nil {
		t.Fatal(err)
	}
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		verb, target = http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		verb, target = http.MethodPost, p.Post
	case *annotations.HttpRule_Patch:
		verb, target = http.MethodPatch, p.Patch
	case *annotations.HttpRule_Delete:
		verb, target = http.MethodDelete, p.Delete
	}
	target = variable.ReplaceAllStringFunc(target, func(found string) string {
		at, name := rest, variable.FindStringSubmatch(found)[1]
		if outer, inner, nested := strings.Cut(name, "."); nested {
			at, _ = rest[jsonName(outer)].(object)
			name = inner
		}
		value, _ := at[name].(string)
		delete(at, name)
		return value
	})
	switch rule.GetBody() {
	case "":
		query := url.Values{}
		for name, value := range rest {
			query.Set(name, fmt.Sprint(value))
		}
		if len(query) > 0 {
			target += "?" + query.Encode()
		}
	case "*":
		body = marshal(t, rest)
	default:
		body = marshal(t, rest[jsonName(rule.GetBody())])
	}
	return verb, target, body
}

func jsonName(name string) string {
	before, after, ok := strings.Cut(name, "_")
	if !ok {
		return name
	}
	return before + strings.ToUpper(after[:1]) + after[1:]
}

func newMessage(t *testing.T, d protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return kind.New().Interface()
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
