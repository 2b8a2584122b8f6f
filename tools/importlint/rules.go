package main

import (
	"path"
	"slices"
	"strings"
)

// rule forbids imports to some packages. Paths are relative to the module:
// "internal/service" for the package, "google.golang.org/grpc" for another module's.
type rule struct {
	// why completes "it must not, since ...".
	why string
	// file says whether the rule is about a file of the module.
	file func(file) bool
	// imports says whether the rule forbids the import of this package.
	imports func(string) bool
}

// file is one Go file, placed.
type file struct {
	// dir is the package directory, "internal/service".
	dir string
	// name is the base name, "consent.go".
	name string
}

func (f file) test() bool { return strings.HasSuffix(f.name, "_test.go") }

// in says whether the file lies in one of the directories or below it.
func (f file) in(dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return within(f.dir, dir) })
}

// helper says whether the file belongs to a package of test helpers, called
// <something>test after what it helps to test (httptest's convention).
func (f file) helper() bool { return testHelper(f.dir) }

const (
	providers = "internal/providers"
	fimento   = "internal/providers/fimento"
	finoos    = "internal/providers/finoos"
	sandbox   = "internal/sandbox"
	service   = "internal/service"
)

// rules are the architecture, as far as imports show it. The first rule that forbids
// an import names the reason.
var rules = []rule{
	{
		why:     "the service layer knows ports, never a provider",
		file:    func(f file) bool { return f.in(service) },
		imports: under(fimento, finoos),
	},
	{
		why:     "the sandbox reads the documentation alone: sharing the gateway's code would share its misreading",
		file:    func(f file) bool { return f.in(sandbox) },
		imports: under(providers, service),
	},
	{
		why:     "an adapter knows nothing of the other one",
		file:    func(f file) bool { return f.in(fimento) },
		imports: under(finoos),
	},
	{
		why:     "an adapter knows nothing of the other one",
		file:    func(f file) bool { return f.in(finoos) },
		imports: under(fimento),
	},
	{
		// The adapters' own tests run against the sandbox.
		why:     "an adapter speaks to a provider over HTTP, whoever plays it",
		file:    func(f file) bool { return f.in(fimento, finoos) && !f.test() },
		imports: under(sandbox),
	},
	{
		// End-to-end tests (test/, cmd/gateway) put the whole gateway together.
		why: "cmd/gateway/wire.go alone names the providers",
		file: func(f file) bool {
			wire := f.dir == "cmd/gateway" && (f.name == "wire.go" || f.test())
			endToEnd := f.in("test") && (f.test() || f.helper())
			return !wire && !endToEnd && !f.in(fimento, finoos)
		},
		imports: under(fimento, finoos),
	},
	{
		why:     "only the gateway's sandbox command and tests play providers",
		file:    func(f file) bool { return !f.in("cmd/gateway", sandbox) && !f.test() && !f.helper() },
		imports: under(sandbox),
	},
	{
		why:  "test helpers stay out of production code",
		file: func(f file) bool { return !f.test() && !f.helper() },
		imports: func(pkg string) bool {
			return pkg == "testing" || strings.HasPrefix(pkg, "testing/") || testHelper(pkg)
		},
	},
	{
		why:     "adapters classify errors; internal/service makes gRPC statuses of them",
		file:    func(f file) bool { return f.in(providers) && !f.test() },
		imports: under("google.golang.org/grpc"),
	},
	{
		why:     "the rule of a consent's status is pure",
		file:    func(f file) bool { return f.in("internal/consent") && !f.test() },
		imports: under("os", "net", "io/fs", "database/sql", "internal/store", "internal/server", service),
	},
}

// under matches packages at or below the paths.
func under(paths ...string) func(string) bool {
	return func(pkg string) bool {
		return slices.ContainsFunc(paths, func(p string) bool { return within(pkg, p) })
	}
}

func within(pkg, dir string) bool {
	return pkg == dir || strings.HasPrefix(pkg, dir+"/")
}

// testHelper says whether a package, of any module, is one of test helpers: httptest,
// providertest and what lies below such a directory.
func testHelper(pkg string) bool {
	for pkg != "." && pkg != "/" {
		if base := path.Base(pkg); len(base) > len("test") && strings.HasSuffix(base, "test") {
			return true
		}
		pkg = path.Dir(pkg)
	}
	return false
}
