#!/usr/bin/env bash
# Tests the generated stubs as a service in TypeScript or Python uses them, against the
# gateway's sandbox. The tests find the binary in KONTOR_GATEWAY.
source "$(dirname "$0")/lib.sh"

need npm "install Node.js 20 or later"

scripts/build.sh
export KONTOR_GATEWAY=$PWD/bin/gateway

if ! [[ -d clients/typescript/node_modules ]] || ! unchanged client-typescript clients/typescript/package-lock.json; then
	step "npm ci in clients/typescript"
	npm ci --prefix clients/typescript --ignore-scripts --no-audit --no-fund --loglevel=error
	stamp client-typescript clients/typescript/package-lock.json
fi
step "TypeScript client tests"
npm test --prefix clients/typescript

scripts/setup-python.sh
step "Python client tests"
PYTHONPATH=gen/python:clients/python PYTHONDONTWRITEBYTECODE=1 \
	.build/venv/bin/python -m pytest -p no:cacheprovider clients/python
