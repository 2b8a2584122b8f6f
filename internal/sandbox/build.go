package sandbox

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// historyMonths is how many whole months lie before the present one.
const historyMonths = 13

// builder writes the history of one person in one market. All amounts are given in euro cents; post brings them to
// the market's price level. It draws from its randomness in the same order in every market.
type builder struct {
	*identity
	*market
	country string
	r       *rand.Rand
	from    time.Time
	today   time.Time
	ledgers []*ledger
}

// ledger is an account that is being written.
type ledger struct {
	Account
	bank    int
	opening Minor
}

// entry is a movement before it has an id. Amount is in euro cents.
type entry struct {
	day      time.Time
	amount   Minor
	text     string
	party    Counterparty
	category string
	mandate  bool // collected by direct debit
	endToEnd bool
}

func (p *Population) build(i identity, country string) Person {
	b := &builder{
		identity: &i, market: marketOf(country), country: country, r: p.rand("history", i.key), today: p.today,
		from: time.Date(p.today.Year(), p.today.Month()-historyMonths, 1, 0, 0, 0, 0, time.UTC),
	}
	switch {
	case i.nationalID == ExactNationalID:
		b.exact()
	case i.company:
		b.companyLife()
	case i.quality == Bad:
		b.badLife()
	default:
		b.goodLife()
	}
	person := Person{
		ID: i.key, FirstName: i.first, LastName: i.last, Name: i.name, NationalID: i.nationalID, CompanyID: i.companyID,
		Company: i.company, Quality: i.quality, Country: country,
	}
	for n, bank := range p.Banks(country) {
		login := BankLogin{Bank: bank}
		for _, l := range b.ledgers {
			if l.bank == n {
				login.Accounts = append(login.Accounts, b.close(l))
			}
		}
		person.Logins = append(person.Logins, login)
	}
	return person
}

// open adds an account at the n-th bank of the market.
func (b *builder) open(bank int, accountType, name string, opening Minor) *ledger {
	n := len(b.ledgers)
	l := &ledger{bank: bank, opening: opening * b.priceLevel, Account: Account{
		ID: objectID("account", b.key, b.country, n), Name: b.accountNames[name], Owner: b.name,
		Type: accountType, Currency: b.currency, CreditLine: "0", MonthlySpendingLimit: "0",
	}}
	number := digits(16, "account number", b.key, b.country, n)
	switch accountType {
	case AccountCard:
		l.Number = "**** **** **** " + number[:4]
	case AccountSecurities:
		l.Number = number[:10]
	default:
		var bban string
		l.Number, bban = b.account(b.banks[bank].code, number)
		l.IBAN = ibanOf(b.country, bban)
	}
	b.ledgers = append(b.ledgers, l)
	return l
}

// level brings euro cents to the market's price level.
func (b *builder) level(amount Minor) Minor { return amount * b.priceLevel }

// post writes an entry, unless its day is still to come. What is not older than yesterday is pending.
func (b *builder) post(l *ledger, e entry) {
	if e.day.After(b.today) {
		return
	}
	n := len(l.Transactions)
	t := Transaction{
		ID: objectID("transaction", l.ID, n), Date: e.day, ValueDate: e.day, Amount: b.level(e.amount).String(),
		Description: e.text, Counterparty: e.party, Category: e.category,
		Booked: e.day.Before(b.today.AddDate(0, 0, -1)),
	}
	if e.mandate {
		t.MandateRef = "M" + digits(9, "mandate", b.key, e.party.Name)
		t.Counterparty.CreditorID = creditorIDOf(b.country, digits(b.creditorDigits, "creditor", e.party.Name))
	}
	if e.endToEnd {
		t.EndToEndID = strings.ToUpper(objectID("end to end", t.ID)[:16])
	}
	l.Transactions = append(l.Transactions, t)
}

// move is a transfer between own accounts.
func (b *builder) move(from, to *ledger, day time.Time, amount Minor, text, category string) {
	b.post(from, entry{day: day, amount: -amount, text: text, party: b.own(to), category: category})
	b.post(to, entry{day: day, amount: amount, text: text, party: b.own(from), category: category})
}

// own is an own account as the other side of a transfer.
func (b *builder) own(l *ledger) Counterparty {
	c := Counterparty{Name: b.name, IBAN: l.IBAN}
	if l.IBAN != "" {
		c.BIC = b.banks[l.bank].bic
	}
	return c
}

// party is somebody in the same market, always with the same account.
func (b *builder) party(name string) Counterparty {
	bank := b.banks[len(name)%len(b.banks)]
	return Counterparty{
		Name: name, BIC: bank.bic, IBAN: ibanOf(b.country, bank.code+digits(b.ibanDigits, "party", name)),
	}
}

// abroad is somebody in the n-th foreign country, which is not the market's own.
func (b *builder) abroad(n int, name string) Counterparty {
	f := foreign[n%len(foreign)]
	if f.country == b.country {
		f = foreign[(n+1)%len(foreign)]
	}
	return Counterparty{Name: name, BIC: f.bic, IBAN: ibanOf(f.country, f.prefix+digits(f.digits, "party", name))}
}

// text is a phrase of the market with what follows it.
func (b *builder) text(phrase, rest string) string {
	return strings.TrimSpace(b.phrases[phrase] + " " + rest)
}

// pick chooses a name.
func (b *builder) pick(from []string) string { return from[b.r.IntN(len(from))] }

// about is an amount within a quarter of the given one.
func (b *builder) about(amount Minor) Minor {
	return amount - amount/4 + Minor(b.r.Int64N(int64(amount)/2))
}

// day is a day of a month; one on a weekend becomes the Monday after, as banks book.
func day(month time.Time, n int) time.Time {
	d := month.AddDate(0, 0, n-1)
	switch d.Weekday() {
	case time.Saturday:
		return d.AddDate(0, 0, 2)
	case time.Sunday:
		return d.AddDate(0, 0, 1)
	}
	return d
}

// months calls f with the first day of each month of the history, the present one included.
func (b *builder) months(f func(n int, month time.Time)) {
	n := 0
	for m := b.from; !m.After(b.today); m = m.AddDate(0, 1, 0) {
		f(n, m)
		n++
	}
}

// buy is a purchase at one of the shops, on some day of the month (weekends too).
func (b *builder) buy(l *ledger, month time.Time, from []string, category string, amount Minor) Minor {
	name, spent := b.pick(from), b.about(amount)
	when := month.AddDate(0, 0, b.r.IntN(28))
	if when.After(b.today) {
		return 0
	}
	b.post(l, entry{day: when, amount: -spent, text: name, party: Counterparty{Name: name}, category: category})
	return spent
}

// bill is a direct debit.
func (b *builder) bill(l *ledger, when time.Time, names []string, n int, category string, amount Minor) {
	name := names[n%len(names)]
	b.post(l, entry{
		day: when, amount: -amount, text: name, party: b.party(name), category: category, mandate: true,
		endToEnd: true,
	})
}

// order sets up a standing order that has run since the beginning of the history.
func (b *builder) order(l *ledger, id string, dayOfMonth int, amount Minor, purpose string, to Counterparty) {
	last := b.from
	b.months(func(_ int, m time.Time) {
		if d := day(m, dayOfMonth); !d.After(b.today) {
			last = d
		}
	})
	if id != "" {
		id = objectID("standing order", l.ID, id)
	}
	l.StandingOrders = append(l.StandingOrders, StandingOrder{
		ID: id, Amount: b.level(amount).String(), Currency: l.Currency, Purpose: purpose, Counterparty: to,
		Interval: "MONTHLY", ExecutionDay: dayOfMonth, CreationDate: b.from.AddDate(0, -2, 9),
		FirstExecutionDate: day(b.from.AddDate(0, -1, 0), dayOfMonth), LastExecutionDate: last,
	})
}

// pendingPurchases puts one purchase on each of the last two days, so that everybody has something pending.
func (b *builder) pendingPurchases(l *ledger, from []string, category string) {
	for ago := range 2 {
		name, amount := b.pick(from), b.about(2300)
		b.post(l, entry{
			day: b.today.AddDate(0, 0, -ago), amount: -amount, text: name, party: Counterparty{Name: name},
			category: category,
		})
	}
}

// cardBill pays on the 28th what a card spent in the month.
func (b *builder) cardBill(current, card *ledger, month time.Time, spent Minor) {
	if spent > 0 {
		b.move(current, card, day(month, 28), spent, b.text("cardbill", ""), CategoryCardBill)
	}
}

// close sorts a ledger and works out its balance.
func (b *builder) close(l *ledger) Account {
	a := l.Account
	slices.SortStableFunc(a.Transactions, func(x, y Transaction) int { return x.Date.Compare(y.Date) })
	balance := l.opening
	for _, t := range a.Transactions {
		if t.Booked {
			balance += MustMinor(t.Amount)
		}
	}
	a.OpeningBalance, a.Balance = l.opening.String(), balance.String()
	return a
}

// elsewhere gives a person a small account at each further bank, fed from the current account, so that every bank
// of the market knows them.
func (b *builder) elsewhere(current *ledger) {
	for bank := 2; bank < len(b.banks); bank++ {
		l := b.open(bank, AccountCurrent, "current", 12000)
		b.months(func(_ int, m time.Time) {
			b.move(current, l, day(m, 9), 2000, b.text("transfer", ""), CategoryTransfer)
			b.buy(l, m, b.leisures, CategoryLeisure, 1600)
		})
	}
}

func (b *builder) goodLife() {
	current := b.open(0, AccountCurrent, "current", 240000)
	savings := b.open(0, AccountSavings, "savings", 850000)
	card := b.open(0, AccountCard, "card", 0)
	deposit := b.open(1, AccountSavings, "savings", 1200000)
	depot := b.open(1, AccountSecurities, "depot", 2500)
	if b.iban != "" && b.country == b.home {
		current.IBAN = b.iban
	}
	card.CreditLine, current.MonthlySpendingLimit = b.level(300000).String(), b.level(600000).String()

	salary := 265000 + Minor(b.r.IntN(60))*1000
	employer, landlord, friend := b.pick(b.employers), b.pick(b.landlords), b.pick(b.friends)
	b.months(func(n int, m time.Time) {
		b.post(current, entry{
			day: day(m, 25), amount: salary, text: b.text("salary", employer), party: b.party(employer),
			category: CategorySalary, endToEnd: true,
		})
		b.post(current, entry{
			day: day(m, 1), amount: -98000, text: b.text("rent", landlord), party: b.party(landlord),
			category: CategoryRent, endToEnd: true,
		})
		b.bill(current, day(m, 4), b.utilities, 0, CategoryUtilities, 7900)
		b.bill(current, day(m, 6), b.insurers, 0, CategoryInsurance, 5240)
		b.bill(current, day(m, 8), b.telecoms, 0, CategoryTelecom, 2999)
		for i := range b.subscribed {
			b.bill(current, day(m, 11+i), b.subscribed, i, CategorySubscriptions, 999+Minor(i)*700)
		}
		for range 7 {
			b.buy(current, m, b.grocers, CategoryGroceries, 4200)
		}
		b.buy(current, m, b.transports, CategoryTransport, 5500)
		b.buy(current, m, b.pharmacies, CategoryHealth, 1800)
		b.move(current, savings, day(m, 2), 25000, b.text("transfer", ""), CategoryTransfer)
		b.move(current, depot, day(m, 3), 15000, b.text("saving", ""), CategoryInvestment)
		b.post(depot, entry{
			day: day(m, 3), amount: -15000, text: b.text("purchase", "Nordlys Global Index"),
			party: Counterparty{Name: "Nordlys Global Index"}, category: CategoryInvestment,
		})
		if n%3 == 2 {
			b.post(depot, entry{
				day: day(m, 15), amount: 840, text: b.text("dividend", "Hansa Shipping"),
				party: Counterparty{Name: "Hansa Shipping"}, category: CategoryInterest,
			})
			b.post(savings, entry{
				day: day(m, 28), amount: 3150, text: b.text("interest", ""), category: CategoryInterest,
			})
			b.post(deposit, entry{
				day: day(m, 28), amount: 5420, text: b.text("interest", ""), category: CategoryInterest,
			})
		}
		if n%2 == 0 {
			b.post(current, entry{
				day: day(m, 18), amount: 2450, text: b.text("split", friend), party: b.party(friend),
				category: CategoryTransfer,
			})
		}
		var spent Minor
		for range 3 {
			spent += b.buy(card, m, b.restaurants, CategoryRestaurants, 3200)
		}
		spent += b.buy(card, m, b.shops, CategoryShopping, 8900)
		spent += b.buy(card, m, b.leisures, CategoryLeisure, 2400)
		b.cardBill(current, card, m, spent)
	})
	b.order(current, "rent", 1, 98000, b.text("rent", landlord), b.party(landlord))
	b.order(current, "", 2, 25000, b.text("transfer", ""), b.own(savings))
	b.holdings(depot)
	b.elsewhere(current)
	b.pendingPurchases(current, b.grocers, CategoryGroceries)
}

// holdings fills a depot with one holding in the market's currency and one in dollars.
func (b *builder) holdings(depot *ledger) {
	own, rate := depot.Currency, b.dollarRate
	price := b.level(10425)
	dollars := MustMinor("185.5") * 12
	depot.Securities = []Security{
		{
			ID: objectID("security", depot.ID, 0), ISIN: "LU0000000017", Name: "Nordlys Global Index",
			Market: "XETRA", Quantity: "40",
			Amount: (price * 40).String(), Currency: own, Price: price.String(), PriceCurrency: own,
			PurchasePrice: b.level(9870).String(), PurchasePriceCurrency: own, ExchangeRate: "1",
		},
		{
			ID: objectID("security", depot.ID, 1), ISIN: "US0000000028", Name: "Hansa Shipping Inc.",
			Market: "NASDAQ", Quantity: "12",
			Amount: (dollars * MustMinor(rate) / 100).String(), Currency: own, Price: "185.5", PriceCurrency: "USD",
			PurchasePrice: "150", PurchasePriceCurrency: "USD", ExchangeRate: rate,
		},
	}
}

func (b *builder) badLife() {
	current := b.open(0, AccountCurrent, "current", 150000)
	savings := b.open(0, AccountSavings, "savings", 24000)
	card := b.open(0, AccountCard, "card", 0)
	loan := b.open(1, AccountLoan, "loan", -780000)
	current.CreditLine, card.CreditLine = b.level(50000).String(), b.level(100000).String()

	employer, landlord := b.pick(b.employers), b.pick(b.landlords)
	lender, collector := b.pick(b.lenders), b.pick(b.collectors)
	b.months(func(n int, m time.Time) {
		b.post(current, entry{
			day: day(m, 25), amount: 154000, text: b.text("salary", employer), party: b.party(employer),
			category: CategorySalary, endToEnd: true,
		})
		b.post(current, entry{
			day: day(m, 1), amount: -72000, text: b.text("rent", landlord), party: b.party(landlord),
			category: CategoryRent, endToEnd: true,
		})
		b.bill(current, day(m, 4), b.utilities, 0, CategoryUtilities, 8400)
		b.bill(current, day(m, 8), b.telecoms, 0, CategoryTelecom, 3999)
		for range 7 {
			b.buy(current, m, b.grocers, CategoryGroceries, 2900)
		}
		for range 5 {
			b.buy(current, m, b.casinos, CategoryGambling, 5200)
		}
		for range 2 {
			cash := 3000 + 1000*Minor(b.r.IntN(4))
			b.post(current, entry{
				day: m.AddDate(0, 0, b.r.IntN(28)), amount: -cash, text: b.text("cash", ""), category: CategoryCash,
			})
		}
		b.move(current, loan, day(m, 27), 9000, b.text("loan", ""), CategoryLoan)
		b.post(loan, entry{day: day(m, 28), amount: -6200, text: b.text("interest", ""), category: CategoryFees})
		b.post(current, entry{
			day: day(m, 14), amount: -6500, text: b.text("debt", collector), party: b.party(collector),
			category: CategoryDebtCollection,
		})
		if n%2 == 1 {
			b.post(current, entry{
				day: day(m, 16), amount: -600, text: b.text("reminder", b.utilities[0]),
				party: b.party(b.utilities[0]), category: CategoryFees,
			})
		}
		if n >= 4 {
			b.post(current, entry{day: day(m, 28), amount: -870, text: b.text("overdraft", ""), category: CategoryFees})
		}
		if n == 6 {
			b.post(current, entry{
				day: day(m, 20), amount: 60000, text: b.text("payout", lender), party: b.party(lender),
				category: CategoryLoan,
			})
		}
		if n > 6 {
			b.post(current, entry{
				day: day(m, 20), amount: -7900, text: b.text("loan", lender), party: b.party(lender),
				category: CategoryLoan,
			})
		}
		if n == 3 {
			b.move(savings, current, day(m, 22), 23000, b.text("transfer", ""), CategoryTransfer)
		}
		b.cardBill(current, card, m, b.buy(card, m, b.shops, CategoryShopping, 4500))
	})
	b.order(current, "rent", 1, 72000, b.text("rent", landlord), b.party(landlord))
	b.elsewhere(current)
	b.pendingPurchases(current, b.casinos, CategoryGambling)
}

func (b *builder) companyLife() {
	current := b.open(0, AccountCurrent, "business", 3200000)
	reserve := b.open(0, AccountSavings, "reserve", 1500000)
	card := b.open(0, AccountCard, "bizcard", 0)
	loan := b.open(1, AccountLoan, "bizloan", -6000000)
	current.CreditLine, card.CreditLine = b.level(1000000).String(), b.level(500000).String()

	landlord, tax := b.pick(b.landlords), b.taxOffices[0]
	invoice := 1000
	number := func() string { invoice++; return fmt.Sprintf("%s-%d", b.country, invoice) }
	b.months(func(n int, m time.Time) {
		for i, name := range b.customers {
			amount := b.about(450000 + 90000*Minor(i))
			b.post(current, entry{
				day: day(m, 5+4*i), amount: amount, text: b.text("invoice", number()), party: b.party(name),
				category: CategorySales, endToEnd: true,
			})
		}
		for i, name := range buyersAbroad {
			if amount, no := b.about(520000), number(); n%(i+1) == 0 {
				b.post(current, entry{
					day: day(m, 17+i), amount: amount, text: b.text("invoice", no), party: b.abroad(i, name),
					category: CategorySales, endToEnd: true,
				})
			}
		}
		for i, name := range b.suppliers {
			amount := b.about(380000 - 70000*Minor(i))
			b.post(current, entry{
				day: day(m, 7+3*i), amount: -amount, text: b.text("invoice", digits(6, name, n)),
				party: b.party(name), category: CategorySuppliers, mandate: i%2 == 1, endToEnd: true,
			})
		}
		for i, name := range makersAbroad {
			amount := b.about(240000)
			b.post(current, entry{
				day: day(m, 20+i), amount: -amount, text: b.text("invoice", digits(6, name, n)),
				party: b.abroad(i+2, name), category: CategorySuppliers, endToEnd: true,
			})
		}
		b.post(current, entry{
			day: day(m, 25), amount: -1150000, text: b.text("wages", ""), party: Counterparty{Name: b.name},
			category: CategoryWages,
		})
		b.post(current, entry{
			day: day(m, 12), amount: -310000, text: b.text("tax", tax), party: b.party(tax), category: CategoryTaxes,
			endToEnd: true,
		})
		b.post(current, entry{
			day: day(m, 1), amount: -190000, text: b.text("rent", landlord), party: b.party(landlord),
			category: CategoryRent, endToEnd: true,
		})
		b.bill(current, day(m, 4), b.utilities, 0, CategoryUtilities, 42000)
		b.bill(current, day(m, 6), b.insurers, 0, CategoryInsurance, 38000)
		b.bill(current, day(m, 8), b.telecoms, 0, CategoryTelecom, 12900)
		b.post(current, entry{day: day(m, 28), amount: -1900, text: b.text("fee", ""), category: CategoryFees})
		b.move(current, reserve, day(m, 26), 60000, b.text("transfer", ""), CategoryTransfer)
		b.move(current, loan, day(m, 27), 110000, b.text("loan", ""), CategoryLoan)
		b.post(loan, entry{day: day(m, 28), amount: -21000, text: b.text("interest", ""), category: CategoryFees})
		if n%3 == 2 {
			b.post(reserve, entry{
				day: day(m, 28), amount: 4100, text: b.text("interest", ""), category: CategoryInterest,
			})
		}
		var spent Minor
		for range 2 {
			spent += b.buy(card, m, b.transports, CategoryTransport, 7200)
		}
		spent += b.buy(card, m, b.shops, CategorySuppliers, 15800)
		b.cardBill(current, card, m, spent)
	})
	b.order(current, "rent", 1, 190000, b.text("rent", landlord), b.party(landlord))
	b.order(current, "", 26, 60000, b.text("transfer", ""), b.own(reserve))
	b.elsewhere(current)
	b.pendingPurchases(current, b.transports, CategoryTransport)
}

// exactAmounts are literals as a JSON encoder may write them: a fraction that no binary float holds, an exponent,
// more digits than a float keeps, and a negative zero.
var exactAmounts = []string{"0.1", "1e3", "12345678901234.56", "-0.00"}

// exact is the life of ExactNationalID: a movement per literal and month on the current account, in the market's
// currency but never at its price level, and further accounts on which nothing ever happened.
func (b *builder) exact() {
	current := b.open(0, AccountCurrent, "current", 0)
	b.open(0, AccountSavings, "savings", 0)
	b.open(0, AccountCard, "card", 0)
	for bank := 1; bank < len(b.banks); bank++ {
		b.open(bank, AccountCurrent, "current", 0)
	}
	b.months(func(n int, m time.Time) {
		literal := exactAmounts[n%len(exactAmounts)]
		if when := day(m, 10); !when.After(b.today) {
			b.post(current, entry{day: when, text: literal, category: CategoryOther})
			current.Transactions[len(current.Transactions)-1].Amount = literal
		}
	})
}
