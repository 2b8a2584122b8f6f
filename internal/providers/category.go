package providers

import (
	"strings"
	"unicode"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
)

// CategoryOf maps a provider's label of what a transaction is for to Kontor's list. Case, spaces and punctuation do not
// matter: "Debt collection", "debt_collection" and "debtCollection" are one label. No label gives CATEGORY_UNSPECIFIED,
// one that is not in the table OTHER; the label itself always travels beside the category.
func CategoryOf(label string) bankingv1.Category_Value {
	if strings.TrimSpace(label) == "" {
		return bankingv1.Category_VALUE_UNSPECIFIED
	}
	if category, ok := categories[plainLabel(label)]; ok {
		return category
	}
	return bankingv1.Category_OTHER
}

// labelled is one row of the table: a category and the labels that mean it.
type labelled struct {
	category bankingv1.Category_Value
	labels   string // separated by spaces, as plainLabel gives them
}

// The labels of both providers, in one table. Of Fimento's the documentation shows only "income", of finoOS's only
// "salary"; the others are the words that such lists use. A label that turns out to be missing is OTHER until it is
// added here.
var labels = []labelled{
	// Fimento, and the words that both would use.
	{bankingv1.Category_INCOME, "" +
		"income incomes salary salaries wage wages pension pensions benefit benefits allowance childbenefit " +
		"socialbenefit " +
		"unemploymentbenefit parentalbenefit studentaid otherincome"},
	{bankingv1.Category_HOUSING, "" +
		"housing home household rent mortgage accommodation living utility utilities electricity energy water " +
		"heating homerent " +
		"homemaintenance"},
	{bankingv1.Category_GROCERIES, "grocery groceries food foodandgroceries supermarket"},
	{
		bankingv1.Category_DINING,
		"dining restaurant restaurants restaurantsandcafes cafe cafes foodanddining eatingout takeaway bar bars",
	},
	{bankingv1.Category_TRANSPORT, "" +
		"transport transports transportation publictransport car carandtransport vehicle vehicles fuel parking taxi " +
		"commuting"},
	{bankingv1.Category_SHOPPING, "shopping clothes clothing electronics retail furniture homeandgarden"},
	{bankingv1.Category_SUBSCRIPTIONS, "" +
		"subscription subscriptions telecom telecommunication telecommunications telephone phone mobile internet " +
		"broadband streaming " +
		"media"},
	{bankingv1.Category_INSURANCE, "insurance insurances insurancepremium"},
	{
		bankingv1.Category_HEALTH,
		"health healthcare healthandcare healthandbeauty medical doctor pharmacy dentist care",
	},
	{
		bankingv1.Category_LEISURE,
		"leisure entertainment travel holiday holidays vacation sport sports hobby hobbies culture",
	},
	{bankingv1.Category_EDUCATION, "education school schools tuition course courses childcare"},
	{
		bankingv1.Category_SAVINGS,
		"saving savings investment investments savingsandinvestments securities funds stocks pensionsaving " +
			"pensionsavings",
	},
	{bankingv1.Category_LOANS, "" +
		"loan loans loansandcredits loanpayment instalment instalments installment installments amortization " +
		"amortisation payday " +
		"paydayloan paydayloans"},
	{bankingv1.Category_DEBT_COLLECTION, "debtcollection debtcollector reminderfee reminderfees enforcement"},
	{bankingv1.Category_GAMBLING, "gambling gaming betting lottery casino"},
	{bankingv1.Category_TAXES, "tax taxes taxesandfees publicfees"},
	{
		bankingv1.Category_BANK_FEES,
		"bankfee bankfees fee fees bankcharges interest interests overdraft overdraftfee overdraftfees",
	},
	{bankingv1.Category_CASH, "cash withdrawal withdrawals cashwithdrawal cashwithdrawals atm"},
	{bankingv1.Category_TRANSFERS, "" +
		"transfer transfers internaltransfer internaltransfers owntransfer owntransfers privatetransfer swish " +
		"mobilepay cardbill " +
		"creditcardbill creditcardpayment"},
	{
		bankingv1.Category_BUSINESS,
		"business businessincome businessexpense businessexpenses sales revenue turnover supplier suppliers payroll",
	},
	{bankingv1.Category_OTHER, "other others miscellaneous uncategorised uncategorized unknown"},

	// finoOS.
	{bankingv1.Category_INCOME, "gehalt lohn rente kindergeld einkommen"},
	{bankingv1.Category_HOUSING, "miete nebenkosten wohnen strom haushalt"},
	{bankingv1.Category_GROCERIES, "lebensmittel supermarkt"},
	{bankingv1.Category_DINING, "gastronomie"},
	{bankingv1.Category_TRANSPORT, "mobilität tanken auto nahverkehr"},
	{bankingv1.Category_SHOPPING, "einkaufen kleidung"},
	{bankingv1.Category_SUBSCRIPTIONS, "abonnement abonnements mobilfunk telekommunikation telefon"},
	{bankingv1.Category_INSURANCE, "versicherung versicherungen"},
	{bankingv1.Category_HEALTH, "gesundheit apotheke"},
	{bankingv1.Category_LEISURE, "freizeit reisen urlaub"},
	{bankingv1.Category_EDUCATION, "bildung"},
	{bankingv1.Category_SAVINGS, "sparen geldanlage wertpapiere"},
	{bankingv1.Category_LOANS, "kredit kredite darlehen"},
	{bankingv1.Category_DEBT_COLLECTION, "inkasso mahngebühr mahngebühren"},
	{bankingv1.Category_GAMBLING, "glücksspiel lotto"},
	{bankingv1.Category_TAXES, "steuer steuern"},
	{bankingv1.Category_BANK_FEES, "gebühren bankgebühren kontoführung zinsen"},
	{bankingv1.Category_CASH, "bargeld barauszahlung"},
	{bankingv1.Category_TRANSFERS, "überweisung umbuchung umbuchungen"},
	{bankingv1.Category_BUSINESS, "umsatz lieferant lieferanten"},
	{bankingv1.Category_OTHER, "sonstiges"},
}

var categories = index(labels)

// index turns the table round. The first row that has a label wins; a test keeps labels from standing in two.
func index(rows []labelled) map[string]bankingv1.Category_Value {
	byLabel := map[string]bankingv1.Category_Value{}
	for _, row := range rows {
		for label := range strings.FieldsSeq(row.labels) {
			if _, taken := byLabel[label]; !taken {
				byLabel[label] = row.category
			}
		}
	}
	return byLabel
}

// plainLabel keeps a label's letters and digits, in lower case; "&" stands for "and".
func plainLabel(label string) string {
	var plain strings.Builder
	for _, r := range strings.ToLower(strings.ReplaceAll(label, "&", "and")) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			plain.WriteRune(r)
		}
	}
	return plain.String()
}
