package finoos

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	_ "time/tzdata" // the bank's days are Berlin's, wherever this runs

	"kontor.dev/kontor/internal/sandbox"
)

var berlin = func() *time.Location {
	location, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err) // the zone is linked in
	}
	return location
}()

// accountTypes are the provider's names; the documentation shows only GIRO.
var accountTypes = map[string]string{
	sandbox.AccountCurrent:    "GIRO",
	sandbox.AccountSavings:    "SAVINGS",
	sandbox.AccountCard:       "CREDITCARD",
	sandbox.AccountLoan:       "LOAN",
	sandbox.AccountSecurities: "DEPOT",
}

// dress makes a bank login of all the accounts that the person behind a user has, in the provider's words.
//
// The first login shows the user's own person; each further one shows other accounts in the same name.
func (s *Server) dress(u *user, at uiBank) *bankLogin {
	number := strconv.Itoa(u.attached)
	person := s.personOf(u)
	owner := person.Name
	if u.attached > 0 {
		person = s.core.Population.ForUser(sandbox.Germany, u.id+"/"+number, u.company)
	}
	wire := bankLogin{
		ID:   s.hash("login", u.id, number)[:24],
		Bank: bank{Name: at.name, BIC: at.bic, BankCode: at.code},
	}
	for _, l := range person.Logins {
		for _, a := range l.Accounts {
			a.Owner = owner
			wire.Accounts = append(wire.Accounts, s.dressAccount(a, wire.ID))
		}
	}
	return &wire
}

// personOf is whose accounts a user has: the one that the id decides, unless a control chose another.
func (s *Server) personOf(u *user) sandbox.Person {
	if u.person != nil {
		return *u.person
	}
	return s.core.Population.ForUser(sandbox.Germany, u.id, u.company)
}

func (s *Server) dressAccount(a sandbox.Account, loginID string) account {
	h := s.hash("account", loginID, a.ID)
	dressed := account{
		ID:                   "A" + decimals(h[:16], 5) + "." + h[16:27],
		IBAN:                 a.IBAN,
		Number:               a.Number,
		Name:                 a.Name,
		Owner:                a.Owner,
		Type:                 accountTypes[a.Type],
		Balance:              json.Number(a.Balance),
		CreditLine:           json.Number(a.CreditLine),
		MonthlySpendingLimit: json.Number(a.MonthlySpendingLimit),
		Currency:             a.Currency,
		Transactions:         make([]transaction, 0, len(a.Transactions)),
		StandingOrders:       make([]standingOrder, 0, len(a.StandingOrders)),
		Securities:           make([]security, 0, len(a.Securities)),
	}
	for _, t := range a.Transactions {
		dressed.Transactions = append(dressed.Transactions, s.dressTransaction(t, &dressed))
	}
	for i, o := range a.StandingOrders {
		order := standingOrder{
			ID:                 s.hash("order", dressed.ID, o.ID, strconv.Itoa(i))[:24],
			AccountID:          "A" + s.hash("elsewhere", dressed.ID)[:24] + "." + s.hash("order", dressed.ID)[:40],
			CreationDate:       onDay(o.CreationDate, h),
			FirstExecutionDate: onDay(o.FirstExecutionDate, h),
			LastExecutionDate:  onDay(o.LastExecutionDate, h),
			ExecutionDay:       o.ExecutionDay,
			Interval:           o.Interval,
			Amount:             json.Number(o.Amount),
			Currency:           o.Currency,
			Purpose:            o.Purpose,
		}
		if i == 0 {
			order.ID = ""
		}
		dressed.StandingOrders = append(dressed.StandingOrders, order)
	}
	for _, p := range a.Securities {
		dressed.Securities = append(dressed.Securities, security{
			ID:                    s.hash("security", dressed.ID, p.ID)[:24],
			AccountID:             dressed.ID,
			Amount:                json.Number(p.Amount),
			PriceAmount:           json.Number(p.Price),
			PurchasePriceAmount:   json.Number(p.PurchasePrice),
			Currency:              p.Currency,
			PriceCurrency:         p.PriceCurrency,
			PurchasePriceCurrency: p.PurchasePriceCurrency,
			ExchangeRate:          json.Number(p.ExchangeRate),
			Quantity:              json.Number(p.Quantity),
			ISIN:                  p.ISIN,
			Name:                  p.Name,
			Market:                p.Market,
		})
	}
	return dressed
}

func (s *Server) dressTransaction(t sandbox.Transaction, of *account) transaction {
	h := s.hash("transaction", of.ID, t.ID)
	dressed := transaction{
		ID:          h[:24],
		AccountID:   of.ID,
		BookingDate: onDay(t.Date, h),
		ValueDate:   onDay(t.ValueDate, h),
		Currency:    of.Currency,
		MRef:        t.MandateRef,
		Purpose:     t.Description,
		Booked:      t.Booked,
		Amount:      json.Number(t.Amount),
		CounterPart: counterPart{
			BIC:        t.Counterparty.BIC,
			IBAN:       t.Counterparty.IBAN,
			CreditorID: t.Counterparty.CreditorID,
			Name:       t.Counterparty.Name,
		},
		Tags:  []tag{},
		Codes: []code{},
	}
	if t.Category != sandbox.CategoryOther {
		label := tag{Name: t.Category}
		if h[0] >= '8' { // the documentation shows tags with and without a source
			label.Source = "categorization"
		}
		dressed.Tags = append(dressed.Tags, label)
	}
	if t.Booked {
		dressed.Codes = append(dressed.Codes, code{Type: "transactionCode", Value: transactionCode(t)})
	}
	return dressed
}

// transactionCode is the business transaction code that German banks put on a booking (DFÜ agreement, annex 3).
func transactionCode(t sandbox.Transaction) string {
	outgoing := t.Amount[0] == '-'
	switch {
	case t.MandateRef != "" && outgoing:
		return "105" // SEPA direct debit
	case t.Category == sandbox.CategorySalary:
		return "153"
	case t.Category == sandbox.CategoryFees, t.Category == sandbox.CategoryInterest:
		return "808"
	case outgoing:
		return "116" // SEPA credit transfer sent
	}
	return "166" // SEPA credit transfer received
}

// onDay puts a calendar day of the bank's zone on an instant, as finoOS has instants only. What hour it carries varies
// with h; for one in four it is just after midnight in Berlin, which in UTC is still the day before.
func onDay(day time.Time, h string) timestamp {
	if day.IsZero() {
		return ""
	}
	y, m, d := day.Date()
	hour, minute := 17, 11
	if h[1] < '4' {
		hour, minute = 0, 30
	}
	return timestampOf(time.Date(y, m, d, hour, minute, 22, 0, berlin))
}

// decimals makes n decimal digits from hexadecimal ones.
func decimals(hex string, n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = '0' + (hex[2*i]+hex[2*i+1])%10
	}
	return string(out)
}

// settle books what was pending on a day that is over in Berlin, and moves the balance by it.
func settle(a account, now time.Time) account {
	today := now.In(berlin).Format(time.DateOnly)
	a.Transactions = slices.Clone(a.Transactions)
	for i := range a.Transactions {
		t := &a.Transactions[i]
		if !t.Booked && t.BookingDate.time().In(berlin).Format(time.DateOnly) < today {
			t.Booked = true
			t.Codes = []code{{Type: "transactionCode", Value: "116"}}
			a.Balance = plus(a.Balance, t.Amount)
		}
	}
	return a
}

// grow adds two or three movements of today to an account, like ones that it had before; seed decides which.
func grow(a account, now time.Time, seed string) account {
	var booked []transaction
	for _, t := range a.Transactions {
		if t.Booked {
			booked = append(booked, t)
		}
	}
	if len(booked) == 0 {
		return a
	}
	for i := range 2 + int(seed[0]%2) {
		pick, err := strconv.ParseUint(seed[8*i:8*i+8], 16, 32)
		if err != nil {
			panic(err) // hexadecimal digits
		}
		t := booked[pick%uint64(len(booked))]
		t.ID = seed[16+8*i : 40+8*i]
		t.BookingDate, t.ValueDate = timestampOf(now), timestampOf(now)
		a.Transactions = append(a.Transactions, t)
		a.Balance = plus(a.Balance, t.Amount)
	}
	return a
}

func plus(a, b json.Number) json.Number {
	return json.Number((sandbox.MustMinor(string(a)) + sandbox.MustMinor(string(b))).String())
}
