package fimento

import (
	"encoding/json"
	"net/http"
)

const partnerBankHeader = "partner-bank-id"

// requirePartnerBank checks the header that names on whose behalf a request is.
func (s *Server) requirePartnerBank(r *http.Request) (*partnerBank, reply) {
	id := r.Header.Get(partnerBankHeader)
	if id == "" {
		return nil, invalid(partnerBankHeader + " is required")
	}
	bank := s.partnerBank(id)
	if bank == nil {
		return nil, invalid(partnerBankHeader + " must be the id of a partner bank")
	}
	return bank, reply{}
}

// forProcess finds the process of the path; that of another partner bank looks the same as none.
func (s *Server) forProcess(next func(r *http.Request, p *process) reply) handler {
	return func(r *http.Request) reply {
		bank, refused := s.requirePartnerBank(r)
		if bank == nil {
			return refused
		}
		p := s.processes[r.PathValue("processId")]
		if p == nil || p.partnerBank != bank.ID {
			return refusal(http.StatusNotFound, "Process not found")
		}
		return next(r, p)
	}
}

func (s *Server) createProcess(r *http.Request) reply {
	partner, refused := s.requirePartnerBank(r)
	if partner == nil {
		return refused
	}
	b := readBody(r)
	p := &process{
		partnerBank:    partner.ID,
		market:         b.required("market"),
		dataCollection: b.required("dataCollectionType"),
		nationalID:     b.text("socialSecurityNumber"),
		companyID:      b.text("companyId"),
		firstName:      b.text("firstName"),
		lastName:       b.text("lastName"),
		redirectURL:    b.text("redirectUrl"),
		psuType:        b.text("psuType"),
		brokerBanks:    b.brokerBanks(),
	}
	b.oneOf("market", p.market, "SE", "FI")
	b.oneOf("dataCollectionType", p.dataCollection, "transaction-categorisation", verification)
	b.oneOf("psuType", p.psuType, "transaction-categorisation", verification)
	if faults := b.done(); faults != nil {
		return invalid(faults...)
	}
	key := idempotencyKey{partner.ID, r.Header.Get("idempotency-key")}
	if earlier, ok := s.processes[s.idempotent[key]]; ok {
		return reply{http.StatusCreated, s.created(r, earlier)}
	}
	if !partner.IsBroker {
		p.brokerBanks = nil
	}
	p.id, p.createdAt = s.core.Rand.Hex(24), s.core.Clock.Now()
	s.processes[p.id] = p
	s.begin(p)
	if key.key != "" {
		s.idempotent[key] = p.id
	}
	return reply{http.StatusCreated, s.created(r, p)}
}

// brokerBanks reads the objects of the request; the response has their names only.
func (b *body) brokerBanks() []string {
	var objects []map[string]json.RawMessage
	b.take("brokerBanks", &objects, "an array of objects")
	names := []string{}
	for _, fields := range objects {
		bank := &body{fields: fields}
		names = append(names, bank.text("name"))
		bank.text("id")
		bank.text("logoUri")
		for _, f := range bank.done() {
			b.faultf("brokerBanks: %s", f)
		}
	}
	return names
}

// created is the process as it is answered on creation: with its consent link.
func (s *Server) created(r *http.Request, p *process) processWire {
	out := s.wire(p)
	out.ConsentLink = s.linkURL(r, p)
	return out
}

func (s *Server) linkURL(r *http.Request, p *process) string {
	return s.baseURL(r) + "/consent/" + p.flow.token
}

type linkWire struct {
	ConsentLink string `json:"consent-link"`
}

func (s *Server) newConsentLink(r *http.Request, p *process) reply {
	if p.flow.decision != "" {
		return refusal(http.StatusConflict, "The consent flow is already "+p.flow.decision)
	}
	s.issueLink(p)
	return reply{http.StatusCreated, linkWire{s.linkURL(r, p)}}
}

func (s *Server) newConsentFlow(r *http.Request, p *process) reply {
	if p.flow.decision == "" {
		return refusal(http.StatusConflict, "The previous consent flow must be approved or revoked first")
	}
	s.begin(p)
	return reply{http.StatusCreated, linkWire{s.linkURL(r, p)}}
}

func (s *Server) getProcess(_ *http.Request, p *process) reply {
	return reply{http.StatusOK, s.wire(p)}
}

func (s *Server) deleteProcess(_ *http.Request, p *process) reply {
	delete(s.links, p.flow.token)
	delete(s.processes, p.id)
	return reply{status: http.StatusNoContent}
}

type decisionWire struct {
	IsApproved bool `json:"isApproved"`
}

// testDecision takes the customer's place: without a bank the first one of the market is added and authenticated.
func (s *Server) testDecision(r *http.Request, p *process) reply {
	decision := r.PathValue("status")
	if decision == "" {
		decision = r.URL.Query().Get("status")
	}
	if decision != approved && decision != revoked {
		return invalid("status must be one of the following values: approved, revoked")
	}
	f := p.flow
	if f.decision == revoked || f.decision == decision {
		return refusal(http.StatusConflict, "The consent flow is already "+f.decision)
	}
	if !p.decidable() {
		s.choose(p, s.core.Population.Banks(p.market)[0])
		s.authenticate(p)
	}
	s.decide(p, decision)
	return reply{http.StatusOK, decisionWire{decision == approved}}
}

func (s *Server) addWebhook(r *http.Request) reply {
	b := readBody(r)
	target := b.required("webhookUrl")
	if target != "" && !isWebURL(target) {
		b.faultf("webhookUrl must be a URL address")
	}
	if faults := b.done(); faults != nil {
		return invalid(faults...)
	}
	s.webhooks.add(target)
	return reply{status: http.StatusCreated}
}
