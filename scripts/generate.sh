#!/usr/bin/env bash
# Makes gen/ from proto/. With --verify it writes nothing and fails when gen/ is not
# what proto/ makes, showing the difference.
source "$(dirname "$0")/lib.sh"

verify=false
case "${1:-}" in
--verify) verify=true ;;
"") ;;
*) fail "usage: scripts/generate.sh [--verify]" ;;
esac

scripts/setup-node.sh
scripts/setup-python.sh
scripts/proto-deps.sh

step "generating from proto/"
# buf starts all plugins at once; build them one by one beforehand, or on a fresh
# machine each compiles what they share.
for plugin in protoc-gen-go protoc-gen-go-grpc protoc-gen-grpc-gateway protoc-gen-openapiv3; do
	go tool -modfile=tools/go.mod -n "$plugin" >/dev/null
done

# Into a scratch directory first: a failure leaves gen/ as it was.
out=$(mktemp -d .build/generate.XXXXXX)
trap 'rm -rf "$out"' EXIT
tools/node/node_modules/.bin/buf generate --output "$out"
tools/node/node_modules/.bin/buf generate --output "$out" --template tools/node/buf.gen.rpc.yaml
tools/node/node_modules/.bin/buf build proto --output "$out/image.binpb"
go -C tools run ./openapi -in "../$out/openapi" -image "../$out/image.binpb" -out "../$out/gen/openapi/kontor.openapi.json"

if $verify; then
	if ! diff -r -x __pycache__ gen "$out/gen"; then
		fail "gen/ differs from what proto/ makes (< committed, > generated): run make generate and commit"
	fi
	step "gen/ is up to date"
else
	# Swapped in one go, for whoever is building meanwhile.
	[[ ! -d gen ]] || mv gen "$out/old"
	mv "$out/gen" gen
fi
