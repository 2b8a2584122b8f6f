package answer

import (
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
)

const (
	account = `{"name": "consents/c/accounts/#", "displayName": "Lönekonto", "ownerName": "Maja Lind",
		"iban": "SE4550000000058398257466", "accountNumber": "5839825746#", "type": "CURRENT", "providerType": "CHECKING",
		"currencyCode": "SEK", "balance": {"value": "12345.67", "currencyCode": "SEK"}, "bankName": "Testbanken",
		"fingerprint": "b6ff5cf0c8f0a2a5e3f2f1e0"}`
	transaction = `{"name": "consents/c/accounts/1/transactions/#", "account": "consents/c/accounts/1",
		"status": "BOOKED", "amount": {"value": "-129.50", "currencyCode": "EUR"}, "bookingDate": "2026-10-01",
		"valueDate": "2026-10-02", "remittanceInformation": "Miete Oktober, Wohnung 7 / Größe 80 m2",
		"counterparty": {"name": "Hausverwaltung Muster GmbH", "iban": "DE89370400440532013000", "bic": "COBADEFFXXX"},
		"endToEndId": "NOTPROVIDED-#", "bankTransactionCodes": [{"type": "GVC", "value": "116"}], "category": "RENT",
		"providerCategory": "rent", "tags": [{"name": "housing"}, {"name": "fix", "source": "rules"}]}`
	consent = `{"name": "consents/5f0c1a52", "customer": "customers/1", "provider": "providers/fimento", "market": "SE",
		"access": "ACCOUNTS_AND_TRANSACTIONS", "status": "AUTHORIZED", "reference": "case 12", "dataStage": "COMPLETE",
		"redirectUris": {"success": "https://app.example.com/ok", "error": "https://app.example.com/no"},
		"link": {"uri": "https://bank.example.com/consent/1"}, "eventCount": 7, "etag": "W7",
		"createTime": "2026-10-01T12:00:00.123456Z", "updateTime": "2026-10-01T12:01:00.5Z"}`
)

// filled reads a message from JSON, in which # is a number.
func filled(b *testing.B, message proto.Message, text string, number int) {
	b.Helper()
	text = strings.ReplaceAll(text, "#", strconv.Itoa(number))
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(text), message); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkAnswer compares with the reference, which is protojson, compacted and cut.
func BenchmarkAnswer(b *testing.B) {
	var page bankingv1.ListTransactionsResponse
	for i := range 1000 {
		page.Transactions = append(page.Transactions, &bankingv1.Transaction{})
		filled(b, page.Transactions[i], transaction, i)
	}
	var accounts bankingv1.ListAccountsResponse
	for i := range 5 {
		accounts.Accounts = append(accounts.Accounts, &bankingv1.Account{})
		filled(b, accounts.Accounts[i], account, i)
	}
	var one consentv1.Consent
	filled(b, &one, consent, 1)
	for _, c := range []struct {
		name    string
		message proto.Message
	}{{"page-1000", &page}, {"accounts", &accounts}, {"consent", &one}, {"stream", page.Transactions[0]}} {
		for _, by := range []struct {
			name  string
			write func([]byte, proto.Message, Form) ([]byte, error)
		}{
			{"append", Append},
			{"protojson", func(_ []byte, m proto.Message, f Form) ([]byte, error) { return reference(m, f) }},
		} {
			b.Run(c.name+"/"+by.name, func(b *testing.B) {
				b.ReportAllocs()
				var text []byte
				for b.Loop() {
					var err error
					if text, err = by.write(text[:0], c.message, Full); err != nil {
						b.Fatal(err)
					}
				}
				b.SetBytes(int64(len(text)))
			})
		}
	}
}
