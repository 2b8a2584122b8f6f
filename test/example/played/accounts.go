package played

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

// accountTypes are ISO 20022's codes.
var accountTypes = map[string]string{
	sandbox.AccountCurrent: "CACC", sandbox.AccountSavings: "SVGS", sandbox.AccountCard: "CARD",
	sandbox.AccountLoan: "LOAN", sandbox.AccountSecurities: "SECU",
}

// categories are the labels that Skarvholm has in Norwegian; the others are as the sandbox calls them.
var categories = map[string]string{sandbox.CategorySalary: "Lønn", sandbox.CategoryInterest: "Rente"}

func (*Server) listAccounts(_ *http.Request, c *consent) reply {
	listed := accountsWire{Accounts: []accountWire{}}
	for _, a := range c.login.Accounts {
		listed.Accounts = append(listed.Accounts, accountWire{
			ID: a.ID, IBAN: a.IBAN, BBAN: a.Number, Name: a.Name, Owner: a.Owner, Type: accountTypes[a.Type],
			Currency: a.Currency,
			Balances: []balanceWire{{
				Type: "closingBooked", Amount: amountWire{Currency: a.Currency, Amount: a.Balance},
			}},
		})
	}
	return reply{http.StatusOK, listed}
}

func (*Server) listTransactions(r *http.Request, c *consent) reply {
	i := slices.IndexFunc(c.login.Accounts, func(a sandbox.Account) bool { return a.ID == r.PathValue("accountId") })
	if i < 0 {
		return refusal(http.StatusNotFound, "RESOURCE_UNKNOWN")
	}
	from, to := r.URL.Query().Get("dateFrom"), r.URL.Query().Get("dateTo")
	for _, date := range []string{from, to} {
		if _, err := time.Parse(time.DateOnly, date); date != "" && err != nil {
			return refusal(http.StatusBadRequest, "FORMAT_ERROR")
		}
	}
	account := c.login.Accounts[i]
	var listed transactionsWire
	listed.Transactions.Booked, listed.Transactions.Pending = []transactionWire{}, []transactionWire{}
	for _, t := range slices.Backward(account.Transactions) {
		w := transactionWire{
			ID: t.ID, BookingDate: t.Date.Format(time.DateOnly), ValueDate: t.ValueDate.Format(time.DateOnly),
			Amount:       amountWire{Currency: account.Currency, Amount: t.Amount},
			Counterparty: partyWire{Name: t.Counterparty.Name, IBAN: t.Counterparty.IBAN},
			Remittance:   t.Description, MandateID: t.MandateRef, EndToEndID: t.EndToEndID,
			Category: cmp.Or(categories[t.Category], t.Category),
		}
		switch {
		case from != "" && w.BookingDate < from || to != "" && w.BookingDate > to:
		case t.Booked:
			listed.Transactions.Booked = append(listed.Transactions.Booked, w)
		default:
			listed.Transactions.Pending = append(listed.Transactions.Pending, w)
		}
	}
	return reply{http.StatusOK, listed}
}
