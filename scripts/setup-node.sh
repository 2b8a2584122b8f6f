#!/usr/bin/env bash
# Installs the pinned npm tools (buf, protoc-gen-es, the schema of OpenAPI) into tools/node/node_modules.
# Does nothing when they are there already.
source "$(dirname "$0")/lib.sh"
need npm "install Node.js 20 or later"

if [[ -x tools/node/node_modules/.bin/buf ]] && unchanged node tools/node/package-lock.json; then
	exit 0
fi
step "npm ci in tools/node"
# Without install scripts: buf's only copies its binary, which it finds without.
npm ci --prefix tools/node --ignore-scripts --no-audit --no-fund --loglevel=error
stamp node tools/node/package-lock.json
