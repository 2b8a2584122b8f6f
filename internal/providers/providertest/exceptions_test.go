package providertest

import (
	"context"
	"slices"
	"testing"

	"kontor.dev/kontor/internal/providers"
)

// nothing is a kind whose adapter does nothing.
var nothing = providers.NewKind("nothing", "Nothing", nil,
	func(_ context.Context, _ struct{}, deps providers.Deps) (*providers.Provider, error) {
		return &providers.Provider{ID: deps.ID}, nil
	})

func TestExceptions(t *testing.T) {
	t.Parallel()
	passes, fails := test{run: func(*suite) {}}, test{run: func(s *suite) { s.Error("no") }}
	stops := test{run: func(s *suite) { s.Fatal("no") }}
	for name, c := range map[string]struct {
		test   test
		reason string
		wrong  bool
	}{
		"justified":                  {fails, "the provider cannot", false},
		"justified by one that ends": {stops, "the provider cannot", false},
		"outlived":                   {passes, "the provider could not once", true},
		"without a reason":           {fails, " ", true},
		"without what the test needs": {
			test{run: passes.run, needs: []string{"Lapse"}}, "the provider has no such thing", false,
		},
	} {
		h := Harness{Settings: nothing.Settings(), Except: map[string]string{"X": c.reason}}
		if problem := h.exception(t, "X", c.test); (problem != "") != c.wrong {
			t.Errorf("%s: %q", name, problem)
		}
	}
	h := Harness{Except: map[string]string{"Links": "x", "X": "x"}}
	if unknown := h.unknown(); !slices.Equal(unknown, []string{"X"}) {
		t.Errorf("the unknown exceptions are %v", unknown)
	}
}
