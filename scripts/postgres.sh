#!/usr/bin/env bash
# Runs a command with a PostgreSQL server of its own, which is gone afterwards: on a
# loopback port, in a temporary folder, with the settings that a new cluster has.
# KONTOR_TEST_POSTGRES has the address of an empty database whose owner is no superuser.
# Installs the server as root on Debian and Ubuntu; elsewhere says what is missing.
source "$(dirname "$0")/lib.sh"

(($# > 0)) || fail "usage: scripts/postgres.sh <command> [argument]..."

# bin finds the newest server: Debian keeps it off the PATH.
bin() {
	local found
	found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
	[[ -n $found && -x $found/initdb ]] || found=$(dirname "$(command -v initdb 2>/dev/null)" 2>/dev/null) || true
	[[ -n $found && -x $found/initdb && -x $found/pg_ctl ]] && printf '%s\n' "$found"
}
if ! bin >/dev/null; then
	if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
		fail "the tests of the store need a PostgreSQL server (Debian: sudo apt-get install postgresql)"
	fi
	step "apt-get install postgresql"
	export DEBIAN_FRONTEND=noninteractive
	# Only the programs are wanted, not a server that runs.
	mkdir -p /etc/postgresql-common
	[[ -e /etc/postgresql-common/createcluster.conf ]] ||
		echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
	apt-get update --quiet=2
	apt-get install --quiet=2 --yes --no-install-recommends postgresql >/dev/null
fi
bin=$(bin)

# The server refuses to run as root.
as=()
folder=$(mktemp -d "${TMPDIR:-/tmp}/kontor-postgres.XXXXXX")
if [[ $(id -u) == 0 ]]; then
	user=nobody
	id postgres >/dev/null 2>&1 && user=postgres
	chown "$user" "$folder"
	need setpriv "it is part of util-linux"
	as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups --)
fi
server() { (cd "$folder" && "${as[@]}" "$@"); }

stop() {
	server "$bin/pg_ctl" --pgdata "$folder/data" --mode immediate --silent stop >/dev/null 2>&1 || true
	rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

server "$bin/initdb" --pgdata "$folder/data" --username postgres --auth trust --encoding UTF8 --no-locale \
	>"$folder/initdb.log" 2>&1 || fail "initdb: $(tail -3 "$folder/initdb.log")"
port=
for _ in {1..20}; do
	port=$((20000 + RANDOM % 12000))
	if server "$bin/pg_ctl" --pgdata "$folder/data" --log "$folder/data/server.log" --silent --wait start --options \
		"-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='$folder' -c max_connections=400 ${POSTGRES_OPTIONS:-}" \
		>/dev/null 2>&1; then
		break
	fi
	port=
done
[[ -n $port ]] || fail "the server does not start: $(tail -3 "$folder/data/server.log")"
server "$bin/psql" --host "$folder" --port "$port" --username postgres --quiet --no-psqlrc --set ON_ERROR_STOP=1 \
	--command "CREATE ROLE kontor LOGIN" --command "CREATE DATABASE kontor OWNER kontor" postgres
export KONTOR_TEST_POSTGRES="postgres://kontor@127.0.0.1:$port/kontor?sslmode=disable"
"$@"
