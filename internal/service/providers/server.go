// Package providers serves what callers can know of the providers: capabilities, health, and the users kept there.
package providers

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Server implements providerv1.ProviderServiceServer.
type Server struct {
	providerv1.UnimplementedProviderServiceServer

	Store   *service.Store
	Tenants service.Tenants
	Clock   service.Clock
	Tokens  service.Tokens
	Audit   *audit.Trail
	Once    *once.Runner
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
	page, next, err := service.SlicePage(s.Tokens, all, req, service.PageScope(ctx, "providers"))
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
			Method: string(capability), Level: levels[support.Level], Reason: optional.Of(support.Reason),
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
		Breaker: h.Breaker,
	}
	if h.RemainingQuota != nil {
		resource.RemainingQuota = new(int32(min(max(*h.RemainingQuota, 0), math.MaxInt32)))
	}
	if h.LastError != nil {
		resource.LastErrorReason = service.ReasonOf(*h.LastError).Enum()
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
	scope := service.PageScope(ctx, "users", p.ID, strconv.Itoa(size))
	page, err := s.Tokens.Number(req, 0, scope)
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
		resp.NextPageToken = optional.Of(s.Tokens.Encode(strconv.Itoa(page+1), scope...))
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
			user.Customer = optional.Of(service.CustomerName(customer))
		}
	}
	return resp, nil
}

// userGrace is how long a user that nobody has may be one that a request has just made and is about to store.
const userGrace = 5 * time.Minute

// DeleteProviderUser implements providerv1.ProviderServiceServer.
func (s *Server) DeleteProviderUser(
	ctx context.Context, req *providerv1.DeleteProviderUserRequest,
) (*emptypb.Empty, error) {
	tenant, parts := service.TenantOf(ctx), strings.Split(req.GetName(), "/")
	p, err := s.Tenants.Provider(tenant, parts[1])
	if err != nil {
		return nil, err
	}
	if err := service.Need(p, "DeleteProviderUser"); err != nil {
		return nil, err
	}
	if req.GetValidateOnly() {
		return &emptypb.Empty{}, s.orphan(ctx, p, parts[3])
	}
	return once.Do(ctx, s.Once, "DeleteProviderUser", req,
		func(ctx context.Context, attempt *once.Attempt) (*emptypb.Empty, error) {
			if err := s.orphan(ctx, p, parts[3]); err != nil {
				return nil, err
			}
			if err := attempt.GoOn(ctx); err != nil {
				return nil, err
			}
			// One that is gone already is no error: what may have happened can be tried again.
			if err := p.Users.DeleteUser(ctx, parts[3]); err != nil {
				return nil, service.CallError(err)
			}
			done := &emptypb.Empty{}
			return done, attempt.Update(ctx, func(tx store.Tx) error {
				if err := s.Audit.NoteWhole(ctx, tx, "DeleteProviderUser", req.GetName()); err != nil {
					return err
				}
				return attempt.Done(tx, done)
			})
		})
}

// orphan refuses a user that the provider does not keep, or that is somebody's.
func (s *Server) orphan(ctx context.Context, p *providers.Provider, id string) error {
	user, err := findUser(ctx, p, id)
	if err != nil {
		return err
	}
	tenant := service.TenantOf(ctx)
	for _, at := range s.Tenants.Sharing(tenant, p.ID) {
		var customers map[string]string
		err = s.Store.View(ctx, at.Tenant, func(r store.Reader) (err error) {
			customers, err = r.CustomersByUser(at.Provider, []string{id})
			return err
		})
		switch customer := customers[id]; {
		case err != nil:
			return err
		case customer != "" && at.Tenant == tenant:
			return kerr.New(errorv1.Error_PROVIDER_USER_IN_USE, "a customer has this user: delete the customer",
				kerr.WithMetadata(kerr.KeyCustomer, service.CustomerName(customer)))
		case customer != "":
			return kerr.New(errorv1.Error_PROVIDER_USER_IN_USE, "the user belongs to others who share the account")
		}
	}
	if s.Clock.Now().Sub(user.CreateTime) < userGrace {
		return kerr.New(errorv1.Error_PROVIDER_USER_IN_USE,
			"the user was made a moment ago, and may be about to become a customer's: try again in some minutes")
	}
	return nil
}

// findUser looks for a user in the provider's list.
func findUser(ctx context.Context, p *providers.Provider, id string) (providers.User, error) {
	for page, size := 0, p.Users.MaxUserPage(); ; page++ {
		users, err := p.Users.ListUsers(ctx, page, size)
		if err != nil {
			return providers.User{}, service.CallError(err)
		}
		for _, user := range users {
			if user.ID == id && !user.Deleted {
				return user, nil
			}
		}
		if len(users) < size {
			return providers.User{}, service.NotFound(errorv1.Error_PROVIDER_USER_NOT_FOUND, "user")
		}
	}
}
