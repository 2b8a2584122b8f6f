package finoos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/providers"
)

// collect reads all transactions.
func collect(p *providers.Provider) ([]providers.Transaction, error) {
	var all []providers.Transaction
	for transaction, err := range p.Accounts.Transactions(testContext(), testRef, providers.Query{}) {
		if err != nil {
			return all, err
		}
		all = append(all, transaction)
	}
	return all, nil
}

// logins answers get_logins: outline without transactions, body with them.
func (f *fake) logins(outline, body string) {
	f.handle("get_logins", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("includeTransactions") == "false" {
			io.WriteString(w, outline)
		} else {
			io.WriteString(w, body)
		}
	})
}

// places says where transactions ended up: "id@account currency".
func places(transactions []providers.Transaction) string {
	var got []string
	for _, t := range transactions {
		got = append(got, t.ID+"@"+t.AccountID+" "+t.GetAmount().GetCurrencyCode())
	}
	return strings.Join(got, ", ")
}

const twoBanks = `{"logins": [{"id": "L", "accounts": [{"id": "A", "currency": "EUR"}, {"id": "B", "currency": "CHF"}]}, {"id": "M", "accounts": [{"id": "A", "currency": "USD"}]}]}`

func TestTransactionsAreNestedByPosition(t *testing.T) {
	tx := func(id string) string {
		return `"transactions": [{"id": "` + id + `", "accountID": "nonsense", "amount": 1}]`
	}
	for _, c := range []struct{ name, outline, body, want string }{
		{
			"ids first", twoBanks,
			`{"logins": [{"id": "L", "accounts": [{"id": "A", ` + tx("1") + `}, {"id": "B", ` + tx("2") +
				`}]}, {"id": "M", "accounts": [{"id": "A", ` + tx("3") + `}]}]}`,
			"1@L/A EUR, 2@L/B CHF, 3@M/A USD",
		},
		{
			"the login's id last", twoBanks,
			`{"logins": [{"accounts": [{"id": "A", ` + tx("1") + `}, {"id": "B", ` + tx("2") +
				`}], "id": "L"}, {"accounts": [{"id": "A", ` + tx("3") + `}], "id": "M"}]}`,
			"1@L/A EUR, 2@L/B CHF, 3@M/A USD",
		},
		{
			"all ids last", twoBanks,
			`{"logins": [{"accounts": [{` + tx("1") + `, "id": "A"}, {` + tx("2") +
				`, "id": "B"}], "id": "L"}, {"accounts": [{` + tx("3") +
				`, "currency": "USD", "id": "A"}], "id": "M"}], "total": 3}`,
			"1@L/A EUR, 2@L/B CHF, 3@M/A USD",
		},
		{
			"the currency that the body tells goes first", twoBanks,
			`{"logins": [{"accounts": [{"currency": "SEK", ` + tx("1") + `, "id": "A"}], "id": "L"}]}`,
			"1@L/A SEK",
		},
		{
			"accounts changed places", twoBanks,
			`{"logins": [{"accounts": [{"id": "B", ` + tx("2") + `}, {"id": "A", ` + tx("1") + `}], "id": "L"}]}`,
			"2@L/B CHF, 1@L/A EUR", // A is at two banks, so it waits for the login's id
		},
		{
			"logins changed places, ids first", twoBanks,
			`{"logins": [{"id": "M", "accounts": [{"id": "A", ` + tx("3") +
				`}]}, {"id": "L", "accounts": [{"id": "A", ` + tx("1") + `}, {"id": "B", ` + tx("2") + `}]}]}`,
			"3@M/A USD, 1@L/A EUR, 2@L/B CHF",
		},
		{
			"logins changed places, ids last: an account that is at one bank alone tells",
			`{"logins": [{"id": "L", "accounts": [{"id": "A"}]}, {"id": "M", "accounts": [{"id": "B", "currency": "CHF"}]}]}`,
			`{"logins": [{"accounts": [{"id": "B", ` + tx("2") + `}], "id": "M"}, {"accounts": [{"id": "A", ` +
				tx("1") + `}], "id": "L"}]}`,
			"2@M/B CHF, 1@L/A EUR",
		},
		{
			"a new login waits for its id", twoBanks,
			`{"logins": [{"id": "L"}, {"id": "M"}, {"accounts": [{` + tx("4") + `, "id": "C"}, {"id": "A", ` + tx("5") +
				`}], "id": "N"}]}`,
			"4@N/C EUR, 5@N/A EUR",
		},
		{
			"a new account waits for its id", twoBanks,
			`{"logins": [{"id": "L", "accounts": [{"id": "A"}, {"id": "B"}, {"transactions": null, "currency": "NOK", ` + tx("6") + `, "id": "C"}]}]}`,
			"6@L/C NOK",
		},
		{
			"nulls", twoBanks,
			`{"logins": [{"id": "L", "accounts": null}, {"accounts": [{"id": "A", "transactions": null}], "id": "M"}]}`,
			"",
		},
		{
			"other casing", twoBanks,
			`{"Logins": [{"ID": "L", "Accounts": [{"Id": "A", "Transactions": [{"ID": "1", "Amount": 1}]}]}]}`,
			"1@L/A EUR",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			f.logins(c.outline, c.body)
			got, err := collect(f.provider())
			if err != nil || places(got) != c.want {
				t.Errorf("%s, %v", places(got), err)
			}
		})
	}
}

// What has passed under an id that turns out wrong cannot be called back, so the sequence must end with an error.
func TestATransactionUnderAWrongAccountIsNoticed(t *testing.T) {
	for name, body := range map[string]string{
		"another login":           `{"logins": [{"accounts": [{"id": "B", "transactions": [{"id": "1", "amount": 1}]}], "id": "M"}]}`,
		"another account":         `{"logins": [{"id": "L", "accounts": [{"transactions": [{"id": "1", "amount": 1}], "id": "B"}]}]}`,
		"two logins for one":      `{"logins": [{"accounts": [{"transactions": [{"id": "1", "amount": 1}], "id": "A"}, {"id": "C", "transactions": [{"id": "2", "amount": 1}]}], "id": "L"}]}`,
		"the id changes midway":   `{"logins": [{"id": "L", "accounts": [{"id": "A", "transactions": [{"id": "1", "amount": 1}], "id": "B", "transactions": [{"id": "2", "amount": 1}]}]}]}`,
		"no id after all":         `{"logins": [{"accounts": [{"id": "A", "transactions": [{"id": "1", "amount": 1}]}]}]}`,
		"no account id after all": `{"logins": [{"id": "L", "accounts": [{"transactions": [{"id": "1", "amount": 1}]}]}]}`,
		"no id of a new login":    `{"logins": [{"id": "L"}, {"id": "M"}, {"accounts": [{"id": "D", "transactions": [{"id": "1", "amount": 1}]}]}]}`,
		"no id of a new account":  `{"logins": [{"id": "L", "accounts": [{"id": "A"}, {"id": "B"}, {"transactions": [{"id": "1", "amount": 1}]}]}]}`,
	} {
		f := newFake(t)
		f.logins(`{"logins": [{"id": "L", "accounts": [{"id": "A"}, {"id": "B"}]}, {"id": "M", "accounts": [{"id": "C"}]}]}`, body)
		got, err := collect(f.provider())
		if providers.KindOf(err) != providers.KindInvalidResponse || len(got) > 1 {
			t.Errorf("%s: %s, %v", name, places(got), err)
		}
	}
}

func TestMalformedTransactions(t *testing.T) {
	whole := strings.TrimSpace(string(sampleLogins))
	bodies := []string{
		``, `null`, `{}`, `[]`, `{"logins": {}}`, `{"logins": [7]}`, `{"logins": [{"id": "L", "accounts": {}}]}`,
		`{"logins": [{"id": "L", "accounts": [{"id": "A", "transactions": {}}]}]}`,
		`{"logins": [{"id": "L", "accounts": [{"id": "A", "transactions": [{"id": "1"}]}]}]}`,
		`{"logins": [{"id": "L", "accounts": [{"id": "A", "transactions": [null]}]}]}`,
		`{"logins": [{"id": "L", "accounts": [{"id": "A", "transactions": [{"id": "1", "amount": "much"}]}]}]}`,
		`{"logins": [{"id": "L", "accounts": [{"id": "A", "transactions": [{"id": "1", "amount": 1e99}]}]}]}`,
		`{"logins": []} {}`,
	}
	for cut := 1; cut < len(whole); cut += 7 {
		bodies = append(bodies, whole[:cut])
	}
	f := newFake(t)
	p := f.provider()
	for _, body := range bodies {
		f.logins(string(sampleLogins), body)
		errs := 0
		for _, err := range p.Accounts.Transactions(testContext(), testRef, providers.Query{}) {
			if err == nil {
				continue
			}
			errs++
			if providers.KindOf(err) != providers.KindInvalidResponse || strings.Contains(err.Error(), "much") {
				t.Errorf("%q: %v", body, err)
			}
		}
		if errs != 1 {
			t.Errorf("%q: %d errors", body, errs)
		}
	}
}

func TestTransactionsFail(t *testing.T) {
	for status, kind := range kinds {
		for _, transactions := range []string{"false", "true"} {
			f := newFake(t)
			f.handle("get_logins", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("includeTransactions") == transactions {
					refuse(w, status, "someCode")
				} else {
					io.WriteString(w, twoBanks)
				}
			})
			if got, err := collect(f.provider()); providers.KindOf(err) != kind || len(got) != 0 {
				t.Errorf("%d, includeTransactions=%s: %v", status, transactions, err)
			}
		}
	}
}

// many writes logins with n transactions, ids last. gate is called before each of them and before the end.
func many(w io.Writer, n int, gate func(i int)) {
	io.WriteString(w, `{"logins": [{"accounts": [{"currency": "EUR", "transactions": [`)
	for i := range n {
		gate(i)
		if i > 0 {
			io.WriteString(w, ",")
		}
		fmt.Fprintf(w,
			`{"id": "t%d", "accountID": "A38253.f837c3ab353", "amount": -%d.%02d, "booked": true, "bookingDate": "2020-05-26T17:11:22Z", "valueDate": "2020-05-26T17:11:22Z",
			"counterPart": {"name": "Schettchens Schnittchen", "iban": "DE83701999010000002000", "bic": "GENODEF1S04"}, "purpose": "Welcome to finoOS, and %s",
			"codes": [{"type": "transactionCode", "value": "999"}], "tags": [{"name": "salary"}], "mref": "MREF123ZZ678JJ"}`, i, i/100, i%100, strings.Repeat("more ", 20))
	}
	gate(n)
	io.WriteString(w, `], "id": "A"}], "id": "L"}]}`)
}

const oneBank = `{"logins": [{"id": "L", "accounts": [{"id": "A", "currency": "EUR"}]}]}`

// serveMany answers with n transactions.
func (f *fake) serveMany(n int, gate func(r *http.Request, i int)) {
	f.handle("get_logins", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("includeTransactions") == "false" {
			io.WriteString(w, oneBank)
			return
		}
		many(w, n, func(i int) { gate(r, i) })
	})
}

// 100,000 transactions are some 50 MB of JSON, and more once decoded. They must pass without ever being in memory
// together.
func TestTransactionsPassInBoundedMemory(t *testing.T) {
	const n, bound = 100_000, 32 << 20
	f := newFake(t)
	f.serveMany(n, func(*http.Request, int) {})
	p := f.provider()
	heap := func() uint64 {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	runtime.GC()
	before, peak, count := heap(), uint64(0), 0
	for transaction, err := range p.Accounts.Transactions(testContext(), testRef, providers.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("t%d", count); transaction.ID != want || transaction.AccountID != "L/A" {
			t.Fatalf("got %s@%s, want %s@L/A", transaction.ID, transaction.AccountID, want)
		}
		if count++; count%500 == 0 {
			peak = max(peak, heap())
		}
	}
	if count != n {
		t.Errorf("%d transactions", count)
	}
	if peak > before+bound {
		t.Errorf("the heap grew by %d MiB", (peak-before)>>20)
	}
	t.Logf("the heap grew by at most %d KiB", (max(peak, before)-before)>>10)
}

func TestTheFirstTransactionComesBeforeTheBodyEnds(t *testing.T) {
	f := newFake(t)
	seen := make(chan struct{})
	f.serveMany(200, func(r *http.Request, i int) {
		if i == 200 { // the body's end waits for the first transaction to be seen
			select {
			case <-seen:
			case <-r.Context().Done():
			}
		}
	})
	ctx, cancel := context.WithTimeout(testContext(), 10*time.Second)
	defer cancel()
	count := 0
	for _, err := range f.provider().Accounts.Transactions(ctx, testRef, providers.Query{}) {
		if err != nil {
			t.Fatalf("after %d transactions: %v", count, err)
		}
		if count++; count == 1 {
			close(seen)
		}
	}
	if count != 200 {
		t.Errorf("%d transactions", count)
	}
}

// Who stops early leaves nothing behind: finoOS sees the request end.
func TestStoppingEarlyEndsTheRequest(t *testing.T) {
	f := newFake(t)
	p := f.provider(func(_ *Config, d *providers.Deps) {
		// One connection at most: a request that is left open would block the next.
		d.Policy.MaxConcurrent = 1
	})
	for _, after := range []int{1, 50} {
		ended := make(chan struct{})
		f.serveMany(1_000_000, func(r *http.Request, i int) {
			if i == 1000 {
				<-r.Context().Done()
				close(ended)
				panic(http.ErrAbortHandler)
			}
		})
		base := goleak.IgnoreCurrent()
		count := 0
		for _, err := range p.Accounts.Transactions(testContext(), testRef, providers.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			if count++; count == after {
				break
			}
		}
		<-ended
		if at := p.Session.(*adapter).Health().LastErrorTime; !at.IsZero() {
			t.Error("stopping counts as a failure of finoOS's")
		}
		if err := p.Users.DeleteUser(testContext(), testUser); err != nil {
			t.Error(err)
		}
		p.Session.(*adapter).client.Close() // idle connections have goroutines of their own
		f.server.CloseClientConnections()
		if err := goleak.Find(base); err != nil {
			t.Error(err)
		}
		p = f.provider(func(_ *Config, d *providers.Deps) { d.Policy.MaxConcurrent = 1 })
	}
}

func TestTransactionsEndWithTheCallersContext(t *testing.T) {
	f := newFake(t)
	f.serveMany(1000, func(r *http.Request, i int) {
		if i == 500 {
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}
	})
	ctx, cancel := context.WithCancel(testContext())
	defer cancel()
	var last error
	count := 0
	for _, err := range f.provider().Accounts.Transactions(ctx, testRef, providers.Query{}) {
		if last = err; err != nil {
			continue
		}
		if count++; count == 10 {
			cancel()
		}
	}
	if providers.KindOf(last) != providers.KindCanceled {
		t.Errorf("%v", last)
	}
}

// The sequence can be read again, each time from the start.
func TestTransactionsCanBeReadAgain(t *testing.T) {
	f := newFake(t)
	all := f.provider().Accounts.Transactions(testContext(), testRef, providers.Query{})
	for range 2 {
		count := 0
		for _, err := range all {
			if err != nil {
				t.Fatal(err)
			}
			count++
		}
		if count != 1 {
			t.Errorf("%d transactions", count)
		}
	}
}

// Whatever the order of the keys and of the entries, transactions end up where they belong, or the sequence ends with
// an error.
func TestAttributionUnderRandomOrder(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	complete := 0
	for range 300 {
		type account struct {
			id  string
			txs []string
		}
		type login struct {
			id       string
			accounts []account
		}
		var logins []login
		total := 0
		for i := range 1 + random.IntN(3) {
			l := login{id: fmt.Sprintf("L%d", i)}
			for j := range random.IntN(4) {
				a := account{id: fmt.Sprintf("A%d", random.IntN(2)*10+j)} // some ids at several banks
				for k := range random.IntN(4) {
					a.txs = append(a.txs, fmt.Sprintf("%s/%s:%d", l.id, a.id, k))
					total++
				}
				if !slices.ContainsFunc(l.accounts, func(o account) bool { return o.id == a.id }) {
					l.accounts = append(l.accounts, a)
				} else {
					total -= len(a.txs)
				}
			}
			logins = append(logins, l)
		}
		shuffled := func(members ...string) string {
			random.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
			return "{" + strings.Join(members, ", ") + "}"
		}
		render := func(transactions bool) string {
			var ls []string
			for _, l := range logins {
				var as []string
				for _, a := range l.accounts {
					var ts []string
					for _, id := range a.txs {
						ts = append(ts, shuffled(`"id": "`+id+`"`, `"amount": 1`))
					}
					members := []string{`"id": "` + a.id + `"`, `"type": "GIRO"`}
					if transactions {
						members = append(members, `"transactions": [`+strings.Join(ts, ", ")+`]`)
					}
					as = append(as, shuffled(members...))
				}
				ls = append(ls, shuffled(`"id": "`+l.id+`"`, `"accounts": [`+strings.Join(as, ", ")+`]`, `"bank": {}`))
			}
			return shuffled(`"logins": ["unused"]`,
				`"x": [{"logins": [{}]}]`)[:0] + `{"x": [{"logins": [{}]}], "logins": [` + strings.Join(ls, ", ") + `]}`
		}
		outline := render(false)
		if random.IntN(2) == 0 {
			random.Shuffle(len(logins), func(i, j int) { logins[i], logins[j] = logins[j], logins[i] })
			for _, l := range logins {
				random.Shuffle(len(l.accounts),
					func(i, j int) { l.accounts[i], l.accounts[j] = l.accounts[j], l.accounts[i] })
			}
		}
		body := render(true)

		var known wireLogins
		if err := json.Unmarshal([]byte(outline), &known); err != nil || known.check() != nil {
			t.Fatalf("%v: %s", err, outline)
		}
		count, wrong := 0, 0
		reader := transactionReader{
			known: outlineOf(known.Logins.value), yield: func(tx providers.Transaction) error {
				count++
				if !strings.HasPrefix(tx.ID, tx.AccountID+":") {
					wrong++
				}
				return nil
			}}
		err := reader.read(jsonread.NewDecoder(strings.NewReader(body)))
		switch {
		case err == nil && (wrong > 0 || count != total):
			t.Fatalf("%d of %d, %d wrong, no error\n%s\n%s", count, total, wrong, outline, body)
		case err != nil && !errors.Is(err, errMoved):
			t.Fatalf("%v\n%s\n%s", err, outline, body)
		case err == nil:
			complete++
		}
	}
	if complete < 150 {
		t.Errorf("only %d of 300 could be read", complete)
	}
}

// A transaction in another currency than its account's keeps it.
func TestTransactionsKeepTheirOwnCurrency(t *testing.T) {
	f := newFake(t)
	f.logins(twoBanks, `{"logins": [{"id": "L", "accounts": [{"id": "A", "currency": "EUR",
		"transactions": [{"id": "1", "amount": 1, "currency": "USD"}, {"id": "2", "amount": 1}]}]}]}`)
	found, err := collect(f.provider())
	if got, want := places(found), "1@L/A USD, 2@L/A EUR"; err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

func TestTransactionThatNeverEndsIsRefused(t *testing.T) {
	f := newFake(t)
	f.logins(`{"logins": [{"id": "L", "accounts": [{"id": "A"}]}]}`, `{"logins": [{"id": "L", "accounts": [{"id": "A",
		"transactions": [{"id": "1", "amount": 1, "codes": [{}`+strings.Repeat(",{}", 100_000)+`]}]}]}]}`)
	p := f.provider(func(_ *Config, deps *providers.Deps) { deps.Limits.BodyBytes = 64 << 10 })
	var refused *providers.Error
	got, err := collect(p)
	if len(got) != 0 || !errors.As(err, &refused) || refused.Kind != providers.KindInvalidResponse {
		t.Errorf("%d transactions, %v", len(got), err)
	}
}
