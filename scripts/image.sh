#!/usr/bin/env bash
# Builds the container image of the last commit for this machine's processor, and fetches nothing: IMAGE
# (localhost/kontor) with the tags latest and the version. Works with buildah, podman or docker, whichever is found
# first, or BUILDER. RELEASE names a folder with this commit's release, where there is one already.
source "$(dirname "$0")/lib.sh"

image=${IMAGE:-localhost/kontor}
builder=${BUILDER:-}
for candidate in buildah podman docker; do
	[[ -n $builder ]] || ! command -v "$candidate" >/dev/null || builder=$candidate
done
[[ -n $builder ]] || fail "an image is built by buildah, podman or docker (Debian: sudo apt-get install buildah)"

release=${RELEASE:-.build/image-release} context=.build/image
[[ -n ${RELEASE:-} ]] || scripts/release.sh --to "$release" "linux/$(go env GOARCH)"
archive=$(echo "$release"/kontor_*_linux_"$(go env GOARCH)".tar.gz)
[[ -f $archive ]] || fail "$release has no release for linux/$(go env GOARCH)"
version=${archive##*/kontor_}
version=${version%%_linux_*}
rm -rf "$context"
mkdir -p "$context"/{licenses,etc/ssl/certs,data,unpacked}
tar --extract --gzip --file "$archive" --directory "$context/unpacked" --strip-components 1
mv "$context/unpacked/gateway" "$context/"
mv "$context/unpacked/"{LICENSE,THIRD_PARTY_NOTICES} "$context/licenses/"
rm -rf "$context/unpacked"
go -C tools run ./cacerts >"$context/etc/ssl/certs/ca-certificates.crt"
# A name for the user, for those who look processes up.
printf 'kontor:x:65532:65532::/var/lib/kontor:/sbin/nologin\n' >"$context/etc/passwd"
printf 'kontor:x:65532:\n' >"$context/etc/group"
chmod -R u=rwX,go=rX "$context"
chmod 0700 "$context/data" # others must not look into the store's folder

step "$builder: $image"
arguments=(
	--file deploy/docker/Dockerfile --tag "$image:latest" --tag "$image:${version//+/-}"
	--label "org.opencontainers.image.title=Kontor" --label "org.opencontainers.image.licenses=Apache-2.0"
	--label "org.opencontainers.image.version=$version" --label "org.opencontainers.image.revision=$(git rev-parse HEAD)"
)
# HEALTHCHECK is of Docker's format alone. The time is the commit's, so that equal commits give equal images.
[[ $builder == docker ]] || arguments+=(--format docker --timestamp "$(git log -1 --format=%ct)")
"$builder" build "${arguments[@]}" "$context"
