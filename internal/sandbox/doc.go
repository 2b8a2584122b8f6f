// Package sandbox is what the played providers have in common: a clock that tests move, people with bank
// accounts, faults on request, a record of what was asked, and the layout of the bank pages. The dialects live in
// the packages below, each with wire structs of its own and from the documentation alone: nothing here may import an
// adapter, since a shared misreading would go unnoticed. Each offers itself as a [Dialect], and package sandboxes
// starts a list of them; neither it nor this package knows one by name.
//
// # People
//
// The seed and the first day decide the [Population]. Everybody has accounts at every bank of their market, the main
// ones at the first: a current account, savings and a card; loans or a depot at the second; a small current account
// at each further one. The history reaches back at least twelve months, more exactly to the first of the month
// thirteen months ago, and what is not older than yesterday is pending. Known people:
//
//	199503096316   Elin Sandström (SE), good data; Fimento's test identity
//	197710114682   Roger Wikman (SE), bad data; Fimento's test identity
//	191212121212   Tolvan Tolvansson (SE), amounts such as 0.1, 1e3, 12345678901234.56 and -0.00, as literals
//	150690-9424    Aino Koskela (FI), good data
//	230581-917B    Jari Rantanen (FI), bad data
//	5569876542     Vättern Snickeri AB (SE), a company
//	2947313-5      Saimaan Puutyö Oy (FI), a company
//	HRB 98765      Elbtischlerei Brandt GmbH (DE), a company; Default("DE", true)
//
// (no id)        Torben Mais (DE), good data, with the IBAN of finoOS's samples that fails its checksum;
// Default("DE", false)
//
// Any other id leads to somebody made up with good data, always the same. Each of them can be dressed for another
// market with [Population.Dress]: the same movements in that market's currency and words. A market is a value in a file
// of its own, market_se.go and the like; a further one is one file more.
//
// # Controls
//
// Each dialect serves these beside its API. They need no token, are recorded as page and are out of reach of faults.
//
// POST   /_sandbox/faults            add a fault: the fields of Fault in lowerCamelCase, delay as "250ms"; answers
// {"id"}
//
//	DELETE /_sandbox/faults            take all faults back
//	DELETE /_sandbox/faults/{id}       take one fault back
//	GET    /_sandbox/calls             {"calls": [...]}, bodies in base64; ?operation= for one operation's
//	DELETE /_sandbox/calls             forget them
//	GET    /_sandbox/clock             {"now"}
//	POST   /_sandbox/clock             {"advance": "24h"}; 409 unless the clock is a ManualClock
//	POST   /_sandbox/tokens:expire     all tokens issued so far are invalid
//
// The packages of the dialects list theirs.
//
// # Where it is not faithful
//
//   - It is built from documentation that lacks most paths and many fields: where operations stand is mostly inferred,
//     and each dialect lists what else it assumes.
//   - It runs without TLS and takes its controls from anybody: bind it to loopback only.
//   - Ids, tokens and links come from the seed and can be guessed.
//   - A population's history ends on the day it was made and does not grow with the clock.
//   - The delays and trickling of faults pass in real time, whatever the clock.
//   - It answers 413 to bodies above 32 MiB, and limits no rates by itself.
package sandbox
