package finoos_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

func (h *harness) analysis(userID string) []map[string]json.RawMessage {
	h.t.Helper()
	var accounts []map[string]json.RawMessage
	h.call("GET", "/users/"+userID+"/paymentpartneranalysis", nil).into(&accounts)
	return accounts
}

// movement is a transaction for an account that is set through the API.
func movement(id, date, amount, name string, more ...any) object {
	party := object{"name": name}
	tx := object{
		"id": id, "bookingDate": date + "T12:00:00Z", "amount": json.Number(amount), "booked": true,
		"counterPart": party, "tags": []object{{"name": "sales"}},
	}
	for i := 0; i < len(more); i += 2 {
		if key := more[i].(string); key == "booked" {
			tx[key] = more[i+1]
		} else {
			party[key] = more[i+1]
		}
	}
	return tx
}

// worked is the whole analysis of the account below, worked out by hand. The present month is March 2026.
const worked = `{"abroad":true,"activitySpan":40,
"averageAmountsMonthly":[{"average":100.1,"month":"1","year":"2026"},{"average":50.35,"month":"2","year":"2026"}],
"averageAmountsQuarterly":[{"average":66.933333,"quarter":"1","year":"2026"}],
"averageAmountsYearly":[{"average":66.933333,"year":"2026"}],
"averageOfRanks":1,"creditorID":"AT12ZZZ00000000001",
"daysBetweenTransactions":[25,15],"daysBetweenTransactionsAverage":20,"daysBetweenTransactionsDeviation":5,"daysBetweenTransactionsVariance":25,
"firstTransactionDate":"2026-01-10T12:00:00Z","iban":"AT611904300234573201","lastTransactionDate":"2026-02-19T12:00:00Z",
"medianAmount":50.4,"name":"Donau","overallAmountRank":1,"overallTransactionCountRank":1,
"percentageOfOverallActivitySpan":81.632653,"percentageOfOverallAmount":80.32,
"percentageOfOverallAmountMonthly":[{"percentage":100,"quarter":"1","year":"2026"},{"percentage":67.178119,"quarter":"2","year":"2026"}],
"percentageOfOverallAmountMonthlySlope":-32.821881,
"percentageOfOverallAmountQuarterly":[{"percentage":80.32,"quarter":"1","year":"2026"}],
"percentageOfOverallAmountYearly":[{"percentage":80.32,"year":"2026"}],
"percentageOfOverallTransactionCount":75,"tags":[{"name":"sales"}],"totalAmount":200.8,
"totalAmountMonthly":[{"month":"1","totalAmount":100.1,"transactionCount":1,"year":"2026"},{"month":"2","totalAmount":100.7,"transactionCount":2,"year":"2026"}],
"totalAmountMonthlySlope":0.6,
"totalAmountQuarterly":[{"quarter":"1","totalAmount":200.8,"transactionCount":3,"year":"2026"}],
"totalAmountYearly":[{"totalAmount":200.8,"transactionCount":3,"year":"2026"}],
"transactionAmountSlope":-24.9,"transactionCount":3}`

func TestAnalysisIsWorkedOutExactly(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.user("company")
	const abroad = "AT611904300234573201"
	h.call("POST", "/users/"+userID+"/banking/logins", object{"logins": []object{{"id": "l", "accounts": []object{{
		"id": "a", "name": "Geschäftskonto", "owner": "Wir GmbH", "iban": "DE02120300000000202051",
		"transactions": []object{
			movement("t2", "2026-02-04", "50.40", "Donau", "iban", abroad),
			movement("t1", "2026-01-10", "100.10", "Donau Möbel", "iban", abroad), // renamed since
			movement("t3", "2026-02-19", "50.30", "Donau", "iban", abroad, "creditorId", "AT12ZZZ00000000001"),
			movement("t4", "2026-02-28", "49.20", "Hafen"),
			movement("t5", "2026-02-28", "1000", "Hafen", "booked", false),
			movement("t6", "2026-02-28", "1000", "Wir GmbH"),
			movement("t7", "2026-02-28", "1000", "Wir", "iban", "DE02120300000000202051"),
			movement("t8", "2026-02-28", "1000", ""),
			movement("t9", "2026-02-28", "0", "Nichts"),
			movement("t10", "2026-03-02", "-10", "Holz"),
			movement("t11", "2025-02-28", "-30", "Alt"),
			movement("t12", "2025-03-01", "-20", "Alt"),
			movement("t13", "2025-12-31", "-5", "Quartal"),
		}}}}}}).done()
	analyses := h.analysis(userID)
	if len(analyses) != 1 || len(analyses[0]) != 12 || string(analyses[0]["accountID"]) != `"a"` ||
		string(analyses[0]["accountName"]) != `"Geschäftskonto"` {
		t.Fatalf("analyses: %s", analyses)
	}
	var customers []json.RawMessage
	if err := json.Unmarshal(analyses[0]["customerAll"], &customers); err != nil || len(customers) != 2 {
		t.Fatalf("%d customers, %v", len(customers), err)
	}
	if want := strings.ReplaceAll(worked, "\n", ""); string(customers[0]) != want {
		t.Errorf("got  %s\nwant %s", customers[0], want)
	}
	for list, names := range map[string]string{
		"customerAll": "Donau Hafen", "customerLastMonth": "Donau Hafen", "customerPreMonth": "Donau Möbel",
		"customerQuarter": "Donau Hafen", "customerYear": "Donau Hafen",
		"supplierAll": "Alt Holz Quartal", "supplierLastMonth": "", "supplierPreMonth": "",
		"supplierQuarter": "Quartal", "supplierYear": "Alt Quartal",
	} {
		var partners []struct {
			Name             string
			TransactionCount int
		}
		if err := json.Unmarshal(analyses[0][list], &partners); err != nil || partners == nil {
			t.Fatalf("%s: %v", list, err)
		}
		var got []string
		for _, p := range partners {
			got = append(got, p.Name)
		}
		if strings.Join(got, " ") != names {
			t.Errorf("%s: %q, want %q", list, got, names)
		}
	}
}

func TestAnalysisOfThePopulation(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.connected("company")
	accounts := h.logins(userID)[0].Accounts
	own := map[string]bool{}
	for _, a := range accounts {
		own[a.IBAN], own[a.Owner] = true, true
	}
	analyses := h.analysis(userID)
	if len(analyses) != len(accounts) {
		t.Fatalf("%d analyses of %d accounts", len(analyses), len(accounts))
	}
	type partner struct {
		Abroad                                          bool
		CreditorID, IBAN, Name                          string
		TotalAmount                                     json.Number
		TransactionCount                                int
		OverallAmountRank                               int
		PercentageOfOverallAmount, MedianAmount         json.Number
		TotalAmountMonthly, PercentageOfOverallAmountMo []struct{ Month string }
	}
	month := time.Date(2026, 3, 1, 0, 0, 0, 0, berlin)
	everywhere := struct{ abroad, creditors, partners int }{}
	for i, a := range accounts {
		if string(analyses[i]["accountID"]) != `"`+a.ID+`"` {
			t.Errorf("analysis %d is of %s", i, analyses[i]["accountID"])
		}
		for list, bounds := range map[string][2]time.Time{
			"All": {{}, start.Add(day)}, "LastMonth": {month.AddDate(0, -1, 0), month},
			"PreMonth": {month.AddDate(0, -2, 0), month.AddDate(0, -1, 0)},
			"Quarter":  {month.AddDate(0, -3, 0), month}, "Year": {month.AddDate(0, -12, 0), month},
		} {
			for side, sign := range map[string]int{"customer": 1, "supplier": -1} {
				total, count := new(big.Rat), 0
				for _, tx := range a.Transactions {
					party := tx.CounterPart.IBAN
					if party == "" {
						party = tx.CounterPart.CreditorID + tx.CounterPart.Name
					}
					if amount := decimal(tx.Amount); tx.Booked && amount.Sign() == sign && party != "" && !own[party] &&
						!tx.BookingDate.Before(bounds[0]) && tx.BookingDate.Before(bounds[1]) {
						total.Add(total, amount.Abs(amount))
						count++
					}
				}
				var partners []partner
				if err := json.Unmarshal(analyses[i][side+list], &partners); err != nil || partners == nil {
					t.Fatalf("%s: %v", side+list, err)
				}
				gotTotal, gotCount, rank := new(big.Rat), 0, 1
				for _, p := range partners {
					gotTotal.Add(gotTotal, decimal(p.TotalAmount))
					gotCount += p.TransactionCount
					if p.OverallAmountRank < rank {
						t.Errorf("%s is not in order of rank", side+list)
					}
					rank = p.OverallAmountRank
					everywhere.partners++
					if p.Abroad {
						everywhere.abroad++
					}
					if p.CreditorID != "" {
						everywhere.creditors++
					}
				}
				if gotTotal.Cmp(total) != 0 || gotCount != count {
					t.Errorf("account %d, %s: %s in %d transactions, want %s in %d", i, side+list,
						gotTotal.FloatString(2), gotCount, total.FloatString(2), count)
				}
			}
		}
	}
	if everywhere.abroad == 0 || everywhere.creditors == 0 || everywhere.partners < 50 {
		t.Errorf("the population's company is too plain: %+v", everywhere)
	}
}

func TestAnalysisIsForCompanies(t *testing.T) {
	h := setup(t, finoos.Config{})
	h.call("GET", "/users/"+h.connected("person")+"/paymentpartneranalysis", nil).refused(403, "forbidden")
	if got := h.call("GET", "/users/"+h.user("company")+"/paymentpartneranalysis", nil); string(got.body) != "[]" {
		t.Errorf("without logins: %s", got.body)
	}
}

// Amounts in unusual notations count for what they are.
func TestAnalysisReadsEveryNotation(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.user("company")
	h.call("POST", "/users/"+userID+"/banking/logins",
		object{"logins": []object{{"id": "l", "accounts": []object{{"id": "a", "transactions": []object{
			movement("1", "2026-02-02", "0.1", "X"), movement("2", "2026-02-02", "0.2", "X"),
			movement("3", "2026-02-02", "1e3", "X"), movement("4", "2026-02-02", "12345678901234.56", "X"),
		}}}}}}).done()
	if got := string(h.analysis(userID)[0]["customerAll"]); !strings.Contains(got, `"totalAmount":12345678902234.86,`) {
		t.Errorf("analysis: %s", got)
	}
	exact := h.user("company")
	if err := h.fino.SetPerson(exact, h.core.Population.ByNationalID(sandbox.ExactNationalID)); err != nil {
		t.Fatal(err)
	}
	h.connect(exact)
	if _, err := h.fino.CompleteLogin(exact); err != nil {
		t.Fatal(err)
	}
	h.analysis(exact)
}
