package fimento

import (
	"slices"
	"strings"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/optional"
)

// Our sentences for a failure at the bank.
const (
	authFailed          = "The customer's authentication at the bank failed."
	authFailedExplained = "The customer's authentication at the bank failed; the provider gave a reason in its own " +
		"words, which is not passed on."
)

// failures tell why a customer's way through a bank's pages failed, by what errorMessage holds in lower case and
// without spaces and punctuation. Its values are not documented; the first row that fits wins, and what fits none is
// OTHER. No row has a word that a sentence about something else may hold, such as "denied" alone.
var failures = []struct {
	kind    errorv1.FailureKind_Value
	words   []string
	message string
}{
	{
		errorv1.FailureKind_NO_ACCOUNTS,
		[]string{
			"noaccount", "noeligibleaccount", "noavailableaccount", "noaccessibleaccount", "withoutaccounts",
			"accountsnotfound", "ingakonton", "ingetkonto", "eitilejä",
		},
		"The customer has no account at the bank that can be read.",
	},
	{
		errorv1.FailureKind_TIMED_OUT,
		[]string{
			"timeout", "timedout", "tooktoolong", "sessionexpired", "expiredtransaction", "tidsgräns", "aikakatkais",
		},
		"The authentication at the bank took too long.",
	},
	{
		errorv1.FailureKind_BANK_UNAVAILABLE,
		[]string{
			"unavailable", "maintenance", "notavailable", "notreachable", "unreachable", "couldnotreachbank",
			"bankisdown", "bankdown", "bankerror", "temporarilydown", "serviceerror", "otillgänglig", "huoltokatko",
		},
		"The bank could not be reached, or failed.",
	},
	{
		errorv1.FailureKind_CUSTOMER_DENIED,
		[]string{
			"cancel", "abort", "userdenied", "customerdenied", "deniedbyuser", "deniedbycustomer", "deniedbytheuser",
			"deniedbythecustomer", "userdeclined", "customerdeclined", "declinedby", "userrejected", "customerrejected",
			"rejectedbyuser", "rejectedbycustomer", "userrefused", "customerrefused", "avbröt", "avbruten", "peruutti",
			"keskeytti",
		},
		"The customer refused at the bank, or broke off.",
	},
}

// accessDenied is OAuth's code for a customer who refused. It counts only where it is the whole message.
const accessDenied = "accessdenied"

// failureOf says what failed for one status, in our words.
func failureOf(status wireStatus) *errorv1.Error {
	failed := &errorv1.Error{
		Reason: errorv1.Error_AUTHORIZATION_FAILED, ProviderCode: told(status.Code),
		FailureKind: errorv1.FailureKind_OTHER.Enum(), Message: optional.Of(authFailed),
	}
	if status.explained() {
		failed.Message = optional.Of(authFailedExplained)
	}
	message := status.message()
	for _, row := range failures {
		if slices.ContainsFunc(row.words, func(word string) bool { return strings.Contains(message, word) }) ||
			row.kind == errorv1.FailureKind_CUSTOMER_DENIED && message == accessDenied {
			failed.FailureKind, failed.Message = row.kind.Enum(), optional.Of(row.message)
			break
		}
	}
	return failed
}
