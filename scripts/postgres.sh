#!/usr/bin/env bash
# Runs a command with a PostgreSQL server of its own, and a pgbouncer in transaction mode
# before it, which are gone afterwards: on loopback ports, in a temporary folder, with the
# settings that a new cluster has. KONTOR_TEST_POSTGRES has the address of an empty
# database whose owner is no superuser, KONTOR_TEST_POSTGRES_LOG the path of the server's log,
# KONTOR_TEST_PGBOUNCER host and port of pgbouncer.
# There is a second role, kontor_served, which owns nothing. KONTOR_TEST_POSTGRES_RESTART is a program that restarts the
# server: well, or with the argument "immediate" as after a crash.
# Installs both as root on Debian and Ubuntu; elsewhere says what is missing.
source "$(dirname "$0")/lib.sh"

(($# > 0)) || fail "usage: scripts/postgres.sh <command> [argument]..."

bouncer() { PATH=$PATH:/usr/sbin command -v pgbouncer; }
if ! postgres_bin >/dev/null || ! bouncer >/dev/null; then
	postgres_packages "the tests of the store need a PostgreSQL server and pgbouncer" postgresql pgbouncer
fi
bin=$(postgres_bin)

folder=$(mktemp -d "${TMPDIR:-/tmp}/kontor-postgres.XXXXXX")
unprivileged "$folder"
server() { (cd "$folder" && "${as[@]}" "$@"); }

pool=
stop() {
	[[ -z $pool ]] || kill "$pool" 2>/dev/null || true
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
	--command "CREATE ROLE kontor LOGIN CREATEDB" --command "CREATE ROLE kontor_served LOGIN" \
	--command "CREATE DATABASE kontor OWNER kontor" postgres
export KONTOR_TEST_POSTGRES="postgres://kontor@127.0.0.1:$port/kontor?sslmode=disable"
export KONTOR_TEST_POSTGRES_LOG=$folder/data/server.log
cat >"$folder/restart" <<END
#!/bin/sh
cd '$folder' && exec ${as[*]} '$bin/pg_ctl' --pgdata '$folder/data' --log '$folder/data/server.log' --silent --wait \
	--mode "\${1:-fast}" restart
END
chmod 0755 "$folder/restart"
export KONTOR_TEST_POSTGRES_RESTART=$folder/restart

# The ports are below those that the system gives to outgoing connections.
pooled=
for _ in {1..20}; do
	pooled=$((20000 + RANDOM % 12000))
	((pooled != port)) || continue
	cat >"$folder/pgbouncer.ini" <<-END
		[databases]
		* = host=127.0.0.1 port=$port user=kontor
		[pgbouncer]
		listen_addr = 127.0.0.1
		listen_port = $pooled
		unix_socket_dir =
		auth_type = any
		pool_mode = transaction
		default_pool_size = 5
		max_client_conn = 500
	END
	(cd "$folder" && exec "${as[@]}" "$(bouncer)" pgbouncer.ini) >"$folder/pgbouncer.log" 2>&1 &
	pool=$!
	# It ends by itself where it cannot listen.
	for _ in {1..50}; do
		kill -0 "$pool" 2>/dev/null || break
		! grep -qs "process up" "$folder/pgbouncer.log" || break 2
		sleep 0.1
	done
	kill "$pool" 2>/dev/null || true
	wait "$pool" 2>/dev/null || true
	pool=
done
[[ -n $pool ]] || fail "pgbouncer does not start: $(tail -3 "$folder/pgbouncer.log")"
export KONTOR_TEST_PGBOUNCER=127.0.0.1:$pooled
"$@"
