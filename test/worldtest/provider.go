package worldtest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
)

// Provider is one provider as all suites need it. What is optional says so.
type Provider struct {
	// Dialect plays it.
	sandbox.Dialect
	// Market is one in which its customers are.
	Market string
	// TakesPsu says that the provider is told who the customer is.
	TakesPsu bool
	// HasUsers says that customers are users at the provider.
	HasUsers bool
	// Approve lets the customer of a consent go through the pages, to the end that they approve.
	Approve func(ctx context.Context, at Scene, consent *consentv1.Consent) error
	// Probe makes the gateway ask the provider for something that needs no consent.
	Probe func(ctx context.Context, s *Stubs) error
	// Login is the operation by which the gateway logs in, and Refresh the one by which it goes on, "" for none.
	Login, Refresh string
	// Read is the operation that the gateway asks for, once, when a caller lists accounts.
	Read string
}

// Scene is where a customer acts.
type Scene struct {
	// Played is the customer's provider.
	Played *sandboxes.Played
	// Stubs are the caller's who asked for consent.
	Stubs *Stubs
	// Visit opens an address that a provider sends the customer to, as their browser would.
	Visit func(address string) error
}

// Calls tells whether an operation at the provider is a call that a caller's request led to: logging in is none, nor
// are the customer's visits.
func (p *Provider) Calls(operation string) bool {
	return operation != p.Login && operation != p.Refresh && operation != sandbox.OperationPage
}

var registered = map[string]*Provider{}

// Register makes a provider known. It is called once from each provider's file.
func Register(p Provider) *Provider {
	if registered[p.ID] != nil {
		panic("worldtest: two providers are called " + p.ID)
	}
	registered[p.ID] = &p
	return &p
}

// Providers are the ids of all providers, in alphabetical order.
func Providers() []string { return slices.Sorted(maps.Keys(registered)) }

// Others are the ids of all providers but one.
func Others(id string) []string {
	return slices.DeleteFunc(Providers(), func(other string) bool { return other == id })
}

// Of gives a provider by its id.
func Of(id string) *Provider {
	if registered[id] == nil {
		panic(fmt.Sprintf("worldtest: no provider %q, only %v", id, Providers()))
	}
	return registered[id]
}

// Play starts all providers. Dialects replace those of the same id.
func Play(ctx context.Context, o sandbox.Options, dialects ...sandbox.Dialect) (*sandboxes.Running, error) {
	var all []sandbox.Dialect
	for _, id := range Providers() {
		all = append(all, Of(id).Dialect)
	}
	for _, d := range dialects {
		at := slices.IndexFunc(all, func(other sandbox.Dialect) bool { return other.ID == d.ID })
		if at < 0 {
			return nil, fmt.Errorf("no provider is called %q", d.ID)
		}
		all[at] = d
	}
	return sandboxes.Start(ctx, sandboxes.Options{Options: o, Dialects: all})
}

// Calls are all calls that were made to any of the providers so far, one provider after the other.
func Calls(r *sandboxes.Running) []sandbox.Call {
	var all []sandbox.Call
	for _, played := range r.InOrder() {
		all = append(all, played.Core.Calls.All()...)
	}
	return all
}

// Table is what a suite needs to know of each provider beyond [Provider]. Its entries are added by the suite's files
// of one provider each.
type Table[T any] map[string]T

// Add adds a provider's entry.
func (t Table[T]) Add(id string, entry T) struct{} {
	if _, ok := t[id]; ok {
		panic("worldtest: two entries for " + id)
	}
	t[id] = entry
	return struct{}{}
}

// Of gives a provider's entry. It panics when the suite has no file for the provider: that file must be written.
func (t Table[T]) Of(id string) T {
	entry, ok := t[id]
	if !ok {
		panic(fmt.Sprintf(
			"this suite knows nothing of %s: add a file for it, such as those for %v", id,
			slices.Sorted(maps.Keys(t)),
		))
	}
	return entry
}
