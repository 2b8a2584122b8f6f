package providers

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"time"
)

// Kind is one adapter as a value: what it is called, what it can do at a provider, its own configuration, and how a
// provider is opened. The binary's kinds stand in one list (cmd/gateway/wire.go); nothing registers itself.
type Kind struct {
	// Name is what `kind` says in the configuration, such as "fimento". A provider's id is its kind's name unless the
	// operator says otherwise.
	Name string
	// DisplayName is the name for people.
	DisplayName string
	// Operations are the adapter's HTTP operations as they are built in.
	Operations []Operation

	settings func() Settings
}

// NewKind makes a kind of an adapter's configuration C and of how it opens a provider. C is a struct whose fields say
// their keys:
//
//	Username string                      `config:"username,required"`
//	Password secret.String               `config:"password,required"`
//	BaseURL  providers.BaseURL           `config:"base_url"`
//	Operations providers.Overrides       `config:"operations"`
//
// A field may be a string, a secret.String, a bool, an int, a time.Duration, a File, a list or a map of these, a
// struct with such fields, a pointer to one, or a type that reads itself from text (encoding.TextUnmarshaler). What a
// value must look like is said by its type or by C, in a method Check() error; see Check. Defaults are open's: it
// fills in what was left empty.
//
// A struct that cannot be a configuration is a mistake in the program, and panics.
func NewKind[C any](
	name, displayName string, operations []Operation, open func(context.Context, C, Deps) (*Provider, error),
) Kind {
	mustBeSettings[C]()
	settings := func() Settings {
		config := new(C)
		return Settings{
			config: config, operations: operations,
			open: func(ctx context.Context, deps Deps) (*Provider, error) {
				if deps.ID == "" {
					deps.ID = name
				}
				return open(ctx, *config, deps.withDefaults())
			},
		}
	}
	return Kind{Name: name, DisplayName: displayName, Operations: operations, settings: settings}
}

// Settings gives a configuration in which nothing is set yet.
func (k Kind) Settings() Settings { return k.settings() }

// With gives a configuration that is there already, as C itself. Another type is a mistake in the program, and
// panics.
func (k Kind) With(config any) Settings {
	settings := k.settings()
	reflect.ValueOf(settings.config).Elem().Set(reflect.ValueOf(config))
	return settings
}

// Deps is what every adapter gets from outside. An adapter that is opened through its Kind finds ID, Logger and Clock
// set.
type Deps struct {
	// ID is the provider's id here, the last segment of its resource name. Errors, logs and metrics carry it, since a
	// tenant may have several providers of one kind.
	ID string
	// Tenant is whose provider it is.
	Tenant string
	// Observer sees every attempt; it may be nil.
	Observer Observer
	// Logger gets one line for each failed attempt.
	Logger *slog.Logger
	// Clock tells the time for tokens.
	Clock func() time.Time
	// State keeps what an adapter must remember of a consent. It is set when the provider says KeepsState and
	// consents are served, and nil for `gateway check`.
	State StateKeeper

	// Transport replaces the HTTP transport, for tests.
	Transport http.RoundTripper
	// Policy is the resilience; zero values stand for the defaults.
	Policy Policy
	// Limits bounds time and size; zero values stand for the defaults.
	Limits Limits
}

func (d Deps) withDefaults() Deps {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	return d
}
