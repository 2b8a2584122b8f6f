package providers

import (
	"strings"
	"testing"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
)

func TestCategoryOf(t *testing.T) {
	for label, want := range map[string]bankingv1.Category_Value{
		"":                  bankingv1.Category_VALUE_UNSPECIFIED,
		" ":                 bankingv1.Category_VALUE_UNSPECIFIED,
		"income":            bankingv1.Category_INCOME, // Fimento's sample
		"INCOME":            bankingv1.Category_INCOME,
		"salary":            bankingv1.Category_INCOME, // finoOS's sample
		"debtCollection":    bankingv1.Category_DEBT_COLLECTION,
		"debt_collection":   bankingv1.Category_DEBT_COLLECTION,
		"Debt collection":   bankingv1.Category_DEBT_COLLECTION,
		"Food & Groceries":  bankingv1.Category_GROCERIES,
		"Loans and credits": bankingv1.Category_LOANS,
		"gambling":          bankingv1.Category_GAMBLING,
		"quantum-entangled": bankingv1.Category_OTHER,
		"!?":                bankingv1.Category_OTHER,
	} {
		if got := CategoryOf(label); got != want {
			t.Errorf("CategoryOf(%q) is %s, want %s", label, got, want)
		}
	}
}

// The table has to say the same thing of a label wherever it stands, and to spell labels as CategoryOf looks them up.
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
			if got := CategoryOf(strings.ToUpper(label)); got != row.category {
				t.Errorf("CategoryOf(%q) is %s, want %s", label, got, row.category)
			}
		}
	}
}
