package sandbox

import (
	"fmt"
	"maps"
	"slices"
)

// market is a country as the population lives in it. Each is a value in a file of its own, market_<code>.go, so that a
// further market is one file more; TestMarketsAreComplete names what a market lacks. All names are invented.
//
// Every market tells the same life in other words: what is drawn from a list is drawn by its place there. So each list
// from which people, shops and payers are drawn has the same length in every market, and somebody who is dressed for
// another market makes the same movements there under other names.
type market struct {
	code       string // ISO 3166-1, "SE"
	currency   string // ISO 4217
	priceLevel Minor  // turns amounts that are drawn in euro cents into the market's currency
	dollarRate string // the market's currency for one US dollar

	ibanLength     int // of a whole IBAN, as ISO 13616 registers it
	ibanDigits     int // the digits of an IBAN behind the bank's code
	creditorDigits int // the national part of a SEPA creditor identifier
	// account makes an account's number, and the national part of its IBAN, of the bank's code and 16 digits.
	account func(bank, digits string) (number, bban string)
	// nationalID and companyID tell whether somebody unknown with this id lives here. Both are nil in a market whose
	// ids say nothing about their country.
	nationalID, companyID func(id string) bool

	people                []identity // who can be asked for by name; their home is this market
	firstNames, lastNames []string   // of people who are made up
	companyTrades         []string
	companyForm           string
	banks                 []bankName        // the first has everybody's main accounts, the second loans and depots
	accountNames          map[string]string // by what builder.open calls them
	phrases               map[string]string // what stands before a name in a transaction's description
	employers, landlords  []string          // from here on: where money comes from and goes to
	grocers, restaurants  []string
	transports, insurers  []string
	telecoms, utilities   []string
	subscribed, shops     []string
	pharmacies, leisures  []string
	friends               []string
	casinos, collectors   []string
	lenders, taxOffices   []string
	customers, suppliers  []string // of companies
}

// identity is who somebody is, before any market gives them accounts.
type identity struct {
	key                   string
	first, last, name     string
	nationalID, companyID string
	company               bool
	quality               string
	home                  string // the market whose file has them
	iban                  string // of the current account at home; "" for one that is made up
}

type bankName struct{ name, bic, code string }

// markets are all of them, by code. The files of the markets fill it before anything reads it.
var markets = map[string]*market{}

// addMarket makes a market known. It is called once from each market's file, by a variable's declaration.
func addMarket(m market) *market { //nolint:unparam // a declaration needs a result
	if markets[m.code] != nil {
		panic("sandbox: two markets " + m.code)
	}
	for i := range m.people {
		m.people[i].home = m.code
	}
	markets[m.code] = &m
	return &m
}

// Markets are the codes of all markets, in alphabetical order.
func Markets() []string { return slices.Sorted(maps.Keys(markets)) }

func marketOf(country string) *market {
	if m := markets[country]; m != nil {
		return m
	}
	panic(fmt.Sprintf("sandbox: no market %s, only %v", country, Markets()))
}

// identities are the people of all markets who can be asked for by name.
func identities() []identity {
	var all []identity
	for _, code := range Markets() {
		all = append(all, markets[code].people...)
	}
	return all
}

// foreign are the countries of partners abroad, with the shape of the national part of their account numbers: what
// it begins with and how many digits follow.
var foreign = []struct {
	country, prefix string
	digits          int
	bic             string
}{
	{"AT", "", 16, "DONAATWW"},
	{"NL", "POLD", 10, "POLDNL2A"},
	{"DK", "", 14, "ORESDKKK"},
	{"EE", "", 16, "BALTEE2X"},
}

// Partners abroad are the same in every market.
var (
	buyersAbroad = []string{"Donau Möbel Handels GmbH", "Polder Interieur BV"}
	makersAbroad = []string{"Øresund Værktøj ApS", "Balti Puit OÜ"}
)
