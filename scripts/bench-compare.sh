#!/usr/bin/env bash
# Compares the benchmarks of functions with those of another commit: scripts/bench-compare.sh BASE PACKAGE...
#
# Both run in turn, COUNT (8) times for BENCHTIME (200ms) each, so that what else the machine does is the same for both;
# BENCH (.) says which. What one of the two has not is left out. Write-ahead and other files lie in TMPDIR.
source "$(dirname "$0")/lib.sh"

base=${1:?"which commit to compare with: make bench-compare BASE=main"}
shift
commit=$(git rev-parse --verify --quiet "$base^{commit}") || fail "there is no commit $base"
out=$PWD/.build/bench-compare
rm -rf "$out"
mkdir -p "$out"/{base,head}
trap 'git worktree remove --force "$out/tree"' EXIT
step "$base beside the working tree"
git worktree add --quiet --detach "$out/tree" "$commit"

both=()
for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' "$@"); do
	folder=${package#"$PWD/"}
	[[ -d $out/tree/$folder ]] && grep --quiet '^func Benchmark' "$folder"/*_test.go || continue
	name=${folder//\//-}.test
	go test -c -o "$out/head/$name" "./$folder"
	go -C "$out/tree" test -c -o "$out/base/$name" "./$folder"
	[[ ! -f $out/head/$name || ! -f $out/base/$name ]] || both+=("$folder")
done
((${#both[@]})) || fail "there is nothing to compare"

for ((round = 1; round <= ${COUNT:-8}; round++)); do
	for folder in "${both[@]}"; do
		step "round $round: $folder"
		for side in base head; do
			where=$folder
			[[ $side == head ]] || where=$out/tree/$folder
			(cd "$where" && "$out/$side/${folder//\//-}.test" -test.run '^$' -test.bench "${BENCH:-.}" -test.benchmem \
				-test.benchtime "${BENCHTIME:-200ms}") >>"$out/$side.txt"
		done
	done
done
go tool -modfile=tools/go.mod benchstat "base=$out/base.txt" "head=$out/head.txt"
