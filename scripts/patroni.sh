#!/usr/bin/env bash
# Runs a command with PostgreSQL as it survives the loss of a server: two nodes under Patroni, one a synchronous standby
# of the other, with etcd beside them and HAProxy before them. All of it is gone afterwards: on loopback ports, in a
# temporary folder. For the command there are
#   KONTOR_TEST_PATRONI        the address of an empty database, through HAProxy; its owner is no superuser
#   KONTOR_TEST_PATRONI_HOSTS  the same, with both nodes in the address and no HAProxy between
#   KONTOR_TEST_PATRONI_NODE   a program that does something to a node; see below
#   KONTOR_TEST_PATRONI_APIS   where the nodes' Patroni answers, as host:port,host:port
# Installs what is missing as root on Debian and Ubuntu; elsewhere says what it is.
# NODES=3 makes a third node, and Patroni then refuses writes rather than go on without a standby.
source "$(dirname "$0")/lib.sh"

(($# > 0)) || fail "usage: scripts/patroni.sh <command> [argument]..."
nodes=${NODES:-2}

PATH=$PATH:/usr/sbin
if ! postgres_bin >/dev/null || ! command -v patroni >/dev/null || ! command -v etcd >/dev/null ||
	! command -v haproxy >/dev/null; then
	postgres_packages "the tests of failover need PostgreSQL, Patroni, etcd and HAProxy" \
		postgresql patroni python3-etcd etcd-server haproxy
fi
bin=$(postgres_bin)

# What is killed here are processes, which memory survives as a disk does: and there a lost node is whole again in seconds.
room=${TMPDIR:-/tmp}
if [[ -w /dev/shm ]] && (($(df --output=avail -k /dev/shm | tail -1) > 2 << 20)); then room=/dev/shm; fi
folder=$(mktemp -d "$room/kontor-patroni.XXXXXX")
unprivileged "$folder"
# A node's Patroni and server belong to whoever runs them, and outlive the program that started them.
here() { (cd "$folder" && "${as[@]}" "$@"); }

helpers=()
stop() {
	local n
	for ((n = 1; n <= nodes; n++)); do
		[[ ! -x $folder/node ]] || "$folder/node" kill "$n" 2>/dev/null || true
	done
	((${#helpers[@]} == 0)) || kill "${helpers[@]}" 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Ports in a row that nothing listens on: etcd's two, HAProxy's, then two for each node.
free() {
	local port
	for ((port = $1; port < $1 + 3 + 2 * nodes; port++)); do
		! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || return 1
	done
}
base=
for _ in {1..20}; do
	base=$((20000 + RANDOM % 12000))
	free "$base" && break
	base=
done
[[ -n $base ]] || fail "no ports are free"
etcd=$base peers=$((base + 1)) proxy=$((base + 2))
server() { echo $((base + 1 + 2 * $1)); }
api() { echo $((base + 2 + 2 * $1)); }

(cd "$folder" && exec "${as[@]}" etcd --name one --data-dir etcd --log-level error --logger zap \
	--listen-client-urls "http://127.0.0.1:$etcd" --advertise-client-urls "http://127.0.0.1:$etcd" \
	--listen-peer-urls "http://127.0.0.1:$peers" --initial-advertise-peer-urls "http://127.0.0.1:$peers" \
	--initial-cluster "one=http://127.0.0.1:$peers") >"$folder/etcd.log" 2>&1 &
helpers+=($!)

strict=false
((nodes < 3)) || strict=true
apis=() hosts=() ports=()
for ((n = 1; n <= nodes; n++)); do
	apis+=("127.0.0.1:$(api "$n")") hosts+=(127.0.0.1) ports+=("$(server "$n")")
	mkdir -p "$folder/$n"
	cat >"$folder/$n/patroni.yml" <<END
scope: kontor
name: node$n
restapi: {listen: 127.0.0.1:$(api "$n"), connect_address: 127.0.0.1:$(api "$n")}
etcd3: {host: 127.0.0.1:$etcd}
bootstrap:
  dcs:
    # A lost server is replaced after about ttl seconds; docs/operations.md says what to take where it matters.
    ttl: 6
    loop_wait: 1
    retry_timeout: 2
    primary_start_timeout: 0
    synchronous_mode: true
    synchronous_mode_strict: $strict
    maximum_lag_on_failover: 1048576
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters:
        restart_after_crash: "off"
        wal_log_hints: "on"
        max_connections: 200
        wal_keep_size: 256MB
        wal_retrieve_retry_interval: 500ms
  initdb: [encoding: UTF8, locale: C]
postgresql:
  listen: 127.0.0.1:$(server "$n")
  connect_address: 127.0.0.1:$(server "$n")
  data_dir: $folder/$n/data
  bin_dir: $bin
  pgpass: $folder/$n/pgpass
  authentication:
    superuser: {username: postgres}
    replication: {username: standby}
    rewind: {username: rewinder}
  parameters: {unix_socket_directories: $folder/$n}
  pg_hba:
    - host all all 127.0.0.1/32 trust
    - local all all trust
    - host replication all 127.0.0.1/32 trust
watchdog: {mode: "off"}
END
done
[[ $(id -u) != 0 ]] || chown -R --reference="$folder" "$folder"/[0-9]

# A node: its Patroni and its server, which are killed, frozen and started apart from each other.
cat >"$folder/node" <<END
#!/usr/bin/env bash
# node start|kill|kill-server|freeze|thaw NUMBER
set -euo pipefail
[[ \$(id -u) != 0 ]] || exec ${as[*]} "\$0" "\$@"
cd "$folder/\$2"
patroni() { [[ ! -f patroni.pid ]] || cat patroni.pid; }
# The server's processes: its first one is the parent of all others.
server() {
	[[ -f data/postmaster.pid ]] || return 0
	local first
	first=\$(head -1 data/postmaster.pid)
	[[ -d /proc/\$first ]] && grep -qs "$folder" /proc/\$first/cmdline || return 0
	printf '%s ' "\$first"
	cat /proc/\$first/task/*/children
}
case \$1 in
start)
	setsid nohup "$(command -v patroni)" patroni.yml >>patroni.log 2>&1 </dev/null &
	echo \$! >patroni.pid
	;;
kill) kill -KILL \$(patroni) \$(server) 2>/dev/null || true ;;
kill-server) kill -KILL \$(server | cut -d' ' -f1) ;;
freeze) kill -STOP \$(patroni) \$(server) ;;
thaw)
	# In place of the watchdog that ends a node whose Patroni was frozen: it may write the leader's key again without
	# looking who has it by now (update_leader of etcd3 in Patroni 3.0.2), and undo what the new primary did.
	kill -KILL \$(patroni)
	kill -CONT \$(server)
	exec "\$0" start "\$2"
	;;
*) exit 2 ;;
esac
END
chmod +x "$folder/node"
for ((n = 1; n <= nodes; n++)); do "$folder/node" start "$n"; done

{
	cat <<END
global
  maxconn 2000
defaults
  mode tcp
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  timeout check 1s
listen primary
  bind 127.0.0.1:$proxy
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server check inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
END
	for ((n = 1; n <= nodes; n++)); do
		echo "  server node$n 127.0.0.1:$(server "$n") port $(api "$n")"
	done
} >"$folder/haproxy.cfg"
(cd "$folder" && exec "${as[@]}" haproxy -db -f haproxy.cfg) >"$folder/haproxy.log" 2>&1 &
helpers+=($!)

# The cluster is whole once the primary has a synchronous standby and HAProxy leads to it.
on() { here "$bin/psql" --host 127.0.0.1 --port "$1" --username postgres --no-psqlrc --quiet --tuples-only --no-align \
	--set ON_ERROR_STOP=1 "${@:2}" postgres; }
whole() { [[ $(on "$proxy" --command "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'" 2>/dev/null) == 1 ]]; }
for _ in {1..240}; do
	whole && break
	sleep 0.5
done
whole || fail "the cluster does not come up: $(tail -n 3 "$folder"/*.log "$folder"/*/patroni.log)"
on "$proxy" --command "CREATE ROLE kontor LOGIN CREATEDB" --command "CREATE DATABASE kontor OWNER kontor"

list() { local IFS=,; echo "$*"; }
export KONTOR_TEST_PATRONI="postgres://kontor@127.0.0.1:$proxy/kontor?sslmode=disable"
export KONTOR_TEST_PATRONI_HOSTS="postgres://kontor@/kontor?sslmode=disable&host=$(list "${hosts[@]}")&port=$(list "${ports[@]}")"
export KONTOR_TEST_PATRONI_APIS=$(list "${apis[@]}")
export KONTOR_TEST_PATRONI_NODE=$folder/node
"$@"
