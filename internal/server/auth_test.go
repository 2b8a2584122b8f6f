package server_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/server"
)

// method is one RPC with one of its HTTP mappings.
type method struct {
	full   string
	stream bool
	verb   string
	path   string
	body   bool
}

var variable = regexp.MustCompile(`\{[^=}]+=([^}]+)\}`)

// methods lists every RPC that the API defines, once for each HTTP mapping.
func methods() (all []method) {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "kontor.") {
			return true
		}
		for i := range file.Services().Len() {
			descriptors := file.Services().Get(i).Methods()
			for j := range descriptors.Len() {
				d := descriptors.Get(j)
				mapping := proto.GetExtension(d.Options(), annotations.E_Http).(*annotations.HttpRule)
				for _, m := range append([]*annotations.HttpRule{mapping}, mapping.GetAdditionalBindings()...) {
					one := method{full: "/" + string(d.Parent().FullName()) + "/" + string(d.Name()),
						stream: d.IsStreamingServer(), body: m.GetBody() != ""}
					switch p := m.GetPattern().(type) {
					case *annotations.HttpRule_Get:
						one.verb, one.path = http.MethodGet, p.Get
					case *annotations.HttpRule_Post:
						one.verb, one.path = http.MethodPost, p.Post
					case *annotations.HttpRule_Patch:
						one.verb, one.path = http.MethodPatch, p.Patch
					case *annotations.HttpRule_Delete:
						one.verb, one.path = http.MethodDelete, p.Delete
					}
					one.path = variable.ReplaceAllStringFunc(one.path, func(v string) string {
						return strings.ReplaceAll(variable.FindStringSubmatch(v)[1], "*", "x1")
					})
					all = append(all, one)
				}
			}
		}
		return true
	})
	return all
}

// invoke calls a method with an empty request, whatever its type.
func (h *harness) invoke(ctx context.Context, m method) error {
	if !m.stream {
		return h.conn.Invoke(ctx, m.full, &emptypb.Empty{}, &emptypb.Empty{})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := h.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, m.full)
	if err != nil {
		return err
	}
	_ = stream.SendMsg(&emptypb.Empty{})
	_ = stream.CloseSend()
	return stream.RecvMsg(&emptypb.Empty{})
}

func TestAccessMatrix(t *testing.T) {
	h := start(t)
	h.consents.watch = func(*consentv1.WatchConsentsRequest, consentv1.ConsentService_WatchConsentsServer) error {
		return kerr.New(errorv1.Error_CONSENT_NOT_FOUND, "none")
	}
	all := methods()
	if len(all) < 35 {
		t.Fatalf("only %d methods", len(all))
	}
	over := map[string]func(m method, key string, pairs ...string) error{
		"grpc": func(m method, key string, _ ...string) error {
			ctx := t.Context()
			if key != "" {
				ctx = as(ctx, key)
			}
			return h.invoke(ctx, m)
		},
		"rest": func(m method, key string, _ ...string) error {
			body := ""
			if m.body {
				body = "{}"
			}
			r := h.do(t, m.verb, m.path, key, body)
			if r.status < 400 {
				return nil
			}
			return r.err(t)
		},
	}
	for transport, call := range over {
		for _, m := range all {
			for name, c := range map[string]struct {
				key    string
				reason errorv1.Error_Reason
			}{
				"no key":  {"", errorv1.Error_UNAUTHENTICATED},
				"bad key": {nobodyKey, errorv1.Error_UNAUTHENTICATED},
			} {
				if err := call(m, c.key); kerr.Reason(err) != c.reason || status.Code(err) != codes.Unauthenticated {
					t.Errorf("%s %s, %s: %v", transport, m.full, name, err)
				}
			}
			// The reader may read consents and nothing else.
			err := call(m, readerKey)
			readsConsents := strings.Contains(m.full, "ConsentService") &&
				(m.verb == http.MethodGet || strings.HasSuffix(m.full, "/CreateWatchTicket"))
			if lacks := kerr.Reason(err) == errorv1.Error_SCOPE_MISSING; lacks == readsConsents {
				t.Errorf("%s %s, wrong scope: %v", transport, m.full, err)
			} else if lacks && (status.Code(err) != codes.PermissionDenied ||
				!strings.Contains(kerr.Metadata(err)["scope"], ".")) {
				t.Errorf("%s %s: the scope is not named: %v", transport, m.full, err)
			}
			if err := call(m, allKey); status.Code(err) == codes.PermissionDenied ||
				status.Code(err) == codes.Unauthenticated {
				t.Errorf("%s %s, right key: %v", transport, m.full, err)
			}
		}
	}
	if text := h.log.String(); strings.Contains(text, allKey) || strings.Contains(text, nobodyKey) {
		t.Error("a key is in the log")
	}
}

func TestKeys(t *testing.T) {
	h := start(t)
	get := func(values ...string) error {
		ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{"authorization": values})
		_, err := h.client.GetConsent(ctx, &consentv1.GetConsentRequest{Name: "consents/1"})
		return err
	}
	for _, ok := range []string{"Bearer " + allKey, "bearer " + allKey, "BEARER " + spareKey, "Bearer " + readerKey} {
		if err := get(ok); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
	if id := h.consents.last(t).identity; id.ClientID != "reader" || id.Tenant != "two" {
		t.Errorf("the service sees %v", id)
	}
	for _, bad := range [][]string{
		{allKey}, {"Basic " + allKey}, {"Bearer"}, {"Bearer "}, {"Bearer  " + allKey}, {"Bearer " + allKey + " x"},
		{"Bearer " + allKey + "," + allKey},
		{"Bearer " + strings.ToUpper(allKey)}, {""}, {"Bearer " + string([]byte(allKey)[:6])},
	} {
		if err := get(bad...); kerr.Reason(err) != errorv1.Error_UNAUTHENTICATED {
			t.Errorf("%q is let in: %v", bad, err)
		}
	}
	for what, bad := range map[string][]string{
		"too long": {"Bearer " + allKey + strings.Repeat("x", 9000)},
		"twice":    {"Bearer " + allKey, "Bearer " + allKey},
		"another":  {"Bearer " + nobodyKey, "Bearer " + allKey},
	} {
		invalid(t, what, get(bad...), "authorization")
	}
}

// TestStrangersBodiesAreNotRead makes sure that nobody unknown has a body read, let alone parsed.
func TestStrangersBodiesAreNotRead(t *testing.T) {
	h := start(t)
	r := h.do(t, http.MethodPost, "/v1/consents", nobodyKey, `{"unknown": "`+canary+`"`)
	if err := r.err(t); r.status != http.StatusUnauthorized || kerr.Reason(err) != errorv1.Error_UNAUTHENTICATED {
		t.Errorf("%d: %v", r.status, err)
	}
	if r.header.Get("WWW-Authenticate") != "Bearer" {
		t.Error("the answer does not say how to authenticate")
	}
}

func TestQuota(t *testing.T) {
	h := start(t, func(o *server.Options) { o.Limits.RequestsPerSecond, o.Limits.Burst = 1, 2 })
	limited := func(err error) bool {
		if kerr.Reason(err) != errorv1.Error_GATEWAY_RATE_LIMITED {
			return false
		}
		for _, detail := range status.Convert(err).Details() {
			if retry, ok := detail.(*errdetails.RetryInfo); ok && retry.GetRetryDelay().AsDuration() > 0 &&
				retry.GetRetryDelay().AsDuration() <= 2*time.Second {
				return status.Code(err) == codes.ResourceExhausted
			}
		}
		return false
	}
	get := func(key string) error {
		_, err := h.client.GetConsent(as(t.Context(), key), &consentv1.GetConsentRequest{Name: "consents/1"})
		return err
	}
	for i := range 2 {
		if err := get(allKey); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	if err := get(spareKey); !limited(err) {
		t.Errorf("beyond the quota, with the client's other key: %v", err)
	}
	if r := h.do(t, http.MethodGet, "/v1/consents/1", allKey, ""); r.status != http.StatusTooManyRequests ||
		!limited(r.err(t)) {
		t.Errorf("REST has a quota of its own: %d %s", r.status, r.body)
	}
	if err := get(readerKey); err != nil {
		t.Errorf("another client suffers: %v", err)
	}
}
