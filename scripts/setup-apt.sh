#!/usr/bin/env bash
# Makes sure of commands that tests run and the distribution has: scripts/setup-apt.sh COMMAND=PACKAGE ...
# Installs them as root on Debian and Ubuntu; elsewhere says what is missing.
source "$(dirname "$0")/lib.sh"

missing=()
for wanted in "$@"; do
	PATH=$PATH:/usr/sbin:/sbin command -v "${wanted%=*}" >/dev/null || missing+=("${wanted#*=}")
done
((${#missing[@]} == 0)) || packages "these are missing on the PATH" "${missing[@]}"
