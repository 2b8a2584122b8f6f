package worldtest

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Methods are all RPCs of Kontor, in the order of their names, from the descriptors that are linked in.
func Methods() []protoreflect.MethodDescriptor {
	var all []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := 0; strings.HasPrefix(string(file.Package()), "kontor.") && j < methods.Len(); j++ {
				all = append(all, methods.Get(j))
			}
		}
		return true
	})
	slices.SortFunc(all, func(a, b protoreflect.MethodDescriptor) int {
		return cmp.Compare(a.FullName(), b.FullName())
	})
	return all
}

// Rule is the HTTP mapping of an RPC; nil when it has none.
func Rule(m protoreflect.MethodDescriptor) *annotations.HttpRule {
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	return rule
}

// Reads tells whether a method changes nothing, so that a scope to read is enough.
func Reads(method protoreflect.MethodDescriptor) bool {
	return Rule(method).GetGet() != "" || method.Name() == "SearchCompanyLogos" || method.Name() == "CreateWatchTicket"
}
