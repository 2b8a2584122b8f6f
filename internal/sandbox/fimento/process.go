package fimento

import (
	"slices"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

// The status codes, overall and per bank, in the order of the documentation.
const (
	codeCreated        = "created"
	codeLinkOpened     = "consentLinkOpened"
	codeApproved       = "customerApprovedConsent"
	codeDenied         = "customerDeniedConsent"
	codeCategorising   = "categorisationStarted"
	codeCategorised    = "categorisationDone"
	codeInsights       = "insightsStarted"
	codeCompleted      = "completed"
	codeAuthError      = "authError"
	codeBankAdded      = "bankAddedNotCompletedAuthFlow"
	codeBankAuthorized = "bankAddedCompletedAuthFlow"
	codeFetching       = "fetchingTransactionsStarted"
	codeFetched        = "fetchingTransactionsDone"
)

var descriptions = map[string]string{
	codeCreated:        "Created - No banks added",
	codeLinkOpened:     "Consent link opened",
	codeApproved:       "Customer has approved consent",
	codeDenied:         "Customer has denied/revoked consent",
	codeCategorising:   "Categorising transaction data - Started",
	codeCategorised:    "Categorising transaction data - Done",
	codeInsights:       "Generate insights - Started",
	codeCompleted:      "Customer has approved consent and insights is generated",
	codeAuthError:      "Auth error",
	codeBankAdded:      "Bank added, not completed auth flow",
	codeBankAuthorized: "Bank added, completed auth flow",
	codeFetching:       "Fetching transactions - Started",
	codeFetched:        "Fetching transactions - Done",
}

// stages follow an approval by themselves, one Step apart.
var stages = []string{codeCategorising, codeCategorised, codeInsights, codeCompleted}

// The decisions of a customer.
const (
	approved = "approved"
	revoked  = "revoked"
)

// verification is the dataCollectionType of which no more than the accounts is collected.
const verification = "bank-account-verification"

const authFailure = "The customer could not be authenticated at the bank"

// process is one data collection. Everything here runs under the server's lock.
type process struct {
	id, partnerBank, market              string
	nationalID, companyID                string
	firstName, lastName                  string
	redirectURL, dataCollection, psuType string
	brokerBanks                          []string
	createdAt, updatedAt                 time.Time
	flow                                 *flow          // the present consent flow
	banks                                []*bankConsent // of all consent flows, in the order they were added
	consent                              string         // the last decision, "" before the first
}

// flow is one way through the consent pages: banks are added, then all of them approved or denied together.
type flow struct {
	id       string
	token    string       // of its present link
	statuses []status     // of the process while this is its present flow
	decision string       // "" until decided
	selected *bankConsent // where the customer is about to authenticate
}

type bankConsent struct {
	flow      *flow
	bank      sandbox.Bank
	statuses  []status
	givenAt   time.Time // zero until approved
	fetchedAt time.Time
	ready     bool // its data is there
}

type status struct {
	code    string
	at      time.Time
	message string // on errors only
}

func (b *bankConsent) code() string { return b.statuses[len(b.statuses)-1].code }

// authorized tells whether the customer has authenticated at the bank.
func (b *bankConsent) authorized() bool { return b.code() != codeBankAdded }

// of are the banks of one flow.
func (p *process) of(f *flow) []*bankConsent {
	return slices.DeleteFunc(slices.Clone(p.banks), func(b *bankConsent) bool { return b.flow != f })
}

// record sets an overall status. It stands with the present flow, also when an earlier one brought it about.
func (s *Server) record(p *process, code, message string) {
	p.flow.statuses = append(p.flow.statuses, status{code, s.core.Clock.Now(), message})
	s.changed(p)
}

// recordBank sets a bank's status.
func (s *Server) recordBank(p *process, b *bankConsent, code, message string) {
	b.statuses = append(b.statuses, status{code, s.core.Clock.Now(), message})
	s.changed(p)
}

// changed tells the webhooks of a status.
func (s *Server) changed(p *process) {
	p.updatedAt = s.core.Clock.Now()
	s.webhooks.send(s.behaviour.Webhooks, func() any { return s.wire(p) })
}

// later runs f one Step from now, unless the process is deleted by then.
func (s *Server) later(p *process, f func()) {
	s.core.Clock.AfterFunc(s.core.Step, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.processes[p.id] == p {
			f()
		}
	})
}

// begin starts a consent flow with a link of its own; that of the flow before is dead.
func (s *Server) begin(p *process) {
	f := &flow{id: s.core.Rand.Hex(24)}
	if before := p.flow; before != nil {
		delete(s.links, before.token)
		if s.behaviour.ContinueFlow {
			f.id, f.statuses = before.id, before.statuses
		}
	}
	p.flow = f
	s.issueLink(p)
	s.record(p, codeCreated, "")
}

// issueLink gives the present flow a new link in place of the one it has.
func (s *Server) issueLink(p *process) {
	delete(s.links, p.flow.token)
	p.flow.token = s.core.Rand.Hex(48)
	s.links[p.flow.token] = link{process: p, expires: s.core.Clock.Now().Add(LinkTTL)}
}

// choose begins with a bank; one that this flow has already is not added again.
func (s *Server) choose(p *process, bank sandbox.Bank) {
	f := p.flow
	for _, b := range p.of(f) {
		if b.bank.ID == bank.ID {
			f.selected = b
			return
		}
	}
	f.selected = &bankConsent{flow: f, bank: bank}
	p.banks = append(p.banks, f.selected)
	s.recordBank(p, f.selected, codeBankAdded, "")
}

// authenticate ends the login at the chosen bank well.
func (s *Server) authenticate(p *process) {
	f, b := p.flow, p.flow.selected
	f.selected = nil
	if b.authorized() {
		return
	}
	s.recordBank(p, b, codeBankAuthorized, "")
	s.recordBank(p, b, codeFetching, "")
	s.later(p, func() {
		if f.decision == revoked {
			return
		}
		b.fetchedAt = s.core.Clock.Now()
		s.recordBank(p, b, codeFetched, "")
		s.proceed(p, f)
	})
}

// fail ends the login at the chosen bank badly; the customer may try again.
func (s *Server) fail(p *process) {
	b := p.flow.selected
	p.flow.selected = nil
	if b.authorized() {
		return
	}
	if s.behaviour.AuthErrors != AuthErrorsOverall {
		s.recordBank(p, b, codeBankAdded, authFailure)
	}
	if s.behaviour.AuthErrors != AuthErrorsBank {
		s.record(p, codeAuthError, authFailure)
	}
}

// decidable tells whether the customer may decide: some bank of the present flow has begun to deliver.
func (p *process) decidable() bool {
	return slices.ContainsFunc(p.of(p.flow), (*bankConsent).authorized)
}

// decide approves or revokes what the present flow has collected. An approval can be revoked; a revocation is final
// for the flow and deletes the data of all flows.
func (s *Server) decide(p *process, decision string) {
	f := p.flow
	f.decision, p.consent = decision, decision
	if decision == revoked {
		for _, b := range p.banks {
			b.ready, b.flow.decision = false, revoked
		}
		s.record(p, codeDenied, "")
		return
	}
	for _, b := range p.of(f) {
		if b.authorized() {
			b.givenAt = s.core.Clock.Now()
		}
	}
	s.record(p, codeApproved, "")
	s.proceed(p, f)
}

// proceed begins the stages once the flow is approved and none of its banks is still delivering. Both become true
// only once, since no bank is added after the decision. A verification of accounts has none: its accounts are there.
func (s *Server) proceed(p *process, f *flow) {
	fetching := slices.ContainsFunc(p.of(f), func(b *bankConsent) bool { return b.code() == codeFetching })
	switch {
	case f.decision != approved || fetching:
	case p.dataCollection == verification:
		f.deliver(p)
	default:
		s.later(p, func() { s.stage(p, f, 0) })
	}
}

// deliver lets the data of the flow's banks be read.
func (f *flow) deliver(p *process) {
	for _, b := range p.of(f) {
		b.ready = b.code() == codeFetched
	}
}

func (s *Server) stage(p *process, f *flow, n int) {
	if f.decision != approved {
		return
	}
	if stages[n] == codeCompleted {
		f.deliver(p)
	} else {
		s.later(p, func() { s.stage(p, f, n+1) })
	}
	s.record(p, stages[n], "")
}

// person is whose data the process collects. Without any identity it is somebody made up.
func (s *Server) person(p *process) sandbox.Person {
	people := s.core.Population
	switch {
	case p.companyID != "":
		return people.Dress(people.ByCompanyID(p.companyID), p.market)
	case p.nationalID != "":
		return people.Dress(people.ByNationalID(p.nationalID), p.market)
	default:
		return people.Dress(people.ForUser(sandbox.Germany, p.id, false), p.market)
	}
}
