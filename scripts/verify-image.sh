#!/usr/bin/env bash
# Runs what scripts/image.sh built, as deploy/compose does: two containers, not root, with a read-only root file
# system and no capability, in a network of their own. Asks for the health, for a consent, and has them stop. The
# containers are made by util-linux, which needs no cgroups and no daemon. Needs root; fetches nothing.
source "$(dirname "$0")/lib.sh"
scripts/setup-apt.sh buildah=buildah nsenter=util-linux ip=iproute2 curl=curl

image=${IMAGE:-localhost/kontor}
run=$(mktemp -d)
mounted=$(buildah from "$image:latest")
processes=()
cleanup() {
	((${#processes[@]} == 0)) || kill -KILL "${processes[@]}" 2>/dev/null || true
	for process in "${processes[@]}"; do while kill -0 "$process" 2>/dev/null; do sleep 0.1; done; done
	buildah rm "$mounted" >/dev/null
	rm -rf "$run"
}
trap cleanup EXIT
root=$(buildah mount "$mounted")

declare -A of
of[key]=$("$root/gateway" keys new | awk '$1 == "key" {print $2}')
of[hash]=$(printf %s "${of[key]}" | sha256sum | cut -d' ' -f1)
of[store]=$("$root/gateway" keys store)
cp -a "$root/var/lib/kontor" "$run/data" # as a volume takes it over
cp deploy/compose/kontor.yaml "$run/kontor.yaml"

buildah inspect --type image "$image:latest" >"$run/image.json"
# says KEY...: the words that the image has there.
says() {
	python3 -c 'import json, sys
at = json.load(open(sys.argv[1]))["Docker"]["config"]
for key in sys.argv[2:]:
    at = at[key]
print(at if isinstance(at, str) else "\n".join(at))' "$run/image.json" "$@"
}
user=$(says User) work=$(says WorkingDir)
mapfile -t entrypoint < <(says Entrypoint)
mapfile -t default < <(says Cmd)
mapfile -t health < <(says Healthcheck Test)

# As runtimes do, make the places that something is mounted on.
mkdir -p "$root/etc/kontor" "$root/proc"
touch "$root/etc/kontor/kontor.yaml"

# until_true WHAT COMMAND...: at most half a minute.
until_true() {
	local what=$1 begun=$SECONDS
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < begun + 30)) || fail "$what: $("$@" 2>&1 || true)"$'\n'"$(tail -5 "$run"/*.log)"
		sleep 0.1
	done
}
# runs_in PARENT: its one child is the gateway.
runs_in() { [[ $(readlink "/proc/$(tr -d ' ' <"/proc/$1/task/$1/children")/exe") == */gateway ]]; }

# contained NAME NETWORK ARGUMENT...: runs the image, in the network of a process or in a new one, and sets pid.
contained() {
	local name=$1 network=(unshare --net) parent
	[[ -z $2 ]] || network=(nsenter --target "$2" --net)
	shift 2
	# shellcheck disable=SC2016 # the inner shell is to expand this
	KONTOR_STORE_KEY=${of[store]} KONTOR_CLIENT_SHA256=${of[hash]} KONTOR_STORE=sqlite:/var/lib/kontor/data/kontor.db \
		KONTOR_GRPC=127.0.0.1:9090 KONTOR_HTTP=127.0.0.1:8080 KONTOR_ADMIN=127.0.0.1:8081 "${network[@]}" \
		unshare --mount --pid --ipc --uts --fork --kill-child sh -euc '
		root=$1 run=$2 user=$3 work=$4
		shift 4
		ip link set lo up
		mount --bind "$root" "$root"
		mount -t proc proc "$root/proc"
		mount --bind "$run/data" "$root/var/lib/kontor"
		mount --bind "$run/kontor.yaml" "$root/etc/kontor/kontor.yaml"
		mount -o remount,bind,ro "$root"
		cd "$root$work"
		exec setpriv --no-new-privs chroot --userspec="$user" "$root" "$@"
	' sh "$root" "$run" "$user" "$work" "${entrypoint[@]}" "$@" >"$run/$name.log" 2>&1 &
	parent=$!
	disown "$parent" # so that nobody is told how it ended
	processes+=("$parent")
	until_true "$name does not start" runs_in "$parent"
	pid=$(cat "/proc/$parent/task/$parent/children")
	pid=${pid% }
	processes+=("$pid") # which outlives its parent: it has changed its user
}
step "start"
contained kontor "" "${default[@]}"
kontor=$pid
contained providers "$kontor" sandbox --providers-only
healthy() {
	nsenter --target "$kontor" --mount --pid --net --root --wd --setuid "${user%:*}" --setgid "${user#*:}" "${health[@]:1}"
}
until_true "not healthy" healthy
healthy && printf '\n'

step "what it may do"
grep --quiet '^Uid:.*65532.*65532' "/proc/$kontor/status" || fail "it runs as another user"
grep --quiet '^CapEff:[[:space:]]*0*$' "/proc/$kontor/status" || fail "it has capabilities"
grep --quiet '^NoNewPrivs:[[:space:]]*1' "/proc/$kontor/status" || fail "it may gain privileges"
awk '$5 == "/" && $6 ~ /(^|,)ro(,|$)/ {found = 1} END {exit !found}' "/proc/$kontor/mountinfo" ||
	fail "/ can be written"
[[ $(stat -c '%a %u' "$run/data/data") == "700 65532" ]] || fail "others see into the store's folder"

step "a consent, and the link's page at the played provider"
asked() { nsenter --target "$kontor" --net curl --silent --show-error --fail-with-body --max-time 10 "$@"; }
# The gateway may have looked for its provider before that was there; it does so again after 5 s.
created() {
	asked http://127.0.0.1:8080/v1/consents -H "authorization: Bearer ${of[key]}" -H 'idempotency-key: first' \
		-d '{"consent":{"market":"SE"},"psu":{"nationalId":"199503096316"}}' -o "$run/created.json"
}
until_true "no consent" created
link=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["link"]["uri"])' <"$run/created.json")
asked "$link" >/dev/null

step "stop"
kill -TERM "$kontor"
gone() { ! kill -0 "$kontor"; }
until_true "it does not stop" gone
grep --quiet '"msg":"stopping"' "$run/kontor.log" || fail "it did not stop as told"
step "the image serves, read-only and without root"
