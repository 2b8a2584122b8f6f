// Package fimento plays Fimento's Bank Data Insights API: partner banks, processes with their consent pages,
// webhooks, insights and transactions. [Operations] lists the operations; all but login want a token that login gave.
// A consent takes this way, with the time between two statuses in brackets:
//
//	created
//	consentLinkOpened                    each time the customer opens the link
//	  bankAddedNotCompletedAuthFlow      a bank is chosen
//	  bankAddedCompletedAuthFlow         the customer has authenticated there
//	  fetchingTransactionsStarted        at once
//	  fetchingTransactionsDone           [one Step]
//	customerApprovedConsent              or customerDeniedConsent: the customer decides, fetched or not
//	categorisationStarted                [one Step after the decision and the last fetch]
//	categorisationDone                   [one Step]
//	insightsStarted                      [one Step]
//	completed                            [one Step] insights and transactions are there
//
// authError stands between them when an authentication fails. The customer can try again, add several banks before
// deciding, leave, and withdraw an approval for as long as the link is valid.
//
// The pages are at /consent/{token}; a page's forms and links have stable ids: bank-0, bank-1, ... and cancel;
// authenticate, fail and other-bank; approve, deny and add-bank; retry; resume; withdraw-consent.
//
// # Controls
//
// Beside those of package sandbox:
//
//	GET    /_sandbox/behaviour    the Behaviour
//	PATCH  /_sandbox/behaviour    changes what the body names, as in {"plainStatuses": true}
//
// # Assumptions
//
// Where the documentation is silent, this is assumed. Those marked with * are switches of Behaviour.
//
//   - Status codes: 201 where something is created (processes, links, flows, partner banks, webhooks), 204 for a
//     deletion, 200 otherwise, 401 without a valid token, 404 for what does not exist or belongs to another partner
//     bank, 409 for a step that the consent flow does not allow, 400 for every fault of the input, the partner-bank-id
//     header included. A refusal's message is an array for faults of the input, else a string.
//   - Fields that are not documented are refused, as are values outside the enums. psuType takes its documented enum,
//     which is dataCollectionType's, and comes back as it was sent; companies show "business".
//   - valid_until is in milliseconds since the epoch*, and a token is valid until then whatever the unit.
//   - The field of a link is consent-link. Of the URL-valued fields that the samples lack, a process shows redirectUrl.
//   - A history includes the current status as its last. Both stand as {current, history}, or as plain arrays*.
//   - Until the decision, consent is "null" at the top and null inside consentFlowStatus.
//   - brokerBanks come back as their names, and are dropped when the partner bank is no broker.
//   - An idempotency key belongs to a partner bank and lives as long as its process; the body is not compared.
//   - A new consent link kills the one before; a new flow too. After the decision there is no new link, only a new
//     flow.
//   - A new consent flow begins consentFlowStatus anew, with an id of its own, or goes on with it*. The banks of all
//     flows stay. The top-level consent keeps the last decision.
//   - An approval covers all banks of its flow at which the customer has authenticated.
//   - A denial, or a withdrawn approval, deletes the bank data of all flows of the process; the process itself stays.
//   - A failed authentication shows both as authError, with isError and errorMessage, and at the bank, whose code
//     stays bankAddedNotCompletedAuthFlow*.
//   - Both kinds of data collection behave alike.
//   - A decision by the test operation adds the market's first bank when the customer has authenticated nowhere.
//   - Insights and the visualisation link are 400 until completed, and 404 after a denial. Transactions likewise. A
//     verification of accounts has no stages after the approval: its data is there once it is fetched.
//   - Transactions are those booked, the newest first, 50 to a page, with an empty page after the end*. accountId is
//     the account number of accountsInfo*, and cBankId the same for all transactions of a bank. A date is midnight
//     UTC of the bank's calendar day.
//   - Types of accounts, categories other than "income", and the contents of totalBalance, categorisation and
//     computationAutomation are made up.
//   - A webhook is a POST of {"_id": ...} with the whole process, one for each status, in order*, without a
//     signature; it is tried three times, within about a second. Registering a URL twice changes nothing, and no
//     operation takes one back.
//   - A visualisation link shows something for fifteen minutes.
package fimento
