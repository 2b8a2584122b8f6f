package sandbox

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// maxCached bounds the built people that are kept; beyond it they are simply built again.
const maxCached = 128

// Population is everybody who has a bank account. The seed and the day decide all of it. Its history is written once:
// it begins on the first day of the month thirteen months before that day, ends on it, and does not grow when the
// clock moves on. It is safe for concurrent use.
type Population struct {
	seed  int64
	today time.Time

	mu    sync.Mutex
	built map[string]Person
}

// NewPopulation makes the people as of the given day.
func NewPopulation(seed int64, today time.Time) *Population {
	y, m, d := today.UTC().Date()
	return &Population{seed: seed, today: time.Date(y, m, d, 0, 0, 0, 0, time.UTC), built: map[string]Person{}}
}

// Today is the last day of everybody's history, at midnight UTC.
func (p *Population) Today() time.Time { return p.today }

// Banks are the banks of a market, the one with everybody's main accounts first. In Germany that is fino Bank.
func (p *Population) Banks(country string) []Bank {
	names := marketOf(country).banks
	banks := make([]Bank, len(names))
	for i, n := range names {
		banks[i] = Bank{
			ID: objectID("bank", country, n.code), Name: n.name, BIC: n.bic, BankCode: n.code, Country: country,
		}
	}
	return banks
}

// homeOfStrangers is the market of those whose id tells none.
const homeOfStrangers = Sweden

// ByNationalID finds a person in their home market. An unknown id leads to a person with good data, always the same
// one for the same id and seed; its market is the one whose ids look so, else Sweden.
func (p *Population) ByNationalID(id string) Person {
	for _, i := range identities() {
		if i.nationalID == id && id != "" {
			return p.person(i, i.home)
		}
	}
	home := homeOf(func(m *market) bool { return m.nationalID != nil && m.nationalID(id) })
	i := p.generated("national:"+id, false, home)
	i.nationalID = id
	return p.person(i, home)
}

// ByCompanyID finds a company in its home market; unknown ids are treated as ByNationalID treats them.
func (p *Population) ByCompanyID(id string) Person {
	for _, i := range identities() {
		if i.companyID == id && id != "" {
			return p.person(i, i.home)
		}
	}
	home := homeOf(func(m *market) bool { return m.companyID != nil && m.companyID(id) })
	i := p.generated("company:"+id, true, home)
	i.companyID = id
	return p.person(i, home)
}

// homeOf is the first market that claims somebody.
func homeOf(claims func(*market) bool) string {
	for _, code := range Markets() {
		if claims(markets[code]) {
			return code
		}
	}
	return homeOfStrangers
}

// Default is the person, or company, of a market that stands for a user of whom nothing is known: the first in the
// market's file. In Germany the person is the one of finoOS's samples, whose current account has SampleInvalidIBAN.
func (p *Population) Default(country string, company bool) Person {
	for _, i := range marketOf(country).people {
		if i.company == company {
			return p.person(i, country)
		}
	}
	panic("sandbox: nobody is known in " + country)
}

// ForUser is the person, or company, of a market behind a user id: always the same one for the same id and seed.
func (p *Population) ForUser(country, userID string, company bool) Person {
	return p.person(p.generated("user:"+userID, company, country), country)
}

// Dress shows the same person in another market: same names, days and movements, with that market's banks, words,
// currency and price level (eleven kronor for a euro).
func (p *Population) Dress(person Person, country string) Person {
	for _, i := range identities() {
		if i.key == person.ID {
			return p.person(i, country)
		}
	}
	return p.person(identity{
		key: person.ID, first: person.FirstName, last: person.LastName, name: person.Name, company: person.Company,
		nationalID: person.NationalID, companyID: person.CompanyID, quality: person.Quality, home: person.Country,
	}, country)
}

// generated makes up somebody from a key.
func (p *Population) generated(key string, company bool, home string) identity {
	// The id goes into no key as it is: keys become ids that are shown.
	i := identity{key: objectID(p.seed, key, company), company: company, quality: Good, home: home}
	r := p.rand("identity", i.key)
	m := marketOf(home)
	first, last := m.firstNames[r.IntN(len(m.firstNames))], m.lastNames[r.IntN(len(m.lastNames))]
	if company {
		i.name = fmt.Sprintf("%s %s %s", last, m.companyTrades[r.IntN(len(m.companyTrades))], m.companyForm)
	} else {
		i.first, i.last, i.name = first, last, first+" "+last
	}
	return i
}

func (p *Population) person(i identity, country string) Person {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := i.key + "/" + country
	if person, ok := p.built[key]; ok {
		return person
	}
	if len(p.built) >= maxCached {
		clear(p.built)
	}
	person := p.build(i, country)
	p.built[key] = person
	return person
}

// rand is a source of its own for each purpose, so that building one person never changes another.
func (p *Population) rand(purpose ...string) *rand.Rand {
	sum := sha256.Sum256([]byte(fmt.Sprint(p.seed, "/", strings.Join(purpose, "/"))))
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])))
}

// objectID makes 24 hexadecimal digits that its parts decide.
func objectID(parts ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q", parts)))
	return hex.EncodeToString(sum[:12])
}

// digits makes n decimal digits that the parts decide.
func digits(n int, parts ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q", parts)))
	out := make([]byte, n)
	for i := range out {
		out[i] = '0' + sum[i%len(sum)]%10
	}
	return string(out)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// ibanOf puts the check digits of ISO 13616 between a country and the national part.
func ibanOf(country, bban string) string {
	return fmt.Sprintf("%s%02d%s", country, 98-mod97(bban+country+"00"), bban)
}

// mod97 is the remainder of the number that digits and letters (A is 10, Z is 35) make up, as in ISO 7064.
func mod97(s string) int {
	n := 0
	for _, c := range s {
		if c >= 'A' && c <= 'Z' {
			n = (n*100 + int(c-'A') + 10) % 97
		} else {
			n = (n*10 + int(c-'0')) % 97
		}
	}
	return n
}

// creditorIDOf makes a SEPA creditor identifier; its business code ("ZZZ") is not part of the checksum.
func creditorIDOf(country, national string) string {
	return fmt.Sprintf("%s%02dZZZ%s", country, 98-mod97(national+country+"00"), national)
}
