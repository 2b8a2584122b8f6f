package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"kontor.dev/kontor/test/worldtest"
)

// testCase is one call and what must come of it. It stands in test/cases and is run over both transports.
type testCase struct {
	Name string `yaml:"name"`
	// Provider is behind the call: one by its id, several in a list, or "all" for each that offers the RPC.
	Provider listOrOne `yaml:"provider"`
	// Setup is the state that the call begins in, one of setups.
	Setup string `yaml:"setup"`
	// Fresh says that the call changes something: each transport gets a state of its own. Otherwise both must give
	// equal answers in one state.
	Fresh bool `yaml:"fresh"`
	// Client is who calls; lending when left out.
	Client string `yaml:"client"`
	// RPC is the method, such as kontor.banking.v1.BankingService/ListAccounts.
	RPC     string         `yaml:"rpc"`
	Headers headers        `yaml:"headers"`
	Request map[string]any `yaml:"request"`
	// Want is what the answer must match, see mismatches.
	Want map[string]any `yaml:"want"`
	// Stream is what the first messages of a stream must match; the stream is left after them.
	Stream []any `yaml:"stream"`
	// Each is what every message of a stream that ends by itself must match, but the last where Last is there.
	Each map[string]any `yaml:"each"`
	// Last is what the last message of such a stream must match.
	Last map[string]any `yaml:"last"`
	// Error is what the call must fail with.
	Error *wantError `yaml:"error"`
	// Upstream is how often the call makes the gateway call each of the provider's operations, logins aside: a
	// number, or "some" where it depends on how much there is; "none" instead of all for not at all.
	Upstream *upstreamCalls `yaml:"upstream"`

	file string
}

type wantError struct {
	Code   string `yaml:"code"`
	Reason string `yaml:"reason"`
	Field  string `yaml:"field"`
	// Fields are all that are named, in this order.
	Fields []string `yaml:"fields"`
}

// listOrOne is a list that may be written as its only element.
type listOrOne []string

func (l *listOrOne) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*l = listOrOne{node.Value}
		return nil
	}
	return node.Decode((*[]string)(l))
}

type upstreamCalls map[string]int

func (u *upstreamCalls) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode && node.Value == "none" {
		*u = upstreamCalls{}
		return nil
	}
	counts := map[string]string{}
	if err := node.Decode(&counts); err != nil {
		return err
	}
	*u = upstreamCalls{}
	for operation, count := range counts {
		n, err := strconv.Atoi(count)
		switch {
		case count == "some":
			n = some
		case err != nil:
			return err
		}
		(*u)[operation] = n
	}
	return nil
}

// some stands for a number of calls that depends on how much there is.
const some = -1

// cases are those of test/cases.
var cases = sync.OnceValues(func() ([]*testCase, error) {
	files, err := filepath.Glob(filepath.Join("..", "cases", "*.yaml"))
	if err != nil {
		return nil, err
	}
	var all []*testCase
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		decoder := yaml.NewDecoder(bytes.NewReader(content))
		decoder.KnownFields(true)
		var list []*testCase
		if err := decoder.Decode(&list); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		for _, c := range list {
			c.file = strings.TrimSuffix(filepath.Base(file), ".yaml")
			if err := c.check(); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", filepath.Base(file), c.Name, err)
			}
		}
		all = append(all, list...)
	}
	return all, nil
})

func (c *testCase) check() error {
	method, ok := methods()[c.RPC]
	switch {
	case !ok:
		return fmt.Errorf("there is no RPC %s", c.RPC)
	case len(c.Provider) == 0:
		return fmt.Errorf("no provider")
	case c.Provider[0] == allProviders && len(c.Provider) > 1:
		return fmt.Errorf("%q stands alone", allProviders)
	case (c.Want != nil) == (c.Error != nil) && !method.streams():
		return fmt.Errorf("either want or error must be there")
	case method.streams() && c.Error == nil && c.Stream == nil && c.Each == nil:
		return fmt.Errorf("stream, each or error must be there")
	case c.Upstream == nil:
		return fmt.Errorf("upstream must be there")
	}
	for _, provider := range worldtest.Providers() {
		if c.of(provider) && setupOf(provider, c.Setup) == nil {
			return fmt.Errorf("there is no setup %q for %s", c.Setup, provider)
		}
	}
	for _, provider := range c.Provider {
		if provider != allProviders && !slices.Contains(worldtest.Providers(), provider) {
			return fmt.Errorf("there is no provider %q", provider)
		}
	}
	return nil
}

// allProviders stands for the ids of all providers.
const allProviders = "all"

// of tells whether a provider is behind the call.
func (c *testCase) of(provider string) bool {
	return c.Provider[0] == allProviders || slices.Contains(c.Provider, provider)
}

// title is how a case is called among all.
func (c *testCase) title() string { return c.file + "/" + c.Name }

func allCases(t *testing.T) []*testCase {
	t.Helper()
	all, err := cases()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("test/cases is empty")
	}
	return all
}

// TestCases runs every case with every provider it names, over both transports. The cases of one provider run one
// after the other, in a world where nothing else makes the gateway call a provider.
func TestCases(t *testing.T) {
	t.Parallel()
	all := allCases(t)
	for _, provider := range worldtest.Providers() {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			w := still()[provider].get(t)
			run := &caseRun{world: w, provider: provider, states: map[string]vars{}}
			offers := offersOf(t, w, provider)
			for _, c := range all {
				if c.holds(provider, offers) {
					t.Run(c.title(), func(t *testing.T) { run.run(t, c) })
				}
			}
		})
	}
}

// caseRun runs cases against one provider.
type caseRun struct {
	world    *world
	provider string
	states   map[string]vars // of cases that change nothing, by client and setup
}

func (r *caseRun) run(t *testing.T, c *testCase) {
	client := r.world.client(t, c.client())
	var answers []any
	for _, transport := range transports {
		v := r.state(t, c, client)
		v["uuid"], v["app"] = uuid.NewString(), r.world.app.URL
		v["provider"], v["market"] = "providers/"+r.provider, worldtest.Of(r.provider).Market
		request, _ := v.substitute(t, orEmpty(c.Request)).(map[string]any)
		r.foreign(t, c, transport, request)
		before := r.world.calls()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		got, err := client.call(ctx, transport, methods()[c.RPC], request, c.Headers, c.messages())
		cancel()
		if err != nil {
			t.Errorf("%s: %v", transport, err)
			continue
		}
		r.check(t, c, transport, got, v)
		r.checkCalls(t, c, transport, before)
		answers = append(answers, alike(got))
	}
	if !c.Fresh && len(answers) == len(transports) && !reflect.DeepEqual(answers[0], answers[1]) {
		t.Errorf("the transports differ:\n%s: %v\n%s: %v", transports[0], answers[0], transports[1], answers[1])
	}
}

func (c *testCase) client() string {
	if c.Client == "" {
		return lending
	}
	return c.Client
}

// messages is how many messages of a stream are read: those that are looked at, or all.
func (c *testCase) messages() int {
	if c.Error != nil {
		return 1
	}
	return len(c.Stream)
}

// state gives the state that a call begins in: a fresh one, or that of earlier cases which changed nothing.
func (r *caseRun) state(t *testing.T, c *testCase, client *client) vars {
	t.Helper()
	if c.Fresh {
		return setupOf(r.provider, c.Setup)(t, r.world, client, r.provider)
	}
	key := c.client() + "/" + c.Setup
	if r.states[key] == nil {
		r.states[key] = setupOf(r.provider, c.Setup)(t, r.world, client, r.provider)
	}
	return maps.Clone(r.states[key])
}

// check holds an answer against what the case wants.
func (r *caseRun) check(t *testing.T, c *testCase, transport string, got reply, v vars) {
	t.Helper()
	if c.Error != nil {
		if got.failure == nil {
			t.Errorf("%s: the call succeeded, want %s", transport, c.Error.Reason)
			return
		}
		f := got.failure
		if strings.ToUpper(snake(f.code.String())) != c.Error.Code || f.reason != c.Error.Reason ||
			c.Error.Field != "" && !slices.Contains(f.fields, c.Error.Field) ||
			c.Error.Fields != nil && !slices.Equal(f.fields, c.Error.Fields) {
			t.Errorf("%s: got %v, want %+v", transport, f, *c.Error)
		}
		return
	}
	if got.failure != nil {
		t.Errorf("%s: %v", transport, got.failure)
		return
	}
	var wrong []string
	switch {
	case c.Each != nil:
		if !got.ended || len(got.messages) == 0 {
			t.Errorf("%s: the stream had %d messages and ended by itself: %t", transport, len(got.messages), got.ended)
		}
		for i, m := range got.messages {
			want := c.Each
			if c.Last != nil && i == len(got.messages)-1 {
				want = c.Last
			}
			wrong = append(wrong, mismatches(v.substitute(t, want), jsonOf(m), fmt.Sprintf("message %d", i))...)
		}
	case c.Stream != nil:
		list := make([]any, len(got.messages))
		for i, m := range got.messages {
			list[i] = jsonOf(m)
		}
		wrong = mismatches(v.substitute(t, c.Stream), list, "stream")
	default:
		wrong = mismatches(v.substitute(t, c.Want), jsonOf(got.messages[0]), "answer")
	}
	for _, w := range wrong {
		t.Errorf("%s: %s", transport, w)
	}
}

// snake turns FailedPrecondition into Failed_Precondition.
func snake(camel string) string {
	var b strings.Builder
	for i, r := range camel {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// calls counts what all providers were asked so far, logins and pages aside.
func (w *world) calls() upstreamCalls {
	counted := upstreamCalls{}
	for _, played := range w.InOrder() {
		for _, call := range played.Core.Calls.All() {
			if worldtest.Of(played.ID).Calls(call.Operation) {
				counted[call.Operation]++
			}
		}
	}
	return counted
}

// callsSince counts what all providers were asked after an earlier count.
func (w *world) callsSince(before upstreamCalls) upstreamCalls {
	made := w.calls()
	for operation, count := range before {
		if made[operation] -= count; made[operation] == 0 {
			delete(made, operation)
		}
	}
	return made
}

func (r *caseRun) checkCalls(t *testing.T, c *testCase, transport string, before upstreamCalls) {
	t.Helper()
	made := r.world.callsSince(before)
	want := *c.Upstream
	same := func(made, want int) bool { return made == want || want == some && made > 0 }
	if !maps.EqualFunc(made, want, same) {
		t.Errorf("%s: the provider was called %v, want %v", transport, made, want)
	}
}

// foreign makes the same call as another tenant, before it is made by the one that has the resources: they must look
// as if they were not there, and nothing may happen.
func (r *caseRun) foreign(t *testing.T, c *testCase, transport string, request map[string]any) {
	t.Helper()
	method := methods()[c.RPC]
	if c.client() == acme || !namesTenantsResource(request) {
		return
	}
	before := r.world.calls()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := r.world.client(t, acme).call(ctx, transport, method, request, c.Headers, 1)
	switch {
	case err != nil:
		t.Errorf("%s, another tenant: %v", transport, err)
	case method.short() == "ListConsents" || method.short() == "ListShipments": // the name is a filter
		if got.failure != nil || !empty(jsonOf(got.messages[0])) {
			t.Errorf("%s, another tenant: got %v %v, want an empty list", transport, got.failure, got.messages)
		}
	case got.failure == nil ||
		!strings.HasSuffix(got.failure.reason, "_NOT_FOUND") && got.failure.reason != "INVALID_FIELD":
		t.Errorf("%s, another tenant: got %v, want NOT_FOUND", transport, got.failure)
	}
	r.checkCalls(t, &testCase{Upstream: &upstreamCalls{}}, transport+", another tenant", before)
}

// namesTenantsResource tells whether a request names something that belongs to a tenant.
func namesTenantsResource(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), namesTenantsResource)
	case []any:
		return slices.ContainsFunc(v, namesTenantsResource)
	case string:
		return strings.HasPrefix(v, "consents/") || strings.HasPrefix(v, "customers/") ||
			strings.HasPrefix(v, "shipments/")
	}
	return false
}

// alike gives an answer without what differs from call to call.
func alike(r reply) any {
	var list []any
	for _, m := range r.messages {
		list = append(list, withoutMoments(jsonOf(m)))
	}
	if r.failure != nil {
		metadata := maps.Clone(r.failure.metadata)
		delete(metadata, "requestId")
		delete(metadata, "providerRequestId")
		list = append(list, r.failure.code, r.failure.message, r.failure.reason, r.failure.fields, metadata)
	}
	return list
}

func withoutMoments(value any) any {
	switch v := value.(type) {
	case map[string]any:
		delete(v, "sendTime")
		delete(v, "readTime")
		if !empty(v["nextPageToken"]) {
			v["nextPageToken"] = "of the listing that this call read"
		}
		delete(v, "health")
		for name, inner := range v {
			v[name] = withoutMoments(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = withoutMoments(inner)
		}
	}
	return value
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// TestEveryRPCIsGuarded calls every RPC over both transports without a key, with one that nobody has, and without the
// scope: it must be refused before anything else is looked at.
func TestEveryRPCIsGuarded(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	for _, method := range sortedMethods() {
		if method.rule == nil {
			t.Errorf("%s has no HTTP mapping", method.name)
			continue
		}
		for _, caller := range []struct {
			who, key, reason string
			refused          bool
		}{
			{"nobody", "", "UNAUTHENTICATED", true},
			{"a stranger", keyOf("a stranger"), "UNAUTHENTICATED", true},
			{
				"who may read customers", keyOf(clerk), "SCOPE_MISSING",
				!slices.Contains([]string{"GetCustomer", "ListCustomers", "GetDeletionReceipt"}, method.short()),
			},
			{"who may read", keyOf(reader), "SCOPE_MISSING", !worldtest.Reads(method.desc)},
		} {
			c, err := newClient(w.gateway, caller.key)
			if err != nil {
				t.Fatal(err)
			}
			for transport, f := range c.probe(t, method) {
				if refused := f != nil && f.reason == caller.reason; refused != caller.refused {
					t.Errorf(
						"%s over %s by %s: got %v, want %s: %t", method.short(), transport, caller.who, f,
						caller.reason, caller.refused,
					)
				}
			}
			c.Close()
		}
	}
}

// probe calls an RPC with an empty request, or ids that nobody has, over gRPC and by every way of REST.
func (c *client) probe(t *testing.T, m *method) map[string]*failure {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := c.callGRPC(ctx, m, map[string]any{}, nil, 1)
	if err != nil && got.failure == nil {
		t.Fatal(err)
	}
	found := map[string]*failure{overGRPC: got.failure}
	for _, b := range m.bindings() {
		var body []byte
		if b.body != "" {
			body, _ = json.Marshal(map[string]any{})
		}
		resp, err := c.send(ctx, b.method, b.dummyTarget(), body, nil)
		if err != nil {
			t.Fatal(err)
		}
		at := overREST + " " + b.method + " " + b.template
		found[at] = nil
		if resp.StatusCode != 200 {
			if found[at], _, err = readFailure(resp); err != nil {
				t.Errorf("%s: %v", at, err)
			}
		}
		resp.Body.Close()
	}
	return found
}
