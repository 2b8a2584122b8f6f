package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

// readsData are the providers' operations that give transactions.
var readsData = map[string]bool{"transactions": true, "get_logins": true, "list_transactions": true}

// asked counts what a provider was asked about a consent, beyond how it stands.
func (w *world) asked(provider string, consent *consentv1.Consent) (calls int) {
	for _, call := range w.Played[provider].Core.Calls.All() {
		data := readsData[call.Operation]
		if data && strings.Contains(call.Path, consent.GetProviderReference()) {
			calls++
		}
	}
	return calls
}

// newestFirst is the order of pages.
func newestFirst(a, b *bankingv1.Transaction) int {
	if a.GetStatus() != b.GetStatus() {
		return int(b.GetStatus() - a.GetStatus()) // pending first
	}
	return strings.Compare(b.GetBookingDate(), a.GetBookingDate())
}

// pages goes through all transactions under a consent.
func pages(t *testing.T, c *client, parent string, size int32) (all []*bankingv1.Transaction, count int) {
	t.Helper()
	for token := ""; ; {
		page := must(c.Banking.ListTransactions(t.Context(), &bankingv1.ListTransactionsRequest{
			Parent: parent, PageSize: size, PageToken: token,
		}))(t)
		count++
		all = append(all, page.GetTransactions()...)
		if token = page.GetNextPageToken(); token == "" {
			return all, count
		}
	}
}

// TestListings: the pages of a listing are one read at the provider, newest first, and hold what a stream sends.
func TestListings(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	for _, provider := range worldtest.Providers() {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			c := w.client(t, lending)
			consent := w.authorized(t, c, provider)
			before := w.asked(provider, consent)
			whole, _ := pages(t, c, consent.GetName()+"/accounts/-", 1000)
			once := w.asked(provider, consent) - before
			all, count := pages(t, c, consent.GetName()+"/accounts/-", 7)
			if calls := w.asked(provider, consent) - before - once; calls > once+1 || count < 10 {
				t.Errorf("%d pages are %d calls, one is %d", count, calls, once)
			}
			names := func(list []*bankingv1.Transaction) (names []string) {
				for _, one := range list {
					names = append(names, one.GetName())
				}
				return names
			}
			if !slices.Equal(names(all), names(whole)) {
				t.Error("the pages are not the whole")
			}
			if !slices.IsSortedFunc(all, newestFirst) {
				t.Error("they are not newest first")
			}
			streamed := names(streamAll(t, c, consent.GetName()))
			paged := names(all)
			slices.Sort(streamed)
			slices.Sort(paged)
			if !slices.Equal(streamed, paged) {
				t.Errorf("%d transactions in pages, %d in a stream", len(paged), len(streamed))
			}
		})
	}
}

// TestFingerprints: under another consent of the same person an account has another name and the same fingerprint.
func TestFingerprints(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	for _, provider := range worldtest.Providers() {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			c := w.client(t, lending)
			prints := func() (names, prints []string) {
				accounts := must(c.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{
					Parent: w.authorized(t, c, provider).GetName(),
				}))(t)
				for _, a := range accounts.GetAccounts() {
					names, prints = append(names, a.GetName()), append(prints, a.GetFingerprint())
				}
				return names, prints
			}
			names, fingerprints := prints()
			others, again := prints()
			distinct := slices.Clone(fingerprints)
			slices.Sort(distinct)
			if slices.Contains(fingerprints, "") || len(slices.Compact(distinct)) != len(fingerprints) ||
				names[0] == others[0] {
				t.Errorf("the accounts %v have %v", names, fingerprints)
			}
			// Where the sandbox plays the person who is asked, it is the same one.
			if worldtest.Of(provider).TakesPsu && !slices.Equal(fingerprints, again) {
				t.Errorf("the fingerprints are %v and %v", fingerprints, again)
			}
		})
	}
}

// TestStreamedLines: over REST a stream of transactions ends with its END, as lines and as events.
func TestStreamedLines(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	consent := w.authorized(t, c, anybody)
	for accept, unwrap := range map[string]func(string) (json.RawMessage, bool){
		"application/x-ndjson": func(line string) (json.RawMessage, bool) {
			var wrapped struct{ Result json.RawMessage }
			err := json.Unmarshal([]byte(line), &wrapped)
			return wrapped.Result, err == nil
		},
		"text/event-stream": func(line string) (json.RawMessage, bool) {
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				return json.RawMessage(data), true
			}
			return nil, line == "" || line == "event: heartbeat"
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		resp, err := c.send(ctx, http.MethodGet, "/v1/"+consent.GetName()+"/transactions:stream", nil,
			headers{"accept": accept})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got := resp.Header.Get("Content-Type"); got != accept {
			t.Errorf("%s is asked for, %s comes", accept, got)
		}
		var last struct {
			Kind     string
			Count    int
			Complete bool
			ReadTime string
		}
		count := 0
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			message, ok := unwrap(lines.Text())
			if !ok {
				t.Fatalf("%s: %q", accept, lines.Text())
			}
			if len(message) == 0 {
				continue
			}
			last.Kind = ""
			if err := json.Unmarshal(message, &last); err != nil {
				t.Fatal(err)
			}
			if last.Kind == "TRANSACTION" {
				count++
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		if last.Kind != "END" || count == 0 || last.Count != count || !last.Complete || last.ReadTime == "" {
			t.Errorf("%s: %d transactions, the last message is %+v", accept, count, last)
		}
	}
}

// TestHeartbeatsOfTransactions: while a provider is slow, a stream of transactions shows over every transport that it
// lives, and then sends all.
func TestHeartbeatsOfTransactions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 5 * time.Millisecond, still: true})
	c := w.client(t, lending)
	m := methods()["kontor.banking.v1.BankingService/StreamTransactions"]
	for _, provider := range worldtest.Providers() {
		consent := w.authorized(t, c, provider)
		want := len(streamAll(t, c, consent.GetName()))
		for _, transport := range transports {
			// The gateway's heartbeat is 300 ms here.
			w.core(provider).Faults.Add(sandbox.Fault{Delay: 1500 * time.Millisecond, Times: 1})
			got, err := c.call(t.Context(), transport, m, object{"parent": consent.GetName()}, nil, 0)
			if err != nil || got.failure != nil || !got.ended {
				t.Fatalf("%s, %s: %v %v", provider, transport, err, got.failure)
			}
			count := map[bankingv1.StreamTransactionsResponse_Kind]int{}
			var last bankingv1.StreamTransactionsResponse_Kind
			for _, message := range got.messages {
				last = message.(*bankingv1.StreamTransactionsResponse).GetKind()
				count[last]++
			}
			if got.beats == 0 || last != bankingv1.StreamTransactionsResponse_END ||
				count[bankingv1.StreamTransactionsResponse_TRANSACTION] != want {
				t.Errorf("%s, %s: %v behind %d heartbeats, the last is %s; want %d transactions behind a heartbeat",
					provider, transport, count, got.beats, last, want)
			}
			w.core(provider).Faults.Clear()
		}
	}
	// A browser's onmessage does not see heartbeats: they are events of their own name.
	consent := w.authorized(t, c, anybody)
	w.core(anybody).Faults.Add(sandbox.Fault{Delay: 1500 * time.Millisecond, Times: 1})
	resp, err := c.send(t.Context(), http.MethodGet, "/v1/"+consent.GetName()+"/transactions:stream", nil,
		headers{"accept": "text/event-stream"})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !strings.HasPrefix(string(text), "event: heartbeat\ndata: {\"kind\":\"HEARTBEAT\"}\n\n") ||
		!strings.Contains(string(text), `"kind":"END"`) {
		t.Errorf("as events: %.200s, %v", text, err)
	}
}

// TestInsightsTooLargeForGRPC: an answer that a client's library would refuse is TOO_LARGE, and says what to do;
// without single transactions, or over REST, it is there.
func TestInsightsTooLargeForGRPC(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 5 * time.Millisecond, still: true})
	c := w.client(t, lending)
	customer := w.createCustomer(
		t, c, customerv1.Customer_PERSON, customerv1.Product_BANKING, customerv1.Product_IMPORT,
	)
	request := importRequest(customer.GetName())
	account := request.GetConnections()[0].GetAccounts()[0]
	one := account.GetTransactions()[0]
	for i := range 500 { // few, and long: thousands take seconds to be taken in
		more := proto.CloneOf(one)
		more.Id = fmt.Sprint("more-", i)
		more.Transaction.RemittanceInformation = optional.Of(strings.Repeat("word ", 2000))
		account.Transactions = append(account.Transactions, more)
	}
	consent := must(c.Banking.ImportConnections(t.Context(), request))(t).GetConsent()
	m := methods()["kontor.insights.v1.InsightsService/GetInsights"]
	for _, test := range []struct{ transport, view, reason string }{
		{overGRPC, "FULL", "TOO_LARGE"}, {overREST, "FULL", ""}, {overGRPC, "SUMMARY", ""},
	} {
		got, err := c.call(t.Context(), test.transport, m,
			object{"name": consent.GetName() + "/insights", "view": test.view}, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case test.reason == "" && got.failure != nil:
			t.Errorf("%s, %s: %v", test.transport, test.view, got.failure)
		case test.reason == "":
			entries := 0
			for _, day := range got.messages[0].(*insightsv1.Insights).GetMovements() {
				entries += len(day.GetEntries())
			}
			if (entries > 500) != (test.view == "FULL") {
				t.Errorf("%s, %s: %d movements", test.transport, test.view, entries)
			}
		case got.failure == nil || got.failure.reason != test.reason || got.failure.retry ||
			!strings.Contains(got.failure.message, "SUMMARY"):
			t.Errorf("%s, %s: %v", test.transport, test.view, got.failure)
		}
	}
}
