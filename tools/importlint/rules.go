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
	// imports says whether the rule forbids that file the import of this package.
	imports func(file, string) bool
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
// <something>test after what it helps to test (httptest's convention), or to the program
// that measures the gateway from outside, which nothing imports.
func (f file) helper() bool { return testHelper(f.dir) || f.in(bench) }

const (
	providers = "internal/providers"
	sandbox   = "internal/sandbox"
	stores    = "internal/store"
	// An adapter and a dialect live in the tests, to show what these are made of. The rules hold for them, too.
	exampleAdapter = "test/example/provider"
	exampleDialect = "test/example/played"
	bench          = "test/bench"
)

// services are the RPC services and the rooms that work for them.
var services = []string{
	"internal/assembly", "internal/audit", "internal/bankdata", "internal/callbacks", "internal/follow",
	"internal/history", "internal/once",
	"internal/service", "internal/watch",
}

// adapter gives the folder of the adapter that a package belongs to, "" for none. Each folder below internal/providers
// is one, but for the HTTP client that they share and for test helpers.
func adapter(pkg string) string {
	if within(pkg, exampleAdapter) {
		return exampleAdapter
	}
	dir := child(providers, pkg)
	if dir == providers+"/upstream" || testHelper(dir) {
		return ""
	}
	return dir
}

// dialect gives the folder of the dialect that a package belongs to, "" for none. Each folder below internal/sandbox
// plays one provider, but for the one that starts them all.
func dialect(pkg string) string {
	if within(pkg, exampleDialect) {
		return exampleDialect
	}
	dir := child(sandbox, pkg)
	if dir == sandbox+"/sandboxes" || testHelper(dir) {
		return ""
	}
	return dir
}

// driver gives the folder of the store's driver that a package belongs to, "" for none. Each folder below the contract
// is one, but for what drivers share and for test helpers.
func driver(pkg string) string {
	dir := child(stores, pkg)
	if slices.Contains(sharedByDrivers, dir) || testHelper(dir) {
		return ""
	}
	return dir
}

var sharedByDrivers = []string{stores + "/columns", stores + "/migrations", stores + "/vitals", stores + "/wake"}

// child gives the folder directly below a directory in which a package lies, "" when it lies elsewhere.
func child(dir, pkg string) string {
	below, ok := strings.CutPrefix(pkg, dir+"/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(below, "/")
	return dir + "/" + name
}

// rules are the architecture, as far as imports show it. The first rule that forbids
// an import names the reason.
var rules = []rule{
	{
		why:     "the service layer knows ports, never a provider",
		file:    func(f file) bool { return f.in(services...) },
		imports: adapters,
	},
	{
		why:     "the sandbox reads the documentation alone: sharing the gateway's code would share its misreading",
		file:    func(f file) bool { return f.in(sandbox) || dialect(f.dir) != "" },
		imports: under(append([]string{providers, exampleAdapter}, services...)...),
	},
	{
		why:     "an adapter knows nothing of another one",
		file:    func(f file) bool { return adapter(f.dir) != "" },
		imports: func(f file, pkg string) bool { return adapter(pkg) != "" && adapter(pkg) != adapter(f.dir) },
	},
	{
		why:     "a dialect knows nothing of another one",
		file:    func(f file) bool { return dialect(f.dir) != "" },
		imports: func(f file, pkg string) bool { return dialect(pkg) != "" && dialect(pkg) != dialect(f.dir) },
	},
	{
		// The adapters' own tests run against the sandbox.
		why:     "an adapter speaks to a provider over HTTP, whoever plays it",
		file:    func(f file) bool { return adapter(f.dir) != "" && !f.test() },
		imports: under(sandbox, exampleDialect),
	},
	{
		why:     "what lives in the tests is no part of the gateway",
		file:    func(f file) bool { return !f.in("test") },
		imports: under("test"),
	},
	{
		// End-to-end tests (test/, cmd/gateway) put the whole gateway together.
		why: "cmd/gateway/wire.go alone names the providers",
		file: func(f file) bool {
			wire := f.dir == "cmd/gateway" && (f.name == "wire.go" || f.test())
			endToEnd := f.in("test") && (f.test() || f.helper())
			return !wire && !endToEnd && adapter(f.dir) == ""
		},
		imports: adapters,
	},
	{
		why: "only the gateway's sandbox command and tests play providers",
		file: func(f file) bool {
			return !f.in("cmd/gateway", sandbox) && dialect(f.dir) == "" && !f.test() && !f.helper()
		},
		imports: under(sandbox),
	},
	{
		why:     "the gateway's commands alone name databases: all else knows the store's contract",
		file:    func(f file) bool { return !f.in("cmd/gateway") && !f.test() && !f.helper() },
		imports: func(f file, pkg string) bool { return driver(pkg) != "" && driver(pkg) != driver(f.dir) },
	},
	{
		why:  "test helpers stay out of production code",
		file: func(f file) bool { return !f.test() && !f.helper() },
		imports: func(_ file, pkg string) bool {
			return pkg == "testing" || strings.HasPrefix(pkg, "testing/") || testHelper(pkg)
		},
	},
	{
		why:     "adapters classify errors; internal/service makes gRPC statuses of them",
		file:    func(f file) bool { return (f.in(providers) || adapter(f.dir) != "") && !f.test() },
		imports: under("google.golang.org/grpc"),
	},
	{
		why:  "the rule of a consent's status is pure",
		file: func(f file) bool { return f.in("internal/consent") && !f.test() },
		imports: under(append([]string{"os", "net", "io/fs", "database/sql", "internal/store", "internal/server"},
			services...)...),
	},
}

// adapters matches the packages of all adapters.
func adapters(_ file, pkg string) bool { return adapter(pkg) != "" }

// under matches packages at or below the paths.
func under(paths ...string) func(file, string) bool {
	return func(_ file, pkg string) bool {
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
