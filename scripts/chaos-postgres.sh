#!/usr/bin/env bash
# Kills, freezes and restarts gateways that share a PostgreSQL, cuts their connections, restarts the server and, on a
# cluster of its own, loses the primary, at full length, and prints a table of what was lost, doubled and told to
# callers. SEED repeats a run, RUN picks tests.
source "$(dirname "$0")/lib.sh"

table=$(mktemp)
trap 'rm -f "$table"' EXIT
export KONTOR_CHAOS_TABLE=$table
failed=
# One fault at a time, so that each row tells of its own.
scripts/postgres.sh go test ./test/replicas -run "${RUN:-.}" -count 1 -parallel 1 -v -timeout 60m -args -full \
	${SEED:+-seed "$SEED"} || failed="test/replicas"
scripts/patroni.sh go test -tags failover ./test/failover -run "${RUN:-.}" -count 1 -v -timeout 60m -args -full \
	${SEED:+-seed "$SEED"} || failed+=" test/failover"
awk -F '\t' '
	{ for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
	END {
		for (row = 1; row <= NR; row++) {
			line = ""
			for (i = 1; i <= NF; i++) line = line sprintf("%-" width[i] + 2 "s", cell[row, i])
			sub(/ +$/, "", line)
			print line
		}
	}' "$table"
[[ -z $failed ]] || fail "failed: $failed"
