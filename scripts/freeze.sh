#!/usr/bin/env bash
# Writes proto/contract.binpb: the contract as proto/ has it now, which from then on
# nothing may break. Only a release does this.
source "$(dirname "$0")/lib.sh"

scripts/setup-node.sh
scripts/proto-deps.sh
tools/node/node_modules/.bin/buf build proto --exclude-source-info --output proto/contract.binpb
step "proto/contract.binpb is the contract now: $(sha256sum proto/contract.binpb | cut -c1-16)"
