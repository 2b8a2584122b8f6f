package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
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

// customMethod is one of the paths that end in a custom method, such as those of "/v1/{name=consents/*}:revoke". The
// gateway would take `consents/1:revoke` for the name of a consent, under whatever verb consents themselves have.
type customMethod struct {
	path  *regexp.Regexp
	verbs []string
}

// variable matches {name=consents/*} in a template, between what it leaves to stand as it is.
var variable = regexp.MustCompile(`\\\{[a-z_.]+=([^}]+)\\\}`)

// newCustomMethods lists the custom methods of all services.
func newCustomMethods() ([]customMethod, error) {
	verbs := map[string][]string{}
	for _, service := range api.Services() {
		methods, err := service.Methods()
		if err != nil {
			return nil, fmt.Errorf("rest: %w", err)
		}
		for _, method := range methods {
			for _, binding := range api.Bindings(method) {
				if last := binding.Path[strings.LastIndexByte(binding.Path, '/'):]; strings.Contains(last, ":") {
					verbs[binding.Path] = append(verbs[binding.Path], binding.Verb)
				}
			}
		}
	}
	customs := make([]customMethod, 0, len(verbs))
	for template, taken := range verbs {
		path := variable.ReplaceAllString(regexp.QuoteMeta(template), "$1")
		path = strings.ReplaceAll(path, `\*`, "[^/]+")
		customs = append(customs, customMethod{regexp.MustCompile("^" + path + "$"), taken})
	}
	return customs, nil
}

// customVerbs lists the verbs that a path with a custom method takes; none for any other path.
func customVerbs(customs []customMethod, target *url.URL) []string {
	path := target.EscapedPath()
	if !strings.Contains(path, ":") {
		return nil
	}
	for _, custom := range customs {
		if custom.path.MatchString(path) {
			return custom.verbs
		}
	}
	return nil
}
