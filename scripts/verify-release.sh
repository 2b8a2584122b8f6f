#!/usr/bin/env bash
# Builds the release for this system twice, the second time as somebody else would: from a clone in another folder,
# with another time zone, language and umask. Fails when a byte differs. FRESH=1 compiles everything anew for it,
# which takes minutes; else what both times is compiled alike comes from the build cache.
source "$(dirname "$0")/lib.sh"

system=$(go env GOOS)/$(go env GOARCH)
elsewhere=$(mktemp -d)
trap 'chmod -R u+w "$elsewhere"; rm -rf "$elsewhere"' EXIT
git clone --quiet . "$elsewhere/a clone"
scripts/release.sh --to .build/dist-verified "$system"
(
	umask 077
	export TZ=Pacific/Kiritimati LANG=de_DE.UTF-8 USER=somebody
	[[ ${FRESH:-} != 1 ]] || export GOCACHE=$elsewhere/cache
	cd "$elsewhere/a clone"
	scripts/release.sh --to "$elsewhere/dist" "$system"
)
diff .build/dist-verified/SHA256SUMS "$elsewhere/dist/SHA256SUMS" || fail "a second build gives other bytes"
(cd .build/dist-verified && sha256sum --check --quiet SHA256SUMS)

# What is in it runs, knows its commit, and is whole.
archive=$(echo .build/dist-verified/kontor_*.tar.gz)
mkdir "$elsewhere/unpacked"
tar --extract --gzip --file "$archive" --directory "$elsewhere/unpacked" --strip-components 1
said=$("$elsewhere/unpacked/gateway" version)
grep --quiet "^commit *$(git rev-parse HEAD)\$" <<<"$said" || fail "the binary does not know its commit: $said"
mapfile -t linked < <(grep --only-matching --extended-regexp '\]\([^):#]+' README.md | cut -c3-)
((${#linked[@]} > 5)) || fail "README.md leads to ${#linked[@]} files"
for file in LICENSE THIRD_PARTY_NOTICES README.md kontor.example.yaml deploy/systemd/kontor.service "${linked[@]}"; do
	[[ -s $elsewhere/unpacked/$file ]] || fail "$file is missing in the archive"
done
step "twice the same: $(head -c 16 .build/dist-verified/SHA256SUMS)..."
