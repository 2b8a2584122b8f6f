package service

import (
	"context"
	"strconv"

	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// ListProviders implements providerv1.ProviderServiceServer.
func (s *providerServer) ListProviders(ctx context.Context, req *providerv1.ListProvidersRequest) (*providerv1.ListProvidersResponse, error) {
	tenant := tenantOf(ctx)
	var all []*providerv1.Provider
	for _, p := range s.tenants[tenant].Providers {
		all = append(all, providerResource(p))
	}
	page, next, err := slicePage(all, req, tenant, "providers")
	return &providerv1.ListProvidersResponse{Providers: page, NextPageToken: next}, err
}

func providerResource(p *providers.Provider) *providerv1.Provider {
	resource := &providerv1.Provider{Name: providerName(p.ID), DisplayName: p.DisplayName, Health: healthResource(p.Session.Health())}
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
		State: h.State, Since: timestamp(h.Since), LastErrorTime: timestamp(h.LastErrorTime), Breaker: h.Breaker, RemainingQuota: h.RemainingQuota,
	}
	if h.LastError != nil {
		resource.LastErrorReason = kinds[*h.LastError].reason.String()
	}
	return resource
}

// ListProviderUsers implements providerv1.ProviderServiceServer. The provider pages by number, in pages of its own size: a page here is
// one or more of those, whole.
func (s *providerServer) ListProviderUsers(ctx context.Context, req *providerv1.ListProviderUsersRequest) (*providerv1.ListProviderUsersResponse, error) {
	tenant := tenantOf(ctx)
	p, err := s.provider(tenant, lastSegment(req.GetParent()))
	if err != nil {
		return nil, err
	}
	if err := need(p, "ListProviderUsers"); err != nil {
		return nil, err
	}
	asked := pageSize(req.GetPageSize())
	size := min(asked, p.Users.MaxUserPage())
	scope := []string{tenant, "users", p.ID, strconv.Itoa(size)}
	page, err := offsetOf(req, scope...)
	if err != nil {
		return nil, err
	}
	resp := &providerv1.ListProviderUsersResponse{}
	var ids []string
	for range asked / size {
		users, err := p.Users.ListUsers(ctx, page, size)
		if err != nil {
			return nil, callError(err)
		}
		page++
		for _, user := range users {
			ids = append(ids, user.ID)
			resp.Users = append(resp.Users, &providerv1.ProviderUser{
				Name: providerName(p.ID) + "/users/" + user.ID, Scopes: user.Scopes, Deleted: user.Deleted,
				CreateTime: timestamp(user.CreateTime), DeleteTime: timestamp(user.DeleteTime),
			})
		}
		if len(users) < size {
			page = 0
			break
		}
	}
	if page > 0 {
		resp.NextPageToken = offsetToken(page, scope...)
	}
	var customers map[string]string
	err = s.view(ctx, func(r store.Reader) (err error) {
		customers, err = r.CustomersByUser(tenant, p.ID, ids)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, user := range resp.GetUsers() {
		if customer := customers[ids[i]]; customer != "" {
			user.Customer = customerName(customer)
		}
	}
	return resp, nil
}

// Ready tells which providers do not take the credentials, by tenant and provider. It asks nothing: it knows from the calls made.
func (s *Service) Ready() map[string]string {
	down := make(map[string]string)
	for id, tenant := range s.tenants {
		for _, p := range tenant.Providers {
			h := p.Session.Health()
			if h.State == providerv1.Provider_Health_UNAVAILABLE && h.LastError != nil {
				down[id+"/"+p.ID] = kinds[*h.LastError].reason.String()
			}
		}
	}
	return down
}
