package providertest

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/providers"
)

// kinds is what every adapter makes of a status that says nothing more.
var kinds = map[int]providers.ErrorKind{
	400: providers.KindRejected, 403: providers.KindNotEnabled, 404: providers.KindNotFound,
	409: providers.KindConflict, 429: providers.KindRateLimited,
	500: providers.KindUnavailable, 503: providers.KindUnavailable,
}

func testErrors(s *suite) {
	ref := s.approved()
	for _, operation := range s.has.ReadAccounts {
		for _, status := range slices.Sorted(maps.Keys(kinds)) {
			undo := s.h.Fail(s, operation, status)
			_, err := s.provider.Accounts.ListAccounts(s.ctx(), ref)
			undo()
			e := s.failure(err)
			if e.Kind != kinds[status] || e.Status != status || e.Provider != "first" || e.Operation != operation ||
				e.MayHaveHappened {
				s.Errorf("%d is %+v", status, e)
			}
		}
		undo := s.h.Garble(s, operation)
		_, err := s.provider.Accounts.ListAccounts(s.ctx(), ref)
		undo()
		if kind := s.failure(err).Kind; kind != providers.KindInvalidResponse {
			s.Errorf("a body that is not what is documented is %s", kind)
		}
	}
	if _, err := s.provider.Accounts.ListAccounts(s.ctx(), ref); err != nil {
		s.Errorf("after the faults: %v", s.hear(err))
	}
}

// testAddresses: what needs the end user's address is refused without one, before anything is sent.
func testAddresses(s *suite) {
	p, ref := s.provider, s.approved()
	asked := map[providers.Capability]func(ctx context.Context) error{
		"CreateConsent": func(ctx context.Context) error {
			_, err := p.Consents.CreateConsent(ctx, s.newConsent())
			return err
		},
		"GetConsent": func(ctx context.Context) error {
			_, err := p.Consents.GetConsent(ctx, ref)
			return err
		},
		"ListAccounts": func(ctx context.Context) error {
			_, err := p.Accounts.ListAccounts(ctx, ref)
			return err
		},
		"RenewConsentLink": func(ctx context.Context) error {
			_, err := p.Links.RenewLink(ctx, ref, flow)
			return err
		},
		"AddBank": func(ctx context.Context) error {
			_, err := p.Banks.AddBank(ctx, ref, flow)
			return err
		},
		"SyncConnection": func(ctx context.Context) error {
			_, err := p.Connections.SyncConnection(ctx, ref, s.state(ref).Connections[0].ID, flow)
			return err
		},
		"CreateManagementSession": func(ctx context.Context) error {
			_, err := p.Connections.ManagementSession(ctx, ref, flow)
			return err
		},
		"RevokeConsent": func(ctx context.Context) error { return p.Consents.RevokeConsent(ctx, ref) },
	}
	// What ends the consent comes last.
	order := slices.SortedFunc(maps.Keys(asked), func(a, b providers.Capability) int {
		switch {
		case a == "RevokeConsent":
			return 1
		case b == "RevokeConsent":
			return -1
		}
		return 0
	})
	for _, capability := range order {
		if p.Supports(capability).Level == providers.Unsupported {
			continue
		}
		needed := slices.Contains(s.has.Addresses, capability)
		before := s.sent.count()
		err := s.hear(asked[capability](s.away()))
		switch refused := providers.KindOf(err) == providers.KindPSUIPRequired && err != nil; {
		case refused != needed:
			s.Errorf("%s without an end user's address: %v; Has.Addresses names it: %t", capability, err, needed)
		case refused && capability != "CreateConsent" && capability != "SyncConnection" && s.sent.count() != before:
			s.Errorf("%s was refused without an end user's address, after %d calls", capability, s.sent.count()-before)
		}
	}
	for _, capability := range s.has.Addresses {
		if asked[capability] == nil {
			s.Errorf("the suite cannot ask for %s without an address", capability)
		}
	}
}

func testContext(s *suite) {
	ref := s.approved()
	ctx, cancel := context.WithCancel(s.ctx())
	cancel()
	_, err := s.provider.Accounts.ListAccounts(ctx, ref)
	if kind := s.failure(err).Kind; kind != providers.KindCanceled {
		s.Errorf("a caller that left: %s", kind)
	}
}

// write is something that an adapter does to a provider.
type write struct {
	name    string
	offered bool
	// prepare does what must be there before, and gives the write, which is done once.
	prepare func() func() error
}

func (s *suite) writes() []write {
	p := s.provider
	shipment := func(channel documentsv1.Channel_Value) write {
		return write{"send a " + channel.String(), p.Shipments != nil, func() func() error {
			shipment := s.shipment(channel)
			return func() error { return p.Shipments.SendShipment(s.ctx(), shipment) }
		}}
	}
	return []write{
		{"create a user", p.Users != nil, func() func() error {
			return func() error {
				_, err := p.Users.CreateUser(s.ctx(), s.newUser())
				return err
			}
		}},
		{"create a consent", true, func() func() error {
			request := s.newConsent()
			return func() error {
				_, err := p.Consents.CreateConsent(s.ctx(), request)
				return err
			}
		}},
		{"renew a link", p.Links != nil, func() func() error {
			ref := s.create().Ref
			return func() error {
				_, err := p.Links.RenewLink(s.ctx(), ref, flow)
				return err
			}
		}},
		{"add a bank", p.Banks != nil, func() func() error {
			ref := s.approved()
			return func() error {
				_, err := p.Banks.AddBank(s.ctx(), ref, flow)
				return err
			}
		}},
		{"create a partner bank", p.PartnerBanks != nil, func() func() error {
			bank := providers.PartnerBank{DisplayName: "Kranich " + uuid.NewString()}
			return func() error {
				_, err := p.PartnerBanks.CreatePartnerBank(s.ctx(), bank)
				return err
			}
		}},
		{"register a webhook", p.Webhooks != nil, func() func() error {
			return func() error { return p.Webhooks.RegisterWebhook(s.ctx(), "https://kontor.example.com/callbacks/w") }
		}},
		shipment(documentsv1.Channel_FAX),
		shipment(documentsv1.Channel_LETTER),
	}
}

// testOutcomes: a write that must not be repeated says whether it may have happened, and is sent once.
func testOutcomes(s *suite) {
	operations := make(map[string]providers.Operation)
	for _, op := range s.provider.Operations {
		operations[op.Name] = op
	}
	// This time with the retries that there are in production.
	s.provider = s.open("first", providers.Policy{MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond})
	reached := make(map[string]bool)
	for _, w := range s.writes() {
		if !w.offered {
			continue
		}
		do, before := w.prepare(), s.sent.count()
		if err := do(); err != nil {
			s.Errorf("%s: %v", w.name, s.hear(err))
			continue
		}
		for _, call := range s.sent.since(before, "") {
			if op := operations[call.Operation]; op.Effect == providers.Creating && !reached[op.Name] {
				reached[op.Name] = true
				s.wantOutcomes(w, op.Name)
			}
		}
	}
	for _, op := range operations {
		if op.Effect == providers.Creating && !reached[op.Name] {
			s.Errorf("no write that the suite knows calls %s", op.Name)
		}
	}
}

// wantOutcomes does a write while its operation fails in several ways.
func (s *suite) wantOutcomes(w write, operation string) {
	for _, fault := range []struct {
		name       string
		begin      func() (undo func())
		mayHave    bool
		noResponse bool
	}{
		{"refused", func() func() { return s.h.Fail(s, operation, 400) }, false, false},
		{"too many requests", func() func() { return s.h.Fail(s, operation, 429) }, false, false},
		{"failed there", func() func() { return s.h.Fail(s, operation, 500) }, true, false},
		{"answered with something else", func() func() { return s.h.Garble(s, operation) }, true, false},
		{"cut off", func() func() { return s.h.Cut(s, operation) }, true, true},
	} {
		do := w.prepare()
		before := s.calls(operation)
		undo := fault.begin()
		err := do()
		undo()
		if err == nil {
			// Some answers have no body that matters.
			if fault.noResponse || fault.name != "answered with something else" {
				s.Errorf("%s, %s: no error", w.name, fault.name)
			}
		} else if e := s.failure(err); e.MayHaveHappened != fault.mayHave || e.Operation != operation {
			s.Errorf("%s, %s: %+v, want MayHaveHappened %t", w.name, fault.name, e, fault.mayHave)
		}
		if made := s.calls(operation) - before; made != 1 {
			s.Errorf("%s, %s: %d calls of %s reached the provider, want one", w.name, fault.name, made, operation)
		}
	}
}
