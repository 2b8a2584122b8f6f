package finoos

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxLogoQueries is the documented limit of one search.
const maxLogoQueries = 200

// company is one that the logo search knows. The first two are the documentation's, the others are invented.
type company struct {
	name       string
	file       string // of the logo
	domain     string
	creditorID string
	iban       string
	bic        string // of companies that are banks
	bankCode   string
}

var companies = []company{
	{name: "E.ON", file: "eon.svg", domain: "eon.de", creditorID: "DE41EON00000129793"},
	{name: "fino", file: "fino.svg", domain: "fino.digital"},
	{
		name: "Schettchens Schnittchen", file: "schettchens.svg", domain: "schettchens.example",
		creditorID: "DE97ZZZ12345678901", iban: "DE83701999010000002000",
	},
	{name: "Stadtwerke Elbufer", file: "elbufer.svg", domain: "elbufer.example"},
	{name: "Fernton Mobilfunk", file: "fernton.svg", domain: "fernton.example"},
	{name: "Deichschutz Versicherung", file: "deichschutz.svg", domain: "deichschutz.example"},
	{name: "Streamly", file: "streamly.svg", domain: "streamly.example"},
	{name: "fino Bank", file: "finobank.svg", domain: "finobank.example", bic: "FINODEKS", bankCode: "10020000"},
	{
		name: "Hanse Kontorbank", file: "hansekontorbank.svg", domain: "hansekontorbank.example", bic: "HAKODEHH",
		bankCode: "20190033",
	},
}

// searchCompanyLogos answers every query, in an order of its own.
func (s *Server) searchCompanyLogos(r *http.Request, _ *user) (any, *apiError) {
	allowed, err := nameDistance(r)
	if err != nil {
		return nil, err
	}
	var body logoRequest
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if len(*body.Queries) > maxLogoQueries {
		return nil, badRequest("at most 200 queries")
	}
	answer := logoAnswer{Results: []logoResult{}}
	for _, q := range *body.Queries {
		result := logoResult{QueryID: q.QueryID, Status: "notFound"}
		if found := findCompany(q, allowed); found != nil {
			result.Company, result.Status, result.URL = found.name, "ok", s.baseURL(r)+"/logos/"+found.file
		}
		answer.Results = append(answer.Results, result)
	}
	s.shuffle(answer.Results)
	return answer, nil
}

// shuffle never leaves a list of two or more as it was.
func (s *Server) shuffle(results []logoResult) {
	was := slices.Clone(results)
	for i := len(results) - 1; i > 0; i-- {
		j := s.core.Rand.IntN(i + 1)
		results[i], results[j] = results[j], results[i]
	}
	if slices.Equal(was, results) {
		slices.Reverse(results)
	}
}

// nameDistance reads the two query parameters into the Levenshtein distance that a name of a length may have.
func nameDistance(r *http.Request) (func(length int) int, *apiError) {
	query := r.URL.Query()
	switch query.Get("exactMatch") {
	case "true":
		return func(int) int { return 0 }, nil
	case "", "false":
	default:
		return nil, badRequest(`exactMatch must be "true" or "false"`)
	}
	switch fuzziness := query.Get("fuzziness"); fuzziness {
	case "", "AUTO": // as in Elasticsearch, whose words these are
		return func(length int) int {
			switch {
			case length < 3:
				return 0
			case length < 6:
				return 1
			}
			return 2
		}, nil
	default:
		n, err := strconv.Atoi(fuzziness)
		if err != nil || n < 0 || n > 2 {
			return nil, badRequest("fuzziness must be AUTO, 1 or 2")
		}
		return func(int) int { return n }, nil
	}
}

// findCompany tries what identifies a company from the surest on, and its name last.
func findCompany(q logoQuery, allowed func(length int) int) *company {
	for _, by := range []func(c *company) (asked, has string){
		func(c *company) (string, string) { return q.CreditorID, c.creditorID },
		func(c *company) (string, string) { return q.IBAN, c.iban },
		func(c *company) (string, string) { return q.BIC, c.bic },
		func(c *company) (string, string) { return q.BankCode, c.bankCode },
		func(c *company) (string, string) { return q.Domain, c.domain },
	} {
		for i := range companies {
			if asked, has := by(&companies[i]); asked != "" && strings.EqualFold(asked, has) {
				return &companies[i]
			}
		}
	}
	if q.Name == "" {
		return nil
	}
	asked := []rune(strings.ToLower(q.Name))
	var nearest *company
	within := allowed(len(asked))
	for i := range companies {
		if d := levenshtein(asked, []rune(strings.ToLower(companies[i].name))); d <= within {
			nearest, within = &companies[i], d-1
		}
	}
	return nearest
}

// levenshtein counts the letters to insert, delete or replace between two words.
func levenshtein(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range b {
			replace := diagonal
			if x != y {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// serveLogo draws a plain logo: the company's initial.
func (s *Server) serveLogo(w http.ResponseWriter, r *http.Request) {
	at := slices.IndexFunc(companies, func(c company) bool { return c.file == r.PathValue("file") })
	if at < 0 {
		reply(w, nil, notFound())
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	_, _ = w.Write([]byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 " +
		"64"><rect width="64" height="64" rx="12" fill="#14597a"/>` +
		`<text x="32" y="44" font-family="sans-serif" font-size="36" text-anchor="middle" fill="#fff">` +
		companies[at].name[:1] + `</text></svg>`))
}
