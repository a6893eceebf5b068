#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that are missing, and nothing when none is. Usage: packages.sh build|test|lint ...
set -eu

build="gcc libc6-dev cmake ninja-build pkg-config protobuf-compiler protobuf-c-compiler libprotobuf-dev
	libprotobuf-c-dev libgrpc-dev libssl-dev libuv1-dev libsqlite3-dev libseccomp-dev libjansson-dev
	libcurl4-openssl-dev libtss2-dev libsystemd-dev ca-certificates"
test="libcmocka-dev python3 python3-venv nodejs git openssl curl jq procps iproute2 util-linux mandoc sqlite3 systemd
	dbus-daemon swtpm swtpm-tools tpm2-tools openssh-client sudo"
lint="clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev shellcheck codespell pmccabe"

wanted=
for set in "$@"; do
	case $set in
	build) wanted="$wanted $build" ;;
	test) wanted="$wanted $build $test" ;;
	lint) wanted="$wanted $build $test $lint" ;;
	*) echo "packages.sh: no set of packages is called '$set' (build, test, lint)" >&2; exit 2 ;;
	esac
done

missing=
for p in $wanted; do
	state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null || true)
	case $state in
	ii*) ;;
	*) missing="$missing $p" ;;
	esac
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
	sudo=sudo
	command -v sudo >/dev/null || {
		echo "These Debian packages are missing, and there is no sudo to install them with:$missing" >&2
		echo "Run as root: apt-get install$missing" >&2
		exit 1
	}
fi
echo "Installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words, on purpose
$sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
