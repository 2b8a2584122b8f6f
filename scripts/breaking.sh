#!/usr/bin/env bash
# Fails when proto/ breaks callers of the frozen contract, proto/contract.binpb: on the
# wire, in the names that JSON callers see, in stubs, or in REST's paths. With --prove it
# breaks copies of proto/ on purpose, and fails when that goes unnoticed.
source "$(dirname "$0")/lib.sh"

scripts/setup-node.sh
scripts/proto-deps.sh

contract=proto/contract.binpb
[[ -f $contract ]] || fail "$contract is missing: it is part of the repository"
scratch=$(mktemp -d .build/breaking.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
root=$PWD
buf=$root/tools/node/node_modules/.bin/buf

# keeps DIR: true when the .proto files of a directory keep what the contract promises.
keeps() {
	(
		cd "$1"
		"$buf" breaking proto --against "$root/$contract" &&
			"$buf" build proto --output "$root/$scratch/now.binpb"
	) && go -C tools run ./contract "../$contract" "../$scratch/now.binpb"
}

copy=$scratch/copy
copied() {
	rm -rf "$copy"
	mkdir -p "$copy/.build"
	cp -R proto buf.yaml "$copy"
	cp -R .build/proto "$copy/.build/proto"
}

# breaks NAME FILE EDIT: fails when a copy of proto/ with that edit still passes.
breaks() {
	copied
	sed -i.bak -E "$3" "$copy/proto/kontor/$2"
	if cmp -s "$copy/proto/kontor/$2" "$copy/proto/kontor/$2.bak"; then
		fail "$1: the edit of $2 changes nothing"
	fi
	rm "$copy/proto/kontor/$2.bak"
	if keeps "$copy" >/dev/null 2>&1; then
		fail "$1 goes unnoticed"
	fi
	step "noticed: $1"
}

case "${1:-}" in
"")
	step "comparing proto/ with $contract"
	keeps .
	;;
--prove)
	copied
	keeps "$copy" || fail "proto/ does not keep the contract as it is"
	breaks "another number of a field" type/v1/money.proto 's/string value = 1/string value = 7/'
	breaks "another name of a field" type/v1/money.proto 's/currency_code = 2/currency = 2/'
	breaks "an enum value that is gone" consent/v1/consent.proto '/^ *REJECTED = /d'
	breaks "another path" consent/v1/consent_service.proto 's/:renewLink"/:renew"/'
	;;
*) fail "usage: scripts/breaking.sh [--prove]" ;;
esac
