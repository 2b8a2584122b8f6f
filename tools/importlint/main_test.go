package main

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestCheck(t *testing.T) {
	const (
		blind   = "the service layer knows ports"
		apart   = "an adapter knows nothing of another one"
		dialect = "a dialect knows nothing of another one"
		http    = "an adapter speaks to a provider over HTTP"
		wire    = "cmd/gateway/wire.go alone names the providers"
		reading = "the sandbox reads the documentation alone"
		plays   = "only the gateway's sandbox command and tests play providers"
		bases   = "the gateway's commands alone name databases"
		helpers = "test helpers stay out of production code"
		status  = "adapters classify errors"
		pure    = "the rule of a consent's status is pure"
		tests   = "what lives in the tests is no part of the gateway"
		nothing = ""
	)
	for _, tc := range []struct {
		file    string
		imports string
		want    string // part of the only finding; empty for none
	}{
		{"internal/service/consent.go", "kontor.dev/kontor/internal/providers/fimento", blind},
		{"internal/service/consent.go", "kontor.dev/kontor/internal/providers/finoos", blind},
		{"internal/service/consent_test.go", "kontor.dev/kontor/internal/providers/finoos", blind},
		{"internal/service/part/part.go", "kontor.dev/kontor/internal/providers/fimento/sub", blind},
		{"internal/service/consent.go", "kontor.dev/kontor/internal/providers", nothing},
		{"internal/service/consent.go", "kontor.dev/kontor/internal/providers/third", blind},
		{"internal/service/consent.go", "kontor.dev/kontor/internal/providers/upstream", nothing},
		{"internal/service/consents/create.go", "kontor.dev/kontor/internal/providers/fimento", blind},
		{"internal/assembly/assembly.go", "kontor.dev/kontor/internal/providers/third", blind},
		{"internal/audit/audit.go", "kontor.dev/kontor/internal/providers/third", blind},
		{"internal/bankdata/share.go", "kontor.dev/kontor/internal/providers/third", blind},
		{"internal/callbacks/webhooks.go", "kontor.dev/kontor/internal/providers/third", blind},
		{"internal/follow/follower.go", "kontor.dev/kontor/internal/providers/third", blind},
		{"internal/history/consent.go", "kontor.dev/kontor/internal/providers/third", blind},
		{"internal/once/once.go", "kontor.dev/kontor/internal/providers/third", blind},
		{"internal/once/once_test.go", "kontor.dev/kontor/internal/providers/third", blind},
		{"internal/watch/watch.go", "kontor.dev/kontor/internal/providers/third", blind},

		{"cmd/gateway/wire.go", "kontor.dev/kontor/internal/providers/fimento", nothing},
		{"cmd/gateway/main.go", "kontor.dev/kontor/internal/providers/fimento", wire},
		{"cmd/gateway/wire.go", "kontor.dev/kontor/internal/providers/third", nothing},
		{"cmd/gateway/main.go", "kontor.dev/kontor/internal/providers/third", wire},
		{"internal/providers/upstream/client.go", "kontor.dev/kontor/internal/providers/third", wire},
		{"internal/providers/providertest/suite.go", "kontor.dev/kontor/internal/providers/third", wire},
		{"test/e2e/e2e_test.go", "kontor.dev/kontor/internal/providers/third", nothing},
		{"cmd/gateway/main_test.go", "kontor.dev/kontor/internal/providers/fimento", nothing},
		{"cmd/other/wire.go", "kontor.dev/kontor/internal/providers/fimento", wire},
		{"internal/server/server.go", "kontor.dev/kontor/internal/providers/finoos", wire},
		{"internal/server/server_test.go", "kontor.dev/kontor/internal/providers/finoos", wire},
		{"internal/providers/registry.go", "kontor.dev/kontor/internal/providers/finoos", wire},
		{"test/e2e/e2e_test.go", "kontor.dev/kontor/internal/providers/finoos", nothing},
		{"test/e2e/production.go", "kontor.dev/kontor/internal/providers/finoos", wire},

		{"internal/providers/fimento/client.go", "kontor.dev/kontor/internal/providers", nothing},
		{"internal/providers/fimento/client_test.go", "kontor.dev/kontor/internal/providers/fimento", nothing},
		{"internal/providers/fimento/client.go", "kontor.dev/kontor/internal/providers/finoos", apart},
		{"internal/providers/finoos/client.go", "kontor.dev/kontor/internal/providers/fimento", apart},
		{"internal/providers/finoos/client_test.go", "kontor.dev/kontor/internal/providers/fimento", apart},
		{"internal/providers/third/client.go", "kontor.dev/kontor/internal/providers/finoos", apart},
		{"internal/providers/finoos/client.go", "kontor.dev/kontor/internal/providers/third/sub", apart},
		{"internal/providers/third/sub/sub_test.go", "kontor.dev/kontor/internal/providers/finoos", apart},
		{"internal/providers/third/client.go", "kontor.dev/kontor/internal/providers/third/sub", nothing},
		{"internal/providers/third/sub/sub.go", "kontor.dev/kontor/internal/providers/third", nothing},
		{"internal/providers/third/client.go", "kontor.dev/kontor/internal/providers/upstream", nothing},
		{"internal/providers/third/client_test.go", "kontor.dev/kontor/internal/providers/providertest", nothing},
		{"internal/providers/third/client.go", "kontor.dev/kontor/internal/sandbox", http},
		{"internal/providers/third/client_test.go", "kontor.dev/kontor/internal/sandbox/third", nothing},
		{"internal/providers/fimento/client.go", "kontor.dev/kontor/internal/sandbox/fimento", http},
		{"internal/providers/finoos/client.go", "kontor.dev/kontor/internal/sandbox", http},
		{"internal/providers/fimento/client_test.go", "kontor.dev/kontor/internal/sandbox/fimento", nothing},

		{"internal/sandbox/sandbox.go", "kontor.dev/kontor/internal/providers", reading},
		{"internal/sandbox/fimento/wire.go", "kontor.dev/kontor/internal/providers/fimento", reading},
		{"internal/sandbox/fimento/wire_test.go", "kontor.dev/kontor/internal/providers/fimento", reading},
		{"internal/sandbox/sandbox.go", "kontor.dev/kontor/internal/service", reading},
		{"internal/sandbox/sandbox.go", "kontor.dev/kontor/internal/follow", reading},
		{"internal/sandbox/sandbox.go", "kontor.dev/kontor/internal/providers/third", reading},
		{"internal/sandbox/sandbox.go", "kontor.dev/kontor/internal/sandbox/fimento", nothing},
		{"internal/sandbox/sandboxes/sandboxes.go", "kontor.dev/kontor/internal/sandbox/third", nothing},
		{"internal/sandbox/fimento/server.go", "kontor.dev/kontor/internal/sandbox/finoos", dialect},
		{"internal/sandbox/third/server.go", "kontor.dev/kontor/internal/sandbox/finoos", dialect},
		{"internal/sandbox/third/server_test.go", "kontor.dev/kontor/internal/sandbox/finoos/sub", dialect},
		{"internal/sandbox/third/server.go", "kontor.dev/kontor/internal/sandbox/third/sub", nothing},
		{"internal/sandbox/third/server.go", "kontor.dev/kontor/internal/sandbox", nothing},

		{"cmd/gateway/sandbox.go", "kontor.dev/kontor/internal/sandbox", nothing},
		{"internal/server/server.go", "kontor.dev/kontor/internal/sandbox", plays},
		{"internal/server/server_test.go", "kontor.dev/kontor/internal/sandbox", nothing},
		{"internal/providers/providertest/suite.go", "kontor.dev/kontor/internal/sandbox", nothing},

		{"cmd/gateway/stores.go", "kontor.dev/kontor/internal/store/sqlite", nothing},
		{"internal/service/store.go", "kontor.dev/kontor/internal/store/sqlite", bases},
		{"internal/once/once.go", "kontor.dev/kontor/internal/store/third/sub", bases},
		{"internal/once/once.go", "kontor.dev/kontor/internal/store", nothing},
		{"internal/once/once.go", "kontor.dev/kontor/internal/store/storetest", helpers},
		{"internal/once/once_test.go", "kontor.dev/kontor/internal/store/sqlite", nothing},
		{"internal/assembly/assemblytest/assemblytest.go", "kontor.dev/kontor/internal/store/sqlite", nothing},
		{"internal/store/store.go", "kontor.dev/kontor/internal/store/postgres", bases},
		{"internal/store/columns/consents.go", "kontor.dev/kontor/internal/store/postgres", bases},
		{"internal/store/postgres/open.go", "kontor.dev/kontor/internal/store/sqlite", bases},
		{"internal/store/postgres/open.go", "kontor.dev/kontor/internal/store/postgres/sub", nothing},
		{"internal/store/postgres/open.go", "kontor.dev/kontor/internal/store/columns", nothing},
		{"internal/store/postgres/open.go", "kontor.dev/kontor/internal/store/wake", nothing},

		{"internal/store/sqlite/sqlite.go", "kontor.dev/kontor/internal/store/storetest", helpers},
		{"internal/store/sqlite/sqlite.go", "testing", helpers},
		{"internal/store/sqlite/sqlite.go", "net/http/httptest", helpers},
		{"internal/store/sqlite/sqlite.go", "kontor.dev/kontor/internal/store/storetest/cases", helpers},
		{"internal/store/sqlite/sqlite_test.go", "kontor.dev/kontor/internal/store/storetest", nothing},
		{"internal/store/storetest/storetest.go", "testing", nothing},

		{"internal/providers/fimento/errors.go", "google.golang.org/grpc/codes", status},
		{"internal/providers/errors.go", "google.golang.org/grpc", status},
		{"internal/service/errors.go", "google.golang.org/grpc/codes", nothing},

		{"internal/consent/rule.go", "net/http", pure},
		{"internal/consent/rule.go", "os", pure},
		{"internal/consent/rule.go", "kontor.dev/kontor/internal/store", pure},
		{"internal/consent/rule.go", "kontor.dev/kontor/internal/history", pure},
		{"internal/consent/rule.go", "time", nothing},
		{"internal/consent/rule_test.go", "os", nothing},

		// What measures the gateway makes worlds as suites do, and is never part of it.
		{"test/bench/world.go", "kontor.dev/kontor/test/worldtest", nothing},
		{"test/bench/load/load.go", "kontor.dev/kontor/internal/sandbox", nothing},
		{"test/benchmarks/world.go", "kontor.dev/kontor/test/worldtest", helpers},
		{"internal/server/server.go", "kontor.dev/kontor/test/bench/stub", tests},

		// The example in the tests is held to the same, and never part of the gateway.
		{"cmd/gateway/wire.go", "kontor.dev/kontor/test/example/provider", tests},
		{"internal/service/consent_test.go", "kontor.dev/kontor/test/example/provider", blind},
		{"internal/sandbox/sandboxes/sandboxes.go", "kontor.dev/kontor/test/example/played", tests},
		{"test/example/provider/client.go", "kontor.dev/kontor/internal/providers/finoos", apart},
		{"test/example/provider/client.go", "kontor.dev/kontor/internal/sandbox", http},
		{"test/example/provider/client.go", "kontor.dev/kontor/test/example/played", http},
		{"test/example/provider/client.go", "google.golang.org/grpc/codes", status},
		{"test/example/provider/client.go", "kontor.dev/kontor/internal/providers/upstream", nothing},
		{"test/example/provider/quirks_test.go", "kontor.dev/kontor/test/example/played", nothing},
		{"test/example/played/server.go", "kontor.dev/kontor/internal/sandbox", nothing},
		{"test/example/played/server.go", "kontor.dev/kontor/internal/sandbox/finoos", dialect},
		{"test/example/played/server.go", "kontor.dev/kontor/test/example/provider", reading},
		{"test/example/played/server.go", "kontor.dev/kontor/internal/providers", reading},
		{"test/conformance/example_test.go", "kontor.dev/kontor/test/example/provider", nothing},
		{"test/conformance/example.go", "kontor.dev/kontor/test/example/provider", wire},

		// Not ours to judge.
		{"tools/importlint/main.go", "kontor.dev/kontor/internal/providers/fimento", nothing},
		{".build/x/main.go", "kontor.dev/kontor/internal/providers/fimento", nothing},
		{"internal/service/testdata/x.go", "kontor.dev/kontor/internal/providers/fimento", nothing},
	} {
		t.Run(tc.file+" "+tc.imports, func(t *testing.T) {
			findings, err := check(fstest.MapFS{
				tc.file:        {Data: []byte("package p\n\nimport _ \"" + tc.imports + "\"\n")},
				"tools/go.mod": {Data: []byte("module kontor.dev/kontor/tools\n")},
			})
			if err != nil {
				t.Fatal(err)
			}
			if tc.want == nothing {
				if len(findings) > 0 {
					t.Errorf("allowed import is reported: %q", findings)
				}
				return
			}
			if len(findings) != 1 || !strings.Contains(findings[0],
				tc.want) || !strings.HasPrefix(findings[0], tc.file+":3:") {
				t.Errorf("got %q, want one finding at %s:3 with %q", findings, tc.file, tc.want)
			}
		})
	}
}

// Build tags hide nothing, and one finding does not hide the next.
func TestCheckReportsEachForbiddenImport(t *testing.T) {
	findings, err := check(fstest.MapFS{"internal/service/a.go": {Data: []byte(`//go:build never

package service

import (
	_ "fmt"
	_ "kontor.dev/kontor/internal/providers/fimento"
	_ "kontor.dev/kontor/internal/providers/finoos"
)
`)}})
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) != 2 {
		t.Errorf("got %d findings, want 2: %q", len(findings), findings)
	}
}

func TestCheckFailsOnUnreadableSource(t *testing.T) {
	if _, err := check(fstest.MapFS{"a.go": {Data: []byte("import")}}); err == nil {
		t.Error("a file that does not parse passes")
	}
}
