package finoos

import (
	"cmp"
	"encoding/json"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// paymentPartnerAnalysis works out, from the booked transactions of each account, who pays the company and whom it
// pays. The documentation names the figures and defines none; what they mean here stands in the package documentation.
// All arithmetic is exact; only what has no finite decimal is rounded, to six places.
func (s *Server) paymentPartnerAnalysis(_ *http.Request, u *user) (any, *apiError) {
	if !u.company {
		return nil, forbidden()
	}
	own := map[string]bool{}
	for _, l := range u.logins {
		for _, a := range l.Accounts {
			own[a.IBAN], own[a.Owner] = true, true
		}
	}
	analyses := []accountAnalysis{}
	for _, l := range u.logins {
		for _, a := range l.Accounts {
			analyses = append(analyses, analyse(a, own, s.core.Clock.Now()))
		}
	}
	return analyses, nil
}

// movement is a booked transaction with a partner. Amounts are without sign: the lists keep both directions apart.
type movement struct {
	day     time.Time // midnight UTC of the calendar day in Berlin
	booked  timestamp
	amount  *big.Rat
	partner counterPart
	tags    []tag
}

func (m movement) key() string {
	return cmp.Or(m.partner.IBAN, m.partner.CreditorID, m.partner.Name)
}

func analyse(a account, own map[string]bool, now time.Time) accountAnalysis {
	var in, out []movement
	for _, t := range a.Transactions {
		amount, ok := new(big.Rat).SetString(string(t.Amount))
		m := movement{
			day: dayOf(t.BookingDate.time()), booked: t.BookingDate, amount: amount, partner: t.CounterPart,
			tags: t.Tags,
		}
		switch {
		case !ok || !t.Booked || m.key() == "" || own[m.key()]:
		case amount.Sign() > 0:
			in = append(in, m)
		case amount.Sign() < 0:
			amount.Neg(amount)
			out = append(out, m)
		}
	}
	byDay := func(a, b movement) int { return a.day.Compare(b.day) }
	slices.SortStableFunc(in, byDay)
	slices.SortStableFunc(out, byDay)

	today := dayOf(now)
	month := today.AddDate(0, 0, 1-today.Day())
	within := func(all []movement, monthsBack, months int) []partner {
		from, to := month.AddDate(0, -monthsBack, 0), month.AddDate(0, months-monthsBack, 0)
		var some []movement
		for _, m := range all {
			if !m.day.Before(from) && m.day.Before(to) {
				some = append(some, m)
			}
		}
		return partners(some, a.IBAN)
	}
	return accountAnalysis{
		AccountID:         a.ID,
		AccountName:       a.Name,
		CustomerAll:       partners(in, a.IBAN),
		CustomerLastMonth: within(in, 1, 1),
		CustomerPreMonth:  within(in, 2, 1),
		CustomerQuarter:   within(in, 3, 3),
		CustomerYear:      within(in, 12, 12),
		SupplierAll:       partners(out, a.IBAN),
		SupplierLastMonth: within(out, 1, 1),
		SupplierPreMonth:  within(out, 2, 1),
		SupplierQuarter:   within(out, 3, 3),
		SupplierYear:      within(out, 12, 12),
	}
}

func dayOf(t time.Time) time.Time {
	y, m, d := t.In(berlin).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// partners makes one list: everybody in the movements, which are in order of their days, by falling amount.
func partners(all []movement, iban string) []partner {
	groups := map[string][]movement{}
	for _, m := range all {
		groups[m.key()] = append(groups[m.key()], m)
	}
	list := make([]partner, 0, len(groups))
	totals := make(map[string]*big.Rat, len(groups))
	for key, group := range groups {
		totals[key] = sum(group)
	}
	for key, group := range groups {
		p := newPartner(group, all)
		p.Abroad = len(iban) > 1 && len(p.IBAN) > 1 && p.IBAN[:2] != iban[:2]
		p.OverallAmountRank, p.OverallTransactionCountRank = 1, 1
		for other := range groups {
			if totals[other].Cmp(totals[key]) > 0 {
				p.OverallAmountRank++
			}
			if len(groups[other]) > len(group) {
				p.OverallTransactionCountRank++
			}
		}
		p.AverageOfRanks = number(big.NewRat(int64(p.OverallAmountRank+p.OverallTransactionCountRank), 2))
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b partner) int {
		return cmp.Or(cmp.Compare(a.OverallAmountRank, b.OverallAmountRank), strings.Compare(a.Name, b.Name),
			strings.Compare(a.IBAN, b.IBAN))
	})
	return list
}

// newPartner works out all figures of one partner but the ranks. all are the movements of the whole list.
func newPartner(group, all []movement) partner {
	first, last := group[0], group[len(group)-1]
	total := sum(group)
	p := partner{
		ActivitySpan:         days(group),
		CreditorID:           last.partner.CreditorID,
		FirstTransactionDate: string(first.booked),
		IBAN:                 last.partner.IBAN,
		LastTransactionDate:  string(last.booked),
		MedianAmount:         number(median(group)),
		Name:                 last.partner.Name,
		TotalAmount:          number(total),
		TransactionCount:     len(group),

		PercentageOfOverallActivitySpan: number(percentage(big.NewRat(int64(days(group)), 1),
			big.NewRat(int64(days(all)), 1))),
		PercentageOfOverallAmount: number(percentage(total, sum(all))),
		PercentageOfOverallTransactionCount: number(percentage(big.NewRat(int64(len(group)), 1),
			big.NewRat(int64(len(all)), 1))),

		DaysBetweenTransactions: []int{},
		Tags:                    []tag{},
	}
	gaps := []*big.Rat{}
	for i, m := range group[1:] {
		gap := int(m.day.Sub(group[i].day) / (24 * time.Hour))
		p.DaysBetweenTransactions = append(p.DaysBetweenTransactions, gap)
		gaps = append(gaps, big.NewRat(int64(gap), 1))
	}
	average, variance := moments(gaps)
	p.DaysBetweenTransactionsAverage, p.DaysBetweenTransactionsVariance = number(average), number(variance)
	p.DaysBetweenTransactionsDeviation = root(variance)
	amounts := make([]*big.Rat, len(group))
	for i, m := range group {
		amounts[i] = m.amount
		for _, t := range m.tags {
			if !slices.ContainsFunc(p.Tags, func(has tag) bool { return has.Name == t.Name }) {
				p.Tags = append(p.Tags, t)
			}
		}
	}
	p.TransactionAmountSlope = number(slope(amounts))

	monthly := perPeriod(group, all, func(t time.Time) int { return int(t.Month()) })
	for _, m := range monthly {
		p.AverageAmountsMonthly = append(p.AverageAmountsMonthly,
			periodAverage{Average: m.average(), Month: m.number(), Year: m.year()})
		p.TotalAmountMonthly = append(p.TotalAmountMonthly,
			periodTotal{Month: m.number(), TotalAmount: number(m.total), TransactionCount: m.count, Year: m.year()})
		p.PercentageOfOverallAmountMonthly = append(p.PercentageOfOverallAmountMonthly,
			periodPercentage{Percentage: number(m.share()), Quarter: m.number(), Year: m.year()})
	}
	p.TotalAmountMonthlySlope = number(slope(each(monthly, func(m period) *big.Rat { return m.total })))
	p.PercentageOfOverallAmountMonthlySlope = number(slope(each(monthly, period.share)))
	for _, q := range perPeriod(group, all, func(t time.Time) int { return (int(t.Month()) + 2) / 3 }) {
		p.AverageAmountsQuarterly = append(p.AverageAmountsQuarterly,
			periodAverage{Average: q.average(), Quarter: q.number(), Year: q.year()})
		p.TotalAmountQuarterly = append(p.TotalAmountQuarterly,
			periodTotal{Quarter: q.number(), TotalAmount: number(q.total), TransactionCount: q.count, Year: q.year()})
		p.PercentageOfOverallAmountQuarterly = append(p.PercentageOfOverallAmountQuarterly,
			periodPercentage{Percentage: number(q.share()), Quarter: q.number(), Year: q.year()})
	}
	for _, y := range perPeriod(group, all, func(time.Time) int { return 0 }) {
		p.AverageAmountsYearly = append(p.AverageAmountsYearly, periodAverage{Average: y.average(), Year: y.year()})
		p.TotalAmountYearly = append(p.TotalAmountYearly,
			periodTotal{TotalAmount: number(y.total), TransactionCount: y.count, Year: y.year()})
		p.PercentageOfOverallAmountYearly = append(p.PercentageOfOverallAmountYearly,
			periodPercentage{Percentage: number(y.share()), Year: y.year()})
	}
	return p
}

// period is a calendar month, quarter or year in which a partner was active.
type period struct {
	of      [2]int // year and number within it
	total   *big.Rat
	count   int
	overall *big.Rat // of the whole list in the same period
}

func (p period) year() string         { return strconv.Itoa(p.of[0]) }
func (p period) number() string       { return strconv.Itoa(p.of[1]) }
func (p period) share() *big.Rat      { return percentage(p.total, p.overall) }
func (p period) average() json.Number { return number(quotient(p.total, int64(p.count))) }

// perPeriod groups movements by periods, in order; periods without one are left out.
func perPeriod(group, all []movement, within func(time.Time) int) []period {
	at := func(m movement) [2]int { return [2]int{m.day.Year(), within(m.day)} }
	overall := map[[2]int]*big.Rat{}
	for _, m := range all {
		if overall[at(m)] == nil {
			overall[at(m)] = new(big.Rat)
		}
		overall[at(m)].Add(overall[at(m)], m.amount)
	}
	var periods []period
	for _, m := range group {
		if n := len(periods); n == 0 || periods[n-1].of != at(m) {
			periods = append(periods, period{of: at(m), total: new(big.Rat), overall: overall[at(m)]})
		}
		p := &periods[len(periods)-1]
		p.total.Add(p.total, m.amount)
		p.count++
	}
	return periods
}

func each[T any](list []T, f func(T) *big.Rat) []*big.Rat {
	out := make([]*big.Rat, len(list))
	for i, e := range list {
		out[i] = f(e)
	}
	return out
}

func days(group []movement) int {
	return int(group[len(group)-1].day.Sub(group[0].day) / (24 * time.Hour))
}

func sum(group []movement) *big.Rat {
	total := new(big.Rat)
	for _, m := range group {
		total.Add(total, m.amount)
	}
	return total
}

func quotient(a *big.Rat, n int64) *big.Rat { return new(big.Rat).Quo(a, big.NewRat(n, 1)) }

// percentage of nothing is nothing.
func percentage(part, whole *big.Rat) *big.Rat {
	if whole.Sign() == 0 {
		return new(big.Rat)
	}
	return new(big.Rat).Mul(new(big.Rat).Quo(part, whole), big.NewRat(100, 1))
}

func median(group []movement) *big.Rat {
	amounts := each(group, func(m movement) *big.Rat { return m.amount })
	slices.SortFunc(amounts, (*big.Rat).Cmp)
	n := len(amounts)
	return quotient(new(big.Rat).Add(amounts[(n-1)/2], amounts[n/2]), 2)
}

// moments are the mean and the variance of the whole population; both 0 for an empty list.
func moments(values []*big.Rat) (average, variance *big.Rat) {
	average, variance = new(big.Rat), new(big.Rat)
	n := int64(len(values))
	if n == 0 {
		return average, variance
	}
	for _, v := range values {
		average.Add(average, v)
	}
	average = quotient(average, n)
	for _, v := range values {
		d := new(big.Rat).Sub(v, average)
		variance.Add(variance, d.Mul(d, d))
	}
	return average, quotient(variance, n)
}

// slope is that of the least squares line through values at 0, 1, 2, ...; 0 for fewer than two.
func slope(values []*big.Rat) *big.Rat {
	n := int64(len(values))
	if n < 2 {
		return new(big.Rat)
	}
	total, weighted := new(big.Rat), new(big.Rat)
	for i, v := range values {
		total.Add(total, v)
		weighted.Add(weighted, new(big.Rat).Mul(v, big.NewRat(int64(i), 1)))
	}
	sumX, sumXX := n*(n-1)/2, (n-1)*n*(2*n-1)/6
	top := weighted.Mul(weighted, big.NewRat(n, 1))
	top.Sub(top, total.Mul(total, big.NewRat(sumX, 1)))
	return quotient(top, n*sumXX-sumX*sumX)
}

// places are the decimals of what cannot be written exactly.
const places = 6

func number(r *big.Rat) json.Number {
	if n, exact := r.FloatPrec(); exact {
		return json.Number(r.FloatString(n))
	}
	return trimmed(r.FloatString(places))
}

// root is the square root, to six places.
func root(r *big.Rat) json.Number {
	f := new(big.Float).SetPrec(256).SetRat(r)
	return trimmed(f.Sqrt(f).Text('f', places))
}

func trimmed(decimal string) json.Number {
	return json.Number(strings.TrimSuffix(strings.TrimRight(decimal, "0"), "."))
}
