package sandbox

import (
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const testSeed = 7

// everybody is each named person, and some made up, in each market.
func everybody(p *Population) []Person {
	var all []Person
	for _, i := range identities() {
		for _, country := range Markets() {
			all = append(all, p.person(i, country))
		}
	}
	for _, key := range []string{"a", "b", "c"} {
		all = append(
			all, p.ForUser(Germany, key, false), p.ForUser(Germany, key, true), p.ByNationalID("1990010"+key),
			p.ByCompanyID(key),
		)
	}
	return all
}

func TestEverybodyHasAHistory(t *testing.T) {
	p := NewPopulation(testSeed, start)
	ids := map[string]bool{}
	unique := func(id string) {
		if len(id) != 24 || ids[id] {
			t.Errorf("id %q is short or used twice", id)
		}
		ids[id] = true
	}
	for _, person := range everybody(p) {
		name := person.ID + " in " + person.Country
		accounts, moved, pending := 0, 0, 0
		types := map[string]bool{}
		oldest := p.Today()
		for _, login := range person.Logins {
			if login.Bank.Country != person.Country {
				t.Errorf("%s: bank in %s", name, login.Bank.Country)
			}
			for _, a := range login.Accounts {
				unique(a.ID)
				accounts++
				types[a.Type] = true
				if a.Currency != marketOf(person.Country).currency || a.Owner != person.Name {
					t.Errorf("%s: account of %s in %s", name, a.Owner, a.Currency)
				}
				for n, tx := range a.Transactions {
					unique(tx.ID)
					moved++
					if tx.Date.Before(oldest) {
						oldest = tx.Date
					}
					if tx.Date.After(p.Today()) || tx.Date != tx.Date.Truncate(24*time.Hour) {
						t.Errorf("%s: a transaction on %v", name, tx.Date)
					}
					if n > 0 && tx.Date.Before(a.Transactions[n-1].Date) {
						t.Errorf("%s: transactions out of order", name)
					}
					if tx.Category == "" || tx.Description == "" {
						t.Errorf("%s: transaction without words: %+v", name, tx)
					}
					if !tx.Booked {
						pending++
						if p.Today().Sub(tx.Date) > 24*time.Hour {
							t.Errorf("%s: pending since %v", name, tx.Date)
						}
					}
				}
			}
		}
		if accounts < 3 || !types[AccountCurrent] || !types[AccountSavings] || !types[AccountCard] {
			t.Errorf("%s: %d accounts of types %v", name, accounts, types)
		}
		if oldest.After(p.Today().AddDate(-1, 0, 0)) {
			t.Errorf("%s: history begins on %v", name, oldest)
		}
		if person.NationalID != ExactNationalID && (moved < 250 || pending < 2) {
			t.Errorf("%s: %d transactions, %d pending", name, moved, pending)
		}
	}
}

func TestBalancesAreTheSumOfWhatMoved(t *testing.T) {
	rat := func(s string) *big.Rat {
		r, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatalf("%q is no decimal", s)
		}
		return r
	}
	for _, person := range everybody(NewPopulation(testSeed, start)) {
		for _, login := range person.Logins {
			for _, a := range login.Accounts {
				balance := rat(a.OpeningBalance)
				for _, tx := range a.Transactions {
					if tx.Booked {
						balance.Add(balance, rat(tx.Amount))
					}
				}
				if balance.Cmp(rat(a.Balance)) != 0 {
					t.Errorf(
						"%s in %s, %s: balance %s, want %s", person.ID, person.Country, a.Name, a.Balance,
						balance.FloatString(2),
					)
				}
			}
		}
	}
}

func TestTransfersBetweenOwnAccountsHaveBothSides(t *testing.T) {
	person := NewPopulation(testSeed, start).ByNationalID(GoodNationalID)
	var sum Minor
	n := 0
	for _, login := range person.Logins {
		for _, a := range login.Accounts {
			for _, tx := range a.Transactions {
				if tx.Counterparty.Name == person.Name {
					sum += MustMinor(tx.Amount)
					n++
				}
			}
		}
	}
	if sum != 0 || n == 0 {
		t.Errorf("%d transfers add up to %s", n, sum)
	}
}

func TestIBANsHaveTheRightChecksum(t *testing.T) {
	lengths := map[string]int{"SE": 24, "FI": 18, "DE": 22, "AT": 20, "NL": 18, "DK": 18, "EE": 20}
	for _, country := range Markets() {
		if known, ok := lengths[country]; ok && known != marketOf(country).ibanLength {
			t.Errorf("%s: IBANs of %d characters, want %d", country, marketOf(country).ibanLength, known)
		}
		lengths[country] = marketOf(country).ibanLength
	}
	right := func(iban string) bool {
		return len(iban) == lengths[iban[:2]] && mod97(iban[4:]+iban[:4]) == 1
	}
	if right(SampleInvalidIBAN) {
		t.Fatal("the sample is right, so that this test could not tell")
	}
	creditor := regexp.MustCompile(`^(` + strings.Join(Markets(), "|") + `)(\d\d)ZZZ(\d+)$`)
	samples, creditors := 0, 0
	for _, person := range everybody(NewPopulation(testSeed, start)) {
		for _, login := range person.Logins {
			for _, a := range login.Accounts {
				if a.IBAN == SampleInvalidIBAN {
					samples++
				} else if a.IBAN == "" && a.Type != AccountCard && a.Type != AccountSecurities ||
					a.IBAN != "" && !right(a.IBAN) {
					t.Errorf("%s: %s has %q", person.ID, a.Name, a.IBAN)
				}
				for _, tx := range a.Transactions {
					c := tx.Counterparty
					if c.IBAN != "" && c.IBAN != SampleInvalidIBAN && !right(c.IBAN) {
						t.Errorf("%s: %s has %q", person.ID, c.Name, c.IBAN)
					}
					if (c.CreditorID == "") != (tx.MandateRef == "") {
						t.Errorf("%s: a creditor id and a mandate go together: %+v", person.ID, tx)
					}
					if c.CreditorID == "" {
						continue
					}
					creditors++
					m := creditor.FindStringSubmatch(c.CreditorID)
					if m == nil || mod97(m[3]+m[1]+m[2]) != 1 {
						t.Errorf("creditor id %q", c.CreditorID)
					}
				}
			}
		}
	}
	if samples != 1 || creditors == 0 {
		t.Errorf("%d accounts have the invalid sample, want 1; %d direct debits", samples, creditors)
	}
}

func TestSeedAndDayDecideEverything(t *testing.T) {
	first, again := NewPopulation(testSeed, start), NewPopulation(testSeed, start.Add(time.Hour))
	for _, get := range []func(*Population) Person{
		func(p *Population) Person { return p.ByNationalID(GoodNationalID) },
		func(p *Population) Person { return p.ByNationalID("200001019999") },
		func(p *Population) Person { return p.ByCompanyID("5560000000") },
		func(p *Population) Person { return p.ForUser(Germany, "u1", true) },
		func(p *Population) Person { return p.Dress(p.ByNationalID("200001019999"), Germany) },
	} {
		if !reflect.DeepEqual(get(first), get(again)) {
			t.Errorf("%s is not the same again", get(first).Name)
		}
		if reflect.DeepEqual(get(first), get(NewPopulation(testSeed+1, start))) {
			t.Errorf("%s is the same for another seed", get(first).Name)
		}
	}
}

func TestWhoIsWho(t *testing.T) {
	p := NewPopulation(testSeed, start)
	for id, want := range map[string]struct{ country, quality string }{
		GoodNationalID: {Sweden, Good}, BadNationalID: {Sweden, Bad}, ExactNationalID: {Sweden, Good},
		FinnishGoodID: {Finland, Good}, FinnishBadID: {Finland, Bad},
		"190001010000": {Sweden, Good}, "010100-123X": {Finland, Good},
	} {
		got := p.ByNationalID(id)
		if got.Country != want.country || got.Quality != want.quality || got.NationalID != id || got.Company {
			t.Errorf("%s is %s in %s, company %v", got.Name, got.Quality, got.Country, got.Company)
		}
	}
	for id, country := range map[string]string{
		SwedishCompanyID: Sweden, FinnishCompanyID: Finland, GermanCompanyID: Germany, "5591234567": Sweden,
		"1234567-8": Finland,
	} {
		if got := p.ByCompanyID(id); got.Country != country || !got.Company || got.CompanyID != id {
			t.Errorf("company %s in %s", got.Name, got.Country)
		}
	}
	person, company := p.Default(Germany, false), p.Default(Germany, true)
	if person.Logins[0].Accounts[0].IBAN != SampleInvalidIBAN || person.Logins[0].Bank.BankCode != "10020000" ||
		person.Company {
		t.Errorf("the default person is %s", person.Name)
	}
	if !company.Company || company.CompanyID != GermanCompanyID {
		t.Errorf("the default company is %s", company.Name)
	}
	if a, b := p.ForUser(Germany, "a", false), p.ForUser(Germany, "b", false); a.ID == b.ID || a.Country != Germany {
		t.Error("two users are the same person")
	}
}

func TestDressKeepsTheMovements(t *testing.T) {
	p := NewPopulation(testSeed, start)
	for _, id := range []string{GoodNationalID, BadNationalID, "200001019999"} {
		swedish := p.ByNationalID(id)
		german := p.Dress(swedish, Germany)
		if german.Name != swedish.Name || german.ID != swedish.ID || german.NationalID != id ||
			german.Country != Germany {
			t.Errorf("%s became %+v", swedish.Name, german.Name)
		}
		for n := range 2 {
			for i, a := range swedish.Logins[n].Accounts {
				b := german.Logins[n].Accounts[i]
				if a.Type != b.Type || len(a.Transactions) < len(b.Transactions) || a.IBAN != "" && a.IBAN == b.IBAN {
					t.Fatalf("%s became %s", a.Name, b.Name)
				}
			}
		}
		// The savings account is fed by nothing that depends on how many banks a market has.
		a, b := swedish.Logins[0].Accounts[1], german.Logins[0].Accounts[1]
		for i := range b.Transactions {
			if MustMinor(a.Transactions[i].Amount) != 11*MustMinor(b.Transactions[i].Amount) ||
				a.Transactions[i].Date != b.Transactions[i].Date {
				t.Fatalf("%+v became %+v", a.Transactions[i], b.Transactions[i])
			}
		}
	}
	if p.Dress(p.Default(Germany, false), Germany).Logins[0].Accounts[0].IBAN != SampleInvalidIBAN {
		t.Error("dressing somebody at home changes them")
	}
}

// The day of the month matters, since a balance is high after payday: so every third day of one.
func TestGoodAndBadDataDiffer(t *testing.T) {
	for n := range 10 {
		p := NewPopulation(testSeed+int64(n), start.AddDate(0, 0, 3*n))
		for _, person := range []Person{
			p.ByNationalID(GoodNationalID), p.ByNationalID(FinnishGoodID), p.Default(Germany, false),
			p.ForUser(Germany, "x", false), p.Default(Germany, true),
		} {
			if current := person.Logins[0].Accounts[0]; lowest(current) < 0 {
				t.Errorf("%s on %v: the current account falls to %s", person.Name, p.Today(), lowest(current))
			}
		}
		for _, id := range []string{BadNationalID, FinnishBadID} {
			person := p.ByNationalID(id)
			current := person.Logins[0].Accounts[0]
			if lowest(current) >= 0 || MustMinor(current.Balance) >= MustMinor(current.OpeningBalance) {
				t.Errorf(
					"%s on %v: opened with %s, now %s, never below %s", person.Name, p.Today(),
					current.OpeningBalance, current.Balance, lowest(current),
				)
			}
			seen := map[string]bool{}
			for _, tx := range current.Transactions {
				seen[tx.Category] = true
			}
			for _, category := range []string{CategoryGambling, CategoryDebtCollection, CategoryFees, CategoryLoan} {
				if !seen[category] {
					t.Errorf("%s: nothing of %s", person.Name, category)
				}
			}
		}
	}
}

func lowest(a Account) Minor {
	balance := MustMinor(a.OpeningBalance)
	low := balance
	for _, tx := range a.Transactions {
		balance += MustMinor(tx.Amount)
		low = min(low, balance)
	}
	return low
}

func TestCompaniesHavePartners(t *testing.T) {
	p := NewPopulation(testSeed, start)
	for _, company := range []Person{
		p.Default(Germany, true), p.ByCompanyID(SwedishCompanyID), p.ForUser(Germany, "y", true),
	} {
		partners := map[string]int{}
		abroad, creditors := map[string]bool{}, map[string]bool{}
		for _, tx := range company.Logins[0].Accounts[0].Transactions {
			if tx.Category != CategorySales && tx.Category != CategorySuppliers {
				continue
			}
			partners[tx.Counterparty.Name]++
			if !strings.HasPrefix(tx.Counterparty.IBAN, company.Country) {
				abroad[tx.Counterparty.Name] = true
			}
			if tx.Counterparty.CreditorID != "" {
				creditors[tx.Counterparty.Name] = true
			}
			if sold := tx.Category == CategorySales; sold != (MustMinor(tx.Amount) > 0) {
				t.Errorf("%s of %s", tx.Category, tx.Amount)
			}
		}
		if len(partners) < 10 || len(abroad) < 4 || len(creditors) < 2 {
			t.Errorf(
				"%s: %d partners, %d abroad, %d with a creditor id", company.Name, len(partners), len(abroad),
				len(creditors),
			)
		}
	}
}

func TestExactAmounts(t *testing.T) {
	current := NewPopulation(testSeed, start).ByNationalID(ExactNationalID).Logins[0].Accounts[0]
	var amounts []string
	for _, tx := range current.Transactions[:len(exactAmounts)] {
		amounts = append(amounts, tx.Amount)
	}
	if want := []string{"0.1", "1e3", "12345678901234.56", "-0.00"}; !slices.Equal(amounts, want) {
		t.Errorf("amounts %v, want %v", amounts, want)
	}
}

func TestHoldingsAndOrders(t *testing.T) {
	p := NewPopulation(testSeed, start)
	for _, country := range Markets() {
		person := p.Dress(p.ByNationalID(GoodNationalID), country)
		current, depot := person.Logins[0].Accounts[0], person.Logins[1].Accounts[1]
		if depot.Type != AccountSecurities || len(depot.Securities) != 2 {
			t.Fatalf("%s: depot %+v", country, depot.Type)
		}
		for _, s := range depot.Securities {
			want := new(big.Rat).SetInt64(1)
			for _, factor := range []string{s.Quantity, s.Price, s.ExchangeRate} {
				f, ok := new(big.Rat).SetString(factor)
				if !ok {
					t.Fatalf("%q", factor)
				}
				want.Mul(want, f)
			}
			if got, _ := new(big.Rat).SetString(s.Amount); got.Cmp(want) != 0 {
				t.Errorf("%s: %s is worth %s, want %s", country, s.Name, s.Amount, want.FloatString(4))
			}
		}
		if len(current.StandingOrders) != 2 || current.StandingOrders[1].ID != "" ||
			current.StandingOrders[0].ID == "" {
			t.Errorf("%s: standing orders %+v", country, current.StandingOrders)
		}
		for _, o := range current.StandingOrders {
			n := 0
			for _, tx := range current.Transactions {
				if MustMinor(tx.Amount) == -MustMinor(o.Amount) && tx.Date.Equal(o.LastExecutionDate) {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s: the last execution of %s stands %d times", country, o.Purpose, n)
			}
		}
	}
}

// The cache must never show: what is built again is the same.
func TestPopulationIsBounded(t *testing.T) {
	p := NewPopulation(testSeed, start)
	before := p.ByNationalID(GoodNationalID)
	for n := range maxCached + 1 {
		p.ForUser(Germany, strings.Repeat("x", n), false)
		if len(p.built) > maxCached {
			t.Fatalf("%d people are kept", len(p.built))
		}
	}
	if !reflect.DeepEqual(before, p.ByNationalID(GoodNationalID)) {
		t.Error("somebody changed")
	}
}
