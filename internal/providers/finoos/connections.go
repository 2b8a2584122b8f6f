package finoos

import (
	"context"

	"kontor.dev/kontor/internal/providers"
)

// SyncConnection has finoOS fetch newer data. An answer without an address, such as the documented 204, means that it
// is done.
func (a *adapter) SyncConnection(
	ctx context.Context, ref providers.ConsentRef, connectionID string, flow providers.Flow,
) (*providers.Link, error) {
	body, err := a.sessionBody(opSynchronize, flow)
	if err != nil {
		return nil, err
	}
	body.BankLoginID = connectionID
	header, err := a.withUserIP(ctx, opSynchronize)
	if err != nil {
		return nil, err
	}
	var wire wireOptionalLink
	if err := a.do(ctx, request{Operation: opSynchronize, Path: ofUser(ref.ID), Header: header, Body: body},
		&wire); err != nil {
		return nil, err
	}
	if wire.URL == "" {
		return nil, nil //nolint:nilnil // the port says that no link means done
	}
	return linkOf(wire.wireLink), nil
}

// DeleteConnection deletes a bank login.
func (a *adapter) DeleteConnection(ctx context.Context, ref providers.ConsentRef, connectionID string) error {
	header, err := a.withUserIP(ctx, opDeleteLogin)
	if err != nil {
		return err
	}
	path := map[string]string{paramUser: ref.ID, paramLogin: connectionID}
	return providers.Ignore(a.do(ctx, request{Operation: opDeleteLogin, Path: path, Header: header}, nil),
		opDeleteLogin, providers.KindNotFound)
}

// ManagementSession opens a session of the Banking UI at the overview of banks.
func (a *adapter) ManagementSession(ctx context.Context, ref providers.ConsentRef,
	flow providers.Flow) (*providers.Link, error) {
	return a.overview(ctx, ref, flow, false)
}
