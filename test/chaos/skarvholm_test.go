package chaos

import (
	"net/http"

	"kontor.dev/kontor/test/example/played"
)

var _ = providers.Add(played.ID, provider{
	operations: []string{
		played.OpCreateConsent, played.OpGetConsent, played.OpListAccounts, played.OpListTransactions,
	},
	becomes: func(rpc string, status int) (reason string, differs bool) {
		switch {
		case rpc == "CreateConsent" && status >= http.StatusInternalServerError:
			return "OUTCOME_UNKNOWN", true // Skarvholm does not recognise a repetition
		case rpc != "CreateConsent" && rpc != "GetConsent" && status == http.StatusUnauthorized:
			return "CONSENT_EXPIRED", true // it is the consent's token that is refused
		}
		return "", false
	},
	approvesAlone:  true,
	losesApprovals: true, // the code that they come back with is exchanged at once, or never
	ownTokens:      true,
})
