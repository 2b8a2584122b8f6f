#!/usr/bin/env bash
# Fails when proto/ breaks callers of what is on main: on the wire, or in the names that
# JSON callers see.
source "$(dirname "$0")/lib.sh"

scripts/setup-node.sh
scripts/proto-deps.sh

base=
for ref in main origin/main; do
	if git rev-parse --quiet --verify "$ref^{commit}" >/dev/null 2>&1; then
		base=$ref
		break
	fi
done
if [[ -z $base ]]; then
	step "buf breaking: skipped, there is no main branch to compare with yet"
	exit 0
fi
if ! git cat-file -e "$base:proto" 2>/dev/null; then
	step "buf breaking: skipped, $base has no proto/ yet"
	exit 0
fi

step "buf breaking against $base"
# Not `--against .git#branch=main`: the third-party files are not committed, so what is
# on main has to be put beside them.
old=$(mktemp -d .build/breaking.XXXXXX)
trap 'rm -rf "$old"' EXIT
mkdir "$old/.build"
git archive "$base" proto buf.yaml | tar -x -C "$old"
cp -R .build/proto "$old/.build/proto"
tools/node/node_modules/.bin/buf breaking proto --against "$old/proto"
