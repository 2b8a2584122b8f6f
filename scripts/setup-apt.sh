#!/usr/bin/env bash
# Makes sure of commands that tests run and the distribution has: scripts/setup-apt.sh COMMAND=PACKAGE ...
# Installs them as root on Debian and Ubuntu; elsewhere says what is missing.
source "$(dirname "$0")/lib.sh"

missing=()
for wanted in "$@"; do
	PATH=$PATH:/usr/sbin:/sbin command -v "${wanted%=*}" >/dev/null || missing+=("${wanted#*=}")
done
((${#missing[@]})) || exit 0
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
	fail "these are missing on the PATH (Debian: sudo apt-get install ${missing[*]})"
fi
step "apt-get install ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" >/dev/null
