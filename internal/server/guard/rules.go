package guard

import (
	"fmt"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"kontor.dev/kontor/internal/api"
	"kontor.dev/kontor/internal/telemetry"
)

// rule tells who may call a method.
type rule struct {
	// service and method are the RPC's names, such as "kontor.consent.v1.ConsentService" and "GetConsent".
	service, method string
	// scope is what the client must have, such as "consents.read".
	scope string
	// stream tells that the answer is a stream.
	stream bool
	// maxRequest is how many bytes its request may have, as JSON or as a message.
	maxRequest int
	// metrics measure its calls.
	metrics *telemetry.Method
}

// How many bytes requests may have. Most hold a name and some words; two hold lists; documents and accounts that are
// imported may be as large as the configuration says.
const (
	smallRequest  = 64 << 10
	mediumRequest = 1 << 20
)

// largeRequests are the methods whose requests may be larger than small; zero for as large as is configured.
var largeRequests = map[protoreflect.FullName]int{
	"kontor.consent.v1.ConsentService.CreateConsent":        mediumRequest,
	"kontor.insights.v1.InsightsService.SearchCompanyLogos": mediumRequest,
	"kontor.banking.v1.BankingService.ImportConnections":    0,
	"kontor.documents.v1.DocumentService.CreateShipment":    0,
}

// maxRequest gives how many bytes a method's request may have where none may have more than largest.
func maxRequest(method protoreflect.FullName, largest int) int {
	size, large := largeRequests[method]
	switch {
	case !large:
		return min(smallRequest, largest)
	case size == 0:
		return largest
	}
	return min(size, largest)
}

// reads are the methods that only read although HTTP has them as POST.
var reads = map[protoreflect.FullName]bool{
	"kontor.insights.v1.InsightsService.SearchCompanyLogos": true,
	"kontor.consent.v1.ConsentService.CreateWatchTicket":    true,
}

// newRules makes the table of rules, by full method such as "/kontor.consent.v1.ConsentService/GetConsent", from the
// services' descriptors, and an empty request of every method. No request may have more than largest bytes. A method
// that gives no rule is an error.
func newRules(services []api.Implementation, largest int) (map[string]rule, []proto.Message, error) {
	rules := map[string]rule{}
	var requests []proto.Message
	for _, service := range services {
		methods, err := service.Methods()
		if err != nil {
			return nil, nil, err
		}
		for _, method := range methods {
			made, err := ruleOf(service.Scope, method)
			if err != nil {
				return nil, nil, err
			}
			request, err := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
			if err != nil {
				return nil, nil, fmt.Errorf("guard: %s has no Go type", method.Input().FullName())
			}
			made.maxRequest = maxRequest(method.FullName(), largest)
			rules[api.FullName(method)] = made
			requests = append(requests, request.New().Interface())
		}
		if err := complete(rules, service.Desc); err != nil {
			return nil, nil, err
		}
	}
	return rules, requests, nil
}

// complete makes sure that whatever gRPC would serve of a service has a rule.
func complete(rules map[string]rule, desc *grpc.ServiceDesc) error {
	served := make([]string, 0, len(desc.Methods)+len(desc.Streams))
	for _, m := range desc.Methods {
		served = append(served, m.MethodName)
	}
	for _, s := range desc.Streams {
		served = append(served, s.StreamName)
	}
	for _, name := range served {
		if _, ok := rules["/"+desc.ServiceName+"/"+name]; !ok {
			return fmt.Errorf("guard: %s/%s has no rule", desc.ServiceName, name)
		}
	}
	return nil
}

// ruleOf gives the rule of a method whose service has a word in scopes.
func ruleOf(scope string, method protoreflect.MethodDescriptor) (rule, error) {
	bindings := api.Bindings(method)
	switch {
	case scope == "":
		return rule{}, fmt.Errorf("guard: %s has no scope", method.Parent().FullName())
	case len(bindings) == 0:
		return rule{}, fmt.Errorf("guard: %s has no HTTP mapping to tell reading from writing", method.FullName())
	case method.IsStreamingClient():
		return rule{}, fmt.Errorf("guard: the request of %s is a stream, which REST cannot express", method.FullName())
	}
	access := "write"
	if bindings[0].Verb == http.MethodGet || reads[method.FullName()] {
		access = "read"
	}
	return rule{
		service: string(method.Parent().FullName()), method: string(method.Name()), scope: scope + "." + access,
		stream: method.IsStreamingServer(),
	}, nil
}
