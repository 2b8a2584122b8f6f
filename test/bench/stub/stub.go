// Package stub plays Fimento as cheaply as it can be played: every answer is made beforehand, nothing is checked, and
// nothing is remembered but a count of what was asked. What a gateway costs in front of it is the gateway's own.
//
// A process's id begins with what it has, its kind; whoever starts one chooses the kind by the customer's last name.
package stub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is what a process has.
type Kind string

// The kinds.
const (
	// Small has transactions of 1.7 kB.
	Small Kind = "Small"
	// Page has a page of transactions.
	Page Kind = "Page"
	// Large has all transactions, in pages.
	Large Kind = "Large"
	// News has a further status in its history each time that it is read.
	News Kind = "News"
)

// Sizes are those of answers, in transactions; all accounts take 1.7 kB.
type Sizes struct {
	// Page is how many transactions a page has, Large how many there are in all.
	Page, Large int
}

// Counts is how often each operation was asked for.
type Counts struct {
	Logins, Created, Processes, Insights, Transactions int64
}

// Server is the stub.
type Server struct {
	sizes                                              Sizes
	insights, small, page, none                        []byte
	logins, created, processes, accounts, transactions atomic.Int64

	mu sync.Mutex
	// news counts the reads of each process of that kind.
	news map[string]int
}

// CountsPath is where GET gives [Counts] as JSON.
const CountsPath = "/bench/counts"

// New makes a stub.
func New(sizes Sizes) *Server {
	return &Server{
		sizes: sizes, insights: insights(), small: Transactions(0, 10), page: Transactions(0, sizes.Page),
		none: Transactions(0, 0), news: map[string]int{},
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch head, rest, _ := strings.Cut(r.URL.Path[1:], "/"); {
	case r.URL.Path == CountsPath:
		if err := json.NewEncoder(w).Encode(Counts{
			s.logins.Load(), s.created.Load(), s.processes.Load(), s.accounts.Load(), s.transactions.Load(),
		}); err != nil {
			return // Who asked has gone.
		}
	case r.URL.Path == "/auth/login":
		s.logins.Add(1)
		answer(w, []byte(`{"access_token":"token-of-the-stub","valid_until":86400}`))
	case head == "process" && r.Method == http.MethodPost:
		s.create(w, r)
	case head == "process" && r.Method == http.MethodGet:
		s.processes.Add(1)
		answer(w, s.process(rest, ""))
	case head == "insights" && strings.HasSuffix(rest, "/transactions"):
		s.transactions.Add(1)
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		answer(w, s.listed(rest, page))
	case head == "insights":
		s.accounts.Add(1)
		answer(w, s.insights)
	default:
		answer(w, []byte("{}"))
	}
}

func answer(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	var asked struct{ LastName string }
	_ = json.NewDecoder(r.Body).Decode(&asked)
	kind := Kind(asked.LastName)
	if kind == "" {
		kind = Small
	}
	id := kind.Process(s.created.Add(1))
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(s.process(id, `"consent-link":"https://bank.example.com/`+id+`",`))
}

// Process makes the id of a process.
func (k Kind) Process(number int64) string {
	return strings.ToLower(string(k[:1])) + fmt.Sprintf("%023x", number)
}

func of(k Kind, id string) bool { return strings.HasPrefix(id, strings.ToLower(string(k[:1]))) }

// listed is a page of transactions; pages count from 1, and the one behind the last is empty.
func (s *Server) listed(id string, page int) []byte {
	from := (page - 1) * s.sizes.Page
	switch {
	case of(Large, id) && from < s.sizes.Large:
		return Transactions(from, min(s.sizes.Page, s.sizes.Large-from))
	case page > 1 || of(Large, id):
		return s.none
	case of(Page, id):
		return s.page
	}
	return s.small
}

const (
	status  = `{"code":%q,"desc":"as documented","timestamp":"2026-05-%02dT10:00:00.000Z"}`
	process = `{"_id":%q,%s"consentFlowStatus":{"current":%s,"history":[%s],"consent":"approved","_id":"f"},` +
		`"market":"SE","partnerBank":"bank","consent":"approved","customerBankConsent":[{"customerBank":` +
		`{"name":"Storbanken","country":"SE"},"status":{"current":%[5]s,"history":[%[5]s]},` +
		`"consentGivenAt":"2026-05-03T10:00:00.000Z","consentFlowStatusId":"f"}],` +
		`"dataCollectionType":"transaction-categorisation"}`
)

// process is a process that was approved and is completed. One that is new has the link beside its fields, and nothing
// has happened in it.
func (s *Server) process(id, link string) []byte {
	if link != "" {
		return fmt.Appendf(nil, `{"_id":%q,%s"consentFlowStatus":{"current":%[3]s,"history":[%[3]s],"consent":null},`+
			`"consent":"null","customerBankConsent":[]}`, id, link, fmt.Sprintf(status, "created", 1))
	}
	var history []string
	for day, code := range []string{"created", "consentLinkOpened", "customerApprovedConsent", "completed"} {
		history = append(history, fmt.Sprintf(status, code, day+1))
	}
	current := history[len(history)-1]
	if of(News, id) {
		s.mu.Lock()
		s.news[id]++
		reads := s.news[id]
		s.mu.Unlock()
		for n := range reads {
			at := time.Date(2026, 5, 2, 11, 0, n, 0, time.UTC).Format(time.RFC3339)
			history = append(history, fmt.Sprintf(`{"code":"consentLinkOpened","timestamp":%q}`, at))
		}
	}
	return fmt.Appendf(nil, process, id, link, current, strings.Join(history, ","),
		fmt.Sprintf(status, "fetchingTransactionsDone", 3))
}

// insights are 1.7 kB with ten accounts.
func insights() []byte {
	var all bytes.Buffer
	all.WriteString(`{"accountsInfo":[`)
	for n := range 10 {
		if n > 0 {
			all.WriteByte(',')
		}
		fmt.Fprintf(&all, `{"accountNumber":"SE45500000000583982574%02d","name":"Lönekonto %d","balance":%d.%02d,`+
			`"type":"Transaktionskonto","bank":"Storbanken"}`, n, n, 1000*n+17, n)
	}
	all.WriteString(`],"transactionGraph":[],"totalBalance":{"SEK":45170.45},` +
		`"fetchedAtInterval":{"min":"2025-05-01T00:00:00.000Z","max":"2026-05-01T00:00:00.000Z"},` +
		`"categorisation":{"income":{"sum":31250.5,"months":12},"housing":{"sum":-9800,"months":12}},` +
		`"computationAutomation":{"version":"1","state":"done"}}`)
	return all.Bytes()
}

// Transactions are so many transactions from a number on, as Fimento lists them.
func Transactions(from, count int) []byte {
	var all bytes.Buffer
	all.WriteString(`{"transactions":[`)
	for n := from; n < from+count; n++ {
		if n > from {
			all.WriteByte(',')
		}
		fmt.Fprintf(&all, `{"_id":"%024x","amount":%d.%02d,"date":"2026-%02d-%02d","description":"Kortköp ICA %d",`+
			`"accountId":"","category":"groceries","cBankId":"%012x"}`,
			n+1, -(n%5000)-1, n%100, n/28%12+1, n%28+1, n, n)
	}
	all.WriteString(`]}`)
	return all.Bytes()
}
