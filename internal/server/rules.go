package server

import (
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// rule tells who may call a method.
type rule struct {
	// service and method are the RPC's names, such as "kontor.consent.v1.ConsentService" and "GetConsent".
	service, method string
	// scope is what the client must have, such as "consents.read".
	scope string
	// stream tells that the answer is a stream.
	stream bool
}

// scopes names the part of a scope that belongs to a service.
var scopes = map[protoreflect.FullName]string{
	"kontor.customer.v1.CustomerService":  "customers",
	"kontor.consent.v1.ConsentService":    "consents",
	"kontor.banking.v1.BankingService":    "banking",
	"kontor.insights.v1.InsightsService":  "insights",
	"kontor.documents.v1.DocumentService": "documents",
	"kontor.provider.v1.ProviderService":  "providers",
}

// reads are the methods that only read although HTTP has them as POST: their requests do not fit into a URL.
var reads = map[protoreflect.FullName]bool{
	"kontor.insights.v1.InsightsService.SearchCompanyLogos": true,
}

// newRules makes the table of rules, by full method such as "/kontor.consent.v1.ConsentService/GetConsent", from the services' descriptors.
// A method that gives no rule is an error: nothing is served by default.
func newRules(services ...*grpc.ServiceDesc) (map[string]rule, error) {
	rules := map[string]rule{}
	for _, service := range services {
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service.ServiceName))
		if err != nil {
			return nil, fmt.Errorf("server: %s has no descriptor", service.ServiceName)
		}
		descriptor, ok := found.(protoreflect.ServiceDescriptor)
		if !ok {
			return nil, fmt.Errorf("server: %s is no service", service.ServiceName)
		}
		methods := descriptor.Methods()
		for i := range methods.Len() {
			method := methods.Get(i)
			made, err := ruleOf(method)
			if err != nil {
				return nil, err
			}
			rules["/"+made.service+"/"+made.method] = made
		}
	}
	return rules, nil
}

func ruleOf(method protoreflect.MethodDescriptor) (rule, error) {
	service := method.Parent().FullName()
	scope, ok := scopes[service]
	if !ok {
		return rule{}, fmt.Errorf("server: %s has no scope", service)
	}
	mapping, ok := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || mapping.GetPattern() == nil {
		return rule{}, fmt.Errorf("server: %s has no HTTP mapping to tell reading from writing", method.FullName())
	}
	access := "write"
	if verb(mapping) == http.MethodGet || reads[method.FullName()] {
		access = "read"
	}
	return rule{
		service: string(service), method: string(method.Name()), scope: scope + "." + access, stream: method.IsStreamingServer(),
	}, nil
}

// verb gives the HTTP method of a mapping.
func verb(mapping *annotations.HttpRule) string {
	switch mapping.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet
	case *annotations.HttpRule_Put:
		return http.MethodPut
	case *annotations.HttpRule_Post:
		return http.MethodPost
	case *annotations.HttpRule_Delete:
		return http.MethodDelete
	case *annotations.HttpRule_Patch:
		return http.MethodPatch
	}
	return strings.ToUpper(mapping.GetCustom().GetKind())
}

// requestsOf makes an empty request of every method.
func requestsOf(rules map[string]rule) ([]proto.Message, error) {
	var requests []proto.Message
	for _, r := range rules {
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(r.service + "." + r.method))
		if err != nil {
			return nil, fmt.Errorf("server: %s/%s has no descriptor", r.service, r.method)
		}
		method, ok := found.(protoreflect.MethodDescriptor)
		if !ok {
			return nil, fmt.Errorf("server: %s/%s is no method", r.service, r.method)
		}
		request, err := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
		if err != nil {
			return nil, fmt.Errorf("server: %s has no Go type", method.Input().FullName())
		}
		requests = append(requests, request.New().Interface())
	}
	return requests, nil
}
