package guard

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"kontor.dev/kontor/internal/identity"
)

// TicketScheme is the scheme of an authorization that is a watch ticket in place of a key.
const TicketScheme = "Ticket"

// WatchConsents is the one method that a ticket is good for.
const WatchConsents = "/kontor.consent.v1.ConsentService/WatchConsents"

// maxWatchers is how many streams may follow one consent with tickets at a time: a person has few browsers, and whoever
// got hold of a ticket must not take the streams of the client that made it.
const maxWatchers = 8

// Tickets authenticates browsers by watch tickets, each in the name of the client that asked for it.
type Tickets struct {
	// Open reads a ticket; it is not ok when it is none, or over.
	Open func(ticket string) (identity.Ticket, bool)
	// Keys knows whether the client's key is still taken, Issuers whether tokens of its issuer are.
	Keys    *Keys
	Issuers *OIDC
}

// Why a ticket is refused.
var (
	errNoTicket = errors.New("the ticket is none, or its time is over")
	// errOtherMethod is why a ticket is refused that was given out for something else.
	errOtherMethod = errors.New("a ticket is good for watching one consent")

	errTicketsKey = errors.New("the key that the ticket was made with is no longer taken")

	errTicketsIssuer = errors.New("tokens like the one that the ticket was made with are no longer taken")
)

// Authenticate implements Authenticator.
func (t Tickets) Authenticate(_ context.Context, authorization []string) (identity.Identity, error) {
	if len(authorization) != 1 {
		return identity.Identity{}, errNoClient
	}
	scheme, text, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, TicketScheme) {
		return identity.Identity{}, errNoClient
	}
	ticket, ok := t.Open(text)
	if !ok {
		return identity.Identity{}, errNoTicket
	}
	id := identity.Identity{ClientID: ticket.ClientID, Tenant: ticket.Tenant, Ticket: &ticket}
	if ticket.Key == "" { // made with a token: the ticket ends no later than that did
		if id.OnEnd, ok = t.Issuers.holds(ticket); !ok {
			return identity.Identity{}, errTicketsIssuer
		}
		return id, nil
	}
	if id.OnEnd, ok = t.Keys.holds(ticket); !ok {
		return identity.Identity{}, errTicketsKey
	}
	return id, nil
}

// holds tells whether the key that a ticket was made with is still taken, and may still read consents; end calls what
// it is given once that is over.
func (k *Keys) holds(ticket identity.Ticket) (end func(do func()) (stop func() bool), ok bool) {
	for _, e := range *k.current.Load() {
		ended := !e.client.Expires.IsZero() && !time.Now().Before(e.client.Expires)
		if e.identity.Key == ticket.Key && e.client.ID == ticket.ClientID && e.client.Tenant == ticket.Tenant &&
			!ended && e.identity.Allows("consents.read") {
			return e.identity.OnEnd, true
		}
	}
	return nil, false
}

// holds tells whether there still is an issuer whose tokens may give the ticket's client its tenant and the right to
// read consents; end calls what it is given once that may be over.
func (a *OIDC) holds(ticket identity.Ticket) (end func(do func()) (stop func() bool), ok bool) {
	for _, i := range *a.issuers.Load() {
		c := i.config
		if strings.HasSuffix(ticket.ClientID, i.suffix()) && (c.TenantClaim != "" || c.Tenant == ticket.Tenant) &&
			len(i.grants([]string{"consents.read"})) > 0 {
			return i.onEnd, true
		}
	}
	return nil, false
}

// watchers counts the streams that follow consents with tickets.
type watchers struct {
	mu     sync.Mutex
	counts map[string]int
}

// take takes a place among those who follow a consent.
func (w *watchers) take(ticket *identity.Ticket) (release func(), ok bool) {
	key := ticket.Tenant + "/" + ticket.ConsentID
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counts[key] >= maxWatchers {
		return nil, false
	}
	if w.counts == nil {
		w.counts = map[string]int{}
	}
	w.counts[key]++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.counts[key]--; w.counts[key] == 0 {
			delete(w.counts, key)
		}
	}, true
}
