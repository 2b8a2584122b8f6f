package fimento

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

// account is an account that a process has collected.
type account struct {
	sandbox.Account
	bank sandbox.Bank
}

// movement is a booked transaction of a collected account. Pending ones are never collected.
type movement struct {
	sandbox.Transaction
	account *account
}

// collected are the accounts of the banks whose data is there, each bank once, in the order they were added.
func (s *Server) collected(p *process) []*account {
	var accounts []*account
	person, seen := s.person(p), map[string]bool{}
	for _, b := range p.banks {
		if !b.ready || seen[b.bank.ID] {
			continue
		}
		seen[b.bank.ID] = true
		for _, login := range person.Logins {
			if login.Bank.ID != b.bank.ID {
				continue
			}
			for _, a := range login.Accounts {
				accounts = append(accounts, &account{a, login.Bank})
			}
		}
	}
	return accounts
}

// movements are the transactions of accounts, the newest first.
func movements(accounts []*account) []movement {
	var all []movement
	for _, a := range accounts {
		for _, t := range a.Transactions {
			if t.Booked {
				all = append(all, movement{t, a})
			}
		}
	}
	slices.SortStableFunc(all, func(x, y movement) int { return y.Date.Compare(x.Date) })
	return all
}

// fetchInterval is when the collected data was fetched, from the first bank to the last.
func (p *process) fetchInterval() (from, to time.Time) {
	var times []time.Time
	for _, b := range p.banks {
		if b.ready {
			times = append(times, b.fetchedAt)
		}
	}
	return slices.MinFunc(times, time.Time.Compare), slices.MaxFunc(times, time.Time.Compare)
}

// labels are Fimento's categories. The documentation shows none but "income".
var labels = map[string]string{
	sandbox.CategorySalary:         "income",
	sandbox.CategorySales:          "income",
	sandbox.CategoryBenefits:       "benefits",
	sandbox.CategoryInterest:       "interest",
	sandbox.CategoryRent:           "housing",
	sandbox.CategoryUtilities:      "utilities",
	sandbox.CategoryGroceries:      "groceries",
	sandbox.CategoryRestaurants:    "restaurants",
	sandbox.CategoryTransport:      "transport",
	sandbox.CategoryInsurance:      "insurance",
	sandbox.CategoryTelecom:        "telecom",
	sandbox.CategorySubscriptions:  "subscriptions",
	sandbox.CategoryShopping:       "shopping",
	sandbox.CategoryHealth:         "health",
	sandbox.CategoryLeisure:        "leisure",
	sandbox.CategoryCash:           "cash",
	sandbox.CategoryTransfer:       "transfer",
	sandbox.CategoryCardBill:       "creditCard",
	sandbox.CategoryInvestment:     "savings",
	sandbox.CategoryLoan:           "loan",
	sandbox.CategoryGambling:       "gambling",
	sandbox.CategoryFees:           "fees",
	sandbox.CategoryDebtCollection: "debtCollection",
	sandbox.CategoryTaxes:          "taxes",
	sandbox.CategoryWages:          "salaries",
	sandbox.CategorySuppliers:      "suppliers",
	sandbox.CategoryOther:          "other",
}

// accountTypes are Fimento's types of accounts. The documentation shows none.
var accountTypes = map[string]string{
	sandbox.AccountCurrent:    "current",
	sandbox.AccountSavings:    "savings",
	sandbox.AccountCard:       "card",
	sandbox.AccountLoan:       "loan",
	sandbox.AccountSecurities: "securities",
}

// sums are amounts added up by label, income apart from expenses.
type sums struct {
	income, expense map[string]*sum
}

type sum struct {
	amount sandbox.Minor
	count  int
}

// summarise adds up by category. Movements between own accounts count as neither.
func summarise(all []movement) sums {
	out := sums{map[string]*sum{}, map[string]*sum{}}
	for _, m := range all {
		switch m.Category {
		case sandbox.CategoryTransfer, sandbox.CategoryCardBill, sandbox.CategoryInvestment:
			continue
		}
		amount, into := sandbox.MustMinor(m.Amount), out.expense
		if amount > 0 {
			into = out.income
		}
		label := labels[m.Category]
		if into[label] == nil {
			into[label] = &sum{}
		}
		into[label].amount += amount
		into[label].count++
	}
	return out
}

func total(by map[string]*sum) (t sandbox.Minor) {
	for _, s := range by {
		t += s.amount
	}
	return t
}

// months is how many calendar months the movements touch, at least 1.
func months(all []movement) int {
	seen := map[string]bool{}
	for _, m := range all {
		seen[m.Date.Format("2006-01")] = true
	}
	return max(len(seen), 1)
}

// largest are the labels by the size of their sums.
func largest(by map[string]*sum) []string {
	return slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		abs := func(m sandbox.Minor) sandbox.Minor { return max(m, -m) }
		return cmp.Or(cmp.Compare(abs(by[b].amount), abs(by[a].amount)), cmp.Compare(a, b))
	})
}
