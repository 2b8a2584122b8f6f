package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/sandbox"
)

const seed = 1

func TestStory(t *testing.T) {
	began := time.Now()
	address, key := startSandbox(t)
	ready := time.Now()
	conn, err := connect(address, key)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	o, err := tell(ctx, conn, &out)
	t.Logf("the story:\n%s", &out)
	if err != nil {
		t.Fatal(err)
	}

	checkEvents(t, o)
	if len(o.accounts) != 3 {
		t.Errorf("%d accounts, want 3: current account, savings and card", len(o.accounts))
	}
	if o.pages < 3 {
		t.Errorf("%d pages of transactions: too few to try the page token", o.pages)
	}
	// The sandbox's people depend on the day on which it started, which may have ended meanwhile.
	if want := []string{booked(t, began), booked(t, ready)}; !slices.Contains(want, o.listed.String()) {
		t.Errorf("listed %s, want %s", &o.listed, want[0])
	}
	if o.streamed.String() != o.listed.String() {
		t.Errorf("streamed %s, but listed %s", &o.streamed, &o.listed)
	}
	for _, want := range []string{
		"hung up; resuming\n", ": NotFound, reason CONSENT_NOT_FOUND\n", o.streamed.String(),
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the story lacks %q", want)
		}
	}
}

// checkEvents checks that the history of an approval came whole, once and in order.
func checkEvents(t *testing.T, o *outcome) {
	t.Helper()
	types := make([]string, len(o.events))
	for i, event := range o.events {
		types[i] = event.GetType().String()
		if want := fmt.Sprintf("%s/events/%d", o.consent.GetName(), i+1); event.GetName() != want {
			t.Errorf("event %d is %s, want %s", i+1, event.GetName(), want)
		}
	}
	want := []string{
		"CREATED", "LINK_ISSUED", "BANK_SELECTED", "BANK_AUTHORIZED", "FETCH_STARTED", "APPROVED", "FETCH_COMPLETED",
		"CATEGORISATION_STARTED", "CATEGORISATION_COMPLETED", "INSIGHTS_STARTED", "COMPLETED",
	}
	// The customer may decide before or after the bank has delivered.
	early := slices.Clone(want)
	early[5], early[6] = early[6], early[5]
	if !slices.Equal(types, want) && !slices.Equal(types, early) {
		t.Errorf("events %v, want %v", types, want)
	}
	if count := o.consent.GetEventCount(); int(count) != len(o.events) {
		t.Errorf("the consent has %d events, but the watch showed %d", count, len(o.events))
	}
	if o.consent.GetStatus() != consentv1.Consent_AUTHORIZED || o.consent.GetDataStage() != consentv1.DataStage_READY {
		t.Errorf("the consent ended as %s, %s", o.consent.GetStatus(), o.consent.GetDataStage())
	}
}

// booked is what the sandbox's population has for the customer at the bank that a simulated decision picks, the first,
// as of a day.
func booked(t *testing.T, day time.Time) string {
	t.Helper()
	var want tally
	person := sandbox.NewPopulation(seed, day).ByNationalID(sandbox.GoodNationalID)
	for _, account := range person.Logins[0].Accounts {
		for _, transaction := range account.Transactions {
			if !transaction.Booked {
				continue // Fimento gives booked transactions only
			}
			if err := want.add(&typev1.Money{Value: transaction.Amount, CurrencyCode: account.Currency}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return want.String()
}

func TestTallyIsExact(t *testing.T) {
	var sum tally
	for _, m := range []*typev1.Money{
		{Value: "0.1", CurrencyCode: "SEK"},
		{Value: "0.2", CurrencyCode: "SEK"},
		{Value: "12345678901234567890123456789012.000000000000000001", CurrencyCode: "SEK"},
		{Value: "-24.99", CurrencyCode: "EUR"},
		{Value: "-0.00", CurrencyCode: "EUR"},
	} {
		if err := sum.add(m); err != nil {
			t.Fatal(err)
		}
	}
	const want = "5, adding up to -24.99 EUR and 12345678901234567890123456789012.300000000000000001 SEK"
	if got := sum.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := sum.add(&typev1.Money{Value: "12,50", CurrencyCode: "SEK"}); err == nil {
		t.Error("12,50 was taken for a decimal")
	}
}

// played answers StreamTransactions with messages, and then with the stream's end.
type played struct {
	bankingv1.BankingServiceClient
	grpc.ClientStream

	messages []*bankingv1.StreamTransactionsResponse
}

func (p *played) StreamTransactions(
	context.Context, *bankingv1.StreamTransactionsRequest, ...grpc.CallOption,
) (grpc.ServerStreamingClient[bankingv1.StreamTransactionsResponse], error) {
	return p, nil
}

func (p *played) Recv() (*bankingv1.StreamTransactionsResponse, error) {
	if len(p.messages) == 0 {
		return nil, io.EOF
	}
	next := p.messages[0]
	p.messages = p.messages[1:]
	return next, nil
}

// TestStreamMustBeWhole: a stream that was cut off must not pass for all transactions.
func TestStreamMustBeWhole(t *testing.T) {
	heartbeat := &bankingv1.StreamTransactionsResponse{Kind: bankingv1.StreamTransactionsResponse_HEARTBEAT}
	transaction := &bankingv1.StreamTransactionsResponse{
		Kind:        bankingv1.StreamTransactionsResponse_TRANSACTION,
		Transaction: &bankingv1.Transaction{Amount: &typev1.Money{Value: "-24.99", CurrencyCode: "SEK"}},
	}
	end := func(count int32) *bankingv1.StreamTransactionsResponse {
		return &bankingv1.StreamTransactionsResponse{Kind: bankingv1.StreamTransactionsResponse_END, Count: &count}
	}
	for name, test := range map[string]struct {
		messages []*bankingv1.StreamTransactionsResponse
		whole    bool
	}{
		"whole":          {[]*bankingv1.StreamTransactionsResponse{transaction, heartbeat, transaction, end(2)}, true},
		"empty":          {[]*bankingv1.StreamTransactionsResponse{end(0)}, true},
		"without END":    {[]*bankingv1.StreamTransactionsResponse{transaction, transaction}, false},
		"fewer than END": {[]*bankingv1.StreamTransactionsResponse{transaction, end(2)}, false},
	} {
		c := &client{banking: &played{messages: test.messages}, out: io.Discard}
		o := &outcome{consent: &consentv1.Consent{Name: "consents/c"}}
		if err := c.stream(t.Context(), o); (err == nil) != test.whole {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReasonOfOtherErrors(t *testing.T) {
	for _, err := range []error{nil, errors.New("no status"), context.Canceled} {
		if got := reason(err); got != "" {
			t.Errorf("reason(%v) = %q", err, got)
		}
	}
}

func TestRunWantsKey(t *testing.T) {
	if err := run(t.Context(), func(string) string { return "" }, os.Stdout); err == nil {
		t.Error("run went on without a key")
	}
}

// startSandbox runs the binary of KONTOR_GATEWAY, or one that it builds, as a sandbox of its own until the test ends.
func startSandbox(t *testing.T) (address, key string) {
	t.Helper()
	dir := t.TempDir()
	gateway := os.Getenv("KONTOR_GATEWAY")
	if gateway == "" {
		gateway = filepath.Join(dir, "gateway")
		if out, err := exec.Command("go", "build", "-o", gateway,
			"kontor.dev/kontor/cmd/gateway").CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	readyFile := filepath.Join(dir, "ready.json")
	var output bytes.Buffer
	args := []string{
		"sandbox", "--data", filepath.Join(dir, "data"), "--seed", strconv.Itoa(seed), "--step", "100ms",
		"--ready-file", readyFile,
	}
	for _, listener := range []string{"--grpc", "--http", "--admin", "--fimento", "--finoos"} {
		args = append(args, listener, "127.0.0.1:0")
	}
	cmd := exec.Command(gateway, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		stop(t, cmd.Process, exited)
		if t.Failed() {
			t.Logf("the sandbox said:\n%s", &output)
		}
	})

	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(30 * time.Second)
	for {
		text, err := os.ReadFile(readyFile)
		if err == nil {
			var ready struct{ GRPC, Key string }
			if err := json.Unmarshal(text, &ready); err != nil {
				t.Fatal(err)
			}
			return ready.GRPC, ready.Key
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case err := <-exited:
			exited <- err
			t.Fatalf("the sandbox ended before it was ready: %v", err)
		case <-timeout:
			t.Fatal("the sandbox was not ready within 30 seconds")
		}
	}
}

// stop ends a process, which must end well by itself when told to.
func stop(t *testing.T, process *os.Process, exited <-chan error) {
	t.Helper()
	_ = process.Signal(syscall.SIGTERM)
	select {
	case err := <-exited:
		if err != nil {
			t.Errorf("the sandbox ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		_ = process.Kill()
		<-exited
		t.Error("the sandbox did not stop within 30 seconds")
	}
}
