// Package failover tests gateways that share one PostgreSQL while its primary is lost: killed with its Patroni, killed
// alone, or frozen. What callers were told is held against what the gateways then show and what the played providers
// did (package replicatest).
//
// Its tests need a cluster that scripts/patroni.sh starts, and the machine for themselves: a cluster that gets no time
// changes its primary by itself. So they are built with the tag failover alone, and `make test-failover` runs them.
package failover
