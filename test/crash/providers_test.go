package crash

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/test/worldtest"
)

// provider is what this suite needs to know of a provider. What is optional says so.
type provider struct {
	// operations are the creating operations of the API that make the gateway ask it.
	operations []creating
	// calm keeps the provider from reporting by itself. Optional.
	calm func(w *world)
	// kinds are what callers ask for while the gateway is killed at random.
	kinds []*kind
	// accounts holds what callers of its kinds were told against what the provider did.
	accounts func(t *testing.T, w *world, all []*request)
	// whole demands what must hold at the provider at any time. Optional.
	whole func(t *testing.T, w *world)
	// audited makes calls of all methods that only this provider offers, or whose outcome depends on it.
	audited func(w *world, check func(audited) proto.Message)
	// markets are those that it serves. A deleted customer with a consent in each of them is counted in the receipt as
	// so many of a kind; deletes is the operation that ends them, or the first of them.
	markets []string
	receipt string
	counts  int32
	deletes string
	// gone demands that nothing is left at the provider of the only customer with consents there.
	gone func(t *testing.T, w *world)
}

// providers are all providers, as far as this suite needs to know them. Each is entered by its own file.
var providers = worldtest.Table[provider]{}

// whole demands of all providers what must hold at any time.
func (w *world) whole(t *testing.T) {
	t.Helper()
	for _, id := range worldtest.Providers() {
		if whole := providers.Of(id).whole; whole != nil {
			whole(t, w)
		}
	}
}
