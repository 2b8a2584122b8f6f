package providers

import (
	"slices"
	"strings"
	"testing"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
)

func TestPurposeOf(t *testing.T) {
	only := func(category bankingv1.Category_Value) Purpose { return Purpose{Category: category} }
	income := func(subcategory bankingv1.Subcategory_Value) Purpose {
		return Purpose{bankingv1.Category_INCOME, subcategory}
	}
	transfer := func(subcategory bankingv1.Subcategory_Value) Purpose {
		return Purpose{bankingv1.Category_TRANSFERS, subcategory}
	}
	for label, want := range map[string]struct{ received, paid Purpose }{
		"":                  {},
		" ":                 {},
		"income":            {only(bankingv1.Category_INCOME), only(bankingv1.Category_INCOME)}, // Fimento's sample
		"INCOME":            {only(bankingv1.Category_INCOME), only(bankingv1.Category_INCOME)},
		"salary":            {income(bankingv1.Subcategory_WAGE), only(bankingv1.Category_INCOME)}, // finoOS's sample
		"Lön":               {income(bankingv1.Subcategory_WAGE), only(bankingv1.Category_INCOME)},
		"Lohn & Gehalt":     {income(bankingv1.Subcategory_WAGE), only(bankingv1.Category_INCOME)},
		"Rente":             {income(bankingv1.Subcategory_PENSION), only(bankingv1.Category_INCOME)},
		"pension":           {income(bankingv1.Subcategory_PENSION), only(bankingv1.Category_INCOME)},
		"Försäkringskassan": {income(bankingv1.Subcategory_BENEFIT), only(bankingv1.Category_INCOME)},
		"Kindergeld":        {income(bankingv1.Subcategory_BENEFIT), only(bankingv1.Category_INCOME)},
		"ALG II":            {income(bankingv1.Subcategory_BENEFIT), only(bankingv1.Category_INCOME)},
		"interest":          {income(bankingv1.Subcategory_CAPITAL_INCOME), only(bankingv1.Category_BANK_FEES)},
		"Zinsen":            {income(bankingv1.Subcategory_CAPITAL_INCOME), only(bankingv1.Category_BANK_FEES)},
		"Ränta":             {income(bankingv1.Subcategory_CAPITAL_INCOME), only(bankingv1.Category_BANK_FEES)},
		"dividends":         {income(bankingv1.Subcategory_CAPITAL_INCOME), only(bankingv1.Category_INCOME)},
		"Umbuchung":         {transfer(bankingv1.Subcategory_OWN_TRANSFER), transfer(bankingv1.Subcategory_OWN_TRANSFER)},
		"own_transfer":      {transfer(bankingv1.Subcategory_OWN_TRANSFER), transfer(bankingv1.Subcategory_OWN_TRANSFER)},
		"Privatperson": {
			transfer(bankingv1.Subcategory_PRIVATE_PERSON), transfer(bankingv1.Subcategory_PRIVATE_PERSON),
		},
		"transfer":          {only(bankingv1.Category_TRANSFERS), only(bankingv1.Category_TRANSFERS)},
		"debtCollection":    {only(bankingv1.Category_DEBT_COLLECTION), only(bankingv1.Category_DEBT_COLLECTION)},
		"debt_collection":   {only(bankingv1.Category_DEBT_COLLECTION), only(bankingv1.Category_DEBT_COLLECTION)},
		"Debt collection":   {only(bankingv1.Category_DEBT_COLLECTION), only(bankingv1.Category_DEBT_COLLECTION)},
		"Food & Groceries":  {only(bankingv1.Category_GROCERIES), only(bankingv1.Category_GROCERIES)},
		"Loans and credits": {only(bankingv1.Category_LOANS), only(bankingv1.Category_LOANS)},
		"gambling":          {only(bankingv1.Category_GAMBLING), only(bankingv1.Category_GAMBLING)},
		"quantum-entangled": {only(bankingv1.Category_OTHER), only(bankingv1.Category_OTHER)},
		"!?":                {only(bankingv1.Category_OTHER), only(bankingv1.Category_OTHER)},
	} {
		if got := PurposeOf(label, true); got != want.received {
			t.Errorf("%q that came in is %v, want %v", label, got, want.received)
		}
		if got := PurposeOf(label, false); got != want.paid {
			t.Errorf("%q that went out is %v, want %v", label, got, want.paid)
		}
	}
}

// A provider's own words come before the common table, and nobody else hears of them.
func TestLabelsOfOneProvider(t *testing.T) {
	own := NewLabels(map[string]Label{
		"Rente": {
			Category: bankingv1.Category_INCOME, Subcategory: bankingv1.Subcategory_CAPITAL_INCOME,
			Paid: bankingv1.Category_BANK_FEES,
		},
		"Dag-ligvarer": {Category: bankingv1.Category_GROCERIES},
	})
	for label, want := range map[string]struct{ received, paid Purpose }{
		"rente": {
			Purpose{bankingv1.Category_INCOME, bankingv1.Subcategory_CAPITAL_INCOME},
			Purpose{Category: bankingv1.Category_BANK_FEES},
		},
		"dagligvarer": {
			Purpose{Category: bankingv1.Category_GROCERIES}, Purpose{Category: bankingv1.Category_GROCERIES},
		},
		"salary": {PurposeOf("salary", true), PurposeOf("salary", false)},
		"":       {},
		"!?":     {Purpose{Category: bankingv1.Category_OTHER}, Purpose{Category: bankingv1.Category_OTHER}},
	} {
		if got := own.PurposeOf(label, true); got != want.received {
			t.Errorf("%q that came in is %v, want %v", label, got, want.received)
		}
		if got := own.PurposeOf(label, false); got != want.paid {
			t.Errorf("%q that went out is %v, want %v", label, got, want.paid)
		}
	}
	if got := PurposeOf("rente", true).Subcategory; got != bankingv1.Subcategory_PENSION {
		t.Errorf("to all other providers it is %s", got)
	}
	for _, words := range []map[string]Label{{"a b": {}, "A-B": {}}, {"!?": {}}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v are taken", words)
				}
			}()
			NewLabels(words)
		}()
	}
}

// The table has to say the same thing of a label wherever it stands, and to spell labels as PurposeOf looks them up.
func TestLabelsStandOnce(t *testing.T) {
	seen := map[string]bankingv1.Category_Value{}
	used := map[bankingv1.Category_Value]bool{}
	for _, row := range labels {
		used[row.category] = true
		for label := range strings.FieldsSeq(row.labels) {
			if plain := plainLabel(label); plain != label {
				t.Errorf("label %q can never be found, it must be written %q", label, plain)
			}
			if other, ok := seen[label]; ok {
				t.Errorf("label %q stands at %s and at %s", label, other, row.category)
			}
			seen[label] = row.category
		}
	}
	for number := range bankingv1.Subcategory_Value_name {
		subcategory := bankingv1.Subcategory_Value(number)
		if !slices.ContainsFunc(labels, func(row labelled) bool { return row.subcategory == subcategory }) {
			t.Errorf("no label leads to %s", subcategory)
		}
	}
	for number := range bankingv1.Category_Value_name {
		category := bankingv1.Category_Value(number)
		if category != bankingv1.Category_VALUE_UNSPECIFIED && !used[category] {
			t.Errorf("no label leads to %s", category)
		}
	}
}

func TestEveryLabelLeadsToItsCategory(t *testing.T) {
	for _, row := range labels {
		for label := range strings.FieldsSeq(row.labels) {
			want := Purpose{row.category, row.subcategory}
			if got := PurposeOf(strings.ToUpper(label), true); got != want {
				t.Errorf("%q is %v, want %v", label, got, want)
			}
		}
	}
}
