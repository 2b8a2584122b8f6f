package fimento

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kontor.dev/kontor/internal/providers"
)

// pages answers with one page of transactions after the other, and then with empty ones.
func pages(contents ...[]string) func(call) reply {
	return func(c call) reply {
		number, _ := strconv.Atoi(c.Query.Get("page"))
		var content []string
		if number >= 1 && number <= len(contents) {
			content = contents[number-1]
		}
		return reply{status: 200, body: `{"transactions": [` + strings.Join(content, ",") + `]}`}
	}
}

// page makes a page of transactions with these ids.
func page(ids ...string) []string {
	content := make([]string, len(ids))
	for i, id := range ids {
		content[i] = fmt.Sprintf(`{"_id": %q, "amount": 1, "date": "2024-01-12"}`, id)
	}
	return content
}

func transactions(ctx context.Context, p *providers.Provider,
	ref providers.ConsentRef) ([]providers.Transaction, error) {
	var all []providers.Transaction
	for t, err := range p.Accounts.Transactions(ctx, ref, providers.Query{}) {
		if err != nil {
			return all, err
		}
		all = append(all, t)
	}
	return all, nil
}

func TestOddity10Pages(t *testing.T) {
	unnumbered := func(call) reply { return pages(page("a", "b"))(call{Query: map[string][]string{"page": {"1"}}}) }
	lastAgain := func(c call) reply {
		if c.Query.Get("page") == "1" {
			return pages(page("a", "b"))(c)
		}
		return pages(nil, page("c"), page("c"), page("c"))(c)
	}
	for name, tc := range map[string]struct {
		answer func(call) reply
		end    TransactionsEnd
		ids    string
		calls  int
		fails  bool // or, where it does not, doubt tells whether the log does
		doubt  bool
	}{
		"none":                 {pages(), "", "", 1, false, false},
		"one":                  {pages(page("a", "b")), "", "a b", 2, false, false},
		"of different sizes":   {pages(page("a"), page("b", "c"), page("d")), "", "a b c d", 4, false, false},
		"that overlap":         {pages(page("a", "b"), page("b", "c"), page("c", "d")), "", "a b c d", 4, false, false},
		"repeated in one page": {pages(page("a", "a", "b")), "", "a b", 2, false, false},
		// One came in while the pages were read, so that the last one of page 1 is all of page 2.
		"that moved":                                   {pages(page("a", "b"), page("b")), "", "a b", 3, false, false},
		"that moved, and on":                           {pages(page("a"), page("a"), page("b"), page("b")), "", "a b", 5, false, false},
		"that count from 0":                            {pages(page("b"), page("c")), "", "b c", 3, false, false},
		"whose last one stays":                         {lastAgain, "", "a b c", 4, false, true},
		"that are not numbered":                        {unnumbered, "", "a b", 3, false, true},
		"whose last one may not stay":                  {lastAgain, EmptyPage, "a b c", 4, true, false},
		"that are not numbered, and should be":         {unnumbered, EmptyPage, "a b", 3, true, false},
		"whose last one stays, as the operator knows":  {lastAgain, RepeatedPage, "a b c", 3, false, false},
		"that are not numbered, as the operator knows": {unnumbered, RepeatedPage, "a b", 2, false, false},
		"with an empty one, as documented":             {pages(page("a")), RepeatedPage, "a", 2, false, false},
		"with an empty one, as expected":               {pages(page("a")), EmptyPage, "a", 2, false, false},
	} {
		f := newFake(t)
		f.respond("transactions", tc.answer)
		var log bytes.Buffer
		p := f.provider(func(cfg *Config, deps *providers.Deps) {
			cfg.TransactionsEnd, deps.Logger = tc.end, slog.New(slog.NewTextHandler(&log, nil))
		})
		got, err := transactions(t.Context(), p, refSE)
		switch {
		case !tc.fails && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.fails && errorOf(t, err).Kind != providers.KindInvalidResponse:
			t.Errorf("%s: it is told as whole: %v", name, err)
		}
		if doubted := strings.Contains(log.String(), "provider answer doubtful"); doubted != tc.doubt {
			t.Errorf("%s: doubts in the log: %t", name, doubted)
		}
		var ids []string
		for _, transaction := range got {
			ids = append(ids, transaction.ID)
		}
		if joined := strings.Join(ids, " "); joined != tc.ids {
			t.Errorf("%s: the transactions are %q, want %q", name, joined, tc.ids)
		}
		calls := f.seen("transactions")
		if len(calls) != tc.calls {
			t.Errorf("%s: %d pages were read, want %d", name, len(calls), tc.calls)
		}
		for i, c := range calls {
			if c.Query.Get("page") != strconv.Itoa(i+1) {
				t.Errorf("%s: call %d asked for page %s", name, i, c.Query.Get("page"))
			}
			if _, ok := c.Header["Partner-Bank-Id"]; ok {
				t.Errorf("%s: a partner bank was named", name)
			}
		}
	}
}

func TestOddity10AnEndIsOneOfTwo(t *testing.T) {
	for _, end := range []TransactionsEnd{EndUnknown, EmptyPage, RepeatedPage} {
		if err := end.Check(); err != nil {
			t.Errorf("%q: %v", end, err)
		}
	}
	if err := TransactionsEnd("total").Check(); err == nil {
		t.Error("any end is taken")
	}
}

func TestOddity10APageIsReadWhenNeeded(t *testing.T) {
	f := newFake(t)
	f.respond("transactions", pages(page("a", "b"), page("c"), page("d")))
	sequence := f.provider().Accounts.Transactions(t.Context(), refSE, providers.Query{})
	if got := len(f.seen("transactions")); got != 0 {
		t.Errorf("%d pages were read before the iteration", got)
	}
	var seen []string
	for transaction, err := range sequence {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, fmt.Sprint(transaction.ID, len(f.seen("transactions"))))
		if transaction.ID == "c" {
			break
		}
	}
	if diff := cmp.Diff([]string{"a1", "b1", "c2"}, seen); diff != "" {
		t.Error(diff)
	}
	if got := len(f.seen("transactions")); got != 2 {
		t.Errorf("%d pages were read in all", got)
	}
}

func TestOddity10PagesWithoutEnd(t *testing.T) {
	f := newFake(t)
	f.respond("transactions", func(c call) reply {
		return reply{status: 200, body: `{"transactions": [` + page(c.Query.Get("page"))[0] + `]}`}
	})
	got, err := transactions(t.Context(), f.provider(), refSE)
	if e := errorOf(t, err); e.Kind != providers.KindInvalidResponse {
		t.Errorf("the error is %+v", e)
	}
	if len(got) != 10_000 || len(f.seen("transactions")) != 10_000 {
		t.Errorf("%d transactions came of %d pages", len(got), len(f.seen("transactions")))
	}
}

// An error ends the sequence; what came before it stands.
func TestAFailingPage(t *testing.T) {
	f := newFake(t)
	f.respond("transactions", func(c call) reply {
		if c.Query.Get("page") == "2" {
			return failed(503)
		}
		return pages(page("a", "b"))(c)
	})
	got, err := transactions(t.Context(), f.provider(), refSE)
	if len(got) != 2 || errorOf(t, err).Kind != providers.KindUnavailable {
		t.Errorf("it gave %v, %v", got, err)
	}
	if got := len(f.seen("transactions")); got != 2 {
		t.Errorf("%d pages were read", got)
	}
}

// Each transaction of a page keeps its own date, in the market's zone.
func TestDatesOfOnePage(t *testing.T) {
	written := []string{"2024-01-12", "2024-01-13T23:30:00Z", "2024-01-13T23:30:00Z", "", "2024-01-12", "soon"}
	content := make([]string, len(written))
	for i, date := range written {
		content[i] = fmt.Sprintf(`{"_id": "%d", "amount": 1, "date": %q}`, i, date)
	}
	f := newFake(t)
	f.respond("transactions", pages(content))
	found, err := transactions(t.Context(), f.provider(), refSE)
	var got []string
	for _, transaction := range found {
		got = append(got, transaction.GetBookingDate())
	}
	if want := "2024-01-12 2024-01-14 2024-01-14  2024-01-12 "; err != nil || strings.Join(got, " ") != want {
		t.Errorf("%q, %v, want %q", strings.Join(got, " "), err, want)
	}
}
