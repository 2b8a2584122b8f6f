#!/usr/bin/env bash
# Builds bin/gateway: static, without paths of this machine in it.
source "$(dirname "$0")/lib.sh"
need go "install the Go version that go.mod names"

CGO_ENABLED=0 go build -trimpath -o bin/gateway ./cmd/gateway
