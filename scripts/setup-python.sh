#!/usr/bin/env bash
# Makes the Python environment .build/venv with the pinned packages. Does nothing when
# it is there already.
source "$(dirname "$0")/lib.sh"
need python3 "install Python 3.10 or later, with the venv module"

if [[ -x .build/venv/bin/python ]] && unchanged python tools/python/requirements.txt; then
	exit 0
fi
step "Python environment in .build/venv"
rm -rf .build/venv
python3 -m venv .build/venv || fail "python3 has no venv module (Debian: apt-get install python3-venv)"
.build/venv/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement tools/python/requirements.txt
.build/venv/bin/pip check --disable-pip-version-check >/dev/null || fail "tools/python/requirements.txt is not complete: .build/venv/bin/pip check"
stamp python tools/python/requirements.txt
