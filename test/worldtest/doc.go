// Package worldtest has what the suites beside it share. Each of them makes worlds: providers that the sandbox plays
// inside the test process, and the built gateway as a process of its own in front of them.
//
// A provider is a [Provider], registered by the one file here that is called as it: its dialect of the sandbox, and
// what its customers do. Suites go over [Providers] and have what only they need to know of a provider in files that
// are called as it, too. So a further provider adds files, here, in each suite and in test/cases, and changes none;
// names_test.go demands it.
//
// What a suite asks, and what must come of it, is the suite's.
//
// For a provider "polder" these are the files to add. Each suite's providers_test.go says what an entry holds, and a
// test that comes upon a provider without one names the file that is missing.
//
//	test/worldtest/polder.go             Register: its dialect, and how its customers approve
//	test/cases/polder.yaml               a case for each RPC; those for "all" providers hold for it, too
//	test/conformance/polder_test.go      its harness for the suite of the seam
//	test/e2e/polder_test.go              its entry, with setups and journeys; what is told of it alone
//	test/chaos/polder_test.go            its entry, with the operations that reads lead to
//	test/crash/polder_test.go            its entry, with the requests at which the gateway is killed
//	test/replicatest/polder.go           its entry, with what tells how often it did what it was asked for
//	test/replicas/polder_test.go         its entries: the operations by which consents come about and are followed
//	test/security/polder_test.go         only where it has callbacks to forge, or secrets of an odd form
//
// Its market should be one that no other provider serves: some cases leave the choice of a provider to the market.
package worldtest
