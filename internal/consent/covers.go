package consent

import consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"

// verifies are the methods that read what a verification of accounts is for.
var verifies = map[string]bool{"ListAccounts": true, "GetAccount": true}

// Covers tells whether what the customer agreed to covers reading bank data by a method. A verification of accounts
// covers the accounts, without their amounts, and nothing else.
func Covers(agreed *consentv1.Consent, method string) bool {
	return !OnlyVerifies(agreed) || verifies[method]
}

// OnlyVerifies tells whether the customer agreed to no more than a verification of accounts.
func OnlyVerifies(agreed *consentv1.Consent) bool {
	return agreed.GetDataCollection() == consentv1.DataCollection_BANK_ACCOUNT_VERIFICATION
}
