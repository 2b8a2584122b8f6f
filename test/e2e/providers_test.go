package e2e

import (
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

// provider is what this suite needs to know of a provider. What is optional says so.
type provider struct {
	// alone is a client that may do everything, for a tenant of the same name that has this provider alone.
	alone string
	// origin is where its consents' histories come from.
	origin consentv1.ConsentOrigin_Value
	// setups are states from which cases begin that only this provider can be brought into, or is in a way of its own.
	// They stand before those of all providers. Optional.
	setups map[string]setup
	// exceptions say why something is not shown with this provider: an RPC that has no case, by its name, or a case of
	// all providers that does not hold here, by file and name as in "consents/delete a process". Optional.
	exceptions map[string]string
	// showPerson decides whose accounts the customer of a consent shows. Optional where the psu decides.
	showPerson func(t *testing.T, w *world, consent *consentv1.Consent, person sandbox.Person)
	// logins are what the provider shows of a person, with amounts as they are spelled once they came through: a
	// provider of whole cents has two decimals and no -0.00. Pending says whether it shows what is not booked yet.
	logins  func(*sandbox.Population, sandbox.Person) []sandbox.BankLogin
	pending bool
	// namesRequests says that its errors carry a request id.
	namesRequests bool
	// journeys are what customers do on its pages, in a browser.
	journeys []journey
	// failedLogin shows a customer whose login at the bank fails and then goes well.
	failedLogin func(t *testing.T, w *world, c *client)
	// creations are the creating requests that make the gateway ask this provider.
	creations func(w *world) []*creation
	// forge makes ready whatever callbacks of the provider can be forged about a consent. Try forges each kind with a
	// token and gives the answers' status; unchanged says what came of it. Optional.
	forge func(
		t *testing.T, w *world, c *client, consent *consentv1.Consent,
	) (try func(token string) map[string]int, unchanged func())
	// receipt is the kind that the receipt of a deleted customer counts there, and left looks for what is left of one
	// of their consents.
	receipt string
	left    func(t *testing.T, w *world, consent *consentv1.Consent)
}

// providers are all providers, as far as this suite needs to know them. Each is entered by its own file.
var providers = worldtest.Table[provider]{}

// anybody is the provider of tests for which any will do.
var anybody = worldtest.Providers()[0]
