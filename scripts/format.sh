#!/usr/bin/env bash
# Formats Go and proto files.
source "$(dirname "$0")/lib.sh"

scripts/setup-node.sh
scripts/proto-deps.sh
go_files | xargs -r gofmt -w
tools/node/node_modules/.bin/buf format proto --write
