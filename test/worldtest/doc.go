// Package worldtest has what the suites beside it share. Each of them makes worlds: providers that the sandbox plays
// inside the test process, and the built gateway as a process of its own in front of them.
//
// A provider is a [Provider], registered by the one file here that is called as it: its dialect of the sandbox, and
// what its customers do. Suites go over [Providers] and have what only they need to know of a provider in files that
// are called as it, too. So a further provider adds files, here, in each suite and in test/cases, and changes none;
// names_test.go demands it.
//
// What a suite asks, and what must come of it, is the suite's.
package worldtest
