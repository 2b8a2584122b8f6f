package fimento

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/psu"
)

type wireNewProcess struct {
	Market               string           `json:"market"`
	DataCollectionType   string           `json:"dataCollectionType"`
	SocialSecurityNumber string           `json:"socialSecurityNumber,omitempty"`
	CompanyID            string           `json:"companyId,omitempty"`
	FirstName            string           `json:"firstName,omitempty"`
	LastName             string           `json:"lastName,omitempty"`
	RedirectURL          string           `json:"redirectUrl,omitempty"`
	PsuType              string           `json:"psuType,omitempty"`
	BrokerBanks          []wireBrokerBank `json:"brokerBanks,omitempty"`
}

type wireBrokerBank struct {
	Name    string `json:"name,omitempty"`
	ID      string `json:"id,omitempty"`
	LogoURI string `json:"logoUri,omitempty"`
}

// wireProcess is a process. brokerBanks and psuType are left out: they come back in other shapes than they are sent,
// and nobody needs them.
type wireProcess struct {
	ID                  text             `json:"_id"`
	ConsentFlowStatus   wireStatuses     `json:"consentFlowStatus"`
	CustomerBankConsent wireBankConsents `json:"customerBankConsent"`
	ConsentFlowStatuses wireBankConsents `json:"consentFlowStatuses"`
	Consent             wireDecision     `json:"consent"`
	NationalID          text             `json:"socialSecurityNumber"`
	CompanyID           text             `json:"companyId"`

	asked string // which process was asked about, empty for a new one
}

func (p *wireProcess) check() error {
	if p.ID == "" {
		return missing("_id")
	}
	return about("_id", p.ID, p.asked)
}

// wireCreatedProcess is the answer to create_process: the process with the consent link beside its fields.
type wireCreatedProcess struct {
	wireProcess
	Link string
}

// UnmarshalJSON reads both.
func (p *wireCreatedProcess) UnmarshalJSON(data []byte) error {
	p.Link = namedLink(data)
	return json.Unmarshal(data, &p.wireProcess)
}

func (p *wireCreatedProcess) check() error {
	if err := p.wireProcess.check(); err != nil {
		return err
	}
	if p.Link == "" {
		return errNoLink
	}
	return nil
}

func (p *wireCreatedProcess) page() (field, address string) { return errNoLink.Field, p.Link }

// wireBankConsent is one bank of a process.
type wireBankConsent struct {
	CustomerBank        wireBank     `json:"customerBank"`
	Status              wireStatuses `json:"status"`
	ConsentGivenAt      instant      `json:"consentGivenAt"`
	ConsentFlowStatusID text         `json:"consentFlowStatusId"`
}

// wireBankConsents are the banks of a process. What is no list of banks holds none, or the one: nothing about banks may
// keep a withdrawal that stands beside them from being heard.
type wireBankConsents []wireBankConsent

// UnmarshalJSON reads any value.
func (banks *wireBankConsents) UnmarshalJSON(data []byte) error {
	for _, element := range elements(data) {
		var bank wireBankConsent
		if json.Unmarshal(element, &bank) == nil {
			*banks = append(*banks, bank)
		}
	}
	return nil
}

// wireBank is a bank: its name and country, or its name alone.
type wireBank struct{ Name, Country text }

// UnmarshalJSON reads any value.
func (b *wireBank) UnmarshalJSON(data []byte) error {
	var bank struct {
		Name    text `json:"name"`
		Country text `json:"country"`
	}
	if json.Unmarshal(data, &bank) == nil {
		b.Name, b.Country = bank.Name, bank.Country
	} else if data[0] == '"' {
		_ = json.Unmarshal(data, &b.Name)
	}
	return nil
}

// wireDecision is what the customer decided. null, "null" and what is no string are "", no decision.
type wireDecision string

// The documented decisions.
const (
	decisionApproved wireDecision = "approved"
	decisionRevoked  wireDecision = "revoked"
)

// known tells a documented decision, or none, from any other word.
func (d wireDecision) known() bool {
	return d == "" || d == decisionApproved || d == decisionRevoked
}

// UnmarshalJSON reads any value. A documented word is taken in any casing: a withdrawal that is written "Revoked" must
// not go unheard.
func (d *wireDecision) UnmarshalJSON(data []byte) error {
	var decision string
	_ = json.Unmarshal(data, &decision) // what is no string is no decision
	decision = strings.TrimSpace(decision)
	switch {
	case strings.EqualFold(decision, "null"):
	case strings.EqualFold(decision, string(decisionApproved)):
		*d = decisionApproved
	case strings.EqualFold(decision, string(decisionRevoked)):
		*d = decisionRevoked
	default:
		*d = wireDecision(decision)
	}
	return nil
}

// reportOf turns a process into what Kontor knows of it: its statuses, each once, and the decision that stands.
//
// customerBankConsent and consentFlowStatuses are the same list under two names, so only one is read.
func reportOf(process *wireProcess, received time.Time) providers.ConsentState {
	found := statusesOf(overall, providers.Observation{}, process.ConsentFlowStatus, received)
	banks := process.CustomerBankConsent
	if len(banks) == 0 {
		banks = process.ConsentFlowStatuses
	}
	for _, bank := range banks {
		id := connectionKey(bank)
		found = append(found, statusesOf("bank/"+id, providers.Observation{
			ConnectionID: id,
			Bank: &consentv1.Connection_Bank{
				DisplayName: told(bank.CustomerBank.Name), CountryCode: told(bank.CustomerBank.Country),
			},
			AuthorizeTime: providers.Credible(bank.ConsentGivenAt.Time, received),
		}, bank.Status, received)...)
	}
	for _, decision := range []wireDecision{process.Consent, process.ConsentFlowStatus.Consent} {
		if !decision.known() {
			// An unknown word is passed on as it is.
			found = append(found, providers.Observation{
				Key: "consent/" + string(decision), Type: consentv1.ConsentEvent_PROVIDER_STATUS,
				ProviderCode: string(decision),
			})
		}
	}
	state := providers.ConsentState{Observations: unique(found), Decision: consentv1.Decision_UNDECIDED}
	state.Withdrawn = withdrawnAt(process, state.Observations, received)
	switch approved := []wireDecision{process.Consent, process.ConsentFlowStatus.Consent}; {
	case len(state.Withdrawn) > 0:
		state.Decision, state.DecisionCode = consentv1.Decision_REVOKED, string(decisionRevoked)
	case slices.Contains(approved, decisionApproved):
		state.Decision, state.DecisionCode = consentv1.Decision_APPROVED, string(decisionApproved)
	}
	return state
}

// identityOf gives the ids that a process carries, once the customer approved: before, they can only be those that were
// asked with.
func identityOf(process *wireProcess, state providers.ConsentState, market string) *psu.Identity {
	approved := state.Decision == consentv1.Decision_APPROVED ||
		slices.ContainsFunc(state.Observations, func(o providers.Observation) bool {
			return o.Type == consentv1.ConsentEvent_APPROVED
		})
	who := psu.Identity{
		NationalID: psu.NationalID(market, string(process.NationalID)),
		CompanyID:  psu.CompanyID(market, string(process.CompanyID)),
	}
	if !approved || who.NationalID == "" && who.CompanyID == "" {
		return nil
	}
	return &who
}

// withdrawnAt names the places at which a process states a withdrawal without a time: its two consent fields, the
// overall status that is current, and entries of its histories. Where the fields differ the withdrawal stands: the
// customer may have said so in a place that the others do not know of yet.
func withdrawnAt(process *wireProcess, found []providers.Observation, received time.Time) []string {
	var places []string
	if process.Consent == decisionRevoked {
		places = append(places, "consent")
	}
	if process.ConsentFlowStatus.Consent == decisionRevoked {
		places = append(places, "consentFlowStatus.consent")
	}
	if current := process.ConsentFlowStatus.Current; current != nil && current.denied() &&
		providers.Credible(current.Timestamp.Time, received).IsZero() {
		places = append(places, "consentFlowStatus.current")
	}
	for _, o := range found {
		if o.Type == consentv1.ConsentEvent_REVOKED && o.Time.IsZero() {
			places = append(places, o.Key)
		}
	}
	return places
}

// connectionKey identifies a bank within its process, so that a bank that is listed twice is one. consentFlowStatusId
// alone would not do: it is likely the flow's, and a flow can hold several banks.
func connectionKey(bank wireBankConsent) string {
	id := string(bank.ConsentFlowStatusID) + "|" + string(bank.CustomerBank.Name)
	if bank.CustomerBank.Country != "" {
		id += "|" + string(bank.CustomerBank.Country)
	}
	return id
}

// unique drops observations whose key came before.
func unique(found []providers.Observation) []providers.Observation {
	seen := make(map[string]bool, len(found))
	return slices.DeleteFunc(found, func(o providers.Observation) bool {
		repeated := seen[o.Key]
		seen[o.Key] = true
		return repeated
	})
}
