#!/usr/bin/env bash
# Runs every linter and reports all of them, not only the first that fails.
source "$(dirname "$0")/lib.sh"

scripts/setup-node.sh
scripts/proto-deps.sh

failed=()
run() {
	local name=$1
	shift
	step "$name"
	"$@" || failed+=("$name")
}

gofmt_clean() {
	local unformatted
	unformatted=$(go_files | xargs -r gofmt -l) || return 1
	[[ -z $unformatted ]] && return 0
	printf 'not formatted:\n%s\n' "$unformatted"
	return 1
}
scripts_parse() {
	local script
	for script in scripts/*.sh .ci/run; do bash -n "$script" || return 1; done
}

run "gofmt" gofmt_clean
run "import rules (tools/importlint)" go -C tools run ./importlint ..
run "quotes in docs (tools/quotes)" go -C tools run ./quotes ..
run "third parties' notices (tools/linked)" go -C tools run ./linked notices .. "${systems[@]}"
run "buf lint" tools/node/node_modules/.bin/buf lint
run "buf format" tools/node/node_modules/.bin/buf format proto --diff --exit-code
run "the contract is kept" scripts/breaking.sh
run "the contract would be missed" scripts/breaking.sh --prove
run "shell syntax" scripts_parse
run "go vet" go vet -tags failover ./...
run "go vet tools" go -C tools vet ./...
run "go test tools" go -C tools test ./...
run "golangci-lint" go tool -modfile=tools/go.mod golangci-lint run ./...
run "golangci-lint tools" go -C tools tool golangci-lint run --config ../.golangci.yml ./...

if ((${#failed[@]})); then
	fail "$(printf '%s; ' "${failed[@]}")see above"
fi
