package providers

import (
	"strings"
	"unicode"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
)

// Purpose is what a transaction is for, in Kontor's lists. Unspecified: the provider's words do not say.
type Purpose struct {
	Category    bankingv1.Category_Value
	Subcategory bankingv1.Subcategory_Value
}

// PurposeOf maps a provider's label of what a transaction is for to Kontor's lists. Case, spaces and punctuation do not
// matter: "Debt collection", "debt_collection" and "debtCollection" are one label. No label says nothing, one that is
// not in the table is OTHER; the label itself always travels beside the category. Received says that the amount came
// in: interest is income then and a fee else, and an income that goes out again is of no kind that lenders look for.
func PurposeOf(label string, received bool) Purpose { return Labels{}.PurposeOf(label, received) }

// Label is what a word means.
type Label struct {
	Category    bankingv1.Category_Value
	Subcategory bankingv1.Subcategory_Value
	// Paid is the category of an amount that goes out, where that is another one; interest is a fee then.
	Paid bankingv1.Category_Value
}

// purpose is what a transaction with the label is for.
func (l Label) purpose(received bool) Purpose {
	switch {
	case !received && l.Paid != bankingv1.Category_VALUE_UNSPECIFIED:
		return Purpose{Category: l.Paid}
	case !received && l.Category == bankingv1.Category_INCOME:
		return Purpose{Category: l.Category} // taken back, or paid by a business: nobody lives on it
	}
	return Purpose{Category: l.Category, Subcategory: l.Subcategory}
}

// Labels are words of one provider that the common table lacks, or that mean something else in it: "rente" is interest
// in Danish, and a pension in German. The zero Labels are none.
type Labels struct{ words map[string]Label }

// NewLabels makes a provider's own labels of what each word means. Two that are spelled alike, but for case, spaces and
// punctuation, and one that has no letter, are a mistake in the program, and panic.
func NewLabels(words map[string]Label) Labels {
	plain := make(map[string]Label, len(words))
	for word, means := range words {
		at := plainLabel(word)
		if _, taken := plain[at]; taken || at == "" {
			panic("providers: the label " + word + " stands twice, or says nothing")
		}
		plain[at] = means
	}
	return Labels{plain}
}

// PurposeOf is the package's PurposeOf with the provider's own words first.
func (l Labels) PurposeOf(label string, received bool) Purpose {
	if strings.TrimSpace(label) == "" {
		return Purpose{}
	}
	plain := plainLabel(label)
	if own, ok := l.words[plain]; ok {
		return own.purpose(received)
	}
	row, ok := categories[plain]
	if !ok {
		return Purpose{Category: bankingv1.Category_OTHER}
	}
	return Label{row.category, row.subcategory, row.paid}.purpose(received)
}

// labelled is one row of the table: what the labels mean.
type labelled struct {
	category    bankingv1.Category_Value
	labels      string // separated by spaces, as plainLabel gives them
	subcategory bankingv1.Subcategory_Value
	paid        bankingv1.Category_Value // what they mean for an amount that goes out, where that is something else
}

// The labels that any provider may use, in one table; words of one provider alone are its adapter's Labels. Of
// Fimento's the documentation shows only "income", of finoOS's only "salary"; the others are the words that such lists
// use. A label that turns out to be missing is OTHER until it is added here, or there.
var labels = []labelled{
	// Fimento, and the words that both would use.
	{category: bankingv1.Category_INCOME, labels: "income incomes otherincome"},
	{
		category: bankingv1.Category_INCOME, subcategory: bankingv1.Subcategory_WAGE,
		labels: "salary salaries wage wages salaryincome",
	},
	{
		category: bankingv1.Category_INCOME, subcategory: bankingv1.Subcategory_PENSION,
		labels: "pension pensions pensionincome retirement",
	},
	{
		category: bankingv1.Category_INCOME, subcategory: bankingv1.Subcategory_BENEFIT,
		labels: "benefit benefits allowance childbenefit childallowance socialbenefit socialbenefits socialsecurity " +
			"unemploymentbenefit parentalbenefit sicknessbenefit housingbenefit housingallowance studentaid",
	},
	{
		category: bankingv1.Category_INCOME, subcategory: bankingv1.Subcategory_CAPITAL_INCOME,
		labels: "dividend dividends capitalincome interestincome interestreceived",
	},
	{
		category: bankingv1.Category_INCOME, subcategory: bankingv1.Subcategory_CAPITAL_INCOME,
		paid: bankingv1.Category_BANK_FEES, labels: "interest interests",
	},
	{category: bankingv1.Category_HOUSING, labels: "" +
		"housing home household rent mortgage accommodation living utility utilities electricity energy water " +
		"heating homerent " +
		"homemaintenance"},
	{category: bankingv1.Category_GROCERIES, labels: "grocery groceries food foodandgroceries supermarket"},
	{
		category: bankingv1.Category_DINING,
		labels: "dining restaurant restaurants restaurantsandcafes cafe cafes foodanddining eatingout " +
			"takeaway bar bars",
	},
	{category: bankingv1.Category_TRANSPORT, labels: "" +
		"transport transports transportation publictransport car carandtransport vehicle vehicles fuel parking taxi " +
		"commuting"},
	{
		category: bankingv1.Category_SHOPPING,
		labels:   "shopping clothes clothing electronics retail furniture homeandgarden",
	},
	{category: bankingv1.Category_SUBSCRIPTIONS, labels: "" +
		"subscription subscriptions telecom telecommunication telecommunications telephone phone mobile internet " +
		"broadband streaming " +
		"media"},
	{category: bankingv1.Category_INSURANCE, labels: "insurance insurances insurancepremium"},
	{
		category: bankingv1.Category_HEALTH,
		labels:   "health healthcare healthandcare healthandbeauty medical doctor pharmacy dentist care",
	},
	{
		category: bankingv1.Category_LEISURE,
		labels:   "leisure entertainment travel holiday holidays vacation sport sports hobby hobbies culture",
	},
	{category: bankingv1.Category_EDUCATION, labels: "education school schools tuition course courses childcare"},
	{
		category: bankingv1.Category_SAVINGS,
		labels: "saving savings investment investments savingsandinvestments securities funds stocks pensionsaving " +
			"pensionsavings",
	},
	{category: bankingv1.Category_LOANS, labels: "" +
		"loan loans loansandcredits loanpayment instalment instalments installment installments amortization " +
		"amortisation payday " +
		"paydayloan paydayloans"},
	{
		category: bankingv1.Category_DEBT_COLLECTION,
		labels:   "debtcollection debtcollector reminderfee reminderfees enforcement",
	},
	{category: bankingv1.Category_GAMBLING, labels: "gambling gaming betting lottery casino"},
	{category: bankingv1.Category_TAXES, labels: "tax taxes taxesandfees publicfees"},
	{
		category: bankingv1.Category_BANK_FEES,
		labels:   "bankfee bankfees fee fees bankcharges interestpaid overdraft overdraftfee overdraftfees",
	},
	{category: bankingv1.Category_CASH, labels: "cash withdrawal withdrawals cashwithdrawal cashwithdrawals atm"},
	{category: bankingv1.Category_TRANSFERS, labels: "" +
		"transfer transfers swish mobilepay cardbill creditcard creditcardbill creditcardpayment"},
	{
		category: bankingv1.Category_TRANSFERS, subcategory: bankingv1.Subcategory_OWN_TRANSFER,
		labels: "internaltransfer internaltransfers owntransfer owntransfers ownaccount ownaccounts",
	},
	{
		category: bankingv1.Category_TRANSFERS, subcategory: bankingv1.Subcategory_PRIVATE_PERSON,
		labels: "privatetransfer privatetransfers privateperson privatepersons friendsandfamily familyandfriends",
	},
	{
		category: bankingv1.Category_BUSINESS,
		labels: "business businessincome businessexpense businessexpenses sales revenue turnover supplier " +
			"suppliers payroll",
	},
	{category: bankingv1.Category_OTHER, labels: "other others miscellaneous uncategorised uncategorized unknown"},

	// Swedish and Finnish words, which Fimento's banks may put in.
	{
		category: bankingv1.Category_INCOME, subcategory: bankingv1.Subcategory_WAGE,
		labels: "lön löner palkka palkat",
	},
	{
		category: bankingv1.Category_INCOME, subcategory: bankingv1.Subcategory_PENSION,
		labels: "pensioner eläke eläkkeet",
	},
	{
		category: bankingv1.Category_INCOME, subcategory: bankingv1.Subcategory_BENEFIT,
		labels: "bidrag försäkringskassan barnbidrag föräldrapenning sjukpenning akassa csn kela lapsilisä",
	},
	{
		category: bankingv1.Category_INCOME, subcategory: bankingv1.Subcategory_CAPITAL_INCOME,
		labels: "utdelning osinko osingot",
	},
	{
		category: bankingv1.Category_INCOME, subcategory: bankingv1.Subcategory_CAPITAL_INCOME,
		paid: bankingv1.Category_BANK_FEES, labels: "ränta räntor korko korot",
	},

	// finoOS.
	{category: bankingv1.Category_INCOME, labels: "einkommen"},
	{
		category: bankingv1.Category_INCOME, subcategory: bankingv1.Subcategory_WAGE,
		labels: "gehalt lohn lohngehalt gehaltlohn lohnundgehalt lohnandgehalt löhne gehälter",
	},
	{
		category: bankingv1.Category_INCOME, subcategory: bankingv1.Subcategory_PENSION,
		labels: "rente renten altersrente",
	},
	{
		category: bankingv1.Category_INCOME, subcategory: bankingv1.Subcategory_BENEFIT,
		labels: "kindergeld elterngeld arbeitslosengeld alg alg1 alg2 algi algii bürgergeld wohngeld krankengeld " +
			"sozialleistung sozialleistungen bafög",
	},
	{
		category: bankingv1.Category_INCOME, subcategory: bankingv1.Subcategory_CAPITAL_INCOME,
		labels: "dividende dividenden zinsertrag zinserträge kapitalertrag kapitalerträge",
	},
	{
		category: bankingv1.Category_INCOME, subcategory: bankingv1.Subcategory_CAPITAL_INCOME,
		paid: bankingv1.Category_BANK_FEES, labels: "zinsen zins",
	},
	{category: bankingv1.Category_HOUSING, labels: "miete nebenkosten wohnen strom haushalt"},
	{category: bankingv1.Category_GROCERIES, labels: "lebensmittel supermarkt"},
	{category: bankingv1.Category_DINING, labels: "gastronomie"},
	{category: bankingv1.Category_TRANSPORT, labels: "mobilität tanken auto nahverkehr"},
	{category: bankingv1.Category_SHOPPING, labels: "einkaufen kleidung"},
	{category: bankingv1.Category_SUBSCRIPTIONS, labels: "abonnement abonnements mobilfunk telekommunikation telefon"},
	{category: bankingv1.Category_INSURANCE, labels: "versicherung versicherungen"},
	{category: bankingv1.Category_HEALTH, labels: "gesundheit apotheke"},
	{category: bankingv1.Category_LEISURE, labels: "freizeit reisen urlaub"},
	{category: bankingv1.Category_EDUCATION, labels: "bildung"},
	{category: bankingv1.Category_SAVINGS, labels: "sparen geldanlage wertpapiere"},
	{category: bankingv1.Category_LOANS, labels: "kredit kredite darlehen"},
	{category: bankingv1.Category_DEBT_COLLECTION, labels: "inkasso mahngebühr mahngebühren"},
	{category: bankingv1.Category_GAMBLING, labels: "glücksspiel lotto"},
	{category: bankingv1.Category_TAXES, labels: "steuer steuern"},
	{category: bankingv1.Category_BANK_FEES, labels: "gebühren bankgebühren kontoführung"},
	{category: bankingv1.Category_CASH, labels: "bargeld barauszahlung"},
	{category: bankingv1.Category_TRANSFERS, labels: "überweisung überweisungen"},
	{
		category: bankingv1.Category_TRANSFERS, subcategory: bankingv1.Subcategory_OWN_TRANSFER,
		labels: "umbuchung umbuchungen eigenübertrag",
	},
	{
		category: bankingv1.Category_TRANSFERS, subcategory: bankingv1.Subcategory_PRIVATE_PERSON,
		labels: "privatperson privatpersonen",
	},
	{category: bankingv1.Category_BUSINESS, labels: "umsatz lieferant lieferanten"},
	{category: bankingv1.Category_OTHER, labels: "sonstiges"},
}

var categories = index(labels)

// index turns the table round. The first row that has a label wins; a test keeps labels from standing in two.
func index(rows []labelled) map[string]labelled {
	byLabel := map[string]labelled{}
	for _, row := range rows {
		for label := range strings.FieldsSeq(row.labels) {
			if _, taken := byLabel[label]; !taken {
				byLabel[label] = row
			}
		}
	}
	return byLabel
}

// plainLabel keeps a label's letters and digits, in lower case; "&" stands for "and".
func plainLabel(label string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, strings.ReplaceAll(label, "&", "and"))
}
