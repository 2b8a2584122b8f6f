package finoos

import (
	"context"
	"net/url"
	"strconv"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/providers"
)

// sessionTTL is how long a session of the Banking UI is taken to work. The documentation does not say; half an hour is
// what refresh tokens of finoOS live, and a customer who comes later gets a new link.
const sessionTTL = 30 * time.Minute

// CreateConsent opens a session of the Banking UI for the user.
func (a *adapter) CreateConsent(ctx context.Context, consent providers.NewConsent) (*providers.CreatedConsent, error) {
	link, err := a.connect(ctx, consent.UserID, providers.Flow{Access: consent.Access, Redirects: consent.Redirects})
	if err != nil {
		return nil, err
	}
	return &providers.CreatedConsent{
		Ref: providers.ConsentRef{ID: consent.UserID, Market: market.Code}, Link: *link,
	}, nil
}

// GetConsent reads the bank logins and whether they are still synchronized. That finoOS does not know the user is an
// error: it may be that the user is gone, or that a path is wrong.
func (a *adapter) GetConsent(ctx context.Context, ref providers.ConsentRef) (*providers.ConsentState, error) {
	state := &providers.ConsentState{Stateful: true}
	logins, err := a.logins(ctx, ref)
	if err != nil {
		return nil, err
	}
	if len(logins) == 0 {
		return state, nil
	}
	var statuses wireStatuses
	if err := a.do(ctx, request{Operation: opSynchronizationStatus, Path: ofUser(ref.ID)}, &statuses); err != nil {
		return nil, err
	}
	state.Connections = connectionsOf(logins, statuses.Statuses.value)
	state.Identity = ownersOf(logins)
	return state, nil
}

// RenewLink opens another session.
func (a *adapter) RenewLink(
	ctx context.Context, ref providers.ConsentRef, flow providers.Flow,
) (*providers.Issued, error) {
	return issued(a.connect(ctx, ref.ID, flow))
}

// AddBank opens a session of the Banking UI at the place where a bank is added.
func (a *adapter) AddBank(
	ctx context.Context, ref providers.ConsentRef, flow providers.Flow,
) (*providers.Issued, error) {
	return issued(a.overview(ctx, ref, flow, true))
}

func issued(link *providers.Link, err error) (*providers.Issued, error) {
	if err != nil {
		return nil, err
	}
	return &providers.Issued{Link: *link}, nil
}

// RevokeConsent disconnects the user from the Banking service; finoOS deletes the banking data and keeps the user.
// Where the user has another consent beside this one, the logins of this one alone are deleted.
func (a *adapter) RevokeConsent(ctx context.Context, ref providers.ConsentRef) error {
	if call := providers.CallOf(ctx); call.PSUIP == "" {
		call.PSUIP = string(a.cfg.UnattendedUserIP)
		ctx = providers.WithCall(ctx, call)
	}
	if ref.Share != nil {
		if _, err := a.withUserIP(ctx, opDeleteLogin); err != nil {
			return err
		}
		logins, err := a.logins(ctx, ref)
		if err != nil {
			return providers.Ignore(err, opGetLogins, providers.KindNotFound)
		}
		for _, login := range logins {
			if err := a.DeleteConnection(ctx, ref, string(login.ID)); err != nil {
				return err
			}
		}
		return nil
	}
	header, err := a.withUserIP(ctx, opDisconnect)
	if err != nil {
		return err
	}
	return providers.Ignore(a.do(ctx, request{Operation: opDisconnect, Path: ofUser(ref.ID), Header: header}, nil),
		opDisconnect, providers.KindNotFound)
}

func (a *adapter) connect(ctx context.Context, user string, flow providers.Flow) (*providers.Link, error) {
	body, err := a.sessionBody(opConnect, flow)
	if err != nil {
		return nil, err
	}
	recurring := flow.Access != consentv1.Access_ONE_OFF
	body.Recurring = &recurring
	return a.session(ctx, request{Operation: opConnect, Path: ofUser(user), Header: withKnownUserIP(ctx), Body: body})
}

func (a *adapter) overview(ctx context.Context, ref providers.ConsentRef, flow providers.Flow,
	addBank bool) (*providers.Link, error) {
	body, err := a.sessionBody(opBankingOverview, flow)
	if err != nil {
		return nil, err
	}
	header, err := a.withUserIP(ctx, opBankingOverview)
	if err != nil {
		return nil, err
	}
	query := url.Values{"addBankLogin": {strconv.FormatBool(addBank)}}
	return a.session(ctx,
		request{Operation: opBankingOverview, Path: ofUser(ref.ID), Query: query, Header: header, Body: body})
}

// session sends a request that must be answered with a link.
func (a *adapter) session(ctx context.Context, r request) (*providers.Link, error) {
	var wire wireLink
	if err := a.do(ctx, r, &wire); err != nil {
		return nil, err
	}
	return linkOf(wire), nil
}

// sessionBody needs all three addresses, as finoOS does.
func (a *adapter) sessionBody(operation string, flow providers.Flow) (wireSession, error) {
	to := flow.Redirects
	var missing []string
	for _, required := range []struct{ name, uri string }{
		{"success", to.Success}, {"error", to.Error}, {"exit", to.Exit},
	} {
		if required.uri == "" {
			missing = append(missing, "consent.redirect_uris."+required.name)
		}
	}
	if missing != nil {
		return wireSession{}, a.invalidField(operation, missing...)
	}
	return wireSession{RedirectURL: to.Success, ErrorURL: to.Error, ExitURL: to.Exit}, nil
}
