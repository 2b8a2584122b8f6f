package columns

import (
	"cmp"
	"encoding/json"

	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
)

// Customer scans tenant, id, reference, resource, users at providers as an object in JSON, and the wrapped data key.
func (o Opener) Customer(row Row) (*store.Customer, error) {
	var c store.Customer
	var resource, key []byte
	var users string
	if err := row.Scan(&c.Tenant, &c.ID, (*[]byte)(&c.Reference), &resource, &users, &key); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(users), &c.Users); err != nil {
		return nil, err
	}
	box, err := o.Box(c.Tenant, c.ID, key)
	if err != nil {
		return nil, err
	}
	c.Resource, err = openMessage[customerv1.Customer](box, resource, "customers.resource", c.ID)
	return &c, err
}

// SealCustomer gives a customer's resource as it is kept.
func SealCustomer(c *store.Customer, box *keys.Box) ([]byte, error) {
	return SealMessage(box, c.Resource, "customers.resource", c.ID)
}

// Receipt scans tenant, id and resource.
func Receipt(row Row) (*store.Receipt, error) {
	r := store.Receipt{Resource: &customerv1.DeletionReceipt{}}
	var resource []byte
	if err := row.Scan(&r.Tenant, &r.ID, &resource); err != nil {
		return nil, err
	}
	return &r, proto.Unmarshal(resource, r.Resource)
}

// ConsentNames are the columns that Consent scans, before the wrapped data key.
const ConsentNames = `tenant, id, customer_id, provider, provider_ref, user_id, partner_bank, market, state,
		valid_until, withdrawals, asked, redirects, flow, reference, resource, next_poll, poll_step, last_poll,
		last_read,
		missing_since, missing_count, ended, version, claim_until`

// SealConsent gives the values of a consent's changeable columns: customer_id, provider, provider_ref, user_id,
// partner_bank, market, state, valid_until, withdrawals, asked, redirects, flow, reference, status, resource,
// next_poll, poll_step, last_poll, last_read, missing_since, missing_count, ended.
func SealConsent(c *store.Consent, box *keys.Box) ([]any, error) {
	resource, err := SealMessage(box, c.Resource, "consents.resource", c.ID)
	if err != nil {
		return nil, err
	}
	withdrawals, err := json.Marshal(c.Withdrawals)
	if err != nil {
		return nil, err
	}
	var redirects, state, asked []byte
	if len(c.Asked) > 0 {
		if asked, err = box.Seal(c.Asked, "consents.asked", c.ID); err != nil {
			return nil, err
		}
	}
	if c.Redirects != nil {
		if redirects, err = SealMessage(box, c.Redirects, "consents.redirects", c.ID); err != nil {
			return nil, err
		}
	}
	if len(c.State) > 0 {
		if state, err = box.Seal(c.State, "consents.state", c.ID); err != nil {
			return nil, err
		}
	}
	return []any{
		c.CustomerID, c.Provider, c.ProviderRef, c.UserID, c.PartnerBank, c.Market, state, Micros(c.ValidUntil),
		string(withdrawals), asked, redirects, c.Flow,
		Lookup(c.Reference), int32(c.Resource.GetStatus()), resource, Micros(c.NextPoll), c.PollStep,
		Micros(c.LastPoll), Micros(c.LastRead), Micros(c.Missing.Since), c.Missing.Count, c.Ended,
	}, nil
}

// ConsentEntry scans position, tenant, consent_id, sequence, owner, event, resource and the wrapped data key. Only an
// entry that was stripped has no owner: it is in clear text.
func (o Opener) ConsentEntry(row Row) (e store.ConsentEntry, err error) {
	var position, sequence int64
	var owner string
	var event, resource, key []byte
	err = row.Scan(&position, &e.Tenant, &e.ConsentID, &sequence, &owner, &event, &resource, &key)
	if err != nil {
		return e, err
	}
	if owner != "" {
		box, err := o.Box(e.Tenant, owner, key)
		if err != nil {
			return e, err
		}
		event, err = box.Open(event, placeOfEntry("consent_log.event", e.ConsentID, sequence)...)
		if err != nil {
			return e, err
		}
		resource, err = box.Open(resource, placeOfEntry("consent_log.resource", e.ConsentID, sequence)...)
		if err != nil {
			return e, err
		}
	}
	if err := json.Unmarshal(event, &e.Event); err != nil {
		return e, err
	}
	e.Cursor = store.NewCursor(store.ConsentLog, o.Epoch, position)
	e.After, err = Decode[consentv1.Consent](resource)
	return e, err
}

// SealEntry gives the event and resource of an entry of a consent's as they are kept.
func SealEntry(
	box *keys.Box, consentID string, e consent.Event, after *consentv1.Consent,
) (event, resource []byte, err error) {
	text, err := json.Marshal(e)
	if err != nil {
		return nil, nil, err
	}
	if event, err = box.Seal(text, placeOfEntry("consent_log.event", consentID, e.Sequence)...); err != nil {
		return nil, nil, err
	}
	resource, err = SealMessage(box, after, placeOfEntry("consent_log.resource", consentID, e.Sequence)...)
	return event, resource, err
}

// StripEntry gives what stays of the entry of a deletion, in clear text: name, count and times. No key is left to open
// it with.
func StripEntry(e store.ConsentEntry) (event, resource []byte, err error) {
	event, err = json.Marshal(consent.Event{
		Sequence: e.Event.Sequence, Type: e.Event.Type, EventTime: e.Event.EventTime, ReceiveTime: e.Event.ReceiveTime,
	})
	if err != nil {
		return nil, nil, err
	}
	resource, err = Encode(&consentv1.Consent{Name: e.After.GetName(), EventCount: e.After.GetEventCount()})
	return event, resource, err
}

// Event gives what scans an event of a consent: sequence, owner, event and the wrapped data key.
func (o Opener) Event(tenant, consentID string) func(Row) (consent.Event, error) {
	return func(row Row) (event consent.Event, err error) {
		var sequence int64
		var owner string
		var sealed, key []byte
		if err := row.Scan(&sequence, &owner, &sealed, &key); err != nil {
			return event, err
		}
		box, err := o.Box(tenant, owner, key)
		if err != nil {
			return event, err
		}
		text, err := box.Open(sealed, placeOfEntry("consent_log.event", consentID, sequence)...)
		if err != nil {
			return event, err
		}
		return event, json.Unmarshal(text, &event)
	}
}

// Shipment scans tenant, id, customer_id (empty for none), provider, resource, version and the wrapped data key.
func (o Opener) Shipment(row Row) (*store.Shipment, error) {
	var s store.Shipment
	var resource, key []byte
	if err := row.Scan(&s.Tenant, &s.ID, &s.CustomerID, &s.Provider, &resource, &s.Version, &key); err != nil {
		return nil, err
	}
	box, err := o.Box(s.Tenant, ShipmentOwner(&s), key)
	if err != nil {
		return nil, err
	}
	s.Resource, err = openMessage[documentsv1.Shipment](box, resource, "shipments.resource", s.ID)
	return &s, err
}

// ShipmentOwner tells whose data key seals a shipment: its customer's, or its own.
func ShipmentOwner(s *store.Shipment) string { return cmp.Or(s.CustomerID, s.ID) }

// SealShipment gives a shipment's resource as it is kept.
func SealShipment(s *store.Shipment, box *keys.Box) ([]byte, error) {
	return SealMessage(box, withoutPDF(s.Resource), "shipments.resource", s.ID)
}

// ShipmentEntry scans position, tenant, shipment_id, owner, resource and the wrapped data key.
func (o Opener) ShipmentEntry(row Row) (e store.ShipmentEntry, err error) {
	var position int64
	var owner string
	var resource, key []byte
	if err := row.Scan(&position, &e.Tenant, &e.ShipmentID, &owner, &resource, &key); err != nil {
		return e, err
	}
	box, err := o.Box(e.Tenant, owner, key)
	if err != nil {
		return e, err
	}
	e.Cursor = store.NewCursor(store.ShipmentLog, o.Epoch, position)
	e.After, err = openMessage[documentsv1.Shipment](box, resource, "shipment_log.resource", e.ShipmentID)
	return e, err
}

// SealShipmentEntry gives the resource of an entry of a shipment's as it is kept.
func SealShipmentEntry(box *keys.Box, shipmentID string, after *documentsv1.Shipment) ([]byte, error) {
	return SealMessage(box, withoutPDF(after), "shipment_log.resource", shipmentID)
}

// withoutPDF sees to it that no document is kept, whoever forgets to take it out.
func withoutPDF(s *documentsv1.Shipment) *documentsv1.Shipment {
	if len(s.GetPdf()) == 0 {
		return s
	}
	s = proto.CloneOf(s)
	s.Pdf = nil
	return s
}

// Owner is whose data key seals a row's entries, with that key.
type Owner struct {
	ID      string
	Wrapped []byte
}

// ScanOwner scans an owner's id and wrapped data key.
func ScanOwner(row Row) (o Owner, err error) { return o, row.Scan(&o.ID, &o.Wrapped) }

// Lease scans owner and lease_until.
func Lease(row Row) (l store.Lease, err error) {
	var until int64
	err = row.Scan(&l.Owner, &until)
	l.Until = Instant(until)
	return l, err
}

// Place is where the newest entry of a resource stands.
type Place struct {
	ID       string
	Position int64
}

// Placed scans a Place.
func Placed(row Row) (p Place, err error) { return p, row.Scan(&p.ID, &p.Position) }

// Places gives them as cursors of a log.
func Places(log store.Log, epoch string, found []Place) map[string]store.Cursor {
	places := make(map[string]store.Cursor, len(found))
	for _, p := range found {
		places[p.ID] = store.NewCursor(log, epoch, p.Position)
	}
	return places
}

// IdempotencyNames are the columns that Idempotency scans, before the wrapped data key.
const IdempotencyNames = `tenant, method, key, request, owner, lease_until, done, customer_id, consent_id, erased,
		response, failure, create_time`

// Idempotency scans IdempotencyNames and the wrapped data key.
func (o Opener) Idempotency(row Row) (*store.Idempotency, error) {
	var i store.Idempotency
	var leaseUntil, createTime int64
	var response, key []byte
	err := row.Scan(&i.Tenant, &i.Method, &i.Key, (*[]byte)(&i.Request), &i.Lease.Owner, &leaseUntil, &i.Done,
		&i.CustomerID, &i.ConsentID, &i.Erased, &response, &i.Failure, &createTime, &key)
	if err != nil {
		return nil, err
	}
	i.Lease.Until, i.CreateTime = Instant(leaseUntil), Instant(createTime)
	if response != nil {
		i.Response, err = o.openAnswer(&i, response, key)
	}
	return &i, err
}

// IntentNames are the columns that Intent scans.
const IntentNames = `tenant, id, provider, operation, resource, customer_id, idempotency_method, idempotency_key, state,
		owner, lease_until, create_time, update_time`

// Intent scans IntentNames.
func Intent(row Row) (*store.Intent, error) {
	var i store.Intent
	var leaseUntil, createTime, updateTime int64
	err := row.Scan(&i.Tenant, &i.ID, &i.Provider, &i.Operation, &i.Resource, &i.CustomerID, &i.IdempotencyMethod,
		&i.IdempotencyKey, &i.State, &i.Lease.Owner, &leaseUntil, &createTime, &updateTime)
	if err != nil {
		return nil, err
	}
	i.Lease.Until, i.CreateTime, i.UpdateTime = Instant(leaseUntil), Instant(createTime), Instant(updateTime)
	return &i, nil
}

// IntentValues are the values of IntentNames.
func IntentValues(i *store.Intent) []any {
	return []any{
		i.Tenant, i.ID, i.Provider, i.Operation, i.Resource, i.CustomerID, i.IdempotencyMethod, i.IdempotencyKey,
		string(i.State), i.Lease.Owner, Micros(i.Lease.Until), Micros(i.CreateTime), Micros(i.UpdateTime),
	}
}

// CallbackNames are the columns that Callback scans.
const CallbackNames = `hash, kind, tenant, provider, resource, flow, create_time, expire_time, outcome, visit_time,
		settled`

// Callback scans CallbackNames.
func Callback(row Row) (*store.Callback, error) {
	var c store.Callback
	var hash []byte
	var createTime, expireTime, visitTime int64
	if err := row.Scan(&hash, &c.Kind, &c.Tenant, &c.Provider, &c.Resource, &c.Flow, &createTime,
		&expireTime, &c.Outcome, &visitTime, &c.Settled); err != nil {
		return nil, err
	}
	copy(c.Hash[:], hash)
	c.CreateTime, c.ExpireTime, c.VisitTime = Instant(createTime), Instant(expireTime), Instant(visitTime)
	return &c, nil
}

// CallbackValues are the values of CallbackNames.
func CallbackValues(c *store.Callback) []any {
	return []any{
		c.Hash[:], string(c.Kind), c.Tenant, c.Provider, c.Resource, c.Flow, Micros(c.CreateTime),
		Micros(c.ExpireTime), c.Outcome, Micros(c.VisitTime), c.Settled,
	}
}

// WebhookNames are the columns that Webhook scans.
const WebhookNames = "key, tenant, provider, registered, update_time"

// Webhook scans WebhookNames.
func Webhook(row Row) (*store.Webhook, error) {
	var w store.Webhook
	var updateTime int64
	if err := row.Scan(&w.Key, &w.Tenant, &w.Provider, &w.Registered, &updateTime); err != nil {
		return nil, err
	}
	w.UpdateTime = Instant(updateTime)
	return &w, nil
}
