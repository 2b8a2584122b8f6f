package finoos

import (
	"testing"

	"kontor.dev/kontor/internal/jsonread/jsonreadtest"
)

// The tables read what encoding/json reads by the tags. An accountID and a logo's type are only sent, never read.
func FuzzSameAsEncodingJSON(f *testing.F) {
	seed(f, string(sampleLogins), string(sampleLoginsReference), twoBanks,
		`{"loginsStatuses": [{"active": true, "id": "5d72", "lastSynchronization": "2020-05-26T17:11:22Z"}]}`,
		`{"loginsStatuses": [{"active": null}, null, {"active": "true"}]}`, `{"loginsStatuses": null}`,
		`{"logins": [{"bank": {"logo": {"url": "u"}}}]}`, `{"id": "A", "type": "t"}`,
		`{"id": 7, "amount": "-0.10", "currency": null, "booked": false, "bookingDate": "2020-05-26", "valueDate": true,
			"purpose": "a\/b \ud83d\ude00\ud83d", "mref": "M", "counterPart": {"name": "N", "iban": "I", "bic": "B",
			"creditorId": "C"}, "codes": [{"type": "t", "value": "v"}, null], "tags": [{"name": "n", "source": "s"}]}`,
		`{"amount": 1e3, "counterPart": null, "codes": null, "tags": [], "unknown": [{"id": 1}]}`,
		`{"currency": "CHF", "amount": 1}`, `{"id": {}, "amount": 1}`, `{"amount": 1e99}`, `{"amount": "x"}`, `{"AMOUNT": 1, "booked": 1}`,
		`{"logins": [{"id": "L", "bank": {"name": "B", "bic": "C", "bankCode": 10020000},
			"accounts": [{"id": "A", "iban": "I", "number": 1, "name": "n", "owner": "o", "currency": "EUR",
			"balance": -1.50, "creditLine": "2", "monthlySpendingLimit": 1e3, "standingOrders": [{"id": "S",
			"amount": 1, "currency": "EUR", "interval": "monthly", "executionDay": 3e0, "creationDate": "c",
			"firstExecutionDate": "f", "lastExecutionDate": "l", "purpose": "p"}], "securities": [{"id": "S",
			"name": "n", "isin": "i", "market": "m", "quantity": 1e-3, "exchangeRate": "1.1", "amount": 1,
			"currency": "EUR", "priceAmount": 2, "priceCurrency": "USD", "purchasePriceAmount": 3,
			"purchasePriceCurrency": "CHF"}]}]}]}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		jsonreadtest.Same(t, body, readLogins, "accountID", "type")
		jsonreadtest.Same(t, body, readAccount, "accountID")
		jsonreadtest.Same(t, body, readStatuses)
		jsonreadtest.Same(t, body, readTransaction, "accountID")
	})
}
