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
