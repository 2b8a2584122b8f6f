package consent

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/optional"
)

// State is what follows from a history.
type State struct {
	Status      consentv1.Consent_Status
	DataStage   consentv1.DataStage_Value
	Decision    consentv1.Decision_Value
	Link        *typev1.Link
	Connections []Connection
	Error       *errorv1.Error
	// LinkFor is the provider's id of the bank at which the newest link is to authenticate anew; empty for any other
	// link.
	LinkFor string
	// Ended says that the consent no longer exists at the provider, or that another one took its place there.
	Ended bool
}

// Connection is one bank under a consent as it follows from the history.
type Connection struct {
	// ID is the provider's id.
	ID            string
	Bank          *Bank
	Status        consentv1.Connection_Status
	ProviderCode  string
	Error         *errorv1.Error
	AuthorizeTime time.Time
	SyncTime      time.Time
	// Stage is how far this bank's data has come: NOT_STARTED, FETCHING, or READY.
	Stage consentv1.DataStage_Value
	// DataStage is how far callers can read it: READY only once the provider has evaluated it, too.
	DataStage consentv1.DataStage_Value

	gone      bool // its data was deleted with a withdrawal, and nothing came of it since
	fetching  bool
	held      bool                      // the provider said itself that its data is ready
	evaluated consentv1.DataStage_Value // by what the provider told since its data was fetched
	asked     bool                      // REAUTHORIZATION_REQUIRED since newer data was asked for, not by its status
}

// rank orders events that the provider dates to the same moment: as they follow each other in a consent that goes well.
// A failure yields to whatever success has the same date.
var rank = map[consentv1.ConsentEvent_Type]int{
	consentv1.ConsentEvent_CREATED:                  1,
	consentv1.ConsentEvent_LINK_ISSUED:              2,
	consentv1.ConsentEvent_LINK_OPENED:              3,
	consentv1.ConsentEvent_BANK_SELECTED:            4,
	consentv1.ConsentEvent_LINK_EXITED:              5,
	consentv1.ConsentEvent_AUTHORIZATION_FAILED:     6,
	consentv1.ConsentEvent_BANK_AUTHORIZED:          7,
	consentv1.ConsentEvent_FETCH_STARTED:            8,
	consentv1.ConsentEvent_FETCH_COMPLETED:          9,
	consentv1.ConsentEvent_APPROVED:                 10,
	consentv1.ConsentEvent_CATEGORISATION_STARTED:   11,
	consentv1.ConsentEvent_CATEGORISATION_COMPLETED: 12,
	consentv1.ConsentEvent_INSIGHTS_STARTED:         13,
	consentv1.ConsentEvent_COMPLETED:                14,
	consentv1.ConsentEvent_REAUTHORIZATION_REQUIRED: 15,
	consentv1.ConsentEvent_SYNC_COMPLETED:           16,
	consentv1.ConsentEvent_CONNECTION_REMOVED:       17,
	consentv1.ConsentEvent_LINK_EXPIRED:             18,
	consentv1.ConsentEvent_REVOKED:                  19,
	consentv1.ConsentEvent_PROVIDER_STATUS:          20,
	consentv1.ConsentEvent_SUPERSEDED:               21,
	consentv1.ConsentEvent_DELETED:                  22,
}

// compare is the canonical order of events. It does not look at the sequence: that depends on when Kontor learnt of an
// event.
func compare(a, b Event) int {
	return cmp.Or(
		a.EventTime.Compare(b.EventTime),
		cmp.Compare(rank[a.Type], rank[b.Type]),
		cmp.Compare(a.Key, b.Key),
	)
}

// Derive computes the state from the events of a history, in any order.
func Derive(collection consentv1.DataCollection_Value, events []Event) State {
	ordered := slices.SortedFunc(slices.Values(events), compare)
	d := deriver{flow: currentFlow(events), collection: collection, decision: decide(events)}
	deletion, deleted := deletion(ordered)
	for _, e := range ordered {
		if deleted && e.Sequence == deletion.Sequence {
			d.forget()
		}
		d.add(e)
	}
	if flow, lapsed, renewed := lapsedFlow(events); lapsed && !renewed {
		d.lapsed, d.reopened = true, d.flow > flow
	}
	return d.state()
}

// deletion gives the customer's last withdrawal, if an approval of a later flow came: the provider deleted what it had
// by then, and that approval brings none of it back.
func deletion(ordered []Event) (withdrawal Event, deleted bool) {
	approved := -1 // the newest flow with an approval
	for _, e := range ordered {
		switch {
		case e.Type == consentv1.ConsentEvent_APPROVED:
			approved = max(approved, e.Flow)
		case e.Type == consentv1.ConsentEvent_REVOKED && !e.EventTime.IsZero():
			withdrawal, deleted = e, true
		}
	}
	return withdrawal, deleted && withdrawal.Flow < approved
}

// currentFlow is the number of the newest flow.
func currentFlow(events []Event) int {
	flow := 0
	for _, e := range events {
		if e.Type == consentv1.ConsentEvent_LINK_ISSUED {
			flow = max(flow, e.Flow)
		}
	}
	return flow
}

// deriver folds events in canonical order.
type deriver struct {
	flow       int
	collection consentv1.DataCollection_Value

	decision     consentv1.Decision_Value // unspecified while there is none
	lapsed       bool                     // the permission ended by itself
	reopened     bool                     // and the customer was asked anew since
	ended        bool
	superseded   bool // by a later consent of the customer's
	authorized   map[string]time.Time
	untimedEnd   bool // the end of the evaluation was told without a time
	approvedEver bool
	completed    bool
	stage        consentv1.DataStage_Value
	failure      *errorv1.Error // the current flow's last word, when it is a failure
	connections  []Connection

	link       *Link
	linkFor    string
	linkIssued time.Time
	linkStatus typev1.Link_Status
	linkDone   bool
	linkOver   bool
}

// forget takes note that the data was deleted: of the whole, and of each bank that was known.
func (d *deriver) forget() {
	d.stage = consentv1.DataStage_NOT_STARTED
	for i := range d.connections {
		c := &d.connections[i]
		c.Stage, c.evaluated = consentv1.DataStage_NOT_STARTED, consentv1.DataStage_VALUE_UNSPECIFIED
		c.gone, c.held, c.fetching = true, false, false
	}
}

func (d *deriver) add(e Event) {
	d.addStage(e.Type)
	d.addDecision(e)
	d.addLink(e)
	if e.ConnectionID != "" {
		d.addConnection(e)
	}
	d.addEvaluation(e)
	d.addFailure(e)
	for id, at := range e.Authorized {
		if at.After(d.authorized[id]) {
			if d.authorized == nil {
				d.authorized = make(map[string]time.Time)
			}
			d.authorized[id] = at
		}
	}
}

// addEvaluation notes of each bank how far the provider has come with what was fetched from it.
func (d *deriver) addEvaluation(e Event) {
	stage := evaluated[e.Type]
	if stage == consentv1.DataStage_VALUE_UNSPECIFIED {
		return
	}
	d.untimedEnd = d.untimedEnd || stage == consentv1.DataStage_READY && e.EventTime.IsZero()
	for i := range d.connections {
		if c := &d.connections[i]; c.Stage == consentv1.DataStage_READY {
			c.evaluated = max(c.evaluated, stage)
		}
	}
}

// evaluated are the stages that events about the data as a whole tell of.
var evaluated = map[consentv1.ConsentEvent_Type]consentv1.DataStage_Value{
	consentv1.ConsentEvent_CATEGORISATION_STARTED:   consentv1.DataStage_CATEGORISING,
	consentv1.ConsentEvent_CATEGORISATION_COMPLETED: consentv1.DataStage_CATEGORISING,
	consentv1.ConsentEvent_INSIGHTS_STARTED:         consentv1.DataStage_GENERATING_INSIGHTS,
	consentv1.ConsentEvent_COMPLETED:                consentv1.DataStage_READY,
}

// addStage raises the stage of the data. It never falls, except by the end of the consent and by a withdrawal: what
// could be read once can be read.
func (d *deriver) addStage(t consentv1.ConsentEvent_Type) {
	d.completed = d.completed || t == consentv1.ConsentEvent_COMPLETED
	d.stage = max(d.stage, stageOf(t))
}

// stageOf is how far the data of a consent has come by an event.
func stageOf(t consentv1.ConsentEvent_Type) consentv1.DataStage_Value {
	switch t {
	case consentv1.ConsentEvent_FETCH_STARTED, consentv1.ConsentEvent_FETCH_COMPLETED:
		return consentv1.DataStage_FETCHING
	case consentv1.ConsentEvent_CATEGORISATION_STARTED, consentv1.ConsentEvent_CATEGORISATION_COMPLETED:
		return consentv1.DataStage_CATEGORISING
	case consentv1.ConsentEvent_INSIGHTS_STARTED:
		return consentv1.DataStage_GENERATING_INSIGHTS
	case consentv1.ConsentEvent_COMPLETED:
		return consentv1.DataStage_READY
	}
	return consentv1.DataStage_NOT_STARTED
}

func (d *deriver) addDecision(e Event) {
	switch e.Type {
	case consentv1.ConsentEvent_APPROVED:
		d.approvedEver = true
	case consentv1.ConsentEvent_REVOKED:
		d.ended = d.ended || e.Final
	case consentv1.ConsentEvent_SUPERSEDED:
		d.ended, d.superseded = true, true
	case consentv1.ConsentEvent_DELETED:
		d.ended = true
	}
}

// addLink follows the newest link only.
func (d *deriver) addLink(e Event) {
	if e.Flow != d.flow {
		return
	}
	switch e.Type {
	case consentv1.ConsentEvent_LINK_ISSUED:
		d.link, d.linkIssued, d.linkFor = e.Link, e.ReceiveTime, e.ConnectionID
	case consentv1.ConsentEvent_LINK_OPENED, consentv1.ConsentEvent_BANK_SELECTED,
		consentv1.ConsentEvent_BANK_AUTHORIZED:
		d.linkStatus = typev1.Link_OPENED
	case consentv1.ConsentEvent_LINK_EXITED:
		d.linkStatus = typev1.Link_EXITED
	case consentv1.ConsentEvent_AUTHORIZATION_FAILED:
		d.linkStatus = typev1.Link_ERRORED
	case consentv1.ConsentEvent_LINK_EXPIRED, consentv1.ConsentEvent_SUPERSEDED:
		d.linkOver = true
	case consentv1.ConsentEvent_APPROVED, consentv1.ConsentEvent_REVOKED:
		d.linkDone = true
	}
}

// stages are how far a bank's data has come by events that say so themselves.
var stages = map[consentv1.ConsentEvent_Type]consentv1.DataStage_Value{
	consentv1.ConsentEvent_BANK_AUTHORIZED: consentv1.DataStage_NOT_STARTED,
	consentv1.ConsentEvent_FETCH_STARTED:   consentv1.DataStage_FETCHING,
	consentv1.ConsentEvent_FETCH_COMPLETED: consentv1.DataStage_READY,
}

func (d *deriver) addConnection(e Event) {
	i := slices.IndexFunc(d.connections, func(c Connection) bool { return c.ID == e.ConnectionID })
	if i < 0 {
		d.connections = append(d.connections,
			Connection{ID: e.ConnectionID, Status: consentv1.Connection_PENDING_AUTHORIZATION})
		i = len(d.connections) - 1
	}
	c := &d.connections[i]
	c.Stage = max(c.Stage, stages[e.Type], e.Stage)
	c.held = c.held || e.Stage == consentv1.DataStage_READY
	if max(stages[e.Type], e.Stage) == consentv1.DataStage_READY {
		c.evaluated = consentv1.DataStage_VALUE_UNSPECIFIED // What was fetched now is still to be evaluated.
	}
	if e.Bank != nil {
		c.Bank = e.Bank
	}
	if e.ProviderCode != "" {
		c.ProviderCode = e.ProviderCode
	}
	if e.SyncTime.After(c.SyncTime) {
		c.SyncTime = e.SyncTime
	}
	switch e.Type {
	case consentv1.ConsentEvent_FETCH_STARTED:
		c.fetching = true
	case consentv1.ConsentEvent_FETCH_COMPLETED, consentv1.ConsentEvent_AUTHORIZATION_FAILED:
		c.fetching = false
	}
	before := c.Status
	c.gone = c.gone && !tellsStatus(e.Type)
	switch {
	case e.Type == consentv1.ConsentEvent_BANK_SELECTED:
		c.Status, c.Error = consentv1.Connection_PENDING_AUTHORIZATION, nil
	case isActive(e.Type):
		c.Status, c.Error = consentv1.Connection_ACTIVE, nil
		if c.AuthorizeTime.IsZero() {
			c.AuthorizeTime = e.EventTime
		}
	case e.Type == consentv1.ConsentEvent_AUTHORIZATION_FAILED:
		c.Status, c.Error = consentv1.Connection_ERROR, e.Error.Proto()
	case e.Type == consentv1.ConsentEvent_REAUTHORIZATION_REQUIRED:
		c.Status, c.Error = consentv1.Connection_REAUTHORIZATION_REQUIRED, nil
		c.asked, before = e.Asked, c.Status
	case e.Type == consentv1.ConsentEvent_CONNECTION_REMOVED:
		c.Status, c.Error, c.Stage = consentv1.Connection_DISCONNECTED, nil, consentv1.DataStage_NOT_STARTED
		c.held, c.evaluated = false, consentv1.DataStage_VALUE_UNSPECIFIED
	}
	c.asked = c.asked && c.Status == before
}

// tellsStatus tells whether an event says how a bank stands.
func tellsStatus(t consentv1.ConsentEvent_Type) bool {
	switch t {
	case consentv1.ConsentEvent_BANK_SELECTED, consentv1.ConsentEvent_AUTHORIZATION_FAILED,
		consentv1.ConsentEvent_REAUTHORIZATION_REQUIRED, consentv1.ConsentEvent_CONNECTION_REMOVED:
		return true
	}
	return isActive(t)
}

// isActive tells whether an event says that a bank's data can be fetched.
func isActive(t consentv1.ConsentEvent_Type) bool {
	switch t {
	case consentv1.ConsentEvent_BANK_AUTHORIZED, consentv1.ConsentEvent_FETCH_STARTED,
		consentv1.ConsentEvent_FETCH_COMPLETED, consentv1.ConsentEvent_SYNC_COMPLETED:
		return true
	}
	return false
}

// addFailure keeps the failure of the newest flow until something goes on after it.
func (d *deriver) addFailure(e Event) {
	if e.Flow != d.flow {
		return
	}
	switch e.Type {
	case consentv1.ConsentEvent_AUTHORIZATION_FAILED:
		d.failure = e.Error.Proto()
		if d.failure == nil {
			d.failure = (&Error{Reason: errorv1.Error_AUTHORIZATION_FAILED}).Proto()
		}
	default:
		if bearsOnFailure(e.Type) {
			d.failure = nil
		}
	}
}

// bearsOnFailure tells whether an event says that something failed, or that it goes on.
func bearsOnFailure(t consentv1.ConsentEvent_Type) bool {
	switch t {
	case consentv1.ConsentEvent_PROVIDER_STATUS, consentv1.ConsentEvent_LINK_EXITED,
		consentv1.ConsentEvent_LINK_EXPIRED,
		consentv1.ConsentEvent_CREATED, consentv1.ConsentEvent_LINK_ISSUED:
		return false
	}
	return true
}

func (d *deriver) state() State {
	decision := d.decision
	if decision == consentv1.Decision_VALUE_UNSPECIFIED {
		decision = consentv1.Decision_UNDECIDED
		if d.completed {
			// Insights are only computed after an approval, so a report of the end implies one that was missed.
			decision, d.approvedEver = consentv1.Decision_APPROVED, true
		}
	}
	d.lapsed = d.lapsed && decision == consentv1.Decision_APPROVED // a withdrawal outweighs it
	if d.lapsed && d.reopened {
		decision = consentv1.Decision_UNDECIDED
	}
	s := State{
		Decision: decision, DataStage: max(d.stage, consentv1.DataStage_NOT_STARTED), Connections: d.connections,
		Ended: d.ended, LinkFor: d.linkFor,
	}
	s.Link = d.linkState()
	s.Status = d.status(decision, s.Link)
	switch {
	case s.Status == consentv1.Consent_REVOKED || s.Status == consentv1.Consent_REJECTED:
		// The provider deletes the data with the permission.
		s.DataStage = consentv1.DataStage_NOT_STARTED
		for i := range s.Connections {
			s.Connections[i].Status, s.Connections[i].Error = consentv1.Connection_DISCONNECTED, nil
		}
	case d.lapsed:
		s.DataStage = consentv1.DataStage_NOT_STARTED
	case d.verified(decision):
		s.DataStage = consentv1.DataStage_READY
	}
	for i := range s.Connections {
		c := &s.Connections[i]
		if c.gone {
			c.Status, c.Error = consentv1.Connection_DISCONNECTED, nil
		}
		c.DataStage = d.readable(*c, s.DataStage)
		if at, ok := d.authorized[c.ID]; ok {
			c.AuthorizeTime = at
		}
	}
	if s.Status == consentv1.Consent_FAILED {
		s.Error = d.failure
	} else {
		for _, c := range s.Connections {
			if c.Error != nil {
				s.Error = c.Error
			}
		}
	}
	return s
}

// readable tells how far the data of one bank can be read, under a consent whose data as a whole is at a stage. While
// nothing can be read at all, no bank is READY. Once a bank's data can be read, a further bank's comes on by itself.
func (d *deriver) readable(c Connection, whole consentv1.DataStage_Value) consentv1.DataStage_Value {
	switch {
	case whole == consentv1.DataStage_NOT_STARTED, c.Status == consentv1.Connection_DISCONNECTED:
		return consentv1.DataStage_NOT_STARTED
	case c.Stage < consentv1.DataStage_READY:
		return max(c.Stage, consentv1.DataStage_NOT_STARTED)
	case whole < consentv1.DataStage_READY:
		return max(whole, consentv1.DataStage_FETCHING)
	case c.held, d.untimedEnd, d.collection == consentv1.DataCollection_BANK_ACCOUNT_VERIFICATION:
		return consentv1.DataStage_READY
	}
	return max(c.evaluated, consentv1.DataStage_FETCHING)
}

// verified tells whether a verification of accounts has all it needs: nothing is categorised there, so nothing reports
// the end.
func (d *deriver) verified(decision consentv1.Decision_Value) bool {
	if d.collection != consentv1.DataCollection_BANK_ACCOUNT_VERIFICATION || decision != consentv1.Decision_APPROVED ||
		d.fetching() {
		return false
	}
	return d.stage >= consentv1.DataStage_FETCHING
}

// fetching tells whether the last word of some bank is that its data is still being fetched.
func (d *deriver) fetching() bool {
	for _, c := range d.connections {
		if c.fetching {
			return true
		}
	}
	return false
}

func (d *deriver) status(decision consentv1.Decision_Value, link *typev1.Link) consentv1.Consent_Status {
	switch {
	case d.superseded:
		return consentv1.Consent_EXPIRED
	case d.ended:
		return consentv1.Consent_REVOKED
	case d.lapsed && !d.reopened:
		return consentv1.Consent_EXPIRED
	case decision == consentv1.Decision_APPROVED:
		for _, c := range d.connections {
			if c.Status == consentv1.Connection_REAUTHORIZATION_REQUIRED && !c.gone {
				return consentv1.Consent_AWAITING_REAUTHORIZATION
			}
		}
		return consentv1.Consent_AUTHORIZED
	case decision == consentv1.Decision_REVOKED && d.approvedEver:
		return consentv1.Consent_REVOKED
	case decision == consentv1.Decision_REVOKED:
		return consentv1.Consent_REJECTED
	case link.GetStatus() == typev1.Link_EXPIRED:
		return consentv1.Consent_EXPIRED
	case d.failure != nil:
		return consentv1.Consent_FAILED
	default:
		return consentv1.Consent_AWAITING_AUTHORIZATION
	}
}

func (d *deriver) linkState() *typev1.Link {
	if d.link == nil {
		return nil
	}
	link := &typev1.Link{
		Uri: optional.Of(d.link.URI), Status: max(d.linkStatus, typev1.Link_PENDING),
		CreateTime: timestamppb.New(d.linkIssued), ExpireTime: timestamppb.New(d.link.ExpireTime),
	}
	switch {
	case d.linkDone || (d.completed && d.decision == consentv1.Decision_VALUE_UNSPECIFIED):
		link.Status = typev1.Link_COMPLETED
	case d.linkOver:
		link.Status = typev1.Link_EXPIRED
	}
	over := link.GetStatus() == typev1.Link_COMPLETED || link.GetStatus() == typev1.Link_EXPIRED
	if d.ended || over { // who still had it could act as the customer
		link.Uri = optional.Of("")
	}
	return link
}

// kind is why a customer's way through the bank's pages failed: OTHER where nobody told.
func (e *Error) kind() errorv1.FailureKind_Value {
	if e.Reason != errorv1.Error_AUTHORIZATION_FAILED {
		return e.Kind
	}
	return cmp.Or(e.Kind, errorv1.FailureKind_OTHER)
}

// Proto gives the failure as callers see it.
func (e *Error) Proto() *errorv1.Error {
	if e == nil {
		return nil
	}
	return &errorv1.Error{
		Reason: e.Reason, Message: optional.Of(e.Message), ProviderCode: optional.Of(e.ProviderCode),
		FailureKind: optional.Of(e.kind()),
	}
}
