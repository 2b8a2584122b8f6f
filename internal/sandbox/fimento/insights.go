package fimento

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

// Amounts are JSON numbers, as the documentation has them, and exact ones.

type insightsWire struct {
	TransactionGraph      []graphDayWire `json:"transactionGraph"`
	AccountsInfo          []accountWire  `json:"accountsInfo"`
	TotalBalance          map[string]any `json:"totalBalance"`
	FetchedAtInterval     intervalWire   `json:"fetchedAtInterval"`
	Categorisation        map[string]any `json:"categorisation"`
	NationalID            string         `json:"socialSecurityNumber,omitempty"`
	CompanyID             string         `json:"companyId,omitempty"`
	FirstName             string         `json:"firstName,omitempty"`
	LastName              string         `json:"lastName,omitempty"`
	ProcessID             string         `json:"processId"`
	ComputationAutomation map[string]any `json:"computationAutomation"`
}

type graphDayWire struct {
	Date string        `json:"date"`
	Info graphInfoWire `json:"info"`
}

type graphInfoWire struct {
	Balance              json.Number         `json:"balance"`
	NegativeSum          json.Number         `json:"negativeSum"`
	PositiveSum          json.Number         `json:"positiveSum"`
	NegativeTransactions []graphMovementWire `json:"negativeTransactions"`
	PositiveTransactions []graphMovementWire `json:"positiveTransactions"`
}

type graphMovementWire struct {
	Description string      `json:"description"`
	Amount      json.Number `json:"amount"`
	Category    string      `json:"category"`
}

type accountWire struct {
	AccountNumber string      `json:"accountNumber"`
	Name          string      `json:"name"`
	Balance       json.Number `json:"balance"`
	Type          string      `json:"type"`
	Bank          string      `json:"bank"`
}

type intervalWire struct {
	Min string `json:"min"`
	Max string `json:"max"`
}

type transactionWire struct {
	ID          string      `json:"_id"`
	Amount      json.Number `json:"amount"`
	Date        string      `json:"date"`
	Description string      `json:"description"`
	AccountID   string      `json:"accountId"`
	Category    string      `json:"category"`
	BankID      string      `json:"cBankId"`
}

type transactionsWire struct {
	Transactions []transactionWire `json:"transactions"`
}

type visualisationWire struct {
	URL string `json:"visualisationUrl"`
}

func number(m sandbox.Minor) json.Number { return json.Number(m.String()) }

// notReady refuses while there is nothing to show.
func (p *process) notReady() (reply, bool) {
	if slices.ContainsFunc(p.banks, func(b *bankConsent) bool { return b.ready }) {
		return reply{}, false
	}
	if p.consent == revoked {
		return refusal(http.StatusNotFound, "Insights not found"), true
	}
	return refusal(http.StatusBadRequest, "The insights are not generated yet"), true
}

func (s *Server) insights(_ *http.Request, p *process) reply {
	if refused, not := p.notReady(); not {
		return refused
	}
	accounts := s.collected(p)
	all := movements(accounts)
	by := summarise(all)
	from, to := p.fetchInterval()
	out := insightsWire{
		TransactionGraph: graph(accounts, all), AccountsInfo: []accountWire{}, TotalBalance: totalBalance(accounts),
		FetchedAtInterval: intervalWire{writeTime(from, 0), writeTime(to, 1)},
		Categorisation: map[string]any{
			"income": writeSums(by.income, months(all)), "expenses": writeSums(by.expense, months(all)),
		},
		NationalID: p.nationalID, CompanyID: p.companyID, FirstName: p.firstName, LastName: p.lastName, ProcessID: p.id,
		ComputationAutomation: computation(by, months(all)),
	}
	for _, a := range accounts {
		out.AccountsInfo = append(out.AccountsInfo, accountWire{
			AccountNumber: a.Number, Name: a.Name, Balance: json.Number(a.Balance), Type: accountTypes[a.Type],
			Bank: a.bank.Name,
		})
	}
	return reply{http.StatusOK, out}
}

// graph is one point for each day on which something moved, the oldest first: the balance of all accounts in the
// evening, and what moved.
func graph(accounts []*account, all []movement) []graphDayWire {
	var balance sandbox.Minor
	for _, a := range accounts {
		balance += sandbox.MustMinor(a.OpeningBalance)
	}
	days := []graphDayWire{}
	var negative, positive sandbox.Minor
	for _, m := range slices.Backward(all) {
		date := m.Date.Format(time.DateOnly)
		if len(days) == 0 || days[len(days)-1].Date != date {
			negative, positive = 0, 0
			days = append(days, graphDayWire{date, graphInfoWire{
				NegativeTransactions: []graphMovementWire{}, PositiveTransactions: []graphMovementWire{},
			}})
		}
		info := &days[len(days)-1].Info
		amount, line := sandbox.MustMinor(m.Amount), graphMovementWire{
			m.Description, json.Number(m.Amount), labels[m.Category],
		}
		balance += amount
		if amount < 0 {
			negative += amount
			info.NegativeTransactions = append(info.NegativeTransactions, line)
		} else {
			positive += amount
			info.PositiveTransactions = append(info.PositiveTransactions, line)
		}
		info.Balance, info.NegativeSum, info.PositiveSum = number(balance), number(negative), number(positive)
	}
	return days
}

func totalBalance(accounts []*account) map[string]any {
	var all sandbox.Minor
	byType := map[string]sandbox.Minor{}
	for _, a := range accounts {
		balance := sandbox.MustMinor(a.Balance)
		all += balance
		byType[accountTypes[a.Type]] += balance
	}
	out := map[string]json.Number{}
	for name, balance := range byType {
		out[name] = number(balance)
	}
	return map[string]any{"total": number(all), "byType": out}
}

func writeSums(by map[string]*sum, months int) map[string]any {
	out := map[string]any{}
	for label, s := range by {
		out[label] = map[string]any{
			"sum": number(s.amount), "count": s.count, "monthlyAverage": number(average(s.amount, months)),
		}
	}
	return out
}

// average rounds towards zero.
func average(m sandbox.Minor, months int) sandbox.Minor { return m / sandbox.Minor(months) }

// computation is what a lender's rules may start from.
func computation(by sums, months int) map[string]any {
	income, expenses := average(total(by.income), months), average(total(by.expense), months)
	return map[string]any{
		"monthlyIncome":   number(income),
		"monthlyExpenses": number(expenses),
		"leftToLiveOn":    number(income + expenses),
		"hasGambling":     by.expense[labels[sandbox.CategoryGambling]] != nil,
		"hasDebt":         by.expense[labels[sandbox.CategoryDebtCollection]] != nil,
	}
}

// overlap is how many transactions a page shares with the one before under PagingOverlap.
const overlap = 5

// transactions needs no partner-bank-id: the documentation lists none.
func (s *Server) transactions(r *http.Request) reply {
	page, ok := positive(r, "page", 0)
	if !ok {
		return invalid("page must be a number not less than 1")
	}
	p := s.processes[r.PathValue("processId")]
	if p == nil {
		return refusal(http.StatusNotFound, "Process not found")
	}
	if refused, not := p.notReady(); not {
		return refused
	}
	all, size := movements(s.collected(p)), s.cfg.PageSize
	offset := (page - 1) * size
	switch s.behaviour.Paging {
	case PagingRepeatLast:
		offset = min(offset, max(len(all)-1, 0)/size*size)
	case PagingOverlap:
		if page > 1 {
			offset, size = offset-overlap, size+overlap
		}
	}
	from, to := window(len(all), offset, size)
	out := transactionsWire{Transactions: []transactionWire{}}
	for i, m := range all[from:to] {
		t := transactionWire{
			ID: m.ID, Amount: json.Number(m.Amount), Date: writeTime(m.Date, i), Description: m.Description,
			AccountID: m.account.Number, Category: labels[m.Category], BankID: m.account.bank.ID,
		}
		if s.behaviour.OpaqueAccountIDs {
			t.AccountID = m.account.ID
		}
		out.Transactions = append(out.Transactions, t)
	}
	return reply{http.StatusOK, out}
}

func (s *Server) visualisationLink(r *http.Request, p *process) reply {
	if refused, not := p.notReady(); not {
		return refused
	}
	now := s.core.Clock.Now()
	for token, v := range s.visualisations {
		if !now.Before(v.expires) {
			delete(s.visualisations, token)
		}
	}
	token := s.core.Rand.Hex(48)
	s.visualisations[token] = visualisation{process: p.id, expires: now.Add(visualisationTTL)}
	return reply{http.StatusOK, visualisationWire{s.baseURL(r) + "/visualisation/" + token}}
}
