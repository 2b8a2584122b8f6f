// Package replicatest has what suites share that run several gateways on one PostgreSQL: [World], the gateways as
// processes of their own in front of played providers, each with a [Line] to the database that can be delayed and
// cut; [Load], callers at work; [Ledger], what they were told; [Watcher], streams that are resumed at whatever gateway;
// and what must hold in the end, whatever happened meanwhile: [World.Settle] and [World.Check].
//
// What goes wrong, and when, is the suite's.
package replicatest
