#!/usr/bin/env bash
# Runs every fuzz target for FUZZTIME each (10s). A failing input is kept by Go under
# the package's testdata/fuzz, where each later test run repeats it.
source "$(dirname "$0")/lib.sh"

targets=0
failed=()
while IFS=: read -r file target; do
	step "$target in $(dirname "$file") for ${FUZZTIME:-10s}"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-10s}" "./$(dirname "$file")" ||
		failed+=("$target")
	targets=$((targets + 1))
done < <(go_files | grep '_test\.go$' |
	xargs -r grep --extended-regexp --only-matching --with-filename '^func Fuzz[A-Za-z0-9_]+' |
	sed 's/:func /:/')
((${#failed[@]} == 0)) || fail "${failed[*]}"
step "$targets fuzz targets, no failure"
