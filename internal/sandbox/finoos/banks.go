package finoos

import (
	"strings"

	"kontor.dev/kontor/internal/sandbox"
)

// uiBank is a bank as the Banking UI offers it.
type uiBank struct {
	name   string
	bic    string
	code   string
	fails  step   // the step at which the bank answers with an error; "" for never
	reason string // what the page then says
}

// The credentials of the test bank, as documented.
const (
	finoBankLogin = "dummy"
	finoBankPIN   = "654321"
)

// banksOf are the banks to choose from: the population's German ones and one more. The first is fino Bank, the only one
// that works; the others each fail at another step.
func banksOf(population *sandbox.Population) []uiBank {
	var banks []uiBank
	for _, b := range population.Banks(sandbox.Germany) {
		banks = append(banks, uiBank{
			name: b.Name, bic: b.BIC, code: b.BankCode,
			fails: stepBank, reason: "The bank is down for maintenance.",
		})
	}
	banks[0].fails, banks[0].reason = "", ""
	return append(banks,
		uiBank{
			name: "Alsterbank", bic: "ALSTDEHH", code: "20050099", fails: stepLogin,
			reason: "The bank has locked this login.",
		},
		uiBank{
			name: "Travebank", bic: "TRAVDEHL", code: "23050088", fails: stepTAN,
			reason: "The bank broke the connection off.",
		},
	)
}

func (s *Server) finoBank() *uiBank { return &s.banks[0] }

// findBanks searches by name, bank code and BIC; an empty text finds all.
func (s *Server) findBanks(text string) []bankChoice {
	text = strings.ToLower(strings.TrimSpace(text))
	var found []bankChoice
	for _, b := range s.banks {
		if strings.Contains(strings.ToLower(b.name+"\n"+b.code+"\n"+b.bic), text) {
			found = append(found, bankChoice{Name: b.name, Code: b.code})
		}
	}
	return found
}

func (s *Server) bankByCode(code string) *uiBank {
	for i := range s.banks {
		if s.banks[i].code == code {
			return &s.banks[i]
		}
	}
	return nil
}
