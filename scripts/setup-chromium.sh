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
packages "the browser tests need Chromium or Chrome on the PATH" chromium
