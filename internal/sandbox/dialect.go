package sandbox

import (
	"context"
	"net/http"
)

// Dialect is one provider as the sandbox can play it: a value that the package of the dialect offers, so that whoever
// starts sandboxes knows a list of them and none by name. Package sandboxes starts a list; cmd/gateway has the list of
// `gateway sandbox`.
type Dialect struct {
	// ID is the id, and the kind, under which a gateway has the provider, "fimento" say. It is the flag and the key in
	// the ready file of `gateway sandbox`, too.
	ID string
	// Name is what people call the provider.
	Name string
	// Addr is where `gateway sandbox` has it listen unless told otherwise. It must be a loopback address.
	Addr string
	// New plays the provider over a core that it has to itself. baseURL is where browsers and the gateway reach it,
	// without a slash at the end; "" means as each request did.
	New func(core *Core, baseURL string) Player
	// Secrets are those keys of the Player's Settings whose values are secrets.
	Secrets []string
	// Account tells people how they log in by hand: a text/template over the Player's Settings.
	Account string
	// Tour is the provider's part of the walk-through that `gateway sandbox` prints.
	Tour Tour
}

// Player is a provider that is being played.
type Player interface {
	// ServeHTTP serves the API, the bank pages and the controls.
	http.Handler
	// Settings are the keys of the provider's block in kontor.yaml, with values by which a gateway finds this player
	// and can log in. "base_url" is among them and begins with the address that New was given.
	Settings() map[string]string
	// Close ends what the player does by itself, such as webhooks, and waits until none of it is under way, or for ctx.
	Close(ctx context.Context) error
}

// Tour is a provider's part of the walk-through: what a newcomer pastes into a shell, line by line. The walk-through
// goes chapter by chapter, and in each from provider to provider. In the shell $K is the gateway's REST address and $A
// the header with the key; a Tour sets variables of its own. Texts are text/templates with the field URL, the address
// at which the provider is played.
type Tour struct {
	// Consent leads from asking a customer to a consent whose data can be read.
	Consent []Stop
	// Data reads accounts and transactions.
	Data string
	// Insights reads insights. The Title says whose they are, as in "computed by Fimento".
	Insights Stop
	// More is what only this provider has.
	More []Stop
	// End ends the consent. The Title is a sentence about what the provider demands for that; it may be empty.
	End Stop
	// After shows what is left.
	After string
}

// Stop is a heading with lines to paste. Lines end with a line feed.
type Stop struct{ Title, Lines string }
