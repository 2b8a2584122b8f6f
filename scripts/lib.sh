# Shared by the scripts here; sourced, not run.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# step says what happens next, so that a log reads as a list of steps.
step() { printf '==> %s\n' "$*" >&2; }

fail() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# need fails with what to install when a command is missing.
need() { command -v "$1" >/dev/null || fail "$1 is missing: $2"; }

# packages WHY NAME...: installs packages, as root on Debian and Ubuntu; elsewhere fails with why, and what to install.
packages() {
	local why=$1
	shift
	if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
		fail "$why (Debian: sudo apt-get install $*)"
	fi
	step "apt-get install $*"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update --quiet=2
	apt-get install --quiet=2 --yes --no-install-recommends "$@" >/dev/null
}

# postgres_bin prints the folder of the newest PostgreSQL server's programs: Debian keeps it off the PATH.
postgres_bin() {
	local found
	found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
	[[ -n $found && -x $found/initdb ]] || found=$(dirname "$(command -v initdb 2>/dev/null)" 2>/dev/null) || true
	[[ -n $found && -x $found/initdb && -x $found/pg_ctl ]] && printf '%s\n' "$found"
}

# postgres_packages WHY NAME...: packages, for servers of which only the programs are wanted, not that they run.
postgres_packages() {
	if [[ $(id -u) == 0 && ! -e /etc/postgresql-common/createcluster.conf ]]; then
		mkdir -p /etc/postgresql-common
		echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
	fi
	RUNLEVEL=1 packages "$@"
}

# unprivileged FOLDER: sets as to what runs a command as one who owns the folder and is not root: PostgreSQL refuses to
# run as root.
unprivileged() {
	as=()
	[[ $(id -u) == 0 ]] || return 0
	local user=nobody
	id postgres >/dev/null 2>&1 && user=postgres
	chown "$user" "$1"
	need setpriv "it is part of util-linux"
	as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups --)
}

# The systems that releases are built for.
# shellcheck disable=SC2034 # used by who sources this
systems=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64)

# go_files lists the Go files written by hand, committed or not.
go_files() {
	local file
	git ls-files --cached --others --exclude-standard '*.go' ':!gen/' | while read -r file; do
		[[ ! -f $file ]] || printf '%s\n' "$file"
	done
}

# unchanged STAMP FILE...: true when the files have the content that they had at the
# last `stamp STAMP FILE...`.
unchanged() {
	local stamp=.build/stamps/$1
	shift
	[[ -f $stamp ]] && [[ $(cat "$stamp") == "$(cat "$@" | sha256sum)" ]]
}

stamp() {
	local stamp=.build/stamps/$1
	shift
	mkdir -p .build/stamps
	cat "$@" | sha256sum >"$stamp"
}
