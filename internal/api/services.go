package api

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
)

// services are all RPC services, in the order in which their scopes are listed to people. The first column is the
// service's word in scopes: "consents" makes consents.read and consents.write.
var services = []Service{
	service("customers", &customerv1.CustomerService_ServiceDesc,
		customerv1.NewCustomerServiceClient, customerv1.RegisterCustomerServiceHandlerClient),
	service("consents", &consentv1.ConsentService_ServiceDesc,
		consentv1.NewConsentServiceClient, consentv1.RegisterConsentServiceHandlerClient),
	service("banking", &bankingv1.BankingService_ServiceDesc,
		bankingv1.NewBankingServiceClient, bankingv1.RegisterBankingServiceHandlerClient),
	service("insights", &insightsv1.InsightsService_ServiceDesc,
		insightsv1.NewInsightsServiceClient, insightsv1.RegisterInsightsServiceHandlerClient),
	service("documents", &documentsv1.DocumentService_ServiceDesc,
		documentsv1.NewDocumentServiceClient, documentsv1.RegisterDocumentServiceHandlerClient),
	service("providers", &providerv1.ProviderService_ServiceDesc,
		providerv1.NewProviderServiceClient, providerv1.RegisterProviderServiceHandlerClient),
}

// Service is one RPC service.
type Service struct {
	// Scope is the service's word in scopes, such as "consents".
	Scope string
	// Desc is what gRPC serves.
	Desc *grpc.ServiceDesc
	// RouteREST adds the service's HTTP mappings to a mux. Their calls go out through the connection.
	RouteREST func(context.Context, *runtime.ServeMux, grpc.ClientConnInterface) error
}

// service makes an entry of the list from what the generators made of one service.
func service[Client any](
	scope string, desc *grpc.ServiceDesc, client func(grpc.ClientConnInterface) Client,
	route func(context.Context, *runtime.ServeMux, Client) error,
) Service {
	return Service{
		Scope: scope, Desc: desc,
		RouteREST: func(ctx context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) error {
			return route(ctx, mux, client(conn))
		},
	}
}

// Services lists all services.
func Services() []Service { return slices.Clone(services) }

// Scopes lists the scopes that a client can have.
func Scopes() []string {
	scopes := []string{"*"}
	for _, s := range services {
		scopes = append(scopes, s.Scope+".read", s.Scope+".write")
	}
	return scopes
}

// Implementation is a service with what answers its calls.
type Implementation struct {
	Service
	// Server answers the calls.
	Server any
}

// Implementations calls register, as one would with a gRPC server, and gives every service with its implementation.
// It is an error when a service has none or more than one, or when something is registered that is not in the list:
// it would be served without rules.
func Implementations(register func(grpc.ServiceRegistrar)) ([]Implementation, error) {
	registered := registrar{}
	if register != nil {
		register(registered)
	}
	all := make([]Implementation, 0, len(services))
	for _, s := range services {
		name := s.Desc.ServiceName
		servers := registered[name]
		delete(registered, name)
		switch {
		case len(servers) > 1:
			return nil, fmt.Errorf("api: %s is implemented twice", name)
		case len(servers) == 0 || missing(servers[0]):
			return nil, fmt.Errorf("api: %s has no implementation", name)
		}
		all = append(all, Implementation{Service: s, Server: servers[0]})
	}
	for name := range registered {
		return nil, fmt.Errorf("api: %s is not in the list of services", name)
	}
	return all, nil
}

// missing tells whether an implementation is nil, be it as an interface or as a pointer in one.
func missing(server any) bool {
	if server == nil {
		return true
	}
	v := reflect.ValueOf(server)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// registrar collects implementations by the service's name.
type registrar map[string][]any

// RegisterService implements grpc.ServiceRegistrar.
func (r registrar) RegisterService(desc *grpc.ServiceDesc, server any) {
	r[desc.ServiceName] = append(r[desc.ServiceName], server)
}
