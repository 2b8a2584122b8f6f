// Command contract finds what of REST's paths an image of the .proto files lacks that an earlier one has:
//
//	go run ./contract OLD NEW
//
// buf looks at messages, fields, enums and methods, but not at what their options say.
package main

import (
	"fmt"
	"os"
	"slices"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: contract OLD NEW")
		os.Exit(2)
	}
	missing, err := compare(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "contract:", err)
		os.Exit(1)
	}
	for _, m := range missing {
		fmt.Fprintln(os.Stderr, m)
	}
	if len(missing) > 0 {
		os.Exit(1)
	}
}

// compare lists the mappings of the old image that the new one lacks.
func compare(old, now string) ([]string, error) {
	before, err := mappings(old)
	if err != nil {
		return nil, err
	}
	after, err := mappings(now)
	if err != nil {
		return nil, err
	}
	var missing []string
	for method, list := range before {
		for _, mapping := range list {
			if !slices.Contains(after[method], mapping) {
				missing = append(missing, fmt.Sprintf("%s is no longer mapped to %s", method, mapping))
			}
		}
	}
	slices.Sort(missing)
	return missing, nil
}

// mappings lists the HTTP mappings of an image's methods, such as "GET /v1/{name=consents/*}, body *".
func mappings(path string) (map[protoreflect.FullName][]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(raw, set); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	all := map[protoreflect.FullName][]string{}
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				method := methods.Get(j)
				rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
				for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
					if r.GetPattern() != nil {
						all[method.FullName()] = append(all[method.FullName()], mapping(r))
					}
				}
			}
		}
		return true
	})
	return all, nil
}

func mapping(r *annotations.HttpRule) string {
	verb, path := "", ""
	switch r.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		verb, path = "GET", r.GetGet()
	case *annotations.HttpRule_Post:
		verb, path = "POST", r.GetPost()
	case *annotations.HttpRule_Patch:
		verb, path = "PATCH", r.GetPatch()
	case *annotations.HttpRule_Delete:
		verb, path = "DELETE", r.GetDelete()
	case *annotations.HttpRule_Put:
		verb, path = "PUT", r.GetPut()
	}
	return fmt.Sprintf("%s %s, body %q", verb, path, r.GetBody())
}
