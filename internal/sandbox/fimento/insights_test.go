package fimento

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

type insightsView struct {
	TransactionGraph []struct {
		Date string
		Info struct {
			Balance, NegativeSum, PositiveSum          json.Number
			NegativeTransactions, PositiveTransactions []graphMovementWire
		}
	}
	AccountsInfo      []accountWire
	TotalBalance      map[string]any
	FetchedAtInterval struct{ Min, Max time.Time }
	Categorisation    struct {
		Income, Expenses map[string]struct {
			Sum, MonthlyAverage json.Number
			Count               int
		}
	}
	SocialSecurityNumber, CompanyID, FirstName, LastName, ProcessID string
	ComputationAutomation                                           map[string]any
}

func (p *provider) insightsOf(id string) (out insightsView) {
	p.Helper()
	p.call("GET", "/insights/"+id, "", header("reference-id", "user-1")).want(p.T, 200).into(p.T, &out)
	return out
}

func (p *provider) transactionPage(id string, page int) []transactionWire {
	p.Helper()
	var out transactionsWire
	p.call("GET", fmt.Sprintf("/insights/%s/transactions?page=%d", id, page), "").want(p.T, 200).into(p.T, &out)
	return out.Transactions
}

// allTransactions reads until an empty page.
func (p *provider) allTransactions(id string) (all []transactionWire, pages int) {
	p.Helper()
	for {
		page := p.transactionPage(id, pages+1)
		if len(page) == 0 {
			return all, pages
		}
		pages++
		all = append(all, page...)
	}
}

func rat(t *testing.T, s string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("%q is no decimal", s)
	}
	return r
}

// Insights and transactions are two views of the same people.
func TestInsightsAgreeWithTransactions(t *testing.T) {
	p := startProvider(t, Config{})
	for _, id := range []string{
		sandbox.GoodNationalID, sandbox.BadNationalID, "200001019999", sandbox.ExactNationalID,
	} {
		process := p.ready(`"socialSecurityNumber":"` + id + `","firstName":"F","lastName":"L"`)
		in := p.insightsOf(process.ID)
		if in.ProcessID != process.ID || in.SocialSecurityNumber != id || in.FirstName != "F" || in.LastName != "L" {
			t.Errorf("insights of %s for %s", in.ProcessID, in.SocialSecurityNumber)
		}
		if in.FetchedAtInterval.Min.Before(start) || in.FetchedAtInterval.Max.Before(in.FetchedAtInterval.Min) {
			t.Errorf("fetched at %+v", in.FetchedAtInterval)
		}

		accounts := map[string]bool{}
		total := new(big.Rat)
		for _, a := range in.AccountsInfo {
			if a.Name == "" || a.Type == "" || a.Bank == "" || a.AccountNumber == "" || accounts[a.AccountNumber] {
				t.Errorf("account %+v", a)
			}
			accounts[a.AccountNumber] = true
			total.Add(total, rat(t, a.Balance.String()))
		}
		if len(accounts) < 3 {
			t.Errorf("%d accounts", len(accounts))
		}
		if got := rat(t, in.TotalBalance["total"].(json.Number).String()); got.Cmp(total) != 0 {
			t.Errorf("total balance %s, want %s", got, total)
		}
		if last := in.TransactionGraph[len(in.TransactionGraph)-1]; rat(t, last.Info.Balance.String()).Cmp(total) != 0 {
			t.Errorf("the graph ends at %s, want %s", last.Info.Balance, total)
		}

		all, _ := p.allTransactions(process.ID)
		moved, seen := new(big.Rat), map[string]bool{}
		for n, tx := range all {
			if seen[tx.ID] || !accounts[tx.AccountID] || tx.Category == "" || tx.Description == "" || tx.BankID == "" {
				t.Fatalf("transaction %+v", tx)
			}
			seen[tx.ID] = true
			moved.Add(moved, rat(t, tx.Amount.String()))
			if _, err := time.Parse(time.RFC3339, tx.Date); err != nil {
				t.Error(err)
			}
			if n > 0 && tx.Date[:10] > all[n-1].Date[:10] {
				t.Error("the newest must come first")
			}
		}
		points, graphed := 0, new(big.Rat)
		for i, day := range in.TransactionGraph {
			points += len(day.Info.NegativeTransactions) + len(day.Info.PositiveTransactions)
			graphed.Add(graphed, rat(t, day.Info.NegativeSum.String()))
			graphed.Add(graphed, rat(t, day.Info.PositiveSum.String()))
			if i > 0 && day.Date <= in.TransactionGraph[i-1].Date {
				t.Errorf("the graph goes from %s to %s", in.TransactionGraph[i-1].Date, day.Date)
			}
		}
		if points != len(all) || graphed.Cmp(moved) != 0 {
			t.Errorf("%d transactions of %s, but %d of %s in the graph", len(all), moved.FloatString(2), points,
				graphed.FloatString(2))
		}
	}
}

func TestGoodAndBadInsights(t *testing.T) {
	p := startProvider(t, Config{})
	good := p.insightsOf(p.ready("").ID)
	bad := p.insightsOf(p.ready(`"socialSecurityNumber":"` + sandbox.BadNationalID + `"`).ID)
	if good.ComputationAutomation["hasGambling"] != false || bad.ComputationAutomation["hasGambling"] != true ||
		bad.ComputationAutomation["hasDebt"] != true {
		t.Errorf("good %v, bad %v", good.ComputationAutomation, bad.ComputationAutomation)
	}
	if _, ok := good.Categorisation.Expenses["gambling"]; ok {
		t.Error("the good data gambles")
	}
	income := good.Categorisation.Income["income"]
	if income.Count < 12 || rat(t, income.Sum.String()).Sign() <= 0 ||
		good.Categorisation.Expenses["housing"].Count < 12 {
		t.Errorf("income %+v, housing %+v", income, good.Categorisation.Expenses["housing"])
	}
	// 13 or 14 calendar months
	months := new(big.Rat).Quo(rat(t, income.Sum.String()), rat(t, income.MonthlyAverage.String()))
	if months.Cmp(big.NewRat(27, 2)) < 0 || months.Cmp(big.NewRat(29, 2)) > 0 {
		t.Errorf("the average is over %s months", months.FloatString(2))
	}
}

func TestCompanyInsights(t *testing.T) {
	p := startProvider(t, Config{})
	got := p.insightsOf(p.ready(`"companyId":"` + sandbox.SwedishCompanyID + `"`).ID)
	if got.CompanyID != sandbox.SwedishCompanyID || got.SocialSecurityNumber != "" ||
		got.Categorisation.Expenses["suppliers"].Count == 0 {
		t.Errorf("company %+v", got.Categorisation)
	}
}

func TestWithoutAnIdentity(t *testing.T) {
	p := startProvider(t, Config{})
	if got := p.insightsOf(p.ready(`"firstName":"Somebody"`).ID); len(got.AccountsInfo) < 3 {
		t.Errorf("%d accounts", len(got.AccountsInfo))
	}
}

// Amounts are the literals of the population, digit for digit.
func TestExactAmounts(t *testing.T) {
	p := startProvider(t, Config{})
	process := p.ready(`"socialSecurityNumber":"` + sandbox.ExactNationalID + `"`)
	body := string(p.call("GET", "/insights/"+process.ID+"/transactions?page=1", "").want(t, 200).body)
	graph := string(p.call("GET", "/insights/"+process.ID, "").want(t, 200).body)
	for _, literal := range []string{"0.1", "1e3", "12345678901234.56", "-0.00"} {
		if !strings.Contains(body, `"amount":`+literal+`,`) || !strings.Contains(graph, `"amount":`+literal+`,`) {
			t.Errorf("no amount %s in %s", literal, body)
		}
	}
}

func TestPaging(t *testing.T) {
	p := startProvider(t, Config{})
	process := p.ready("")
	all, pages := p.allTransactions(process.ID)
	if len(p.transactionPage(process.ID, 1)) != 50 || pages != (len(all)+49)/50 || pages < 3 {
		t.Errorf("%d transactions on %d pages", len(all), pages)
	}
	if body := string(p.call("GET", "/insights/"+process.ID+"/transactions?page=1000", "").want(t,
		200).body); body != `{"transactions":[]}` {
		t.Errorf("beyond the end: %s", body)
	}
	for _, query := range []string{"", "?page=0", "?page=-1", "?page=x", "?page=1.5", "?page="} {
		p.call("GET", "/insights/"+process.ID+"/transactions"+query, "").refused(t, 400)
	}

	p.SetBehaviour(Behaviour{Paging: PagingRepeatLast})
	last := p.transactionPage(process.ID, pages)
	if got := p.transactionPage(process.ID, pages+7); !slices.Equal(got, last) || len(last) == 0 {
		t.Error("the last page is not repeated")
	}

	p.SetBehaviour(Behaviour{Paging: PagingOverlap})
	first, second := p.transactionPage(process.ID, 1), p.transactionPage(process.ID, 2)
	for i := range overlap {
		if first[len(first)-overlap+i].ID != second[i].ID {
			t.Error("the second page does not begin with the last of the first")
		}
	}
	overlapping, _ := p.allTransactions(process.ID)
	ids := map[string]bool{}
	for _, tx := range overlapping {
		ids[tx.ID] = true
	}
	if len(ids) != len(all) || len(overlapping) < len(all)+overlap*(pages-1) {
		t.Errorf("%d different ones of %d, want %d", len(ids), len(overlapping), len(all))
	}

	p.SetBehaviour(Behaviour{OpaqueAccountIDs: true})
	for _, tx := range p.transactionPage(process.ID, 1) {
		if len(tx.AccountID) != 24 {
			t.Fatalf("account id %q", tx.AccountID)
		}
	}

	small := startProvider(t, Config{PageSize: 7})
	if got := small.transactionPage(small.ready("").ID, 1); len(got) != 7 {
		t.Errorf("%d on a page of 7", len(got))
	}
}

func TestNothingBeforeCompletion(t *testing.T) {
	p := startProvider(t, Config{})
	made := p.create("")
	for _, path := range []string{"", "/transactions?page=1", "/visualisation"} {
		p.call("GET", "/insights/"+made.ID+path, "").refused(t, 400)
		p.call("GET", "/insights/605c6c479691950d359bb000"+path, "").refused(t, 404)
	}
}

// Pending transactions are never collected.
func TestOnlyBooked(t *testing.T) {
	p := startProvider(t, Config{})
	process := p.ready("")
	newest := p.transactionPage(process.ID, 1)[0].Date[:10]
	if limit := p.core.Population.Today().AddDate(0, 0, -2).Format(time.DateOnly); newest > limit {
		t.Errorf("the newest is of %s", newest)
	}
}
