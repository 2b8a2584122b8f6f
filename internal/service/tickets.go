package service

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/keys"
)

// ticketTime is how long a watch ticket works.
const ticketTime = 15 * time.Minute

// ticketPlace binds what is sealed as a ticket to being one.
const ticketPlace = "watch ticket"

// Tickets makes and opens watch tickets. A ticket is sealed with the store's keys and stands nowhere else: every
// process that shares the store takes it.
type Tickets struct {
	Keys  *keys.Keys
	Clock Clock
}

// New makes a ticket with which a browser follows one consent in the name of a client.
func (t Tickets) New(client identity.Identity, consentID string) (ticket string, expires time.Time) {
	expires = t.Clock.Now().Add(ticketTime)
	if end := client.Expires; !end.IsZero() && end.Before(expires) {
		expires = end
	}
	content, err := json.Marshal(identity.Ticket{
		Tenant: client.Tenant, ClientID: client.ClientID, Key: client.Key, ConsentID: consentID, Expires: expires,
	})
	if err != nil {
		panic(err) // cannot be: texts and a time
	}
	sealed, err := t.Keys.SealSame(keys.Tokens, "", content, ticketPlace)
	if err != nil {
		panic(err) // cannot be: the content is short
	}
	return base64.RawURLEncoding.EncodeToString(sealed), expires
}

// Open reads a ticket. It is not ok when the ticket was not made here, or its time is over.
func (t Tickets) Open(ticket string) (opened identity.Ticket, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(ticket)
	if err != nil {
		return identity.Ticket{}, false
	}
	content, err := t.Keys.OpenSame(keys.Tokens, "", raw, ticketPlace)
	if err != nil || json.Unmarshal(content, &opened) != nil {
		return identity.Ticket{}, false
	}
	return opened, t.Clock.Now().Before(opened.Expires)
}
