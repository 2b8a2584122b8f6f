#!/usr/bin/env bash
# Writes THIRD_PARTY_NOTICES anew: the licences of all modules that a gateway links.
source "$(dirname "$0")/lib.sh"

go -C tools run ./linked notices -write .. "${systems[@]}"
