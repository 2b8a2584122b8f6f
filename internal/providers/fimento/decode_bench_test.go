package fimento

import (
	"bytes"
	"encoding/json"
	"fmt"
	"syscall"
	"testing"

	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/providers"
)

// manyTransactions is a page with n transactions, 25 on a day.
func manyTransactions(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"transactions": [`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"_id":"64f0c0ffee%014d","amount":-%d.%02d,"date":"2024-%02d-%02dT00:00:00.000Z",`+
			`"description":"KORTKÖP ICA MAXI %d","accountId":"SE4550000000058398257466","category":"%s",`+
			`"cBankId":"64f0c0ffee00000000000001"}`,
			i, i%900, i%100, 1+i/700%12, 1+i/25%28, i, categories[i%len(categories)])
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

var categories = []string{"Groceries", "Transport", "Rent & Housing", "income", "Restaurants", "Other"}

const benchTransactions = 50_000

// BenchmarkDecoding reads 50,000 transactions: by encoding/json alone, into structs of strings and into the
// adapter's, and by the adapter, which maps them too.
func BenchmarkDecoding(b *testing.B) {
	body := manyTransactions(benchTransactions)
	run := func(name string, read func() (int, error)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			before := cpuTime()
			for b.Loop() {
				if n, err := read(); err != nil || n != benchTransactions {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64(cpuTime()-before)/float64(b.N)/1e6, "cpu-ms/op")
		})
	}
	run("encoding-json-strings", func() (int, error) {
		var whole struct {
			Transactions []struct {
				ID          string  `json:"_id"`
				Amount      *amount `json:"amount"`
				Date        string  `json:"date"`
				Description string  `json:"description"`
				AccountID   string  `json:"accountId"`
				Category    string  `json:"category"`
			} `json:"transactions"`
		}
		err := json.Unmarshal(body, &whole)
		return len(whole.Transactions), err
	})
	run("encoding-json-wire", func() (int, error) {
		var whole struct {
			Transactions []wireTransaction `json:"transactions"`
		}
		err := json.Unmarshal(body, &whole)
		return len(whole.Transactions), err
	})
	run("adapter", func() (int, error) {
		page := transactionPage{dates: dates{market: providers.MarketSE}}
		err := page.UnmarshalJSONFrom(jsonread.NewDecoder(bytes.NewReader(body)))
		return len(page.found), err
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
