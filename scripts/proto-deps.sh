#!/usr/bin/env bash
# Writes the third-party .proto files that proto/ imports to .build/proto, where buf
# and editors find them. They come from the Go modules pinned in tools/go.mod.
source "$(dirname "$0")/lib.sh"
need go "install the Go version that go.mod names"

if [[ -d .build/proto ]] && unchanged proto tools/go.sum tools/protodeps/main.go; then
	exit 0
fi
go -C tools run ./protodeps -out ../.build/proto
stamp proto tools/go.sum tools/protodeps/main.go
