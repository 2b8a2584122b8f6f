package conformance

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/providertest"
	"kontor.dev/kontor/internal/secret"
	example "kontor.dev/kontor/test/example/provider"
)

// mutant is the example adapter with one thing wrong, and the test of the suite that must find it.
type mutant struct {
	test string
	// before changes what the adapter is opened with.
	before func(cfg *example.Config, deps *providers.Deps)
	// after changes the provider that it opened.
	after func(p *providers.Provider, deps providers.Deps)
}

// mutants are mistakes that somebody who writes an adapter could make.
var mutants = map[string]mutant{
	"has its kind's name for an id": {test: "Wiring", after: func(p *providers.Provider, _ providers.Deps) {
		p.ID = "example"
	}},
	"emulates without a reason": {test: "Wiring", after: func(p *providers.Provider, _ providers.Deps) {
		p.Capabilities["GetInsights"] = providers.Support{Level: providers.Emulated}
	}},
	"declares a port that it lacks": {test: "Unsupported", after: func(p *providers.Provider, _ providers.Deps) {
		p.Capabilities["AddBank"] = providers.Support{Level: providers.Native}
	}},
	"lacks something without a reason": {test: "Unsupported", after: func(p *providers.Provider, _ providers.Deps) {
		p.Capabilities["AddBank"] = providers.Support{}
	}},
	"hides a port that it has": {test: "Unsupported", after: func(p *providers.Provider, _ providers.Deps) {
		p.Capabilities["RenewConsentLink"] = providers.Support{Reason: "not yet"}
	}},
	"puts another id into errors": {test: "Instances", after: onAccounts(func(a *accounts) {
		a.list = func(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
			found, err := a.Accounts.ListAccounts(ctx, ref)
			return found, changed(err, func(e *providers.Error) { e.Provider = "example" })
		}
	})},
	"calls itself by another id": {test: "Instances", before: func(_ *example.Config, deps *providers.Deps) { deps.ID = "first" }},
	"cannot log in": {
		test:  "Session",
		after: onSession(func(context.Context) error { return errors.New("no") }),
	},
	"logs in for each check": {test: "Login", after: func(p *providers.Provider, deps providers.Deps) {
		onSession(func(ctx context.Context) error {
			_, err := p.Consents.GetConsent(ctx, providers.ConsentRef{ID: "x"})
			return providers.Ignore(err, "get_consent", providers.KindNotFound)
		})(p, deps)
	}},
	"signs on with a key that was replaced": {test: "Secrets", before: func(cfg *example.Config, _ *providers.Deps) {
		cfg.SigningKey = secret.New(cfg.SigningKey.Reveal())
	}},
	"logs in with a secret that was replaced": {test: "Secrets", before: func(cfg *example.Config, _ *providers.Deps) {
		cfg.ClientSecret = secret.New(cfg.ClientSecret.Reveal())
	}},
	"reads more than it must": {test: "Reads", after: func(p *providers.Provider, deps providers.Deps) {
		onAccounts(func(a *accounts) {
			a.list = func(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
				_, _ = p.Consents.GetConsent(ctx, ref)
				return a.Accounts.ListAccounts(ctx, ref)
			}
		})(p, deps)
	}},
	"reports a status anew with each read": {test: "Consents", after: onState(func(state *providers.ConsentState) {
		state.Observations = append(state.Observations, providers.Observation{
			Key: strconv.FormatInt(counter.Add(1), 10), Type: consentv1.ConsentEvent_PROVIDER_STATUS,
		})
	})},
	"tells twice that a consent was made": {test: "Consents", after: onState(func(state *providers.ConsentState) {
		state.Observations = append(state.Observations, providers.Observation{
			Key: "begun", Type: consentv1.ConsentEvent_CREATED,
		})
	})},
	"takes two consents for one": {test: "Repetition", after: func(p *providers.Provider, _ providers.Deps) {
		p.RepeatsConsents = true
	}},
	"names no bank": {test: "Consents", after: onState(func(state *providers.ConsentState) {
		for i := range state.Connections {
			state.Connections[i].Bank = nil
		}
	})},
	"takes data for ready that is still coming": {test: "Consents", after: onState(func(state *providers.ConsentState) {
		for i := range state.Connections {
			state.Connections[i].Stage = consentv1.DataStage_READY
		}
	})},
	"takes any return": {test: "Redirects", after: func(p *providers.Provider, _ providers.Deps) {
		p.Callbacks.Redirect = func(
			_ context.Context, ref providers.ConsentRef, _ providers.Outcome, _ url.Values,
		) (providers.Return, error) {
			return providers.Return{Ref: &ref}, nil
		}
	}},
	"takes any return for a failure": {test: "Redirects", after: func(p *providers.Provider, _ providers.Deps) {
		p.Callbacks.Outcome = func(url.Values) providers.Outcome { return providers.OutcomeError }
	}},
	"renews without a link": {test: "Links", after: onLinks(func(issued *providers.Issued) { issued.Link.URI = "" })},
	"loses what stands when it renews": {test: "Links", after: onLinks(func(issued *providers.Issued) {
		issued.Ref.State = secret.String{}
	})},
	"loses the new id": {test: "Links", after: onLinks(func(issued *providers.Issued) { issued.Ref = nil })},
	"revokes nothing": {test: "Revoke", after: onConsents(func(c *consents) {
		c.revoke = func(context.Context, providers.ConsentRef) error { return nil }
	})},
	"fails to revoke twice": {test: "Revoke", after: onConsents(func(c *consents) {
		var revoked atomic.Bool
		c.revoke = func(ctx context.Context, ref providers.ConsentRef) error {
			if revoked.Swap(true) {
				return &providers.Error{Kind: providers.KindNotFound}
			}
			return c.Consents.RevokeConsent(ctx, ref)
		}
	})},
	"gives accounts other ids each time": {test: "Accounts", after: onEachAccount(func(a *providers.Account) {
		a.ID += strconv.FormatInt(counter.Add(1), 10)
	})},
	"has an account twice": {
		test:  "Accounts",
		after: onEachAccount(func(a *providers.Account) { a.ID = "same" }),
	},
	"names accounts": {
		test:  "Accounts",
		after: onEachAccount(func(a *providers.Account) { a.Name = "x" }),
	},
	"leaves the currency out": {
		test:  "Accounts",
		after: onEachAccount(func(a *providers.Account) { a.CurrencyCode = optional.Of("") }),
	},
	"takes pending for booked": {
		test:  "Transactions",
		after: onEach(func(t *providers.Transaction) { t.Status = bankingv1.Transaction_BOOKED }),
	},
	"writes dates in another form": {
		test: "Transactions",
		after: onEach(
			func(t *providers.Transaction) { t.BookingDate = optional.Of(t.GetBookingDate() + "T00:00:00Z") },
		),
	},
	"puts transactions elsewhere": {
		test:  "Transactions",
		after: onEach(func(t *providers.Transaction) { t.AccountID = "x" }),
	},
	"puts transactions nowhere": {
		test:  "Transactions",
		after: onEach(func(t *providers.Transaction) { t.AccountID = "" }),
	},
	"says nothing where nothing is told": {
		test:  "Transactions",
		after: onEach(func(t *providers.Transaction) { t.ValueDate = new(string) }),
	},
	"has one id for all": {
		test:  "Transactions",
		after: onEach(func(t *providers.Transaction) { t.ID = "x" }),
	},
	"leaves out what was asked for": {test: "Query", after: onQuery(func(q *providers.Query) { q.From = q.To })},
	"reads all accounts for one":    {test: "Query", after: onQuery(func(q *providers.Query) { q.AccountID = "" })},
	"fails when the caller has enough": {test: "StopEarly", after: func(p *providers.Provider, deps providers.Deps) {
		onAccounts(func(a *accounts) {
			a.read = func(
				ctx context.Context, ref providers.ConsentRef, query providers.Query,
			) iter.Seq2[providers.Transaction, error] {
				return func(yield func(providers.Transaction, error) bool) {
					for t, err := range a.Accounts.Transactions(ctx, ref, query) {
						if !yield(t, err) {
							_, _ = p.Consents.GetConsent(ctx, providers.ConsentRef{ID: "nobody"})
							return
						}
					}
				}
			}
		})(p, deps)
	}},
	"remembers and does not say so": {test: "State", after: func(p *providers.Provider, _ providers.Deps) {
		p.KeepsState = false
	}},
	"remembers in memory": {test: "State", after: func(p *providers.Provider, _ providers.Deps) {
		redirect, memory := p.Callbacks.Redirect, map[string]secret.String{}
		p.Callbacks.Redirect = func(
			ctx context.Context, ref providers.ConsentRef, outcome providers.Outcome, query url.Values,
		) (providers.Return, error) {
			back, err := redirect(ctx, ref, outcome, query)
			if back.Ref != nil {
				memory[ref.ID], back.Ref.State = back.Ref.State, secret.New("mine")
			}
			return back, err
		}
		recall := func(ref providers.ConsentRef) providers.ConsentRef {
			if ref.State.Reveal() == "mine" {
				ref.State = memory[ref.ID]
			}
			return ref
		}
		p.Accounts = &accounts{Accounts: p.Accounts, recall: recall}
		p.Consents = &consents{Consents: p.Consents, recall: recall}
	}},
	"logs what it remembers": {test: "State", after: func(p *providers.Provider, deps providers.Deps) {
		onAccounts(func(a *accounts) {
			a.list = func(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
				deps.Logger.DebugContext(ctx, "read", slog.String("state", ref.State.Reveal()))
				return a.Accounts.ListAccounts(ctx, ref)
			}
		})(p, deps)
	}},
	"does not keep a new state": {test: "StateRenewed", before: func(_ *example.Config, deps *providers.Deps) { deps.State = nil }},
	"goes on without its caller": {test: "Context", after: onAccounts(func(a *accounts) {
		a.list = func(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
			return a.Accounts.ListAccounts(context.WithoutCancel(ctx), ref)
		}
	})},
	"demands an address": {test: "Addresses", after: onAccounts(func(a *accounts) {
		a.list = func(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
			if providers.CallOf(ctx).PSUIP == "" {
				return nil, &providers.Error{Kind: providers.KindPSUIPRequired}
			}
			return a.Accounts.ListAccounts(ctx, ref)
		}
	})},
	"takes all failures for one": {test: "Errors", after: onFailure(func(e *providers.Error) {
		e.Kind = providers.KindUnavailable
	})},
	"returns errors of its own": {test: "Errors", after: onAccounts(func(a *accounts) {
		a.list = func(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
			found, err := a.Accounts.ListAccounts(ctx, ref)
			if err != nil {
				return nil, errors.New("failed")
			}
			return found, nil
		}
	})},
	"forgets that it may have happened": {test: "Outcomes", after: onConsents(func(c *consents) {
		c.create = func(ctx context.Context, consent providers.NewConsent) (*providers.CreatedConsent, error) {
			created, err := c.Consents.CreateConsent(ctx, consent)
			return created, changed(err, func(e *providers.Error) { e.MayHaveHappened = false })
		}
	})},
	"asks twice": {test: "Outcomes", after: onConsents(func(c *consents) {
		c.create = func(ctx context.Context, consent providers.NewConsent) (*providers.CreatedConsent, error) {
			created, err := c.Consents.CreateConsent(ctx, consent)
			if err != nil {
				return c.Consents.CreateConsent(ctx, consent)
			}
			return created, nil
		}
	})},
	"overlooks a withdrawal": {test: "Withdrawal", after: onState(func(state *providers.ConsentState) {
		state.Decision = consentv1.Decision_UNDECIDED
	})},
	"does not tell the end": {test: "Expiry", after: onState(func(state *providers.ConsentState) {
		state.ValidUntil = time.Time{}
	})},
	"takes an end for a withdrawal": {test: "Expiry", after: onState(func(state *providers.ConsentState) {
		if state.DecisionCode == "expired" {
			state.Decision = consentv1.Decision_REVOKED
		}
	})},
	"takes the end of a consent for bad credentials": {test: "ConsentEnded", after: onFailure(func(e *providers.Error) {
		e.Kind = providers.KindCredentials
	})},
	"takes too many reads of one for too many of all": {
		test: "AccessExceeded",
		after: onFailure(func(e *providers.Error) {
			e.Kind = providers.KindRateLimited
		}),
	},
}

// counter makes texts that never come again.
var counter atomic.Int64

// TestMutants: the suite finds each mistake, by the test that is meant for it, and finds nothing in the adapter itself.
func TestMutants(t *testing.T) {
	t.Parallel()
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if failure := providertest.Failure(t, m.test, openExample(t)); failure != "" {
				t.Fatalf("without the mistake: %s", failure)
			}
			h := openExample(t)
			h.Settings = m.settings(h.Settings)
			failure := providertest.Failure(t, m.test, h)
			if failure == "" {
				t.Errorf("the test %s does not find it", m.test)
			}
			t.Log(failure)
		})
	}
}

// settings gives the configuration of the adapter with the mistake.
func (m mutant) settings(settings providers.Settings) providers.Settings {
	open := func(ctx context.Context, cfg example.Config, deps providers.Deps) (*providers.Provider, error) {
		if m.before != nil {
			m.before(&cfg, &deps)
		}
		p, err := example.Open(ctx, cfg, deps)
		if err == nil && m.after != nil {
			m.after(p, deps)
		}
		return p, err
	}
	kind := providers.NewKind("mutant", "Mutant", example.Operations(), open)
	return kind.With(*settings.Target().(*example.Config))
}

// changed changes an adapter's error.
func changed(err error, change func(*providers.Error)) error {
	var e *providers.Error
	if !errors.As(err, &e) {
		return err
	}
	other := *e
	change(&other)
	return &other
}

// What follows puts something between the suite and a port.

type change = func(*providers.Provider, providers.Deps)

type session struct {
	providers.Session

	check func(context.Context) error
}

func (s session) Check(ctx context.Context) error { return s.check(ctx) }

func onSession(check func(context.Context) error) change {
	return func(p *providers.Provider, _ providers.Deps) { p.Session = session{p.Session, check} }
}

type accounts struct {
	providers.Accounts

	recall func(providers.ConsentRef) providers.ConsentRef
	list   func(context.Context, providers.ConsentRef) ([]providers.Account, error)
	read   func(context.Context, providers.ConsentRef, providers.Query) iter.Seq2[providers.Transaction, error]
}

func (a *accounts) ListAccounts(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
	if a.recall != nil {
		ref = a.recall(ref)
	}
	if a.list != nil {
		return a.list(ctx, ref)
	}
	return a.Accounts.ListAccounts(ctx, ref)
}

func (a *accounts) Transactions(
	ctx context.Context, ref providers.ConsentRef, query providers.Query,
) iter.Seq2[providers.Transaction, error] {
	if a.recall != nil {
		ref = a.recall(ref)
	}
	if a.read != nil {
		return a.read(ctx, ref, query)
	}
	return a.Accounts.Transactions(ctx, ref, query)
}

func onAccounts(set func(*accounts)) change {
	return func(p *providers.Provider, _ providers.Deps) {
		a := &accounts{Accounts: p.Accounts}
		set(a)
		p.Accounts = a
	}
}

func onEachAccount(each func(*providers.Account)) change {
	return onAccounts(func(a *accounts) {
		a.list = func(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
			found, err := a.Accounts.ListAccounts(ctx, ref)
			for i := range found {
				each(&found[i])
			}
			return found, err
		}
	})
}

func onFailure(change func(*providers.Error)) change {
	return onAccounts(func(a *accounts) {
		a.list = func(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
			found, err := a.Accounts.ListAccounts(ctx, ref)
			return found, changed(err, change)
		}
	})
}

func onEach(each func(*providers.Transaction)) change {
	return onAccounts(func(a *accounts) {
		a.read = func(
			ctx context.Context, ref providers.ConsentRef, query providers.Query,
		) iter.Seq2[providers.Transaction, error] {
			return func(yield func(providers.Transaction, error) bool) {
				for t, err := range a.Accounts.Transactions(ctx, ref, query) {
					if err == nil {
						each(&t)
					}
					if !yield(t, err) {
						return
					}
				}
			}
		}
	})
}

func onQuery(narrow func(*providers.Query)) change {
	return onAccounts(func(a *accounts) {
		a.read = func(
			ctx context.Context, ref providers.ConsentRef, query providers.Query,
		) iter.Seq2[providers.Transaction, error] {
			narrow(&query)
			return a.Accounts.Transactions(ctx, ref, query)
		}
	})
}

type consents struct {
	providers.Consents

	recall func(providers.ConsentRef) providers.ConsentRef
	create func(context.Context, providers.NewConsent) (*providers.CreatedConsent, error)
	get    func(context.Context, providers.ConsentRef) (*providers.ConsentState, error)
	revoke func(context.Context, providers.ConsentRef) error
}

func (c *consents) CreateConsent(
	ctx context.Context, consent providers.NewConsent,
) (*providers.CreatedConsent, error) {
	if c.create != nil {
		return c.create(ctx, consent)
	}
	return c.Consents.CreateConsent(ctx, consent)
}

func (c *consents) GetConsent(ctx context.Context, ref providers.ConsentRef) (*providers.ConsentState, error) {
	if c.recall != nil {
		ref = c.recall(ref)
	}
	if c.get != nil {
		return c.get(ctx, ref)
	}
	return c.Consents.GetConsent(ctx, ref)
}

func (c *consents) RevokeConsent(ctx context.Context, ref providers.ConsentRef) error {
	if c.revoke != nil {
		return c.revoke(ctx, ref)
	}
	return c.Consents.RevokeConsent(ctx, ref)
}

func onConsents(set func(*consents)) change {
	return func(p *providers.Provider, _ providers.Deps) {
		c := &consents{Consents: p.Consents}
		set(c)
		p.Consents = c
	}
}

func onState(change func(*providers.ConsentState)) change {
	return onConsents(func(c *consents) {
		c.get = func(ctx context.Context, ref providers.ConsentRef) (*providers.ConsentState, error) {
			state, err := c.Consents.GetConsent(ctx, ref)
			if err == nil {
				change(state)
			}
			return state, err
		}
	})
}

type links struct {
	providers.Links

	change func(*providers.Issued)
}

func (l links) RenewLink(
	ctx context.Context, ref providers.ConsentRef, flow providers.Flow,
) (*providers.Issued, error) {
	issued, err := l.Links.RenewLink(ctx, ref, flow)
	if err == nil {
		l.change(issued)
	}
	return issued, err
}

func onLinks(change func(*providers.Issued)) change {
	return func(p *providers.Provider, _ providers.Deps) { p.Links = links{p.Links, change} }
}
