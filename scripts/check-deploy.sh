#!/usr/bin/env bash
# Holds deploy/ and releases to those who read and run them: Helm, Kubernetes' types, Compose, Envoy's messages,
# PostgreSQL, systemd and buildah. As root on Debian or Ubuntu it installs what it needs and checks everything. Else it
# checks what can be, and says what it left out, which fails when DEPLOY_REQUIRED=1, as in CI.
source "$(dirname "$0")/lib.sh"

left=()
root=false
[[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null || root=true
! $root || scripts/setup-apt.sh buildah=buildah systemd-analyze=systemd strace=strace curl=curl

step "bin/gateway"
scripts/build.sh
export KONTOR_GATEWAY=$PWD/bin/gateway

step "deploy/ and its readers (tools/deploy)"
go -C tools/deploy vet ./...
scripts/postgres.sh go -C tools/deploy test ./...

if command -v systemd-analyze >/dev/null && command -v strace >/dev/null; then
	scripts/verify-systemd.sh
else
	left+=("the systemd unit: systemd-analyze and strace are missing")
fi

if tar --version 2>/dev/null | grep --quiet 'GNU tar'; then
	scripts/verify-release.sh
	if $root; then
		RELEASE=.build/dist-verified scripts/image.sh
		scripts/verify-image.sh
	else
		left+=("the image: it is built and run as root on Debian or Ubuntu")
	fi
else
	left+=("releases and the image: GNU tar is missing")
fi

((${#left[@]} > 0)) || exit 0
printf 'WARNING: NOT CHECKED: %s\n' "${left[@]}" >&2
[[ ${DEPLOY_REQUIRED:-} != 1 ]]
