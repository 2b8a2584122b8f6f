package fimento

import (
	"testing"

	"kontor.dev/kontor/internal/jsonread/jsonreadtest"
)

// The tables read what encoding/json reads by the tags.
func FuzzSameAsEncodingJSON(f *testing.F) {
	seeds(f,
		`{"accountsInfo": [{"accountNumber": 1, "name": "n", "balance": "1e3", "type": "t", "bank": "b"}, null],
			"processId": "p", "transactionGraph": [{"date": "d", "info": {"balance": 1, "negativeSum": -1,
			"positiveSum": 2.8421709430404007e-14, "negativeTransactions": [{"description": "d", "amount": 1,
			"category": "c"}], "positiveTransactions": [{}, null]}}], "fetchedAtInterval": {
			"min": "2024-01-12T12:00:00Z", "max": "2024-01-12T12:00:00.5+01:00"}, "totalBalance": {"SEK": 1},
			"categorisation": [ 1 ], "computationAutomation": null}`,
		`{"accountsInfo": null, "fetchedAtInterval": {"min": 7}, "totalBalance": "x"}`, `{"accountsInfo": {}}`,
		`{"accountsInfo": [{"balance": {}}]}`, `{"transactionGraph": [{"info": null, "date": null}]}`,
		`{"_id": "a\ud83d", "amount": 0.10, "date": "2019-08-24T14:15:22Z", "description": "\u00e5",
			"accountId": 5, "category": true, "cBankId": {}}`, `{"_id": [], "amount": 1}`,
		`{"_ID": "a", "amount": "1e-30"}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		jsonreadtest.Same(t, body, readInsights)
		jsonreadtest.Same(t, body, readAccounts)
		jsonreadtest.Same(t, body, readTransaction)
	})
}
