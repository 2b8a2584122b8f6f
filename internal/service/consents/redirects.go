package consents

import (
	"fmt"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/redirects"
	"kontor.dev/kontor/internal/service"
)

// RedirectLists are the tenants' lists, by tenant.
type RedirectLists map[string]redirects.List

// NewRedirectLists reads the tenants' patterns.
func NewRedirectLists(tenants service.Tenants) (RedirectLists, error) {
	lists := make(RedirectLists, len(tenants))
	for id, tenant := range tenants {
		list, err := redirects.NewList(tenant.RedirectURIs)
		if err != nil {
			return nil, fmt.Errorf("tenants.%s.redirect_uris: %w", id, err)
		}
		lists[id] = list
	}
	return lists, nil
}

// needRedirects refuses redirect URIs that are not complete, and names all that are missing.
func needRedirects(uris *consentv1.Consent_RedirectUris) error {
	var missing []kerr.Option
	for _, uri := range redirectFields(uris) {
		if uri.value == "" {
			missing = append(missing, kerr.WithField(uri.path, "is needed: the provider returns the customer there"))
		}
	}
	if missing == nil {
		return nil
	}
	return kerr.New(errorv1.Error_INVALID_FIELD, "the provider needs an address for success, error and exit each",
		missing...)
}

type redirectField struct{ path, value string }

func redirectFields(uris *consentv1.Consent_RedirectUris) []redirectField {
	return []redirectField{
		{"consent.redirectUris.success", uris.GetSuccess()},
		{"consent.redirectUris.error", uris.GetError()},
		{"consent.redirectUris.exit", uris.GetExit()},
	}
}

// checkRedirects refuses redirect URIs that are not on the tenant's list, and names all of them.
func (s *Server) checkRedirects(tenant string, uris *consentv1.Consent_RedirectUris) error {
	var refused []kerr.Option
	for _, uri := range redirectFields(uris) {
		if uri.value != "" && !s.Redirects[tenant].Allows(uri.value) {
			refused = append(refused, kerr.WithField(uri.path, "is not on the tenant's list"))
		}
	}
	if refused == nil {
		return nil
	}
	return kerr.New(errorv1.Error_REDIRECT_URI_NOT_ALLOWED, "the redirect URI is not on the tenant's list", refused...)
}
