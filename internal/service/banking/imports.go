package banking

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// ImportConnections implements bankingv1.BankingServiceServer.
func (s *Server) ImportConnections(
	ctx context.Context, req *bankingv1.ImportConnectionsRequest,
) (*bankingv1.ImportConnectionsResponse, error) {
	customer, err := s.Load.Customer(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	p, err := s.Tenants.Offering(customer.Tenant, req.GetProvider(), "provider", "ImportConnections")
	if err != nil {
		return nil, err
	}
	if err := uniqueImports(req.GetConnections()); err != nil {
		return nil, err
	}
	return once.Do(ctx, s.Once, "ImportConnections", req,
		func(ctx context.Context, attempt *once.Attempt) (*bankingv1.ImportConnectionsResponse, error) {
			return s.importConnections(ctx, attempt, p, customer, req)
		})
}

// uniqueImports refuses ids that occur twice: the provider would take one for the other.
func uniqueImports(connections []*bankingv1.ImportedConnection) error {
	logins, accounts := make(map[string]bool), make(map[string]bool)
	for _, connection := range connections {
		if logins[connection.GetId()] {
			return kerr.InvalidField("connections.id", "must be unique")
		}
		logins[connection.GetId()] = true
		for _, account := range connection.GetAccounts() {
			if accounts[account.GetId()] {
				return kerr.InvalidField("connections.accounts.id", "must be unique")
			}
			accounts[account.GetId()] = true
		}
	}
	return nil
}

func (s *Server) importConnections(
	ctx context.Context, attempt *once.Attempt, p *providers.Provider, customer *store.Customer,
	req *bankingv1.ImportConnectionsRequest,
) (*bankingv1.ImportConnectionsResponse, error) {
	attempt.CustomerID = customer.ID
	replace := req.GetMode() == bankingv1.ImportConnectionsRequest_REPLACE
	row, beside, err := s.importedConsent(ctx, p, customer, replace)
	if err != nil {
		return nil, err
	}
	attempt.ConsentID = row.ID
	user, err := s.Customers.EnsureUser(ctx, attempt, p, customer, true)
	if err != nil {
		return nil, err
	}
	row.ProviderRef, row.Resource.ProviderReference = user, optional.Of(user)
	// The data is merged or replaced by ids: repeating it changes nothing more.
	attempt.Repeatable = true
	made, noted := row.Version == 0, row
	err = attempt.Intend(ctx, p, "import_connections", customer.Resource.GetName(), func(tx store.Tx) (err error) {
		if beside == nil {
			return nil
		}
		// Whose the banks are is known before they are there: the other consent must not take them for its own.
		noted, err = s.bringAlong(tx, p, row, req.GetConnections())
		return err
	})
	if err != nil {
		return nil, err
	}
	row = noted
	ref, err := s.History.Ref(ctx, row)
	if err != nil {
		return nil, attempt.Abandon(ctx, err, nil)
	}
	defer s.Reads.Changed()
	if err := p.Importer.ImportConnections(ctx, ref, replace, req.GetConnections()); err != nil {
		return nil, attempt.Abandon(ctx, err, func(tx store.Tx) error {
			if !made || noted.Version == 0 || service.MayHaveHappened(err) {
				return nil
			}
			return s.takeBack(tx, noted)
		})
	}
	resp := &bankingv1.ImportConnectionsResponse{}
	err = s.Store.Update(ctx, customer.Tenant, func(tx store.Tx) error {
		if err := attempt.Own(tx); err != nil {
			return err
		}
		fresh, err := s.stored(tx, p, row)
		if err != nil {
			return err
		}
		events, err := s.History.Events(tx, fresh)
		if err != nil {
			return err
		}
		// What stands now follows from what was handed over: reading it back would need another product of
		// the customer's.
		if err := s.History.Observe(tx, fresh, imported(events, replace, req.GetConnections())); err != nil {
			return err
		}
		resp.Consent = fresh.Resource
		if err := s.Audit.Note(ctx, tx, "ImportConnections", fresh.Resource.GetName()); err != nil {
			return err
		}
		return attempt.Done(tx, resp)
	})
	return resp, err
}

// stored gives an imported consent as it is stored, and stores it if it is not yet.
func (s *Server) stored(tx store.Tx, p *providers.Provider, row *store.Consent) (*store.Consent, error) {
	if row.Version != 0 {
		have, err := tx.Consent(row.ID)
		return have, service.Found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
	}
	live, err := service.LiveConsents(tx, row.CustomerID, p.ID)
	if err != nil {
		return nil, err
	}
	for _, other := range live {
		if other.Resource.GetOrigin() == consentv1.ConsentOrigin_IMPORTED { // made a moment ago
			return nil, service.ErrExists(other, "the customer has imported data there: try again to add to it")
		}
	}
	fresh := *row
	return &fresh, s.startImport(tx, &fresh)
}

// bringAlong notes that the caller is about to bring banks along.
func (s *Server) bringAlong(
	tx store.Tx, p *providers.Provider, row *store.Consent, connections []*bankingv1.ImportedConnection,
) (*store.Consent, error) {
	fresh, err := s.stored(tx, p, row)
	if err != nil {
		return nil, err
	}
	events, err := s.History.Events(tx, fresh)
	if err != nil {
		return nil, err
	}
	var announced []consent.Event
	for _, c := range connections {
		announced = append(announced, consent.BroughtAlong(events, c.GetId(), s.Clock.Now())...)
	}
	_, err = s.History.Extend(tx, fresh, announced...)
	return fresh, err
}

// takenBack bounds how many rows are erased at once of a consent that is taken back: it has no more yet, and a sweep
// would take the rest.
const takenBack = 100

// takeBack removes a consent that was made for data which the provider then did not take.
func (s *Server) takeBack(tx store.Tx, row *store.Consent) error {
	fresh, err := tx.Consent(row.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := s.History.Extend(tx, fresh, consent.Deleted(fresh.Flow, s.Clock.Now())); err != nil {
		return err
	}
	_, err = tx.DeleteConsent(fresh.ID, takenBack)
	return err
}

// imported tells which connections stand after an import.
func imported(
	events []consent.Event, replace bool, connections []*bankingv1.ImportedConnection,
) providers.ConsentState {
	state := providers.ConsentState{Stateful: true}
	given := make(map[string]bool)
	for _, c := range connections {
		given[c.GetId()] = true
		state.Connections = append(state.Connections, providers.ConnectionState{
			ID: c.GetId(), Bank: c.GetBank(), Active: true,
		})
	}
	if replace {
		return state
	}
	for _, c := range consent.Derive(consentv1.DataCollection_VALUE_UNSPECIFIED, events).Connections {
		if !given[c.ID] && c.Status != consentv1.Connection_DISCONNECTED {
			state.Connections = append(state.Connections, providers.ConnectionState{
				ID: c.ID, Bank: c.Bank.Proto(), Active: true,
			})
		}
	}
	return state
}

// importedConsent gives the customer's consent of origin IMPORTED, or a new one that is not stored yet; and the consent
// for banks that the customer connected, if there is one. Replacing all data of the user would take that one's, too.
func (s *Server) importedConsent(
	ctx context.Context, p *providers.Provider, customer *store.Customer, replace bool,
) (imported, beside *store.Consent, err error) {
	var live []*store.Consent
	err = s.Store.View(ctx, customer.Tenant, func(r store.Reader) (err error) {
		live, err = service.LiveConsents(r, customer.ID, p.ID)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	for _, row := range live {
		if row.Resource.GetOrigin() == consentv1.ConsentOrigin_IMPORTED {
			imported = row
			continue
		}
		if replace { // the customer may have connected a bank a moment ago
			if row, err = s.Follower.Current(ctx, row); err != nil {
				return nil, nil, err
			}
			if connected(row) {
				return nil, nil, service.ErrExists(row,
					"the customer has connected banks at this provider, which replacing all would remove: use MERGE")
			}
		}
		beside = row
	}
	if imported != nil {
		return imported, beside, nil
	}
	market := p.Markets[0].Code
	return &store.Consent{
		Tenant: customer.Tenant, ID: service.NewID(), CustomerID: customer.ID, Provider: p.ID, Market: market,
		Resource: &consentv1.Consent{
			Customer: customer.Resource.GetName(),
			Provider: service.ProviderName(p.ID), Market: market,
			Access: consentv1.Access_RECURRING, DataCollection: consentv1.DataCollection_TRANSACTION_CATEGORISATION,
			Origin: consentv1.ConsentOrigin_IMPORTED, IdentityMatch: consentv1.IdentityMatch_UNKNOWN,
		},
	}, beside, nil
}

// connected tells whether a consent has a bank.
func connected(row *store.Consent) bool {
	return slices.ContainsFunc(row.Resource.GetConnections(), func(c *consentv1.Connection) bool {
		return c.GetStatus() != consentv1.Connection_DISCONNECTED
	})
}

// startImport inserts a consent that stands from the beginning: who brings the data has the permission.
func (s *Server) startImport(tx store.Tx, row *store.Consent) error {
	now := s.Clock.Now()
	row.Resource = proto.CloneOf(row.Resource)
	row.Resource.Name, row.Resource.CreateTime = service.ConsentName(row.ID), timestamppb.New(now)
	row.Resource.Status = consentv1.Consent_AUTHORIZED
	if err := tx.InsertConsent(row); err != nil {
		return err
	}
	_, err := s.History.Extend(tx, row, consent.Created(now, "The consent was made for imported data."),
		consent.Approved(0, "The caller has the customer's permission.", now), consent.Completed(0, now))
	return err
}
