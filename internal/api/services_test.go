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

// eachDescriptor visits the messages and enums of the API.
func eachDescriptor(message func(protoreflect.MessageDescriptor), enum func(protoreflect.EnumDescriptor)) {
	var walk func(messages protoreflect.MessageDescriptors, enums protoreflect.EnumDescriptors)
	walk = func(messages protoreflect.MessageDescriptors, enums protoreflect.EnumDescriptors) {
		for i := range enums.Len() {
			enum(enums.Get(i))
		}
		for i := range messages.Len() {
			message(messages.Get(i))
			walk(messages.Get(i).Messages(), messages.Get(i).Enums())
		}
	}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(string(file.Package()), "kontor.") {
			walk(file.Messages(), file.Enums())
		}
		return true
	})
}

// TestNumbersAreNumbers: JSON has 64-bit integers as text, which no caller expects of a number.
func TestNumbersAreNumbers(t *testing.T) {
	t.Parallel()
	seen := 0
	eachDescriptor(func(message protoreflect.MessageDescriptor) {
		for i := range message.Fields().Len() {
			field := message.Fields().Get(i)
			seen++
			switch field.Kind() {
			case protoreflect.Int64Kind, protoreflect.Uint64Kind, protoreflect.Sint64Kind, protoreflect.Fixed64Kind,
				protoreflect.Sfixed64Kind:
				t.Errorf("%s is %s, which JSON writes as text", field.FullName(), field.Kind())
			}
		}
	}, func(protoreflect.EnumDescriptor) {})
	if seen < 100 {
		t.Errorf("only %d fields were looked at", seen)
	}
}

// TestEnumsCanGrow: the values of an enum stand in the scope around it and carry no prefix, so two enums in one scope
// would keep each other from getting a value of the same name.
func TestEnumsCanGrow(t *testing.T) {
	t.Parallel()
	byScope := map[protoreflect.FullName][]string{}
	eachDescriptor(func(protoreflect.MessageDescriptor) {}, func(enum protoreflect.EnumDescriptor) {
		scope := enum.Parent().FullName()
		byScope[scope] = append(byScope[scope], string(enum.Name()))
		if _, inMessage := enum.Parent().(protoreflect.MessageDescriptor); !inMessage {
			t.Errorf("%s stands in no message", enum.FullName())
		}
		first := enum.Values().ByNumber(0)
		if first == nil || !strings.HasSuffix(string(first.Name()), "_UNSPECIFIED") {
			t.Errorf("the zero of %s says something", enum.FullName())
		}
	})
	for scope, enums := range byScope {
		if len(enums) > 1 {
			t.Errorf("%s has several enums: %v", scope, enums)
		}
	}
	if len(byScope) < 10 {
		t.Errorf("only %d enums were looked at", len(byScope))
	}
}
