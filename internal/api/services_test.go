package api_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/api"
)

// TestEveryServiceIsListed: a service that the API describes and nobody added to the list fails here.
func TestEveryServiceIsListed(t *testing.T) {
	t.Parallel()
	var listed, described []string
	for _, s := range api.Services() {
		listed = append(listed, s.Desc.ServiceName)
		methods, err := s.Methods()
		if err != nil || len(methods) != len(s.Desc.Methods)+len(s.Desc.Streams) {
			t.Errorf("%s: %d methods, %v", s.Desc.ServiceName, len(methods), err)
		}
		for _, m := range methods {
			if len(api.Bindings(m)) == 0 || api.FullName(m) != "/"+s.Desc.ServiceName+"/"+string(m.Name()) {
				t.Errorf("%s: %s, %v", m.FullName(), api.FullName(m), api.Bindings(m))
			}
		}
	}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := 0; strings.HasPrefix(string(file.Package()), "kontor.") && i < file.Services().Len(); i++ {
			described = append(described, string(file.Services().Get(i).FullName()))
		}
		return true
	})
	slices.Sort(listed)
	slices.Sort(described)
	if !slices.Equal(listed, described) {
		t.Errorf("listed are %v, described %v", listed, described)
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	want := "* customers.read customers.write consents.read consents.write banking.read banking.write " +
		"insights.read insights.write documents.read documents.write providers.read providers.write"
	if got := strings.Join(api.Scopes(), " "); got != want {
		t.Errorf("got %s", got)
	}
}

// none is nobody's consents.
type none struct {
	consentv1.UnimplementedConsentServiceServer
}

func TestImplementations(t *testing.T) {
	t.Parallel()
	without := func(to grpc.ServiceRegistrar) {
		customerv1.RegisterCustomerServiceServer(to, customerv1.UnimplementedCustomerServiceServer{})
		bankingv1.RegisterBankingServiceServer(to, bankingv1.UnimplementedBankingServiceServer{})
		insightsv1.RegisterInsightsServiceServer(to, insightsv1.UnimplementedInsightsServiceServer{})
		documentsv1.RegisterDocumentServiceServer(to, documentsv1.UnimplementedDocumentServiceServer{})
		providerv1.RegisterProviderServiceServer(to, providerv1.UnimplementedProviderServiceServer{})
	}
	with := func(server any) func(grpc.ServiceRegistrar) {
		return func(to grpc.ServiceRegistrar) {
			without(to)
			to.RegisterService(&consentv1.ConsentService_ServiceDesc, server)
		}
	}
	for want, register := range map[string]func(grpc.ServiceRegistrar){
		"kontor.customer.v1.CustomerService has no implementation": nil,
		"kontor.consent.v1.ConsentService has no implementation":   without,
		"kontor.consent.v1.ConsentService is implemented twice": func(to grpc.ServiceRegistrar) {
			with(none{})(to)
			consentv1.RegisterConsentServiceServer(to, none{})
		},
		"grpc.health.v1.Health is not in the list": func(to grpc.ServiceRegistrar) {
			with(none{})(to)
			healthpb.RegisterHealthServer(to, healthpb.UnimplementedHealthServer{})
		},
	} {
		if all, err := api.Implementations(register); err == nil || !strings.Contains(err.Error(), want) || all != nil {
			t.Errorf("%s: %v", want, err)
		}
	}
	for _, missing := range []any{nil, (*none)(nil), consentv1.ConsentServiceServer(nil)} {
		if _, err := api.Implementations(with(missing)); err == nil {
			t.Errorf("%T is taken", missing)
		}
	}
	all, err := api.Implementations(with(none{}))
	if err != nil || len(all) != len(api.Services()) {
		t.Fatalf("%d, %v", len(all), err)
	}
	for i, s := range api.Services() {
		if all[i].Desc != s.Desc || all[i].Server == nil {
			t.Errorf("%s has %T", s.Desc.ServiceName, all[i].Server)
		}
	}
}
