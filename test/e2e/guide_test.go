package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/api"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/test/worldtest"
)

// guide is docs/api.md, what callers read.
func guide(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section gives what stands below a heading of the guide, up to the next one.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, "\n"+heading+"\n")
	if !found {
		t.Fatalf("docs/api.md has no %q", heading)
	}
	body, _, _ := strings.Cut(rest, "\n#")
	return body
}

// rows gives the rows of the first table behind a marker, without its head.
func rows(t *testing.T, text, marker string) []string {
	t.Helper()
	_, rest, found := strings.Cut(text, "<!-- "+marker+":")
	if !found {
		t.Fatalf("docs/api.md has no %q", marker)
	}
	_, rest, _ = strings.Cut(rest, "\n|")
	table, _, _ := strings.Cut("|"+rest, "\n\n")
	return strings.Split(table, "\n")[2:]
}

// TestGuideHasEveryReason: each reason of the contract is there once, with its status codes, whether to try again, and
// what to do.
func TestGuideHasEveryReason(t *testing.T) {
	t.Parallel()
	var want []string
	values := errorv1.Error_REASON_UNSPECIFIED.Descriptor().Values()
	for i := range values.Len() {
		reason := errorv1.Error_Reason(values.Get(i).Number())
		switch reason {
		case errorv1.Error_REASON_UNSPECIFIED:
		case errorv1.Error_AUTHORIZATION_FAILED:
			want = append(want, "| `AUTHORIZATION_FAILED` | - | - |")
		default:
			code := kerr.Code(reason)
			want = append(want, fmt.Sprintf("| `%s` | %s | %d |", reason, rpccode.Code(code), httpOf(reason, code)))
		}
	}
	var got []string
	for _, row := range rows(t, guide(t), "reasons") {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		if len(cells) != 5 || !slices.Contains([]string{"no", "yes", "later", "-"}, cells[3]) || cells[4] == "" {
			t.Errorf("does not say whether to try again, and what to do: %s", row)
			continue
		}
		got = append(got, "| "+strings.Join(cells[:3], " | ")+" |")
	}
	differ(t, want, got)
}

func httpOf(reason errorv1.Error_Reason, code codes.Code) int {
	switch reason {
	case errorv1.Error_METHOD_NOT_FOUND:
		return http.StatusMethodNotAllowed
	case errorv1.Error_TOO_LARGE:
		return http.StatusRequestEntityTooLarge
	}
	return runtime.HTTPStatusFromCode(code)
}

// TestGuideHasEveryStatus: each value that a caller has to act on is in the table of its section.
func TestGuideHasEveryStatus(t *testing.T) {
	t.Parallel()
	text := guide(t)
	for heading, enums := range map[string][]protoreflect.Enum{
		"### Status":           {consentv1.Consent_STATUS_UNSPECIFIED, consentv1.Decision_VALUE_UNSPECIFIED},
		"### dataStage":        {consentv1.DataStage_VALUE_UNSPECIFIED},
		"### The link":         {typev1.Link_STATUS_UNSPECIFIED},
		"### Connections":      {consentv1.Connection_STATUS_UNSPECIFIED},
		"### Why it failed":    {errorv1.FailureKind_VALUE_UNSPECIFIED},
		"### Events":           {consentv1.ConsentEvent_TYPE_UNSPECIFIED},
		"## Who approved":      {consentv1.IdentityMatch_VALUE_UNSPECIFIED},
		"## Following live":    {consentv1.WatchConsentsResponse_KIND_UNSPECIFIED},
		"### All transactions": {bankingv1.StreamTransactionsResponse_KIND_UNSPECIFIED},
	} {
		said := section(t, text, heading)
		for _, enum := range enums {
			for i := 1; i < enum.Descriptor().Values().Len(); i++ {
				if value := enum.Descriptor().Values().Get(i).Name(); !strings.Contains(said, fmt.Sprintf("`%s`", value)) {
					t.Errorf("%s of docs/api.md does not say what to do about %s", heading, value)
				}
			}
		}
	}
	diagram := section(t, text, "## How a consent lives")
	values := consentv1.Consent_STATUS_UNSPECIFIED.Descriptor().Values()
	for i := 1; i < values.Len(); i++ {
		if name := string(values.Get(i).Name()); !strings.Contains(diagram, "--> "+name+":") {
			t.Errorf("nothing in the picture leads to %s", name)
		}
	}
}

// TestGuideHasEveryMethod: each method is there with its path, its scope, whether it takes a key, and what the
// providers say of it.
func TestGuideHasEveryMethod(t *testing.T) {
	t.Parallel()
	c := live.get(t).client(t, lending)
	levels := map[string]map[string]string{}
	list := must(c.Providers.ListProviders(t.Context(), &providerv1.ListProvidersRequest{}))(t)
	for _, p := range list.GetProviders() {
		of := map[string]string{}
		for _, capability := range p.GetCapabilities() {
			of[capability.GetMethod()] = map[providerv1.Provider_Capability_Level]string{
				providerv1.Provider_Capability_NATIVE:      "native",
				providerv1.Provider_Capability_EMULATED:    "Kontor",
				providerv1.Provider_Capability_UNSUPPORTED: "no",
			}[capability.GetLevel()]
		}
		levels[p.GetName()] = of
	}
	level := func(provider, method string) string {
		if has, ok := levels["providers/"+provider][method]; ok {
			return has
		}
		return "Kontor" // depends on no provider
	}
	var want []string
	for _, service := range api.Services() {
		for _, method := range must(service.Methods())(t) {
			name, key := string(method.Name()), ""
			if method.Input().Fields().ByName("request_id") != nil {
				key = "yes"
			}
			row := fmt.Sprintf("| %s | %s | %s | %s |", name, paths(method), service.Scope+"."+access(method), key)
			for _, provider := range columns(t, "methods") {
				row += " " + level(provider, name) + " |"
			}
			want = append(want, row)
		}
	}
	got := rows(t, guide(t), "methods")
	for i, row := range got {
		got[i] = strings.ReplaceAll(row, "|  |", "| |")
	}
	for i, row := range want {
		want[i] = strings.ReplaceAll(row, "|  |", "| |")
	}
	differ(t, want, got)
}

// columns are the providers that have a column in a table, by their ids.
func columns(t *testing.T, marker string) (ids []string) {
	t.Helper()
	_, rest, _ := strings.Cut(guide(t), "<!-- "+marker+":")
	_, rest, _ = strings.Cut(rest, "\n|")
	head, _, _ := strings.Cut(rest, "\n")
	for _, name := range strings.Split(head, "|") {
		if id := strings.ToLower(strings.TrimSpace(name)); slices.Contains(worldtest.Providers(), id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		t.Fatalf("the table of %s has no column for a provider", marker)
	}
	return ids
}

// access is what a scope must allow for a method: reading is what REST has as GET, and what only looks for something.
func access(method protoreflect.MethodDescriptor) string {
	switch name := method.Name(); {
	case api.Bindings(method)[0].Verb == http.MethodGet, name == "SearchCompanyLogos", name == "CreateWatchTicket":
		return "read"
	}
	return "write"
}

// paths gives a method's paths as callers write them.
func paths(method protoreflect.MethodDescriptor) string {
	var all []string
	for _, b := range api.Bindings(method) {
		path := regexp.MustCompile(`\{[a-z_.]+=([^}]*)\}`).ReplaceAllString(b.Path, "$1")
		all = append(all, fmt.Sprintf("%s `%s`", b.Verb, strings.ReplaceAll(path, "*", "{id}")))
	}
	return strings.Join(all, "<br>")
}

func differ(t *testing.T, want, got []string) {
	t.Helper()
	for _, row := range want {
		if !slices.Contains(got, row) {
			t.Errorf("docs/api.md lacks\n%s", row)
		}
	}
	seen := map[string]bool{}
	for _, row := range got {
		if !slices.Contains(want, row) || seen[row] {
			t.Errorf("docs/api.md has, and should not:\n%s", row)
		}
		seen[row] = true
	}
}

// TestGuideExamples runs the guide's shell lines, one after the other in one shell, as a newcomer would. What is marked
// with "fails" shows an error; everything else succeeds.
func TestGuideExamples(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	// An error's answer fails the line, the end of the time that a stream is given (28) does not.
	script := []string{`curl() { command curl --fail-with-body "$@" || [ $? = 28 ]; }`}
	for _, block := range regexp.MustCompile("(?s)\n```sh( fails)?\n(.*?)```").FindAllStringSubmatch(guide(t), -1) {
		lines := block[2]
		if block[1] != "" {
			lines = "if {\n" + lines + "}; then echo 'this succeeds:' '" + strings.ReplaceAll(lines, "'", "") + "'; exit 1; fi"
		}
		script = append(script, lines)
	}
	if len(script) < 8 {
		t.Fatalf("found %d blocks of shell lines", len(script)-1)
	}
	shell := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-xc", strings.Join(script, "\n"))
	shell.Env = append(os.Environ(), "K="+w.gateway.HTTP, "A=authorization: Bearer "+keyOf(lending))
	if out, err := shell.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}
