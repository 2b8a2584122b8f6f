package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/test/worldtest"
)

// offers are what a provider says of the RPCs that depend on it, by their short names.
type offers map[string]providerv1.Provider_Capability_Level

// has tells whether the provider offers an RPC. Those that it does not speak of do not depend on it.
func (o offers) has(m *method) bool {
	level, depends := o[m.short()]
	return !depends || level != providerv1.Provider_Capability_UNSUPPORTED
}

// listed are the providers that the gateway lists.
func listed(t *testing.T, w *world) []*providerv1.Provider {
	t.Helper()
	list := must(w.client(t, lending).Providers.ListProviders(t.Context(), &providerv1.ListProvidersRequest{}))(t)
	return list.GetProviders()
}

func offersOf(t *testing.T, w *world, provider string) offers {
	t.Helper()
	for _, p := range listed(t, w) {
		if p.GetName() == "providers/"+provider {
			return offersIn(p)
		}
	}
	t.Fatalf("the gateway does not list %s", provider)
	return nil
}

func offersIn(p *providerv1.Provider) offers {
	o := offers{}
	for _, capability := range p.GetCapabilities() {
		o[capability.GetMethod()] = capability.GetLevel()
	}
	return o
}

// holds tells whether a case is to be run with a provider.
func (c *testCase) holds(provider string, o offers) bool {
	if !c.of(provider) {
		return false
	}
	excepted := providers.Of(provider).exceptions[c.title()] != ""
	return c.Provider[0] != allProviders || o.has(methods()[c.RPC]) && !excepted
}

// TestCasesAreComplete fails when an RPC has no case with a provider that the gateway lists, and when a case says
// otherwise of what a provider offers than ListProviders does.
func TestCasesAreComplete(t *testing.T) {
	t.Parallel()
	inWorld := listed(t, live.get(t))
	var ids []string
	for _, p := range inWorld {
		ids = append(ids, strings.TrimPrefix(p.GetName(), "providers/"))
	}
	slices.Sort(ids)
	if !slices.Equal(ids, worldtest.Providers()) {
		t.Errorf("the gateway lists %v, and %v are played", ids, worldtest.Providers())
	}
	exceptions := map[string]map[string]string{}
	for _, id := range worldtest.Providers() {
		exceptions[id] = providers.Of(id).exceptions
	}
	for _, problem := range incomplete(allCases(t), sortedMethods(), inWorld, exceptions) {
		t.Error(problem)
	}
}

// incomplete goes over every pair of an RPC and a provider. It names the pairs that no case shows, unless an exception
// says why, the cases that contradict the provider, and exceptions that are none.
func incomplete(
	cases []*testCase, rpcs []*method, inWorld []*providerv1.Provider, exceptions map[string]map[string]string,
) (problems []string) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for _, p := range inWorld {
		provider := strings.TrimPrefix(p.GetName(), "providers/")
		for _, capability := range p.GetCapabilities() {
			if capability.GetLevel() != providerv1.Provider_Capability_NATIVE && capability.GetReason() == "" {
				problem("%s does not say why %s is %s", provider, capability.GetMethod(), capability.GetLevel())
			}
		}
		o, unused := offersIn(p), maps.Clone(exceptions[provider])
		unknown := maps.Clone(o)
		for what, reason := range unused {
			if strings.TrimSpace(reason) == "" {
				problem("%s is an exception of %s without a reason", what, provider)
			}
		}
		for _, rpc := range rpcs {
			delete(unknown, rpc.short())
			shown := false
			for _, c := range cases {
				if c.RPC != rpc.name || !c.of(provider) {
					continue
				}
				if c.Provider[0] == allProviders {
					_, excepted := unused[c.title()]
					delete(unused, c.title())
					if excepted || !o.has(rpc) {
						continue
					}
				}
				shown = c.shows(o.has(rpc)) || shown
				for _, contradiction := range c.contradicts(o.has(rpc)) {
					problem(
						"%s with %s is %s, and the case %q %s", rpc.short(), provider, o[rpc.short()], c.Name,
						contradiction,
					)
				}
			}
			_, excepted := unused[rpc.name]
			delete(unused, rpc.name)
			switch {
			case !shown && !excepted:
				problem("no case shows %s with %s, which is %s", rpc.name, provider, o[rpc.short()])
			case shown && excepted:
				problem("%s is an exception of %s, and a case shows it", rpc.name, provider)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(unknown)) {
			problem("%s lists %s, which is no RPC", provider, name)
		}
		for _, what := range slices.Sorted(maps.Keys(unused)) {
			problem("%s has the exception %q, which is neither an RPC nor a case of all providers", provider, what)
		}
	}
	return problems
}

// refused says that the case expects to be told that the provider does not offer the RPC.
func (c *testCase) refused() bool {
	return c.Error != nil && c.Error.Reason == "CAPABILITY_UNSUPPORTED"
}

// shows tells whether the case shows what a provider makes of an RPC that it offers, or does not.
func (c *testCase) shows(offered bool) bool {
	return c.refused() && !offered || c.Error == nil && offered
}

// contradicts says what in the case cannot be.
func (c *testCase) contradicts(offered bool) (contradictions []string) {
	if c.refused() && offered || c.Error == nil && !offered {
		contradictions = append(contradictions, "says otherwise")
	}
	if c.refused() && c.Upstream != nil && len(*c.Upstream) > 0 {
		contradictions = append(contradictions, "has the provider asked for what it does not offer")
	}
	return contradictions
}

// TestIncompleteCasesAreFound: the check above finds a provider without a case, an RPC that was left out, and whatever
// else it is there for.
func TestIncompleteCasesAreFound(t *testing.T) {
	t.Parallel()
	const (
		get  = "kontor.customer.v1.CustomerService/GetCustomer"
		list = "kontor.insights.v1.InsightsService/SearchCompanyLogos"
	)
	rpcs := []*method{methods()[get], methods()[list]}
	atlantis := &providerv1.Provider{Name: "providers/atlantis", Capabilities: []*providerv1.Provider_Capability{
		{
			Method: "SearchCompanyLogos",
			Level:  providerv1.Provider_Capability_UNSUPPORTED,
			Reason: optional.Of("it has none"),
		},
	}}
	well := func(provider string) []*testCase {
		return []*testCase{
			{Name: "get", Provider: listOrOne{provider}, RPC: get, file: "cases"},
			{Name: "logos", Provider: listOrOne{provider}, RPC: list, file: "cases", Error: &wantError{
				Reason: "CAPABILITY_UNSUPPORTED",
			}},
		}
	}
	refusal := func(c testCase) *testCase {
		c.Error = &wantError{Reason: "CAPABILITY_UNSUPPORTED"}
		return &c
	}
	for _, tc := range []struct {
		what       string
		cases      []*testCase
		provider   *providerv1.Provider
		exceptions map[string]string
		want       []string // parts of the problems, in order
	}{
		{what: "all is well", cases: well("atlantis"), provider: atlantis},
		{
			what: "another provider has the cases", cases: well(anybody), provider: atlantis,
			want: []string{
				"no case shows " + get + " with atlantis",
				"no case shows " + list + " with atlantis, which is UNSUPPORTED",
			},
		},
		{
			what: "one RPC is left out", cases: well("atlantis")[:1], provider: atlantis,
			want: []string{"no case shows " + list + " with atlantis"},
		},
		{
			what: "a failure alone shows nothing", provider: atlantis,
			cases: []*testCase{
				{Provider: listOrOne{"atlantis"}, RPC: get, Error: &wantError{Reason: "CUSTOMER_NOT_FOUND"}},
				well("atlantis")[1],
			},
			want: []string{"no case shows " + get + " with atlantis"},
		},
		{
			what: "what holds for all holds for the provider", provider: atlantis,
			cases: append(well("atlantis")[1:], well(allProviders)[0]),
		},
		{
			what: "what holds for all is not asked of who does not offer it", provider: atlantis,
			cases: append(well("atlantis")[:1], &testCase{Name: "logos", Provider: listOrOne{allProviders}, RPC: list}),
			want:  []string{"no case shows " + list + " with atlantis"},
		},
		{
			what: "an exception says why", cases: well("atlantis")[:1], provider: atlantis,
			exceptions: map[string]string{list: "the documentation is silent"},
		},
		{
			what: "an exception from what holds for all", provider: atlantis,
			cases:      append(well("atlantis")[1:], well(allProviders)[0]),
			exceptions: map[string]string{"cases/get": "there is no telling"},
			want:       []string{"no case shows " + get + " with atlantis"},
		},
		{
			what: "an exception without a reason", cases: well("atlantis")[:1], provider: atlantis,
			exceptions: map[string]string{list: " "},
			want:       []string{list + " is an exception of atlantis without a reason"},
		},
		{
			what: "an exception that is none", cases: well("atlantis"), provider: atlantis,
			exceptions: map[string]string{list: "so", "cases/nothing": "so"},
			want: []string{
				list + " is an exception of atlantis, and a case shows it",
				`atlantis has the exception "cases/nothing"`,
			},
		},
		{
			what: "a case shows what is not offered", provider: atlantis,
			cases: append(well("atlantis"), &testCase{Name: "odd", Provider: listOrOne{"atlantis"}, RPC: list}),
			want:  []string{`and the case "odd" says otherwise`},
		},
		{
			what: "a case refuses what is offered", provider: atlantis,
			cases: append(well("atlantis"), refusal(testCase{Name: "odd", Provider: listOrOne{"atlantis"}, RPC: get})),
			want:  []string{`and the case "odd" says otherwise`},
		},
		{
			what: "the provider is asked for what it does not offer", provider: atlantis,
			cases: append(well("atlantis"), refusal(testCase{
				Name: "odd", Provider: listOrOne{"atlantis"}, RPC: list, Upstream: &upstreamCalls{"search": 1},
			})),
			want: []string{`and the case "odd" has the provider asked`},
		},
		{
			what: "the provider says what makes no sense", cases: well("atlantis"),
			provider: &providerv1.Provider{Name: "providers/atlantis", Capabilities: []*providerv1.Provider_Capability{
				{Method: "SearchCompanyLogos", Level: providerv1.Provider_Capability_UNSUPPORTED}, {Method: "Fly"},
			}},
			want: []string{
				"atlantis does not say why SearchCompanyLogos", "atlantis does not say why Fly",
				"atlantis lists Fly, which is no RPC",
			},
		},
	} {
		got := incomplete(tc.cases, rpcs, []*providerv1.Provider{tc.provider}, map[string]map[string]string{
			"atlantis": tc.exceptions,
		})
		if len(got) != len(tc.want) {
			t.Errorf("%s: got %q, want %q", tc.what, got, tc.want)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], tc.want[i]) {
				t.Errorf("%s: got %q, want %q", tc.what, got[i], tc.want[i])
			}
		}
	}

	// The cases that there are, with a provider more, and with each RPC left out in turn.
	all := allCases(t)
	missing := func(cases []*testCase, provider *providerv1.Provider) []string {
		return incomplete(cases, sortedMethods(), []*providerv1.Provider{provider}, nil)
	}
	if got := missing(all, atlantis); len(got) < 10 {
		t.Errorf("a provider without a case of its own misses no more than %q", got)
	}
	for _, p := range listed(t, live.get(t)) {
		for _, rpc := range sortedMethods() {
			without := slices.DeleteFunc(slices.Clone(all), func(c *testCase) bool { return c.RPC == rpc.name })
			got := missing(without, p)
			if len(got) != 1 ||
				!strings.Contains(got[0], "no case shows "+rpc.name+" with "+strings.TrimPrefix(
					p.GetName(), "providers/",
				)) {
				t.Errorf("without the cases of %s: got %q", rpc.name, got)
			}
		}
	}
}
