package api

import (
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Methods gives the descriptors of the service's methods.
func (s Service) Methods() ([]protoreflect.MethodDescriptor, error) {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(s.Desc.ServiceName))
	if err != nil {
		return nil, fmt.Errorf("api: %s has no descriptor", s.Desc.ServiceName)
	}
	descriptor, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, fmt.Errorf("api: %s is no service", s.Desc.ServiceName)
	}
	methods := make([]protoreflect.MethodDescriptor, descriptor.Methods().Len())
	for i := range methods {
		methods[i] = descriptor.Methods().Get(i)
	}
	return methods, nil
}

// FullName is a method's name as calls have it, such as "/kontor.consent.v1.ConsentService/GetConsent".
func FullName(method protoreflect.MethodDescriptor) string {
	return "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
}

// Binding is one HTTP mapping of a method: a google.api.http rule, or one of its additional bindings.
type Binding struct {
	// Verb is the HTTP method.
	Verb string
	// Path is the template of the path, such as "/v1/{name=consents/*}".
	Path string
	// Body is the request's field that the HTTP body holds, "*" for the whole request, empty for none.
	Body string
}

// Route is verb and path, such as "GET /v1/{name=consents/*}". It tells one binding from all others.
func (b Binding) Route() string { return b.Verb + " " + b.Path }

// Bindings gives a method's HTTP mappings, the main one first. A method without any has none.
func Bindings(method protoreflect.MethodDescriptor) []Binding {
	rule, ok := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule.GetPattern() == nil {
		return nil
	}
	bindings := []Binding{binding(rule)}
	for _, further := range rule.GetAdditionalBindings() {
		bindings = append(bindings, binding(further))
	}
	return bindings
}

func binding(rule *annotations.HttpRule) Binding {
	b := Binding{Body: rule.GetBody()}
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		b.Verb, b.Path = http.MethodGet, p.Get
	case *annotations.HttpRule_Put:
		b.Verb, b.Path = http.MethodPut, p.Put
	case *annotations.HttpRule_Post:
		b.Verb, b.Path = http.MethodPost, p.Post
	case *annotations.HttpRule_Delete:
		b.Verb, b.Path = http.MethodDelete, p.Delete
	case *annotations.HttpRule_Patch:
		b.Verb, b.Path = http.MethodPatch, p.Patch
	case *annotations.HttpRule_Custom:
		b.Verb, b.Path = strings.ToUpper(p.Custom.GetKind()), p.Custom.GetPath()
	}
	return b
}
