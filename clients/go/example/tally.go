package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cockroachdb/apd/v3"

	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
)

// tally counts amounts and adds them up exactly, each currency by itself. Binary floating point would not do: 0.1 and
// 0.2 make 0.3.
type tally struct {
	count  int
	totals map[string]*apd.Decimal
}

func (t *tally) add(m *typev1.Money) error {
	amount, _, err := apd.NewFromString(m.GetValue())
	if err != nil {
		return err
	}
	if t.totals == nil {
		t.totals = make(map[string]*apd.Decimal)
	}
	total, ok := t.totals[m.GetCurrencyCode()]
	if !ok {
		total = new(apd.Decimal)
		t.totals[m.GetCurrencyCode()] = total
	}
	t.count++
	// BaseContext has no limit of precision, so nothing is rounded.
	_, err = apd.BaseContext.Add(total, total, amount)
	return err
}

// String is such as "3, adding up to -24.99 EUR".
func (t *tally) String() string {
	totals := make([]string, 0, len(t.totals))
	for _, currency := range slices.Sorted(maps.Keys(t.totals)) {
		totals = append(totals, t.totals[currency].Text('f')+" "+currency)
	}
	return fmt.Sprintf("%d, adding up to %s", t.count, strings.Join(totals, " and "))
}
