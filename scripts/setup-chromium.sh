#!/usr/bin/env bash
# Makes sure of a Chromium for the tests that open the sandbox's pages as a customer's
# browser does. Installs it as root on Debian and Ubuntu; elsewhere says what is missing.
source "$(dirname "$0")/lib.sh"

for browser in chromium chromium-browser google-chrome google-chrome-stable headless-shell; do
	if command -v "$browser" >/dev/null; then
		exit 0
	fi
done
if [[ -d "/Applications/Google Chrome.app" ]]; then
	exit 0
fi
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
	fail "the browser tests need Chromium or Chrome on the PATH (Debian: sudo apt-get install chromium)"
fi
step "apt-get install chromium"
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends chromium >/dev/null
