// Package providers serves what callers can know of the providers: capabilities, health, and the users kept there.
package providers

import (
	"context"
	"strconv"

	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Server implements providerv1.ProviderServiceServer.
type Server struct {
	providerv1.UnimplementedProviderServiceServer

	Store   *service.Store
	Tenants service.Tenants
	Tokens  service.Tokens
}

// ListProviders implements providerv1.ProviderServiceServer.
func (s *Server) ListProviders(
	ctx context.Context, req *providerv1.ListProvidersRequest,
) (*providerv1.ListProvidersResponse, error) {
	tenant := service.TenantOf(ctx)
	var all []*providerv1.Provider
	for _, p := range s.Tenants[tenant].Providers {
		all = append(all, providerResource(p))
	}
	page, next, err := service.SlicePage(s.Tokens, all, req, tenant, "providers")
	return &providerv1.ListProvidersResponse{Providers: page, NextPageToken: next}, err
}

func providerResource(p *providers.Provider) *providerv1.Provider {
	resource := &providerv1.Provider{
		Name: service.ProviderName(p.ID), DisplayName: p.DisplayName, Health: healthResource(p.Session.Health()),
	}
	for _, market := range p.Markets {
		resource.Markets = append(resource.Markets, market.Code)
	}
	for _, capability := range providers.AllCapabilities {
		support := p.Supports(capability)
		resource.Capabilities = append(resource.Capabilities, &providerv1.Provider_Capability{
			Method: string(capability), Level: levels[support.Level], Reason: support.Reason,
		})
	}
	return resource
}

var levels = map[providers.Level]providerv1.Provider_Capability_Level{
	providers.Unsupported: providerv1.Provider_Capability_UNSUPPORTED,
	providers.Native:      providerv1.Provider_Capability_NATIVE,
	providers.Emulated:    providerv1.Provider_Capability_EMULATED,
}

func healthResource(h providers.Health) *providerv1.Provider_Health {
	resource := &providerv1.Provider_Health{
		State: h.State, Since: service.Timestamp(h.Since), LastErrorTime: service.Timestamp(h.LastErrorTime),
		Breaker: h.Breaker, RemainingQuota: h.RemainingQuota,
	}
	if h.LastError != nil {
		resource.LastErrorReason = service.ReasonOf(*h.LastError).String()
	}
	return resource
}

// ListProviderUsers implements providerv1.ProviderServiceServer. The provider pages by number, in pages of
// its own size: a page here is one of those, so that a call here is one call there.
func (s *Server) ListProviderUsers(
	ctx context.Context, req *providerv1.ListProviderUsersRequest,
) (*providerv1.ListProviderUsersResponse, error) {
	tenant := service.TenantOf(ctx)
	p, err := s.Tenants.Provider(tenant, service.LastSegment(req.GetParent()))
	if err != nil {
		return nil, err
	}
	if err := service.Need(p, "ListProviderUsers"); err != nil {
		return nil, err
	}
	size := min(service.PageSize(req.GetPageSize()), p.Users.MaxUserPage())
	scope := []string{tenant, "users", p.ID, strconv.Itoa(size)}
	page, err := s.Tokens.OffsetOf(req, scope...)
	if err != nil {
		return nil, err
	}
	resp := &providerv1.ListProviderUsersResponse{}
	var ids []string
	users, err := p.Users.ListUsers(ctx, page, size)
	if err != nil {
		return nil, service.CallError(err)
	}
	for _, user := range users {
		ids = append(ids, user.ID)
		resp.Users = append(resp.Users, &providerv1.ProviderUser{
			Name: service.ProviderName(p.ID) + "/users/" + user.ID, Scopes: user.Scopes, Deleted: user.Deleted,
			CreateTime: service.Timestamp(user.CreateTime), DeleteTime: service.Timestamp(user.DeleteTime),
		})
	}
	if len(users) == size {
		resp.NextPageToken = s.Tokens.OffsetToken(page+1, scope...)
	}
	var customers map[string]string
	err = s.Store.View(ctx, service.TenantOf(ctx), func(r store.Reader) (err error) {
		customers, err = r.CustomersByUser(p.ID, ids)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, user := range resp.GetUsers() {
		if customer := customers[ids[i]]; customer != "" {
			user.Customer = service.CustomerName(customer)
		}
	}
	return resp, nil
}
