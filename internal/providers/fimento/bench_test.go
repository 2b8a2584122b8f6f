package fimento

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/secret"
)

// canned answers every request with what is under its operation, in memory.
type canned map[string][]byte

// RoundTrip implements http.RoundTripper.
func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	body := c[r.URL.Path+"?"+r.URL.RawQuery]
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: int64(len(body)),
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
	}, nil
}

// provider makes a provider whose answers these are.
func (c canned) provider(b *testing.B) *providers.Provider {
	b.Helper()
	c["/auth/login?"] = []byte(`{"access_token":"t","valid_until":86400}`)
	p, err := Kind.With(Config{
		BaseURL: "http://127.0.0.1:1", Username: fakeUser, Password: secret.New(fakePass), PartnerBank: fakeBank,
	}).Open(b.Context(), providers.Deps{Transport: c})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// cannedRef is the consent whose data they are.
var cannedRef = providers.ConsentRef{ID: "p", PartnerBank: fakeBank, Market: "SE"}

// accountOf is one of a hundred accounts.
func accountOf(n int) string {
	return fmt.Sprintf(`{"accountNumber":"SE45500000000583982574%02d","name":"Lönekonto %d","balance":%d.5,`+
		`"type":"Transaktionskonto","bank":"Storbanken"}`, n, n, n)
}

// BenchmarkAccounts reads ten accounts, by way of the client and without a connection.
func BenchmarkAccounts(b *testing.B) {
	accounts := make([]string, 10)
	for n := range accounts {
		accounts[n] = accountOf(n)
	}
	p := canned{"/insights/p?": []byte(`{"accountsInfo":[` + strings.Join(accounts, ",") + `]}`)}.provider(b)
	b.ReportAllocs()
	for b.Loop() {
		if read, err := p.Accounts.ListAccounts(b.Context(), cannedRef); err != nil || len(read) != len(accounts) {
			b.Fatal(len(read), err)
		}
	}
}

// BenchmarkTransactions reads 50,000 transactions in one answer of 8 MB: decoded and mapped, as callers get them, and
// by encoding/json alone into strings, which does less.
func BenchmarkTransactions(b *testing.B) {
	const count = 50_000
	type plain struct {
		Transactions []struct {
			ID                                     string `json:"_id"`
			Amount                                 json.Number
			Date, Description, AccountID, Category string
		}
	}
	var body bytes.Buffer
	body.WriteString(`{"transactions":[`)
	for n := range count {
		if n > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"_id":"%024x","amount":%d.%02d,"date":"2026-%02d-%02d","description":"Kortköp ICA %d",`+
			`"accountId":"SE4550000000058398257400","category":"groceries","cBankId":"%012x"}`,
			n, n%5000-2500, n%100, n/28%12+1, n%28+1, n, n)
	}
	body.WriteString(`]}`)
	b.Run("mapped", func(b *testing.B) {
		p := canned{
			"/insights/p?":                    []byte(`{"accountsInfo":[` + accountOf(0) + `]}`),
			"/insights/p/transactions?page=1": body.Bytes(),
			"/insights/p/transactions?page=2": []byte(`{"transactions":[]}`),
		}.provider(b)
		b.SetBytes(int64(body.Len()))
		b.ReportAllocs()
		for b.Loop() {
			read := 0
			for _, err := range p.Accounts.Transactions(b.Context(), cannedRef, providers.Query{}) {
				if err != nil {
					b.Fatal(err)
				}
				read++
			}
			if read != count {
				b.Fatalf("%d transactions are read", read)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(body.Len()))
		b.ReportAllocs()
		for b.Loop() {
			var listed plain
			if err := json.Unmarshal(body.Bytes(), &listed); err != nil || len(listed.Transactions) != count {
				b.Fatal(err)
			}
		}
	})
}
