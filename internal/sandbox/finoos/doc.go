// Package finoos plays finoOS API v1: its operations, its Banking UI and its shipment callbacks, as an http.Handler on
// top of the core in package sandbox. It is written from finoOS's public documentation alone, with wire structs of its
// own, and refuses what the documentation does not allow. It holds everything in memory and sends nothing but the
// shipment callbacks.
//
// # What is documented
//
// The bodies of requests and answers, the required parameters, the error body and its statuses, token lifetimes (300 s
// and 1800 s), API-Version and X-Request-ID on every response, the test bank (fino Bank 10020000, dummy / 654321, TAN
// on the screen), userID in the query of redirects, requestid and success in that of shipment callbacks, 204 or 200
// from synchronize. Most methods and paths are not: they follow the documentation's naming, stand in one table and can
// be overridden (Config.Operations).
//
// # What is assumed
//
// Requests:
//   - Unknown members, members spelt in another case, repeated members and numbers in quotes are refused with 400. The
//     real API may well ignore them; refusing shows a misspelling.
//   - URLs must be absolute http or https URLs without user information.
//   - A Content-Type is not asked for, as one of the documentation's own examples sends none.
//   - The checks come in this order: API-Version, token, user, scope, User-IP, the rest.
//   - A method that a path does not have is answered 404, since the documented statuses have no 405.
//   - API-Version in a request may name the account's version or the latest; any other is refused with 400.
//   - Error types other than "forbidden" and "notFound" are made up after the status table.
//   - Where success has no documented body the answer is 204.
//
// Accounts and users:
//   - A refresh token can be used once. An access token outlives the refreshing.
//   - A user created without a type is a person. createdAt and the like are RFC 3339; deletedAt of a user that exists
//     is "".
//   - Adding a scope that a user has is a conflict (409), removing one that it lacks is 404. A known scope that the
//     account lacks is 403, an unknown one 400.
//   - Where the path names no user (logos, shipments), the account's scopes count.
//   - bankingExternal is one of the account's scopes, and so of the users that are created without any named.
//
// Banking:
//   - Creating a session connects the user to the service. Disconnecting a user that is not connected is 404.
//   - A session is used once, for 30 minutes; after that its pages say so with status 410. Sessions end with the user
//     and with disconnecting.
//   - Three wrong credentials or TANs lead to errorURL, and so does an error of the bank, after a page that names it.
//   - An authentication lasts 90 days. While it lasts, logins are synchronized in the background once a day, which
//     shows in lastSynchronization and brings no new transactions. synchronize does bring two or three, and books what
//     was pending on an earlier day.
//   - A login that was connected with recurring=false is inactive at once. Its data stays, and synchronize leads to a
//     new authentication, after which it is inactive again. Logins added in an overview session are as recurring as the
//     user's last connect.
//   - The first login shows the user's person in the population, all accounts of all banks at fino Bank; further
//     logins show other accounts in the same name. A standing order's id is "" on the first of each account, and its
//     accountID matches nothing.
//   - One booking in four carries an instant shortly after midnight in Berlin, which is the day before in UTC.
//   - Account types other than GIRO, tags other than "salary" (the population's categories) and the transaction codes
//     (those of German banks) are made up.
//   - The documentation has logins set through the API only where the Banking UI is not used. That is read as advice:
//     a user can have both, and to set logins replaces both. Only to synchronize a login that was set is refused, with
//     409.
//   - Setting logins demands an id on every login, account, transaction and security, unique among its kind. What comes
//     back has lost what the documentation's example loses: logos, sources of tags, ids of standing orders. Merging
//     matches transactions and securities by id too, replaces standing orders, and ignores empty members. Such logins
//     are not in the synchronization status.
//
// Logos: the companies are a short list. Names are compared like in Elasticsearch, whose words the parameters use.
//
// Shipments: pdfContent may lack its padding, as the documentation's sample does, and its content is not looked at.
// processID must be new (409). The outcome is called back a Step after acceptance, once, without a second try; a
// recipient containing "fail" fails.
//
// Payment partner analysis, of which the documentation only names the figures:
//   - A partner is known by IBAN, else creditor id, else name. Own accounts and the own name are no partners. Pending
//     transactions do not count.
//   - All amounts are positive; customers pay the account, suppliers are paid.
//   - LastMonth is the calendar month before the present one, PreMonth the one before that, Quarter the last three and
//     Year the last twelve whole months. All knows no bounds.
//   - Overall is the list the partner is in. Ranks count from 1, equal ones share a rank. Spans and gaps are in days.
//   - Averages are per transaction. Periods without a transaction are left out. Variance is that of a population.
//   - Slopes are those of least squares lines through the listed values at 0, 1, 2, ...
//   - abroad compares the country of the partner's IBAN with the account's.
//
// # Where it is not faithful
//
// Tokens are not signed, rate limits do not exist (faults play them), companies and contracts have no operations (nor
// has the documentation), and processing is instant.
//
// # Controls
//
// Besides the core's, under /_sandbox/, with JSON bodies:
//
//	POST sessions:end    {"userID", "outcome": "success" | "error" | "exit"}   ends the newest session: {"location"}
//	POST logins:expire   {"userID"}                     a new authentication is needed; everybody's when left out
//	POST users:person    {"userID", "nationalID" or "companyID"}   whose accounts the next login shows
//	POST callbacks       {"mode": "once" | "never" | "twice" | "reorder", "success"}   of shipments that come due
//	GET  shipments       what was accepted
//	POST version         {"version"}                    the account's API version
package finoos
