package server_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/server"
)

// fields gives the fields that an error names.
func fields(err error) (paths []string) {
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range bad.GetFieldViolations() {
				paths = append(paths, violation.GetField())
			}
		}
	}
	return paths
}

// invalid checks that an error is INVALID_FIELD, names a field and no value.
func invalid(t *testing.T, what string, err error, path string) {
	t.Helper()
	if kerr.Reason(err) != errorv1.Error_INVALID_FIELD || status.Code(err) != codes.InvalidArgument {
		t.Errorf("%s: %v", what, err)
		return
	}
	if !slices.Contains(fields(err), path) {
		t.Errorf("%s: names %q, want %s", what, fields(err), path)
	}
	if text := status.Convert(err).Proto().String(); strings.Contains(text, canary) {
		t.Errorf("%s: the value comes back: %s", what, text)
	}
	if kerr.Metadata(err)["requestId"] == "" {
		t.Errorf("%s: no request id", what)
	}
}

// TestValidation sends requests that break a rule over gRPC and REST; both must name the same field.
func TestValidation(t *testing.T) {
	h := start(t)
	documents := documentsv1.NewDocumentServiceClient(h.conn)
	ctx := as(t.Context(), allKey)
	address := &documentsv1.Shipment_Address{City: "Berlin", CountryCode: "DE"}
	for _, c := range []struct {
		name       string
		grpc       func() error
		verb, path string
		body       string
		field      string
	}{
		{"no consent", func() error {
			_, err := h.client.CreateConsent(ctx, &consentv1.CreateConsentRequest{})
			return err
		},
			"POST", "/v1/consents", `{}`, "consent"},
		{"redirect", func() error {
			_, err := h.client.CreateConsent(ctx,
				&consentv1.CreateConsentRequest{Consent: &consentv1.Consent{
					RedirectUris: &consentv1.Consent_RedirectUris{Error: optional.Of(canary + " :")},
				}})
			return err
		}, "POST", "/v1/consents", `{"consent": {"redirectUris": {"error": "` + canary + ` :"}}}`,
			"consent.redirectUris.error"},
		{"request id", func() error {
			_, err := h.client.CreateConsent(ctx,
				&consentv1.CreateConsentRequest{Consent: &consentv1.Consent{}, RequestId: canary + "ü"})
			return err
		}, "POST", "/v1/consents", `{"consent": {}, "requestId": "` + canary + `ü"}`, "requestId"},
		{"long request id", func() error {
			_, err := h.client.CreateConsent(ctx, &consentv1.CreateConsentRequest{
				Consent: &consentv1.Consent{}, RequestId: strings.Repeat(canary, 256),
			})
			return err
		}, "POST", "/v1/consents", `{"consent": {}, "requestId": "` + strings.Repeat(canary, 256) + `"}`, "requestId"},
		{"personal id too long", func() error {
			_, err := h.client.CreateConsent(ctx,
				&consentv1.CreateConsentRequest{Consent: &consentv1.Consent{},
					Psu: &consentv1.Psu{NationalId: strings.Repeat(canary, 5)}})
			return err
		}, "POST", "/v1/consents", `{"consent": {}, "psu": {"nationalId": "` + strings.Repeat(canary, 5) + `"}}`,
			"psu.nationalId"},
		{"bare consent", func() error {
			_, err := h.client.CreateConsent(ctx,
				&consentv1.CreateConsentRequest{Consent: &consentv1.Consent{Market: canary}})
			return err
		}, "POST", "/v1/consents", `{"market": "` + canary + `"}`, "consent.market"},
		{"in a list", func() error {
			_, err := h.client.CreateConsent(ctx,
				&consentv1.CreateConsentRequest{Consent: &consentv1.Consent{
					BrokerBanks: []*consentv1.Consent_BrokerBank{{}, {Id: optional.Of(strings.Repeat(canary, 20))}},
				}})
			return err
		}, "POST", "/v1/consents", `{"consent": {"brokerBanks": [{}, {"id": "` + strings.Repeat(canary, 20) + `"}]}}`,
			"consent.brokerBanks[1].id"},
		{"no subject", func() error {
			_, err := documents.CreateShipment(ctx,
				&documentsv1.CreateShipmentRequest{Shipment: &documentsv1.Shipment{Channel: documentsv1.Channel_FAX,
					Recipient: canary, Address: address}})
			return err
		}, "POST", "/v1/shipments", `{"shipment": {"channel": "FAX", "recipient": "` + canary +
			`", "address": {"city": "Berlin", "countryCode": "DE"}}}`, "shipment.subject"},
		{"undefined enum", func() error {
			_, err := h.client.CreateConsent(ctx,
				&consentv1.CreateConsentRequest{Consent: &consentv1.Consent{Access: 77}})
			return err
		}, "POST", "/v1/consents", `{"consent": {"access": 77}}`, "consent.access"},
		{"page size", func() error {
			_, err := h.client.ListConsents(ctx, &consentv1.ListConsentsRequest{PageSize: -1})
			return err
		}, "GET", "/v1/consents?pageSize=-1", "", "pageSize"},
		{"list in a query", func() error {
			_, err := h.client.ListConsents(ctx, &consentv1.ListConsentsRequest{Customer: canary})
			return err
		}, "GET", "/v1/consents?customer=" + canary, "", "customer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			invalid(t, "grpc", c.grpc(), c.field)
			r := h.do(t, c.verb, c.path, allKey, c.body)
			if r.status != http.StatusBadRequest {
				t.Errorf("HTTP %d", r.status)
			}
			invalid(t, "rest", r.err(t), c.field)
		})
	}
	if h.consents.count() != 0 {
		t.Error("a bad request reached the service")
	}
	if strings.Contains(h.log.String(), canary) {
		t.Error("a value is in the log")
	}
}

// raw is a message of hand-made bytes.
func raw(t *testing.T, bytes []byte) proto.Message {
	t.Helper()
	m := &consentv1.WatchConsentsRequest{}
	m.ProtoReflect().SetUnknown(bytes)
	return m
}

func field(number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

func TestUnknownFieldsOverGRPC(t *testing.T) {
	h := start(t)
	h.consents.watch = func(*consentv1.WatchConsentsRequest, consentv1.ConsentService_WatchConsentsServer) error {
		return nil
	}
	const create = "/kontor.consent.v1.ConsentService/CreateConsent"
	stranger := field(999, []byte(canary))
	for path, message := range map[string][]byte{
		"#999":                        stranger,
		"consent.#999":                field(1, stranger),
		"consent.redirectUris.#999":   field(1, field(7, stranger)),
		"consent.brokerBanks[1].#999": field(1, slices.Concat(field(9, nil), field(9, stranger))),
		"psu.#7":                      slices.Concat(field(1, nil), field(2, field(7, []byte(canary)))),
	} {
		err := h.conn.Invoke(as(t.Context(), allKey), create, raw(t, message), &consentv1.Consent{})
		invalid(t, path, err, path)
	}
	// Streams have requests, too.
	stream, err := h.conn.NewStream(as(t.Context(), allKey), &grpc.StreamDesc{ServerStreams: true},
		"/kontor.consent.v1.ConsentService/WatchConsents")
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.SendMsg(raw(t, stranger))
	_ = stream.CloseSend()
	invalid(t, "stream", stream.RecvMsg(&consentv1.WatchConsentsResponse{}), "#999")

	// What is no message at all, or has text that is no text.
	for _, bytes := range [][]byte{{0xff, 0xff, 0xff}, field(1, field(4, []byte("\xff"+canary)))} {
		err := h.conn.Invoke(as(t.Context(), allKey), create, wrapperspb.Bytes(nil), &consentv1.Consent{},
			grpc.ForceCodec(fixedCodec(bytes)))
		invalid(t, "garbage", err, "request")
	}
	if h.consents.count() != 0 {
		t.Errorf("%d bad requests reached the service", h.consents.count())
	}
}

// fixedCodec sends its own bytes whatever the message.
type fixedCodec []byte

func (c fixedCodec) Marshal(any) ([]byte, error) { return c, nil }
func (c fixedCodec) Unmarshal(data []byte, v any) error {
	return proto.Unmarshal(data, v.(proto.Message))
}
func (c fixedCodec) Name() string { return "proto" }

// TestStrictREST is a corpus of requests that do not fit. Each must name the field and never the value, in the answer
// and in the log.
func TestStrictREST(t *testing.T) {
	h := start(t)
	for _, c := range []struct{ verb, path, body, field string }{
		{"POST", "/v1/consents", `{"consent": {"nope": "` + canary + `"}}`, "consent.nope"},
		{"POST", "/v1/consents", `{"consent": {}, "nope": "` + canary + `"}`, "nope"},
		{"POST", "/v1/consents", `{"consent": {"market": ["` + canary + `"]}}`, "consent.market"},
		{"POST", "/v1/consents", `{"consent": {"access": "` + canary + `"}}`, "consent.access"},
		{"POST", "/v1/consents", `{"consent": {"market": "SE", "market": "` + canary + `"}}`, "consent.market"},
		{"POST", "/v1/consents", `{"consent": {"redirectUris": "` + canary + `"}}`, "consent.redirectUris"},
		{"POST", "/v1/consents", `{"consent": {"brokerBanks": {"a": "` + canary + `"}}}`, "consent.brokerBanks"},
		{"POST", "/v1/consents", `{"psu": {"nationalId": 199503096316}, "consent": {}}`, "psu.nationalId"},
		{"POST", "/v1/consents", `{"psu": {"nationalID": "` + canary + `"}, "consent": {}}`, "psu.nationalID"},
		{"POST", "/v1/consents", `{"consent": {"eventCount": "1e` + canary + `"}}`, "consent.eventCount"},
		{"POST", "/v1/consents", `{"consent": {"createTime": "` + canary + `"}}`, "consent.createTime"},
		{"POST", "/v1/consents", `{"consent": {"reference": "` + canary + `\ud800"}}`, "consent.reference"},
		{"POST", "/v1/consents", `{"consent": "` + canary, "body"},
		{"POST", "/v1/consents", `<xml>` + canary + `</xml>`, "body"},
		{"POST", "/v1/consents", `["` + canary + `"]`, "body"},
		{"POST", "/v1/consents", `{"consent": {}} "` + canary + `"`, "body"},
		{"POST", "/v1/shipments", `{"shipment": {"pdf": "` + canary + `!!"}}`, "shipment.pdf"},
		{"POST", "/v1/shipments", `{"pdf": "` + canary + `!!"}`, "shipment.pdf"},
		{"PATCH", "/v1/customers/1", `{"reference": ["` + canary + `"]}`, "reference"},
		{"PATCH", "/v1/customers/1", `{"nope": "` + canary + `"}`, "nope"},
		{"PATCH", "/v1/customers/1", ``, "body"},
		{"PATCH", "/v1/customers/1", ` `, "body"},
		{"PATCH", "/v1/customers/1", `{"customer": {}, "updateMask": ["` + canary + `"]}`, "updateMask"},
		{"PATCH", "/v1/customers/1", `{"customer": {"nope": "` + canary + `"}}`, "nope"},
		{"POST", "/v1/consents/1:simulateDecision", `{"decision": "` + canary + `"}`, "decision"},
		{"POST", "/v1/companyLogos:search", `{"queries": [{"iban": 1}, {}]}`, "queries[0].iban"},
		{"POST", "/v1/customers/1:importConnections",
			`{"connections": [{"accounts": [{"balance": {"value": 1.5}}]}]}`,
			"connections[0].accounts[0].balance.value"},
		{"GET", "/v1/consents?pageSize=" + canary, "", "pageSize"},
		{"GET", "/v1/consents?page_size=1&pageSize=2", "", "pageSize"},
		{"GET", "/v1/consents?nope=" + canary, "", "nope"},
		{"GET", "/v1/consents?statuses=" + canary, "", "statuses"},
		{"GET", "/v1/consents?reference=a&reference=" + canary, "", "reference"},
		{"GET", "/v1/consents/1?refresh=" + canary, "", "refresh"},
		{"GET", "/v1/consents:watch?resume=" + canary, "", "resume"},
		{"POST", "/v1/consents?reference=" + canary, `{"consent": {}}`, "reference"},
		{"POST", "/v1/consents/1:revoke?" + canary + "%20", "", "?"},
		{"GET", "/v1/customers/1?nope=" + canary, "", "nope"},
		{"GET", "/v1/consents/1/connections/2?name=" + canary, "", "name"},
		{"DELETE", "/v1/consents/1?force=" + canary, "", "force"},
		{"PATCH", "/v1/partnerBanks/1?updateMask=displayName," + canary, `{"displayName": "x"}`, "updateMask"},
		{"PATCH", "/v1/partnerBanks/1?displayName=" + canary, `{"displayName": "x"}`, "displayName"},
	} {
		t.Run(c.verb+" "+c.path+" "+c.body, func(t *testing.T) {
			r := h.do(t, c.verb, c.path, allKey, c.body, "Content-Type", "application/json")
			if r.status != http.StatusBadRequest {
				t.Errorf("HTTP %d: %s", r.status, r.body)
			}
			invalid(t, "rest", r.err(t), c.field)
		})
	}
	if h.consents.count() != 0 {
		t.Error("a bad request reached the service")
	}
	if strings.Contains(h.log.String(), canary) {
		t.Error("a value is in the log")
	}
}

// TestBothFormsOfABody sends what lenient.go allows through the whole server.
func TestBothFormsOfABody(t *testing.T) {
	h := start(t)
	var created *consentv1.CreateConsentRequest
	h.consents.create = func(_ context.Context, r *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
		created = r
		return r.GetConsent(), nil
	}
	for _, body := range []string{`{"market": "SE", "customer": "customers/1"}`,
		`{"consent": {"market": "SE", "customer": "customers/1"}}`} {
		created = nil
		if r := h.do(t, "POST", "/v1/consents", allKey, body); r.status != 200 ||
			created.GetConsent().GetMarket() != "SE" || created.GetConsent().GetCustomer() != "customers/1" {
			t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
	var updated *consentv1.UpdatePartnerBankRequest
	h.consents.update = func(_ context.Context, r *consentv1.UpdatePartnerBankRequest) (*consentv1.PartnerBank, error) {
		updated = r
		return r.GetPartnerBank(), nil
	}
	for body, mask := range map[string][]string{
		`{"displayName": "B", "broker": true}`:  {"broker", "display_name"},
		`{"partnerBank": {"displayName": "B"}}`: {"display_name"},
		`{"partnerBank": {"displayName": "B", "broker": true, "logoUri": "x"}, "updateMask": "displayName"}`: {
			"display_name",
		},
	} {
		updated = nil
		r := h.do(t, "PATCH", "/v1/partnerBanks/b1", allKey, body)
		if r.status != 200 || updated.GetPartnerBank().GetDisplayName() != "B" ||
			updated.GetPartnerBank().GetName() != "partnerBanks/b1" ||
			!slices.Equal(updated.GetUpdateMask().GetPaths(), mask) {
			t.Errorf("%s: %d %s, mask %v", body, r.status, r.body, updated.GetUpdateMask().GetPaths())
		}
	}
	if r := h.do(t, "PATCH", "/v1/partnerBanks/b1?updateMask=displayName", allKey,
		`{"displayName": "B"}`); r.status != 200 ||
		!slices.Equal(updated.GetUpdateMask().GetPaths(), []string{"display_name"}) {
		t.Errorf("mask in the query: %d %s, %v", r.status, r.body, updated.GetUpdateMask())
	}
}

func TestAnswersOverREST(t *testing.T) {
	h := start(t)
	r := h.do(t, "GET", "/v1/consents", allKey, "")
	if r.status != 200 || r.body != `{"consents":[]}` ||
		r.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s", r.status, r.body)
	}
	r = h.do(t, "GET", "/v1/consents/1", allKey, "")
	if !strings.Contains(r.body, `"status":"AUTHORIZED"`) || !strings.Contains(r.body, `"connections":[]`) ||
		strings.Contains(r.body, "brokerBanks") ||
		strings.Contains(r.body, `"link"`) {
		t.Errorf("%s", r.body)
	}
	r = h.do(t, "POST", "/v1/shipments", allKey,
		`{"channel": "FAX", "recipient": ",\"pdf\":\"\"", "subject": "s", "pdf": "JVBERg==",`+
			`"address": {"city": "Berlin", "countryCode": "DE"}}`)
	if r.status != 200 || strings.Contains(r.body, `"pdf":`) ||
		!strings.Contains(r.body, `"recipient":",\"pdf\":\"\""`) {
		t.Errorf("an input comes back, or more is gone than that: %s", r.body)
	}
}

// TestSpoofedHeaders sends what a caller might try to pass for metadata. Only the short list comes through, and only
// as what it is.
func TestSpoofedHeaders(t *testing.T) {
	h := start(t)
	names := []string{
		"authorization", "psu-ip-address", "idempotency-key", "x-request-id", "last-event-id", "x-forwarded-for",
		"x-kontor-client", "x-kontor-tenant",
		"grpcgateway-authorization", "kontor-identity", "tenant", "client-id", "grpc-timeout", ":authority",
		"x-real-ip",
	}
	prefixes := []string{"Grpc-Metadata-", "grpc-metadata-", "GRPC-METADATA-", "Grpcgateway-",
		"Grpc-Metadata-Grpcgateway-"}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	spoofs := 0
	for _, prefix := range prefixes {
		for _, name := range names {
			name = strings.TrimPrefix(name, ":")
			spoofs++
			value := "192.0.2." + fmt.Sprint(random.IntN(255))
			r := h.do(t, "GET", "/v1/consents/1", readerKey, "", prefix+name, value, "X-Kontor-Tenant", "one")
			if r.status != 200 {
				t.Errorf("%s%s: %d %s", prefix, name, r.status, r.body)
				continue
			}
			s := h.consents.last(t)
			if s.identity.ClientID != "reader" || s.identity.Tenant != "two" || s.call.PSUIP != "" ||
				s.idempotencyKey != "" || s.lastEventID != "" ||
				s.requestID == value || s.deadline < 30*time.Second {
				t.Errorf("%s%s got through: %+v", prefix, name, s)
			}
			for key, values := range s.metadata {
				if slices.Contains(values, value) {
					t.Errorf("%s%s became metadata %s", prefix, name, key)
				}
			}
		}
	}
	if spoofs < 50 {
		t.Errorf("only %d spoofs", spoofs)
	}
	// A key that travels as anything but authorization is none.
	for _, name := range []string{"Grpc-Metadata-Authorization", "X-Api-Key", "Proxy-Authorization",
		"Grpcgateway-Authorization"} {
		if r := h.do(t, "GET", "/v1/consents/1", "", "", name, "Bearer "+allKey); r.status != http.StatusUnauthorized {
			t.Errorf("%s authenticates", name)
		}
	}
}

func TestCompanions(t *testing.T) {
	h := start(t)
	over := map[string]func(pairs ...string) error{
		"grpc": func(pairs ...string) error {
			_, err := h.client.GetConsent(as(t.Context(), allKey, pairs...),
				&consentv1.GetConsentRequest{Name: "consents/1"})
			return err
		},
		"rest": func(pairs ...string) error {
			if r := h.do(t, "GET", "/v1/consents/1", allKey, "", pairs...); r.status != 200 {
				return r.err(t)
			}
			return nil
		},
	}
	for transport, call := range over {
		t.Run(transport, func(t *testing.T) {
			if err := call("psu-ip-address", "2001:db8::1", "idempotency-key", "key-1", "last-event-id", "token-1",
				"x-request-id", "mine"); err != nil {
				t.Fatal(err)
			}
			s := h.consents.last(t)
			if s.call.PSUIP != "2001:db8::1" || s.call.RequestID != "mine" || s.requestID != "mine" ||
				s.idempotencyKey != "key-1" || s.lastEventID != "token-1" {
				t.Errorf("got %+v", s)
			}
			if err := call(); err != nil {
				t.Fatal(err)
			}
			if s = h.consents.last(t); s.call.PSUIP != "" || s.idempotencyKey != "" || s.lastEventID != "" ||
				len(s.requestID) != 36 || s.call.RequestID != s.requestID {
				t.Errorf("from nothing came %+v", s)
			}
			if err := call("psu-ip-address", "::ffff:192.0.2.1"); err != nil ||
				h.consents.last(t).call.PSUIP != "192.0.2.1" {
				t.Errorf("a mapped address: %v, %+v", err, h.consents.last(t).call)
			}
			for _, bad := range []string{canary, "1.2.3", "1.2.3.4:80", "fe80::1%eth0", "1.2.3.4,5.6.7.8", "01.2.3.4"} {
				invalid(t, bad, call("psu-ip-address", bad), "psu-ip-address")
			}
			invalid(t, "two addresses", call("psu-ip-address", "192.0.2.1", "psu-ip-address", "192.0.2.2"),
				"psu-ip-address")
			invalid(t, "long key", call("idempotency-key", strings.Repeat("k", 256)), "idempotency-key")
			invalid(t, "two keys", call("idempotency-key", "a", "idempotency-key", "b"), "idempotency-key")
			invalid(t, "long event id", call("last-event-id", strings.Repeat("k", 501)), "last-event-id")
		})
	}
	if strings.Contains(h.log.String(), canary) || strings.Contains(h.log.String(), "192.0.2") ||
		strings.Contains(h.log.String(), "2001:db8") {
		t.Error("an address or key is in the log")
	}
}

// TestHeadersAreNotDropped: a header with bytes that the libraries drop, or refuse without saying why, is refused.
func TestHeadersAreNotDropped(t *testing.T) {
	h := start(t)
	for _, value := range []string{"Auftrag-M\u00fcller-1", "Auftrag-M\xfcller-1", "a\tb"} {
		for name, field := range map[string]string{
			"Idempotency-Key": "idempotency-key", "Psu-Ip-Address": "psu-ip-address", "X-Request-Id": "x-request-id",
			"If-Match": "if-match", "Last-Event-Id": "last-event-id",
		} {
			r := h.do(t, "POST", "/v1/consents", allKey, `{"consent": {"market": "SE"}}`, name, value)
			invalid(t, name+" over REST", r.err(t), field)
			raw := h.dialRaw(t)
			id := raw.open("/kontor.consent.v1.ConsentService/CreateConsent", "authorization", "Bearer "+allKey,
				field, value)
			if code := raw.status(id); code != "3" {
				t.Errorf("%s over gRPC: status %s", name, code)
			}
		}
		r := h.do(t, "GET", "/v1/consents/1", "", "", "Authorization", "Bearer "+value)
		invalid(t, "authorization", r.err(t), "authorization")
	}
	if h.consents.count() != 0 {
		t.Errorf("the service was called %d times", h.consents.count())
	}
}

func TestRequestIDs(t *testing.T) {
	h := start(t)
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for given, kept := range map[string]bool{
		"mine-1": true, strings.Repeat("a", 128): true, "a/b:c~!": true,
		"": false,
	} {
		want := func(got, where string) {
			t.Helper()
			if kept && got != given || !kept && !uuid.MatchString(got) {
				t.Errorf("%q %s became %q", given, where, got)
			}
		}
		var header metadata.MD
		ctx := as(t.Context(), allKey)
		if given != "" {
			ctx = as(t.Context(), allKey, "x-request-id", given)
		}
		if _, err := h.client.GetConsent(ctx, &consentv1.GetConsentRequest{Name: "consents/1"},
			grpc.Header(&header)); err != nil {
			t.Fatal(err)
		}
		if ids := header.Get("x-request-id"); len(ids) != 1 {
			t.Errorf("%d ids in the header", len(ids))
		} else {
			want(ids[0], "over gRPC")
			want(h.consents.last(t).requestID, "in the service")
		}
		r := h.do(t, "GET", "/v1/consents/1", allKey, "", "X-Request-Id", given)
		if ids := r.header.Values("X-Request-Id"); len(ids) != 1 {
			t.Errorf("%d ids in the header: %q", len(ids), ids)
		} else {
			want(ids[0], "over REST")
			want(h.consents.last(t).requestID, "in the service")
		}
		r = h.do(t, "GET", "/v1/nowhere", allKey, "", "X-Request-Id", given)
		want(r.header.Get("X-Request-Id"), "without a route")
		want(kerr.Metadata(r.err(t))["requestId"], "in the error")
	}
	// One that cannot be taken is refused, under an id that was made for that.
	for what, bad := range map[string][]string{
		"two":   {"a", "b"},
		"long":  {strings.Repeat("a", 129)},
		"blank": {"a " + canary},
	} {
		var pairs []string
		for _, id := range bad {
			pairs = append(pairs, "x-request-id", id)
		}
		_, err := h.client.GetConsent(
			as(t.Context(), allKey, pairs...),
			&consentv1.GetConsentRequest{Name: "consents/1"},
		)
		invalid(t, what, err, "x-request-id")
		r := h.do(t, "GET", "/v1/consents/1", allKey, "", pairs...)
		invalid(t, what+" over REST", r.err(t), "x-request-id")
		if !uuid.MatchString(r.header.Get("X-Request-Id")) {
			t.Errorf("%s: the answer has the id %q", what, r.header.Get("X-Request-Id"))
		}
	}
}

// TestErrors makes sure that every error that leaves has a reason and that no cause is shown.
func TestErrors(t *testing.T) {
	h := start(t)
	for name, c := range map[string]struct {
		err    error
		reason errorv1.Error_Reason
		http   int
	}{
		"plain":     {errors.New(canary), errorv1.Error_INTERNAL, 500},
		"status":    {status.Error(codes.NotFound, canary), errorv1.Error_INTERNAL, 500},
		"own":       {kerr.New(errorv1.Error_DATA_NOT_READY, "wait"), errorv1.Error_DATA_NOT_READY, 400},
		"not found": {kerr.New(errorv1.Error_CONSENT_NOT_FOUND, "no"), errorv1.Error_CONSENT_NOT_FOUND, 404},
		"conflict": {kerr.New(errorv1.Error_IDEMPOTENCY_KEY_REUSED, "no"), errorv1.Error_IDEMPOTENCY_KEY_REUSED,
			409},
		"unavailable": {kerr.New(errorv1.Error_PROVIDER_UNAVAILABLE, "no", kerr.WithRetry(300*time.Millisecond)),
			errorv1.Error_PROVIDER_UNAVAILABLE, 503},
		"unknown": {kerr.New(errorv1.Error_OUTCOME_UNKNOWN, "no"), errorv1.Error_OUTCOME_UNKNOWN, 409},
		"unsupported": {kerr.New(errorv1.Error_CAPABILITY_UNSUPPORTED, "no"), errorv1.Error_CAPABILITY_UNSUPPORTED,
			501},
		"deadline":     {context.DeadlineExceeded, errorv1.Error_DEADLINE_EXCEEDED, 504},
		"wrapped gone": {fmt.Errorf("%s: %w", canary, context.Canceled), errorv1.Error_CANCELLED, 499},
	} {
		t.Run(name, func(t *testing.T) {
			h.consents.get = func(context.Context, *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
				return nil, c.err
			}
			check := func(err error) {
				t.Helper()
				if kerr.Reason(err) != c.reason || kerr.Metadata(err)["requestId"] != "r-1" {
					t.Errorf("got %v", err)
				}
				if strings.Contains(status.Convert(err).Proto().String(), canary) {
					t.Errorf("the cause is shown: %v", err)
				}
			}
			_, err := h.client.GetConsent(as(t.Context(), allKey, "x-request-id", "r-1"),
				&consentv1.GetConsentRequest{Name: "consents/1"})
			check(err)
			r := h.do(t, "GET", "/v1/consents/1", allKey, "", "X-Request-Id", "r-1")
			check(r.err(t))
			if r.status != c.http {
				t.Errorf("HTTP %d, want %d", r.status, c.http)
			}
			if got := r.header.Get("Retry-After"); (got == "1") != (kerr.Retry(c.err) > 0) || got != "" && got != "1" {
				t.Errorf("Retry-After is %q", got)
			}
		})
	}
	lines := h.log.lines(t, "call")
	if !slices.ContainsFunc(lines, func(l map[string]any) bool {
		return l["cause"] == canary && l["level"] == "ERROR"
	}) {
		t.Error("the log lacks the cause")
	}
}

func TestAccessLog(t *testing.T) {
	h := start(t)
	_, _ = h.client.GetConsent(as(t.Context(), readerKey, "x-request-id", "r-1"),
		&consentv1.GetConsentRequest{Name: "consents/" + canary})
	h.do(t, "GET", "/v1/consents/"+canary+"?refresh=true", readerKey, "", "X-Request-Id", "r-2")
	h.do(t, "POST", "/v1/consents", readerKey, `{"consent": {"reference": "`+canary+`"}}`, "X-Request-Id", "r-3")
	lines := h.log.lines(t, "call")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %s", len(lines), h.log)
	}
	for i, want := range []map[string]any{
		{"transport": "grpc", "method": "GetConsent", "code": "OK", "reason": nil, "request_id": "r-1"},
		{"transport": "rest", "method": "GetConsent", "code": "OK", "reason": nil, "request_id": "r-2"},
		{"transport": "rest", "method": "CreateConsent", "code": "PermissionDenied", "reason": "SCOPE_MISSING",
			"request_id": "r-3"},
	} {
		for key, value := range want {
			if lines[i][key] != value {
				t.Errorf("line %d: %s is %v, want %v", i, key, lines[i][key], value)
			}
		}
		if lines[i]["client"] != "reader" || lines[i]["tenant"] != "two" ||
			lines[i]["service"] != "kontor.consent.v1.ConsentService" {
			t.Errorf("line %d: %v", i, lines[i])
		}
		if _, ok := lines[i]["duration_ms"].(float64); !ok {
			t.Errorf("line %d has no duration", i)
		}
	}
	if strings.Contains(h.log.String(), canary) {
		t.Error("a field of a message, or a path, is in the log")
	}
	if len(h.log.lines(t, "request")) != 0 {
		t.Error("a call is logged twice")
	}
}

func TestPanics(t *testing.T) {
	h := start(t)
	h.consents.get = func(context.Context, *consentv1.GetConsentRequest) (*consentv1.Consent, error) { panic(canary) }
	h.consents.watch = func(*consentv1.WatchConsentsRequest, consentv1.ConsentService_WatchConsentsServer) error {
		return [...]error{nil}[len(h.base)]
	}
	internal := func(what string, err error) {
		t.Helper()
		if kerr.Reason(err) != errorv1.Error_INTERNAL || status.Code(err) != codes.Internal ||
			status.Convert(err).Message() != "internal error" {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := h.client.GetConsent(as(t.Context(), allKey), &consentv1.GetConsentRequest{Name: "consents/1"})
	internal("grpc", err)
	r := h.do(t, "GET", "/v1/consents/1", allKey, "")
	internal("rest", r.err(t))
	stream, err := h.client.WatchConsents(as(t.Context(), allKey), &consentv1.WatchConsentsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	internal("grpc stream", err)
	r = h.do(t, "GET", "/v1/consents:watch", allKey, "")
	internal("rest stream", r.err(t))

	h.consents.get = nil
	if _, err := h.client.GetConsent(as(t.Context(), allKey),
		&consentv1.GetConsentRequest{Name: "consents/1"}); err != nil {
		t.Errorf("the server does not live on: %v", err)
	}
	lines := h.log.lines(t, "a call panicked")
	if len(lines) != 4 {
		t.Fatalf("%d lines", len(lines))
	}
	for _, line := range lines {
		if stack, _ := line["stack"].(string); !strings.Contains(stack, "request_test.go") {
			t.Errorf("no stack: %v", line)
		}
	}
	if lines[0]["panic"] != "string" || !strings.Contains(fmt.Sprint(lines[2]["panic"]), "index out of range") {
		t.Errorf("panics are %v and %v", lines[0]["panic"], lines[2]["panic"])
	}
	if strings.Contains(h.log.String(), canary) {
		t.Error("a panic's value is in the log")
	}
}

func TestDeadlines(t *testing.T) {
	h := start(t, func(o *server.Options) { o.Limits.Timeout = 50 * time.Millisecond })
	h.consents.get = func(ctx context.Context, _ *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	_, err := h.client.GetConsent(as(t.Context(), allKey), &consentv1.GetConsentRequest{Name: "consents/1"})
	if kerr.Reason(err) != errorv1.Error_DEADLINE_EXCEEDED {
		t.Errorf("grpc: %v", err)
	}
	if r := h.do(t, "GET", "/v1/consents/1", allKey, ""); r.status != http.StatusGatewayTimeout ||
		kerr.Reason(r.err(t)) != errorv1.Error_DEADLINE_EXCEEDED {
		t.Errorf("rest: %d %s", r.status, r.body)
	}
	// A caller's own deadline counts, a longer one as well.
	h.consents.get = nil
	ctx, cancel := context.WithTimeout(as(t.Context(), allKey), time.Hour)
	defer cancel()
	if _, err := h.client.GetConsent(ctx, &consentv1.GetConsentRequest{Name: "consents/1"}); err != nil ||
		h.consents.last(t).deadline < 30*time.Minute {
		t.Errorf("%v, %s", err, h.consents.last(t).deadline)
	}
}

func TestSlots(t *testing.T) {
	h := start(t, func(o *server.Options) { o.Limits.MaxInFlight, o.Limits.MaxStreams = 1, 1 })
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	h.consents.get = func(context.Context, *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
		entered <- struct{}{}
		<-leave
		return &consentv1.Consent{}, nil
	}
	h.consents.watch = func(*consentv1.WatchConsentsRequest, consentv1.ConsentService_WatchConsentsServer) error {
		entered <- struct{}{}
		<-leave
		return nil
	}
	results := make(chan error, 2)
	go func() {
		_, err := h.client.GetConsent(as(context.Background(), allKey),
			&consentv1.GetConsentRequest{Name: "consents/1"})
		results <- err
	}()
	stream, err := h.client.WatchConsents(as(t.Context(), allKey), &consentv1.WatchConsentsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	<-entered
	if r := h.do(t, "GET", "/v1/consents/1", allKey, ""); r.status != http.StatusTooManyRequests ||
		kerr.Reason(r.err(t)) != errorv1.Error_GATEWAY_RATE_LIMITED ||
		!strings.Contains(r.body, "retryDelay") {
		t.Errorf("beyond the slots: %d %s", r.status, r.body)
	}
	second, err := h.client.WatchConsents(as(t.Context(), allKey), &consentv1.WatchConsentsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.Recv(); kerr.Reason(err) != errorv1.Error_GATEWAY_RATE_LIMITED {
		t.Errorf("beyond the streams: %v", err)
	}
	if answer, err := healthpb.NewHealthClient(h.conn).Check(t.Context(),
		&healthpb.HealthCheckRequest{}); err != nil || answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health under load: %v, %v", answer, err)
	}
	close(leave)
	if err := <-results; err != nil {
		t.Error(err)
	}
	if _, err := stream.Recv(); err == nil || status.Code(err) != codes.Unknown && err.Error() != "EOF" {
		t.Errorf("the first stream: %v", err)
	}
	h.consents.get = nil
	eventually(t, "the slot is free again", func() bool {
		return h.do(t, "GET", "/v1/consents/1", allKey, "").status == 200
	})
}

func TestOversize(t *testing.T) {
	h := start(t, func(o *server.Options) { o.Limits.MaxRequestBytes = 64 << 10 })
	big := `{"consent": {"reference": "` + strings.Repeat("x", 65<<10) + `"}}`
	r := h.do(t, "POST", "/v1/consents", allKey, big)
	if err := r.err(t); r.status != http.StatusRequestEntityTooLarge || status.Code(err) != codes.ResourceExhausted ||
		kerr.Reason(err) != errorv1.Error_TOO_LARGE || r.header.Get("Retry-After") != "" {
		t.Errorf("%d %s", r.status, r.body)
	}
	// Without a length in the header.
	request, err := http.NewRequestWithContext(t.Context(), "POST", h.base+"/v1/consents",
		struct{ *strings.Reader }{strings.NewReader(big)})
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = -1
	request.Header.Set("Authorization", "Bearer "+allKey)
	if r := read(t, request); r.status != http.StatusRequestEntityTooLarge {
		t.Errorf("chunked: %d %s", r.status, r.body)
	}
	_, err = customerv1.NewCustomerServiceClient(h.conn).CreateCustomer(
		as(t.Context(), allKey),
		&customerv1.CreateCustomerRequest{
			Customer: &customerv1.Customer{Reference: optional.Of(strings.Repeat("x", 65<<10))},
		},
	)
	if status.Code(err) != codes.ResourceExhausted || kerr.Reason(err) != errorv1.Error_TOO_LARGE {
		t.Errorf("grpc: %v", err)
	}
	if h.consents.count() != 0 {
		t.Error("an oversize request reached the service")
	}
}

func TestUnknownMethods(t *testing.T) {
	h := start(t)
	for _, name := range []string{"/kontor.consent.v1.ConsentService/" + canary, "/" + canary + "/Get",
		"/kontor.consent.v2.ConsentService/GetConsent"} {
		err := h.conn.Invoke(as(t.Context(), allKey), name, &consentv1.GetConsentRequest{}, &consentv1.Consent{})
		if status.Code(err) != codes.Unimplemented || kerr.Reason(err) != errorv1.Error_METHOD_NOT_FOUND ||
			kerr.Metadata(err)["requestId"] == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if strings.Contains(h.log.String(), canary) {
		t.Error("a caller's method name is in the log")
	}
	for _, c := range []struct {
		verb, path string
		status     int
		code       codes.Code
		allow      string
	}{
		{"GET", "/v1/nowhere", 404, codes.NotFound, ""},
		{"GET", "/v1/consents/1/nowhere", 404, codes.NotFound, ""},
		{"GET", "/v1", 404, codes.NotFound, ""},
		{"POST", "/", 405, codes.Unimplemented, "GET, HEAD"},
		{"POST", "/docs", 405, codes.Unimplemented, "GET, HEAD"},
		{"DELETE", "/openapi.json", 405, codes.Unimplemented, "GET, HEAD"},
		{"OPTIONS", "/v1/consents", 405, codes.Unimplemented, "GET, POST"},
		{"GET", "/nowhere", 404, codes.NotFound, ""},
		{"PUT", "/v1/consents/1", 405, codes.Unimplemented, "GET, DELETE"},
		{"PUT", "/v1/customers/1", 405, codes.Unimplemented, "GET, PATCH, DELETE"},
		{"DELETE", "/v1/consents", 405, codes.Unimplemented, "GET, POST"},
		{"POST", "/v1/consents/1:dance", 405, codes.Unimplemented, "GET, DELETE"},
		{"GET", "/v1/consents/1:revoke", 405, codes.Unimplemented, "POST"},
		{"DELETE", "/v1/consents/1:watch", 405, codes.Unimplemented, "GET"},
		{"OPTIONS", "/v1/companyLogos:search", 405, codes.Unimplemented, "POST"},
		{"GET", "/v1/consents/a%2Fb/c", 404, codes.NotFound, ""},
	} {
		r := h.do(t, c.verb, c.path, allKey, "")
		if err := r.err(t); r.status != c.status || status.Code(err) != c.code ||
			kerr.Code(kerr.Reason(err)) != c.code {
			t.Errorf("%s %s: %d %s", c.verb, c.path, r.status, r.body)
		}
		want := errorv1.Error_ROUTE_NOT_FOUND
		if c.allow != "" {
			want = errorv1.Error_METHOD_NOT_FOUND
		}
		if reason := kerr.Reason(r.err(t)); reason != want {
			t.Errorf("%s %s: %s, want %s", c.verb, c.path, reason, want)
		}
		if got := r.header.Get("Allow"); got != c.allow {
			t.Errorf("%s %s allows %q, want %q", c.verb, c.path, got, c.allow)
		}
	}
	// An answer to HEAD has no body.
	for path, want := range map[string]struct {
		status int
		allow  string
	}{
		"/": {200, ""}, "/docs": {200, ""}, "/openapi.json": {200, ""}, "/nowhere": {404, ""},
		"/v1/consents": {405, "GET, POST"}, "/v1/consents/1": {405, "GET, DELETE"},
		"/v1/consents/1:revoke": {405, "POST"}, "/v1/consents/1/connections/2:sync": {405, "POST"},
	} {
		r := h.do(t, "HEAD", path, allKey, "")
		if r.status != want.status || len(r.body) != 0 || r.header.Get("Allow") != want.allow {
			t.Errorf("HEAD %s: %d %v %s", path, r.status, r.header, r.body)
		}
	}
	// POST is POST, whatever a header or a form says.
	r := h.do(t, "POST", "/v1/consents/1", allKey, "", "X-HTTP-Method-Override", "DELETE", "Content-Type",
		"application/x-www-form-urlencoded")
	if r.status != 405 {
		t.Errorf("the method is overridden: %d %s", r.status, r.body)
	}
}
