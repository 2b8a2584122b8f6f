package fimento

import (
	"net/url"
	"slices"
	"time"
)

// processWire is a Process. URL-valued lines are missing from the documentation's samples, so that redirectUrl and
// consent-link do not stand there; the prose has both.
type processWire struct {
	ID                  string     `json:"_id"`
	ConsentFlowStatuses []bankWire `json:"consentFlowStatuses"` // the same as CustomerBankConsent
	ConsentFlowStatus   any        `json:"consentFlowStatus"`   // flowWire or []statusWire
	Market              string     `json:"market"`
	PartnerBank         string     `json:"partnerBank"`
	NationalID          string     `json:"socialSecurityNumber,omitempty"`
	CompanyID           string     `json:"companyId,omitempty"`
	CreatedAt           string     `json:"createdAt"`
	CustomerBankConsent []bankWire `json:"customerBankConsent"`
	FirstName           string     `json:"firstName,omitempty"`
	LastName            string     `json:"lastName,omitempty"`
	Consent             string     `json:"consent"` // "null" in words, unlike flowWire's
	UpdatedAt           string     `json:"updatedAt"`
	DataCollectionType  string     `json:"dataCollectionType"`
	BrokerBanks         []string   `json:"brokerBanks"`
	PSUType             string     `json:"psuType,omitempty"`
	RedirectURL         string     `json:"redirectUrl,omitempty"`
	ConsentLink         string     `json:"consent-link,omitempty"` // on creation only
}

type flowWire struct {
	Current statusWire   `json:"current"`
	History []statusWire `json:"history"`
	Consent *string      `json:"consent"` // null until decided
	ID      string       `json:"_id"`
}

type bankWire struct {
	CustomerBank        customerBankWire `json:"customerBank"`
	Status              any              `json:"status"` // historyWire or []statusWire
	ConsentGivenAt      *string          `json:"consentGivenAt"`
	ConsentFlowStatusID string           `json:"consentFlowStatusId"`
}

type customerBankWire struct {
	Name    string `json:"name"`
	Country string `json:"country"`
}

type historyWire struct {
	Current statusWire   `json:"current"`
	History []statusWire `json:"history"`
}

type statusWire struct {
	Code         string `json:"code"`
	Desc         string `json:"desc"`
	Timestamp    string `json:"timestamp"`
	IsError      bool   `json:"isError,omitempty"`
	ErrorMessage string `json:"errorMessage,omitempty"`
}

func (s *Server) wire(p *process) processWire {
	banks := make([]bankWire, len(p.banks))
	for i, b := range p.banks {
		banks[i] = bankWire{
			CustomerBank:        customerBankWire{b.bank.Name, b.bank.Country},
			Status:              s.history(b.statuses),
			ConsentFlowStatusID: b.flow.id,
		}
		if !b.givenAt.IsZero() {
			given := writeTime(b.givenAt, i)
			banks[i].ConsentGivenAt = &given
		}
	}
	out := processWire{
		ID: p.id, ConsentFlowStatuses: banks, ConsentFlowStatus: s.flowStatus(p.flow), Market: p.market,
		PartnerBank: p.partnerBank,
		NationalID:  p.nationalID, CompanyID: p.companyID, CreatedAt: writeTime(p.createdAt, 1),
		CustomerBankConsent: banks,
		FirstName:           p.firstName, LastName: p.lastName, Consent: "null", UpdatedAt: writeTime(p.updatedAt, 2),
		DataCollectionType: p.dataCollection, BrokerBanks: append([]string{}, p.brokerBanks...), PSUType: p.psuType,
		RedirectURL: p.redirectURL,
	}
	if p.consent != "" {
		out.Consent = p.consent
	}
	if p.companyID != "" {
		out.PSUType = "business"
	}
	return out
}

func (s *Server) flowStatus(f *flow) any {
	history := writeStatuses(f.statuses)
	if s.behaviour.PlainStatuses {
		return history
	}
	out := flowWire{Current: history[len(history)-1], History: history, ID: f.id}
	if decision := f.decision; decision != "" {
		out.Consent = &decision // a copy: it is written without the lock
	}
	return out
}

func (s *Server) history(statuses []status) any {
	history := writeStatuses(statuses)
	if s.behaviour.PlainStatuses {
		return history
	}
	return historyWire{Current: history[len(history)-1], History: history}
}

func writeStatuses(statuses []status) []statusWire {
	out := make([]statusWire, len(statuses))
	for i, st := range statuses {
		out[i] = statusWire{
			Code: st.code, Desc: descriptions[st.code], Timestamp: writeTime(st.at, i), IsError: st.message != "",
			ErrorMessage: st.message,
		}
	}
	return out
}

// timeLayouts are the notations that the documentation mixes; the last two only fit whole seconds.
var timeLayouts = []string{
	"2006-01-02T15:04:05.000-07:00",
	"2006-01-02T15:04:05.000Z07:00",
	"2006-01-02T15:04:05Z07:00",
	"2006-01-02T15:04:05-07:00",
}

// writeTime writes an instant, to the millisecond, in the n-th notation that fits it.
func writeTime(t time.Time, n int) string {
	fitting := timeLayouts
	if t = t.UTC().Truncate(time.Millisecond); t.Nanosecond() != 0 {
		fitting = timeLayouts[:2]
	}
	return t.Format(fitting[n%len(fitting)])
}

func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && slices.Contains([]string{"http", "https"}, u.Scheme) && u.Host != ""
}
