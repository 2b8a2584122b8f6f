package service

import (
	"context"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// Loader loads what requests name, within the caller's tenant.
type Loader struct {
	Store   *Store
	Tenants Tenants
}

// Consent loads a consent of the caller's tenant, and its provider, by the consent's name or that of
// something under it.
func (l *Loader) Consent(ctx context.Context, name string) (*store.Consent, *providers.Provider, error) {
	row, err := l.Store.Consent(ctx, TenantOf(ctx), consentSegment(name))
	if err != nil {
		return nil, nil, Found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
	}
	p, err := l.Tenants.Provider(row.Tenant, row.Provider)
	return row, p, err
}

// Consents loads all consents that a filter takes.
func (l *Loader) Consents(ctx context.Context, tenant string, filter store.ConsentFilter) ([]*store.Consent, error) {
	var all []*store.Consent
	err := l.Store.View(ctx, tenant, func(r store.Reader) (err error) {
		all, err = AllRows(func(page store.Page) ([]*store.Consent, error) { return r.Consents(filter, page) },
			func(c *store.Consent) string { return c.ID })
		return err
	})
	return all, err
}

// Customer loads a customer of the caller's tenant by name.
func (l *Loader) Customer(ctx context.Context, name string) (*store.Customer, error) {
	var row *store.Customer
	err := l.Store.View(ctx, TenantOf(ctx), func(r store.Reader) (err error) {
		row, err = r.Customer(LastSegment(name))
		return Found(err, errorv1.Error_CUSTOMER_NOT_FOUND, "customer")
	})
	return row, err
}
