package guard

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/api"
)

func served(t *testing.T) map[string]rule {
	t.Helper()
	var services []api.Implementation
	for _, s := range api.Services() {
		services = append(services, api.Implementation{Service: s})
	}
	rules, _, err := newRules(services, 16<<20)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// TestEveryMethodHasARule goes through all services that the API defines, so that one which nobody registers shows as
// well.
func TestEveryMethodHasARule(t *testing.T) {
	rules := served(t)
	known := api.Scopes()
	count := 0
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "kontor.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				count++
				method := methods.Get(j)
				full := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
				r, ok := rules[full]
				if !ok {
					t.Errorf("%s is not served", full)
					continue
				}
				if !slices.Contains(known, r.scope) {
					t.Errorf("%s needs the scope %s, which no client can have", full, r.scope)
				}
				mapping, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
				reads := mapping.GetGet() != "" || method.Name() == "SearchCompanyLogos" ||
					method.Name() == "CreateWatchTicket"
				if reads != strings.HasSuffix(r.scope, ".read") {
					t.Errorf("%s needs %s", full, r.scope)
				}
				if r.stream != method.IsStreamingServer() {
					t.Errorf("%s: stream is %t", full, r.stream)
				}
			}
		}
		return true
	})
	if count < 30 || count != len(rules) {
		t.Errorf("%d methods, %d rules", count, len(rules))
	}
	for method, scope := range map[string]string{
		"/kontor.consent.v1.ConsentService/SimulateDecision":        "consents.write",
		"/kontor.consent.v1.ConsentService/ListPartnerBanks":        "consents.read",
		"/kontor.consent.v1.ConsentService/WatchConsents":           "consents.read",
		"/kontor.banking.v1.BankingService/StreamTransactions":      "banking.read",
		"/kontor.banking.v1.BankingService/ImportConnections":       "banking.write",
		"/kontor.customer.v1.CustomerService/DeleteCustomer":        "customers.write",
		"/kontor.insights.v1.InsightsService/SearchCompanyLogos":    "insights.read",
		"/kontor.documents.v1.DocumentService/CreateShipment":       "documents.write",
		"/kontor.provider.v1.ProviderService/ListProviderUsers":     "providers.read",
		"/kontor.insights.v1.InsightsService/GetInsights":           "insights.read",
		"/kontor.customer.v1.CustomerService/UpdateCustomer":        "customers.write",
		"/kontor.consent.v1.ConsentService/RevokeConsent":           "consents.write",
		"/kontor.documents.v1.DocumentService/WatchShipments":       "documents.read",
		"/kontor.banking.v1.BankingService/CreateManagementSession": "banking.write",
	} {
		if rules[method].scope != scope {
			t.Errorf("%s needs %q, want %s", method, rules[method].scope, scope)
		}
	}
}

// TestNoRuleIsAnError makes sure that a service or method without a rule stops the start.
func TestNoRuleIsAnError(t *testing.T) {
	more := consentv1.ConsentService_ServiceDesc
	more.Methods = append(slices.Clone(more.Methods), grpc.MethodDesc{MethodName: "New"})
	for want, service := range map[string]api.Service{
		"has no scope":      {Desc: &healthpb.Health_ServiceDesc},
		"HTTP mapping":      {Desc: &healthpb.Health_ServiceDesc, Scope: "health"},
		"has no descriptor": {Desc: &grpc.ServiceDesc{ServiceName: "nobody.v1.Knows"}, Scope: "nobody"},
		"has no rule":       {Desc: &more, Scope: "consents"},
	} {
		if _, _, err := newRules([]api.Implementation{{Service: service}}, 16<<20); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	mapped := &descriptorpb.MethodOptions{}
	proto.SetExtension(mapped, annotations.E_Http,
		&annotations.HttpRule{Pattern: &annotations.HttpRule_Post{Post: "/v1/send"}})
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("t.proto"), Package: new("kontor.consent.v1"), Syntax: new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: new("M")}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("ConsentService"),
			Method: []*descriptorpb.MethodDescriptorProto{
				{Name: new("New"), InputType: new(".kontor.consent.v1.M"), OutputType: new(".kontor.consent.v1.M")},
				{Name: new("Send"), InputType: new(".kontor.consent.v1.M"), OutputType: new(".kontor.consent.v1.M"),
					ClientStreaming: new(true), Options: mapped},
			}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ruleOf("consents", file.Services().Get(0).Methods().Get(0)); err == nil ||
		!strings.Contains(err.Error(), "HTTP mapping") {
		t.Errorf("a method without an HTTP mapping: %v", err)
	}
	if _, err := ruleOf("consents", file.Services().Get(0).Methods().Get(1)); err == nil ||
		!strings.Contains(err.Error(), "stream") {
		t.Errorf("a request that is a stream: %v", err)
	}
}
