package sandbox

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestMarketsAreComplete(t *testing.T) {
	for _, code := range Markets() {
		if lacks := lacks(markets[code]); len(lacks) > 0 {
			t.Errorf("market %s, in market_%s.go: %s", code, strings.ToLower(code), strings.Join(lacks, "; "))
		}
	}
}

// lacks names what a market lacks beside all others.
func lacks(m *market) []string {
	var lacks []string
	lack := func(format string, args ...any) { lacks = append(lacks, fmt.Sprintf(format, args...)) }
	fields := reflect.ValueOf(*m)
	for i := range fields.NumField() {
		name, field := fields.Type().Field(i).Name, fields.Field(i)
		switch {
		case name == "nationalID" || name == "companyID": // may be nil
		case field.IsZero():
			lack("it has no %s", name)
		case field.Type() == reflect.TypeFor[[]string]():
			for j := range field.Len() {
				if field.Index(j).String() == "" {
					lack("%s[%d] is empty", name, j)
				}
			}
			for _, code := range Markets() {
				if other := reflect.ValueOf(*markets[code]).Field(i).Len(); other != field.Len() {
					lack("%s has %d entries, and %d in %s: nobody could be dressed", name, field.Len(), other, code)
				}
			}
		}
	}
	for _, code := range Markets() {
		other := markets[code]
		for _, words := range []struct {
			what         string
			have, others map[string]string
		}{{"accountNames", m.accountNames, other.accountNames}, {"phrases", m.phrases, other.phrases}} {
			for _, word := range slices.Sorted(maps.Keys(words.others)) {
				if words.have[word] == "" {
					lack("%s has nothing for %q, as %s has", words.what, word, code)
				}
			}
		}
		for _, there := range other.people {
			for _, here := range m.people {
				if m != other &&
					(here.key == there.key || here.nationalID != "" && here.nationalID == there.nationalID) {
					lack("%s is somebody of %s, too", here.name, code)
				}
			}
		}
	}
	if len(m.banks) < 2 {
		lack("it has %d banks, and loans and depots are at the second", len(m.banks))
	}
	codes := map[string]bool{}
	for _, bank := range m.banks {
		if bank.name == "" || bank.bic == "" || bank.code == "" || codes[bank.code] {
			lack("the bank %+v has no name, BIC or code of its own", bank)
		}
		codes[bank.code] = true
		if got := 4 + len(bank.code) + m.ibanDigits; got != m.ibanLength {
			lack("an IBAN at %s has %d characters, want %d", bank.name, got, m.ibanLength)
		}
	}
	for _, company := range []bool{false, true} {
		if !slices.ContainsFunc(m.people, func(i identity) bool { return i.company == company && i.quality == Good }) {
			lack("nobody with good data who is a company: %t", company)
		}
	}
	return lacks
}

// TestIncompleteMarketsAreFound takes something out of a complete market, and demands that it is named.
func TestIncompleteMarketsAreFound(t *testing.T) {
	for what, spoil := range map[string]func(*market){
		"it has no currency":               func(m *market) { m.currency = "" },
		"it has no account":                func(m *market) { m.account = nil },
		"it has no casinos":                func(m *market) { m.casinos = nil },
		"grocers has 3 entries":            func(m *market) { m.grocers = m.grocers[1:] },
		"restaurants[0] is empty":          func(m *market) { m.restaurants = []string{"", "a", "b"} },
		`phrases has nothing for "salary"`: func(m *market) { m.phrases = map[string]string{"rent": "Huur"} },
		`accountNames has nothing for "depot"`: func(m *market) {
			m.accountNames = map[string]string{"loan": "Lening"}
		},
		"it has 1 banks":           func(m *market) { m.banks = m.banks[:1] },
		"has no name, BIC or code": func(m *market) { m.banks = []bankName{m.banks[0], m.banks[0]} },
		"an IBAN at":               func(m *market) { m.ibanDigits++ },
		"nobody with good data":    func(m *market) { m.people = m.people[:1] },
		"is somebody of":           func(m *market) { m.people = markets[Finland].people },
	} {
		m := *markets[Sweden]
		spoil(&m)
		if got := strings.Join(lacks(&m), "; "); !strings.Contains(got, what) {
			t.Errorf("got %q, want %q", got, what)
		}
	}
}

// TestAFurtherMarketNeedsNothingElse makes a market as its file would, and lets people live in it.
func TestAFurtherMarketNeedsNothingElse(t *testing.T) {
	m := *markets[Germany]
	m.code, m.currency, m.priceLevel = "ZZ", "EUR", 2
	m.ibanLength, m.creditorDigits = 18, 12
	m.banks = []bankName{{"Bank of Atlantis", "ATLAZZ2A", "ATLA"}, {"Poseidon Bank", "POSEZZ2A", "POSE"}}
	m.people = []identity{
		{key: "zz-good", first: "Pallas", last: "Duin", name: "Pallas Duin", nationalID: "999990019", quality: Good},
		{key: "zz-company", name: "Atlantis Timber", companyID: "90001354", company: true, quality: Good},
	}
	m.nationalID = func(id string) bool { return len(id) == 9 }
	addMarket(m)
	defer delete(markets, "ZZ")

	func() {
		defer func() {
			if recover() == nil {
				t.Error("two markets have one code")
			}
		}()
		addMarket(m)
	}()
	if lacks := lacks(markets["ZZ"]); len(lacks) > 0 {
		t.Errorf("it lacks: %v", lacks)
	}
	p := NewPopulation(testSeed, start)
	known, stranger, company := p.ByNationalID("999990019"), p.ByNationalID("123456782"), p.ForUser("ZZ", "u", true)
	for _, person := range []Person{known, stranger, company, p.Default("ZZ", true), p.Dress(
		p.ByNationalID(GoodNationalID), "ZZ",
	)} {
		current := person.Logins[0].Accounts[0]
		if person.Country != "ZZ" || person.Logins[0].Bank.Name != "Bank of Atlantis" ||
			!strings.HasPrefix(current.IBAN, "ZZ") ||
			len(current.IBAN) != 18 || mod97(
			current.IBAN[4:]+current.IBAN[:4],
		) != 1 || len(current.Transactions) < 100 {
			t.Errorf(
				"%s lives in %s with %d transactions on %s", person.Name, person.Country, len(current.Transactions),
				current.IBAN,
			)
		}
	}
	if known.Name != "Pallas Duin" || known.NationalID != "999990019" {
		t.Errorf("the known person is %s", known.Name)
	}
	german := p.Dress(known, Germany)
	for i, tx := range german.Logins[0].Accounts[1].Transactions {
		if 2*MustMinor(tx.Amount) != MustMinor(known.Logins[0].Accounts[1].Transactions[i].Amount) {
			t.Fatalf("dressed for Germany, %v became %v", known.Logins[0].Accounts[1].Transactions[i], tx)
		}
	}
	for i, name := range append(buyersAbroad, makersAbroad...) {
		home := &builder{market: &m, country: foreign[i].country}
		if c := home.abroad(i, name); c.Name != name || strings.HasPrefix(c.IBAN, home.country) {
			t.Errorf("in %s, a partner abroad has %s", home.country, c.IBAN)
		}
	}
}
