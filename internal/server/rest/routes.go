package rest

import (
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"kontor.dev/kontor/internal/api"
)

// route is what the API's description says of one HTTP mapping, beyond what the gateway makes of it.
type route struct {
	// method is the full name of the method, such as "/kontor.consent.v1.ConsentService/GetConsent".
	method string
	// query tells that the request has fields which only a query can hold.
	query bool
	// creation is set where the body holds a request that creates a resource.
	creation *creation
	// update is set where the body is a resource that is updated.
	update *update
}

// newRoutes reads the HTTP mappings of all services. Its keys are those of api.Binding.Route.
func newRoutes() (map[string]route, error) {
	routes := map[string]route{}
	for _, service := range api.Services() {
		methods, err := service.Methods()
		if err != nil {
			return nil, fmt.Errorf("rest: %w", err)
		}
		for _, method := range methods {
			for _, binding := range api.Bindings(method) {
				routes[binding.Route()] = routeOf(method, binding)
			}
		}
	}
	return routes, nil
}

func routeOf(method protoreflect.MethodDescriptor, binding api.Binding) route {
	r := route{method: api.FullName(method), query: hasQuery(method.Input(), binding)}
	switch {
	case binding.Verb == http.MethodPost && binding.Body == "*":
		r.creation = creationOf(method)
	case binding.Verb == http.MethodPatch && binding.Body != "*":
		r.update = updateOf(method, binding)
	}
	return r
}

// hasQuery tells whether a request has fields beyond those of its path and body.
func hasQuery(request protoreflect.MessageDescriptor, binding api.Binding) bool {
	if binding.Body == "*" {
		return false
	}
	for i := range request.Fields().Len() {
		name := string(request.Fields().Get(i).Name())
		if name != binding.Body && !strings.Contains(binding.Path, "{"+name+"=") {
			return true
		}
	}
	return false
}
