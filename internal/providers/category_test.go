package providers

import (
	"strings"
	"testing"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
)

func TestCategoryOf(t *testing.T) {
	for label, want := range map[string]bankingv1.Transaction_Category{
		"":                  bankingv1.Transaction_CATEGORY_UNSPECIFIED,
		" ":                 bankingv1.Transaction_CATEGORY_UNSPECIFIED,
		"income":            bankingv1.Transaction_INCOME, // Fimento's sample
		"INCOME":            bankingv1.Transaction_INCOME,
		"salary":            bankingv1.Transaction_INCOME, // finoOS's sample
		"debtCollection":    bankingv1.Transaction_DEBT_COLLECTION,
		"debt_collection":   bankingv1.Transaction_DEBT_COLLECTION,
		"Debt collection":   bankingv1.Transaction_DEBT_COLLECTION,
		"Food & Groceries":  bankingv1.Transaction_GROCERIES,
		"Loans and credits": bankingv1.Transaction_LOANS,
		"gambling":          bankingv1.Transaction_GAMBLING,
		"quantum-entangled": bankingv1.Transaction_OTHER,
		"!?":                bankingv1.Transaction_OTHER,
	} {
		if got := CategoryOf(label); got != want {
			t.Errorf("CategoryOf(%q) is %s, want %s", label, got, want)
		}
	}
}

// The table has to say the same thing of a label wherever it stands, and to spell labels as CategoryOf looks them up.
func TestLabelsStandOnce(t *testing.T) {
	seen := map[string]bankingv1.Transaction_Category{}
	used := map[bankingv1.Transaction_Category]bool{}
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
	for number := range bankingv1.Transaction_Category_name {
		category := bankingv1.Transaction_Category(number)
		if category != bankingv1.Transaction_CATEGORY_UNSPECIFIED && !used[category] {
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
