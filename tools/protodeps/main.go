// Command protodeps writes the third-party .proto files that Kontor's own files
// import into a directory, printed from the descriptors that the pinned Go
// modules carry:
//
//	go run ./protodeps -out ../.build/proto
//
// The texts are therefore exactly the versions that go.mod and go.sum name, need
// no schema registry, and are not committed. buf reads the directory as a second
// module of the workspace, which lint and breaking leave alone. The well-known
// google/protobuf types are left out: every compiler brings its own.
//
// To import a further third-party file, add it to [roots]; what it imports itself
// follows.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv2/options"
	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// roots are the files that proto/ may import. Naming the Go variables, not paths
// in a registry, makes a missing file a build error.
var roots = []protoreflect.FileDescriptor{
	annotations.File_google_api_annotations_proto,
	annotations.File_google_api_client_proto,
	annotations.File_google_api_field_behavior_proto,
	annotations.File_google_api_field_info_proto,
	annotations.File_google_api_http_proto,
	annotations.File_google_api_resource_proto,
	status.File_google_rpc_status_proto,
	errdetails.File_google_rpc_error_details_proto,
	validate.File_buf_validate_validate_proto,
	options.File_protoc_gen_openapiv2_options_annotations_proto,
}

func main() {
	out := flag.String("out", "", "directory to write to; its content is replaced")
	flag.Parse()
	if *out == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "protodeps:", err)
		os.Exit(1)
	}
}

// run replaces dir by the printed files. It writes beside dir first, so that an
// interrupted run leaves the previous content as it was.
func run(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".protodeps-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, file := range closure(roots) {
		if err := write(tmp, file); err != nil {
			return fmt.Errorf("%s: %w", file.Path(), err)
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}

// closure returns the files and everything they import, once each and in the order
// of their paths, without google/protobuf.
func closure(files []protoreflect.FileDescriptor) []protoreflect.FileDescriptor {
	seen := map[string]protoreflect.FileDescriptor{}
	var visit func(protoreflect.FileDescriptor)
	visit = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] != nil || strings.HasPrefix(file.Path(), "google/protobuf/") {
			return
		}
		seen[file.Path()] = file
		for i := range file.Imports().Len() {
			visit(file.Imports().Get(i).FileDescriptor)
		}
	}
	for _, file := range files {
		visit(file)
	}
	all := make([]protoreflect.FileDescriptor, 0, len(seen))
	for _, file := range seen {
		all = append(all, file)
	}
	slices.SortFunc(all, func(a, b protoreflect.FileDescriptor) int {
		return strings.Compare(a.Path(), b.Path())
	})
	return all
}

func write(dir string, file protoreflect.FileDescriptor) (err error) {
	path := filepath.Join(dir, filepath.FromSlash(file.Path()))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	w, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := w.Close(); err == nil {
			err = cerr
		}
	}()
	return printer().PrintProtoFile(file, io.Writer(w))
}

// printer writes elements in a fixed order, so that two runs give the same bytes.
func printer() *protoprint.Printer {
	return &protoprint.Printer{SortElements: true}
}
