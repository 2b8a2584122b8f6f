package finoos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"syscall"
	"testing"

	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/providers"
)

// manyTransactions is a body with n transactions that tell what the documentation's sample does, 25 on a day.
func manyTransactions(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"logins": [{"id": "L", "accounts": [{"id": "A", "currency": "EUR", "transactions": [`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		day := fmt.Sprintf("2024-%02d-%02dT00:00:00Z", 1+i/700%12, 1+i/25%28)
		fmt.Fprintf(&b, `{"id":"5d7257c9a1a6%08d","accountID":"A","amount":-%d.%02d,"currency":"EUR","booked":true,`+
			`"bookingDate":"%s","valueDate":"%s","purpose":"Rechnung %d, vielen Dank für Ihren Einkauf",`+
			`"mref":"M%d","counterPart":{"name":"Händler %d GmbH","iban":"DE02120300000000202051",`+
			`"bic":"BYLADEM1001","creditorId":"DE98ZZZ09999999999"},"codes":[{"type":"endToEnd","value":"E2E-%d"}],`+
			`"tags":[{"name":"groceries","source":"fino"}]}`, i, i%900, i%100, day, day, i, i, i%50, i)
	}
	b.WriteString(`]}]}]}`)
	return b.Bytes()
}

const benchTransactions = 50_000

// plainBody is the body as encoding/json reads it best: texts are strings, and no type reads itself but the amount.
type plainBody struct {
	Logins []struct {
		ID       string `json:"id"`
		Accounts []struct {
			ID           string `json:"id"`
			Currency     string `json:"currency"`
			Transactions []struct {
				ID          string         `json:"id"`
				Amount      *money.Decimal `json:"amount"`
				Currency    string         `json:"currency"`
				Booked      *bool          `json:"booked"`
				BookingDate string         `json:"bookingDate"`
				ValueDate   string         `json:"valueDate"`
				Purpose     string         `json:"purpose"`
				MandateRef  string         `json:"mref"`
				CounterPart *struct {
					Name       string `json:"name"`
					IBAN       string `json:"iban"`
					BIC        string `json:"bic"`
					CreditorID string `json:"creditorId"`
				} `json:"counterPart"`
				Codes []struct {
					Type  string `json:"type"`
					Value string `json:"value"`
				} `json:"codes"`
				Tags []struct {
					Name   string `json:"name"`
					Source string `json:"source"`
				} `json:"tags"`
			} `json:"transactions"`
		} `json:"accounts"`
	} `json:"logins"`
}

// wireBody is the body as encoding/json reads it into the adapter's own types.
type wireBody struct {
	Logins []struct {
		ID       text `json:"id"`
		Accounts []struct {
			ID           text              `json:"id"`
			Currency     text              `json:"currency"`
			Transactions []wireTransaction `json:"transactions"`
		} `json:"accounts"`
	} `json:"logins"`
}

// BenchmarkDecoding reads 50,000 transactions: by encoding/json alone, and by the adapter, which maps them too.
func BenchmarkDecoding(b *testing.B) {
	body := manyTransactions(benchTransactions)
	run := func(name string, read func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			before := cpuTime()
			for b.Loop() {
				if err := read(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpuTime()-before)/float64(b.N)/1e6, "cpu-ms/op")
		})
	}
	run("encoding-json-strings", func() error { var body2 plainBody; return json.Unmarshal(body, &body2) })
	run("encoding-json-wire", func() error { var body2 wireBody; return json.Unmarshal(body, &body2) })
	run("adapter", func() error {
		count := 0
		reader := transactionReader{yield: func(providers.Transaction) error { count++; return nil }}
		err := reader.read(jsonread.NewDecoder(bytes.NewReader(body)))
		if err == nil && count != benchTransactions {
			err = fmt.Errorf("%d transactions", count)
		}
		return err
	})
}

// cpuTime is what the process has used, in nanoseconds: other processes on the machine change it less than the clock.
func cpuTime() int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}
