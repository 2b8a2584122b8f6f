#!/usr/bin/env bash
# Builds a release of the last commit into .build/dist: for each system an archive and a bill of materials, and
# SHA256SUMS over all of them.
#
#   scripts/release.sh [--to DIR] [OS/ARCH ...]    default: all systems of scripts/lib.sh
#
# The commit is built from a clone, so that nothing uncommitted gets in, and whoever builds it again with the same Go
# gets the same bytes: no time but the commit's (or SOURCE_DATE_EPOCH), no path, no user. Needs no network once the
# modules are there.
source "$(dirname "$0")/lib.sh"
need go "install the Go version that go.mod names"
tar --version 2>/dev/null | grep --quiet 'GNU tar' || fail "releases are packed by GNU tar"

to=.build/dist
if [[ ${1:-} == --to ]]; then
	to=$2
	shift 2
fi
(($# == 0)) || systems=("$@")

[[ -z $(git status --porcelain) ]] || printf 'note: what is not committed is not in the release\n' >&2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
git clone --quiet --no-hardlinks . "$scratch/kontor"
mkdir -p "$to"
rm -f "$to"/kontor_* "$to"/SHA256SUMS
to=$(cd "$to" && pwd)
cd "$scratch/kontor"

export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export GOFLAGS=-mod=readonly CGO_ENABLED=0 GOAMD64=v1 GOARM64=v8.0 LC_ALL=C
for system in "${systems[@]}"; do
	step "$system"
	binary=$scratch/gateway
	[[ $system != windows/* ]] || binary+=.exe
	GOOS=${system%/*} GOARCH=${system#*/} go build -trimpath -buildvcs=true -ldflags '-s -w' -o "$binary" ./cmd/gateway
	version=$(go version -m "$binary" | awk '$1 == "mod" {print $3}')
	name=kontor_${version#v}_${system/\//_}
	mkdir "$scratch/$name"
	# With whatever README.md leads to.
	cp -r "$binary" LICENSE THIRD_PARTY_NOTICES README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md kontor.example.yaml \
		deploy docs "$scratch/$name/"
	tar --create --directory "$scratch" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
		--mode='u=rwX,go=rX' --format=gnu "$name" | gzip --no-name --best >"$to/$name.tar.gz"
	go -C tools run ./linked sbom .. "$binary" >"$to/$name.cdx.json"
	rm -rf "$binary" "${scratch:?}/$name"
done
cd "$to"
sha256sum kontor_* >SHA256SUMS
step "$to: $(wc -l <SHA256SUMS) files, and SHA256SUMS"
