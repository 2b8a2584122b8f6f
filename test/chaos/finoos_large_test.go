package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

// largeBank is a finoOS in which everybody has one login with many transactions. It writes them as it goes.
// Everything else goes on to the sandbox.
type largeBank struct {
	http.Handler
	transactions int
	written      chan struct{} // closed when they are all written
}

func (b *largeBank) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/banking/logins") || r.Method != http.MethodGet {
		b.Handler.ServeHTTP(rw, r)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	fmt.Fprint(
		rw,
		`{"logins":[{"id":"login","name":"Large Bank","accounts":[`+
			`{"id":"account","name":"Giro","currency":"EUR","balance":1.00,"transactions":[`,
	)
	if r.URL.Query().Get("includeTransactions") != "true" {
		fmt.Fprint(rw, `]}]}]}`)
		return
	}
	defer close(b.written)
	for i := range b.transactions {
		if i > 0 {
			fmt.Fprint(rw, ",")
		}
		row, _ := json.Marshal(map[string]any{
			"id": fmt.Sprintf("t%d", i), "amount": json.Number("-24.99"), "bookingDate": "2026-03-29",
			"valueDate": "2026-03-29",
			"purpose":   strings.Repeat("Hanse ", 40), "counterPart": map[string]any{"name": "Kontor am Hafen"},
		})
		if _, err := rw.Write(row); err != nil {
			return
		}
	}
	fmt.Fprint(rw, `]}]}]}`)
}

// TestLargeAnswersStream reads 100,000 transactions. None may be held back until the last has come, nor all be held
// at once.
func TestLargeAnswersStream(t *testing.T) {
	const (
		count    = 250_000
		mostMore = 64 << 20 // with garbage that waits, while the answer has some 100 MB
	)
	bank := &largeBank{transactions: count, written: make(chan struct{})}
	w := newWorld(t, options{between: map[string]func(http.Handler) http.Handler{finoos.ID: func(
		played http.Handler,
	) http.Handler {
		bank.Handler = played
		return bank
	}}})
	consent := w.authorized(t, finoos.ID, 1)[0]
	memory := w.metric(t, "go_memstats_sys_bytes")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := w.Banking.StreamTransactions(
		ctx, &bankingv1.StreamTransactionsRequest{Parent: consent}, grpc.MaxCallRecvMsgSize(1<<20),
	)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for {
		transaction, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("after %d transactions: %v", len(seen), err)
		}
		if len(seen) == 0 {
			select {
			case <-bank.written:
				t.Error("the first transaction came after the provider's last")
			default:
			}
		}
		if transaction.GetKind() == bankingv1.StreamTransactionsResponse_TRANSACTION {
			seen[transaction.GetTransaction().GetName()] = true
		}
	}
	if len(seen) != count {
		t.Errorf("%d transactions, want %d", len(seen), count)
	}
	more := w.metric(t, "go_memstats_sys_bytes") - memory
	t.Logf("%.1f MiB more", more/(1<<20))
	if more > mostMore {
		t.Errorf("%.1f MiB more, want at most %d", more/(1<<20), mostMore>>20)
	}
}
