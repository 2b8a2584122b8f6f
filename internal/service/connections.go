package service

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// ListConnections implements bankingv1.BankingServiceServer. The answer is what Kontor last learnt, as in GetConsent.
func (s *bankingServer) ListConnections(ctx context.Context, req *bankingv1.ListConnectionsRequest) (*bankingv1.ListConnectionsResponse, error) {
	row, _, err := s.loadConsent(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	page, next, err := slicePage(row.Resource.GetConnections(), req, row.Tenant, "connections", row.ID)
	return &bankingv1.ListConnectionsResponse{Connections: page, NextPageToken: next}, err
}

// GetConnection implements bankingv1.BankingServiceServer.
func (s *bankingServer) GetConnection(ctx context.Context, req *bankingv1.GetConnectionRequest) (*consentv1.Connection, error) {
	row, _, err := s.loadConsent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return connectionNamed(row, req.GetName())
}

// connectionNamed finds a connection in a consent's resource.
func connectionNamed(row *store.Consent, name string) (*consentv1.Connection, error) {
	for _, c := range row.Resource.GetConnections() {
		if c.GetName() == name {
			return c, nil
		}
	}
	return nil, notFound(errorv1.Error_CONNECTION_NOT_FOUND, "connection")
}

// standing refuses what needs a consent that stands, without asking the provider.
func standing(row *store.Consent) error {
	if row.Ended || row.Resource.GetStatus() == consentv1.Consent_REVOKED {
		return kerr.New(errorv1.Error_CONSENT_REVOKED, "the consent was revoked")
	}
	return nil
}

// loadConnection loads what an RPC on one connection needs.
func (s *Service) loadConnection(ctx context.Context, name string, capability providers.Capability) (*store.Consent, *providers.Provider, consent.Connection, error) {
	row, p, err := s.loadConsent(ctx, name)
	if err != nil {
		return nil, nil, consent.Connection{}, err
	}
	if err := need(p, capability); err != nil {
		return nil, nil, consent.Connection{}, err
	}
	connection, err := s.connectionOf(ctx, row, name)
	if err != nil {
		return nil, nil, consent.Connection{}, err
	}
	return row, p, connection, standing(row)
}

// SyncConnection implements bankingv1.BankingServiceServer.
func (s *bankingServer) SyncConnection(ctx context.Context, req *bankingv1.SyncConnectionRequest) (*bankingv1.SyncConnectionResponse, error) {
	row, p, connection, err := s.loadConnection(ctx, req.GetName(), "SyncConnection")
	if err != nil {
		return nil, err
	}
	if err := needRedirects(row.Redirects); p.NeedsRedirects && err != nil {
		return nil, kerr.New(errorv1.Error_CONSENT_NOT_AUTHORIZED, "the consent has no redirect URIs: the customer cannot authenticate anew")
	}
	return detached(ctx, s.Service, func(ctx context.Context) (*bankingv1.SyncConnectionResponse, error) {
		visit := s.newSession(row, row.Flow+1)
		defer s.reads.changed()
		link, err := p.Connections.SyncConnection(ctx, refOf(row), connection.ID, providers.Flow{
			Access: row.Resource.GetAccess(), Redirects: visit.redirects,
		})
		if err != nil {
			return nil, callError(err)
		}
		resp := &bankingv1.SyncConnectionResponse{}
		if link != nil {
			if row, err = s.linkIssued(ctx, "SyncConnection", row, *link, visit, nil); err != nil {
				return nil, err
			}
			resp.Link = row.Resource.GetLink()
		} else {
			if err := s.auditAlone(ctx, "SyncConnection", req.GetName()); err != nil {
				return nil, err
			}
			if row, err = s.refresh(ctx, row); err != nil {
				return nil, err
			}
		}
		resp.Connection, err = connectionNamed(row, req.GetName())
		return resp, err
	})
}

// DeleteConnection implements bankingv1.BankingServiceServer.
func (s *bankingServer) DeleteConnection(ctx context.Context, req *bankingv1.DeleteConnectionRequest) (*emptypb.Empty, error) {
	row, p, connection, err := s.loadConnection(ctx, req.GetName(), "DeleteConnection")
	if err != nil {
		return nil, err
	}
	return detached(ctx, s.Service, func(ctx context.Context) (*emptypb.Empty, error) {
		defer s.reads.changed()
		if err := p.Connections.DeleteConnection(ctx, refOf(row), connection.ID); err != nil {
			return nil, callError(err)
		}
		_, err := s.report(ctx, row, func(tx store.Tx, fresh *store.Consent) error {
			if _, err := s.extend(tx, fresh, consent.Removed(connection.ID, fresh.Flow, int64(fresh.Resource.GetEventCount()), s.now())); err != nil {
				return err
			}
			return s.audit(ctx, tx, "DeleteConnection", req.GetName())
		})
		if err != nil {
			return nil, err
		}
		return &emptypb.Empty{}, nil
	})
}

// CreateManagementSession implements bankingv1.BankingServiceServer.
func (s *bankingServer) CreateManagementSession(ctx context.Context, req *bankingv1.CreateManagementSessionRequest) (*bankingv1.ManagementSession, error) {
	row, p, err := s.loadConsent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if err := need(p, "CreateManagementSession"); err != nil {
		return nil, err
	}
	if err := standing(row); err != nil {
		return nil, err
	}
	return detached(ctx, s.Service, func(ctx context.Context) (*bankingv1.ManagementSession, error) {
		visit := s.newSession(row, noFlow)
		link, err := p.Connections.ManagementSession(ctx, refOf(row), providers.Flow{Access: row.Resource.GetAccess(), Redirects: visit.redirects})
		if err != nil {
			return nil, callError(err)
		}
		err = s.update(ctx, func(tx store.Tx) error {
			if err := s.keepSession(tx, row, visit, link.TTL); err != nil {
				return err
			}
			return s.audit(ctx, tx, "CreateManagementSession", row.Resource.GetName())
		})
		if err != nil {
			return nil, err
		}
		return &bankingv1.ManagementSession{Uri: link.URI, ExpireTime: timestamppb.New(s.now().Add(link.TTL))}, nil
	})
}

// ImportConnections implements bankingv1.BankingServiceServer.
func (s *bankingServer) ImportConnections(ctx context.Context, req *bankingv1.ImportConnectionsRequest) (*bankingv1.ImportConnectionsResponse, error) {
	customer, err := s.loadCustomer(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	p, err := s.offering(customer.Tenant, "", "ImportConnections")
	if err != nil {
		return nil, err
	}
	if err := uniqueImports(req.GetConnections()); err != nil {
		return nil, err
	}
	return create(ctx, s.Service, "ImportConnections", req, func(ctx context.Context, c *creation) (*bankingv1.ImportConnectionsResponse, error) {
		return s.importConnections(ctx, c, p, customer, req)
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

func (s *Service) importConnections(ctx context.Context, c *creation, p *providers.Provider, customer *store.Customer, req *bankingv1.ImportConnectionsRequest) (*bankingv1.ImportConnectionsResponse, error) {
	row, err := s.importedConsent(ctx, p, customer)
	if err != nil {
		return nil, err
	}
	user, err := s.ensureUser(ctx, c, p, customer, true)
	if err != nil {
		return nil, err
	}
	row.ProviderRef, row.Resource.ProviderReference = user, user
	// The data is merged or replaced by ids: repeating it changes nothing more.
	c.repeatable = true
	if err := c.intend(ctx, p, "import_connections", customer.Resource.GetName(), nil); err != nil {
		return nil, err
	}
	replace := req.GetMode() == bankingv1.ImportConnectionsRequest_REPLACE
	defer s.reads.changed()
	if err := p.Importer.ImportConnections(ctx, refOf(row), replace, req.GetConnections()); err != nil {
		return nil, c.abandon(ctx, err, nil)
	}
	resp := &bankingv1.ImportConnectionsResponse{}
	err = s.update(ctx, func(tx store.Tx) error {
		fresh := *row
		if fresh.Version == 0 {
			if err := s.noLiveConsent(tx, p, &fresh); err != nil {
				return err
			}
			if err := s.startImport(tx, &fresh); err != nil {
				return err
			}
		} else if have, err := tx.Consent(row.Tenant, row.ID); err != nil {
			return found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
		} else {
			fresh = *have
		}
		history, err := tx.Events(fresh.Tenant, fresh.ID, 0, maxHistory)
		if err != nil {
			return err
		}
		// What stands now follows from what was handed over: reading it back would need another product of the customer's.
		if err := s.observe(tx, &fresh, imported(history, replace, req.GetConnections())); err != nil {
			return err
		}
		resp.Consent = fresh.Resource
		if err := s.audit(ctx, tx, "ImportConnections", fresh.Resource.GetName()); err != nil {
			return err
		}
		return c.done(tx, resp)
	})
	return resp, err
}

// imported tells which connections stand after an import.
func imported(history []consent.Event, replace bool, connections []*bankingv1.ImportedConnection) providers.ConsentState {
	state := providers.ConsentState{Stateful: true}
	given := make(map[string]bool)
	for _, c := range connections {
		given[c.GetId()] = true
		state.Connections = append(state.Connections, providers.ConnectionState{ID: c.GetId(), Bank: c.GetBank(), Active: true})
	}
	if replace {
		return state
	}
	for _, c := range consent.Derive(consentv1.Consent_DATA_COLLECTION_UNSPECIFIED, history).Connections {
		if !given[c.ID] && c.Status != consentv1.Connection_DISCONNECTED {
			state.Connections = append(state.Connections, providers.ConnectionState{ID: c.ID, Bank: c.Bank.Proto(), Active: true})
		}
	}
	return state
}

// importedConsent gives the customer's consent of origin IMPORTED, or a new one that is not stored yet.
func (s *Service) importedConsent(ctx context.Context, p *providers.Provider, customer *store.Customer) (*store.Consent, error) {
	rows, err := s.allConsents(ctx, customer.Tenant, store.ConsentFilter{CustomerID: customer.ID, Provider: p.ID, Statuses: liveStatuses})
	if err != nil {
		return nil, err
	}
	if len(rows) > 0 {
		row := rows[0] // the provider knows at most one
		if row.Resource.GetOrigin() == consentv1.Consent_IMPORTED {
			return row, nil
		}
		return nil, kerr.New(errorv1.Error_CONSENT_FLOW_ALREADY_OPEN,
			"the customer has a consent at this provider already, which imported data cannot join",
			kerr.WithMetadata("consent", row.Resource.GetName()))
	}
	market := p.Markets[0].Code
	return &store.Consent{
		Tenant: customer.Tenant, ID: newID(), CustomerID: customer.ID, Provider: p.ID, Market: market,
		Resource: &consentv1.Consent{
			Customer: customer.Resource.GetName(), CustomerType: customer.Resource.GetType(), Provider: providerName(p.ID), Market: market,
			Access: consentv1.Consent_RECURRING, DataCollection: consentv1.Consent_TRANSACTION_CATEGORISATION, Origin: consentv1.Consent_IMPORTED,
		},
	}, nil
}

// startImport inserts a consent that stands from the beginning: who brings the data has the permission.
func (s *Service) startImport(tx store.Tx, row *store.Consent) error {
	now := s.now()
	row.Resource = proto.CloneOf(row.Resource)
	row.Resource.Name, row.Resource.CreateTime = consentName(row.ID), timestamppb.New(now)
	row.Resource.Status = consentv1.Consent_AUTHORIZED
	if err := tx.InsertConsent(row); err != nil {
		return err
	}
	_, err := s.extend(tx, row, consent.Created(now, "The consent was made for imported data."),
		consent.Approved(0, "The caller has the customer's permission.", now), consent.Completed(0, now))
	return err
}
