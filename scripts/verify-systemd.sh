#!/usr/bin/env bash
# Shows deploy/systemd to systemd: the unit parses without a warning and is as confined as systemd can tell, and
# user and folders are made as written. Then looks, with strace, whether the gateway makes a system call that the
# unit forbids. KONTOR_GATEWAY names a gateway; else one is built.
source "$(dirname "$0")/lib.sh"
scripts/setup-apt.sh systemd-analyze=systemd strace=strace curl=curl

if [[ -z ${KONTOR_GATEWAY:-} ]]; then
	scripts/build.sh
	KONTOR_GATEWAY=bin/gateway
fi
run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
units=deploy/systemd

step "systemd-analyze verify"
# The unit as it is, but for where the gateway lies, which systemd looks for.
install -D -m 0755 "$KONTOR_GATEWAY" "$run/gateway"
sed "s|/usr/local/bin/gateway|$run/gateway|" "$units/kontor.service" >"$run/kontor.service"
said=$(systemd-analyze verify --man=no "$run/kontor.service" 2>&1) || fail "$said"
# What the machine's own units are warned of is not ours.
! grep --fixed-strings "kontor.service" <<<"$said" || fail "the unit has the faults above"

step "systemd-analyze security"
systemd-analyze security --offline=true --threshold=15 "$run/kontor.service" >"$run/security" ||
	fail "$(cat "$run/security")"
tail -1 "$run/security"

step "systemd-sysusers, systemd-tmpfiles"
mkdir -p "$run/root/etc"
systemd-sysusers --root="$run/root" "$(realpath $units/kontor.sysusers)" 2>"$run/said" || fail "$(cat "$run/said")"
grep --quiet '^kontor:' "$run/root/etc/passwd" || fail "there is no user kontor"
systemd-tmpfiles --root="$run/root" --create "$(realpath $units/kontor.tmpfiles)" 2>"$run/said" ||
	fail "$(cat "$run/said")"
[[ $(stat -c %a "$run/root/etc/kontor/secrets" "$run/root/var/backups/kontor" | tr '\n' ' ') == "750 700 " ]] ||
	fail "the folders have other modes than written"

step "system calls"
# As root the gateway would make others: the unit's is none.
mkdir -p "$run/data"
user=()
if [[ $(id -u) == 0 ]]; then
	user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	chmod 0711 "$run"
	install -d -m 0700 -o 65534 -g 65534 "$run/data"
fi
"${user[@]}" strace --follow-forks --quiet=all --output="$run/data/trace" "$run/gateway" sandbox --data "$run/data" \
	--ready-file "$run/data/ready" --grpc 127.0.0.1:0 --http 127.0.0.1:0 --admin 127.0.0.1:0 \
	--fimento 127.0.0.1:0 --finoos 127.0.0.1:0 >/dev/null 2>"$run/log" &
tracer=$! ready=()
for ((i = 0; i < 600 && ${#ready[@]} == 0; i++)); do
	[[ -s $run/data/ready ]] && mapfile -t ready < <(python3 -c 'import json, sys
at = json.load(open(sys.argv[1]))
print(at["http"], at["admin"], at["key"], sep="\n")' "$run/data/ready")
	sleep 0.1
done
((${#ready[@]} == 3)) || fail "the sandbox does not start: $(cat "$run/log")"
created=$(curl --silent --fail-with-body "${ready[0]}/v1/consents" -H "authorization: Bearer ${ready[2]}" \
	-d '{"consent":{"market":"SE"},"psu":{"nationalId":"199503096316"}}') || fail "$created"
curl --silent --fail --output /dev/null "${ready[1]}/metrics"
kill -TERM "$(pgrep --parent $tracer)"
wait $tracer || fail "the sandbox did not end well: $(cat "$run/log")"
python3 - "$run/data/trace" "$units/kontor.service" <<'PYTHON'
import re, subprocess, sys

def expand(name):
    """The system calls of a set, as systemd tells them."""
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True)
    members = {line.strip() for line in listed.stdout.splitlines()[1:] if line.strip() and line.strip()[0] != "#"}
    return set().union(*map(expand, members))

allowed = expand("@default")
for line in open(sys.argv[2]):
    key, _, value = line.strip().partition("=")
    if key == "SystemCallFilter":
        named = set().union(*map(expand, value.lstrip("~").split()))
        allowed = allowed - named if value.startswith("~") else allowed | named
trace = open(sys.argv[1]).read()
made = set(re.findall(r"^\d+\s+(?:<\.\.\. )?([a-z_0-9]+)(?:\(| resumed)", trace, re.M))
print(len(made), "system calls are made:", " ".join(sorted(made)))
if len(made) < 20:
    sys.exit("that is too few to be all")
if made - allowed:
    sys.exit("the unit forbids " + ", ".join(sorted(made - allowed)))
if re.search(r"PROT_WRITE\|PROT_EXEC|PROT_READ\|PROT_WRITE\|PROT_EXEC", trace):
    sys.exit("memory is written and executed, which MemoryDenyWriteExecute forbids")
families = set(re.findall(r"socket\((AF_\w+)", trace))
if families - {"AF_INET", "AF_INET6", "AF_UNIX"}:
    sys.exit(f"the unit forbids sockets of {families}")
PYTHON
step "the unit is confined, and the gateway keeps to it"
