#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Boots Debian 12 in qemu, without KVM: its own 6.1 kernel, cgroup v2 alone, systemd as process 1, our units as installed.
# qemu_inside.sh then runs in there; its rows come out here. Needs root, for the image's owners, and no network of its own.
# Usage: bars.sh qemu [-keep] [PART...]: parts of qemu_inside.sh. -keep: leaves the image and the console's text.
set -eu
cd "$(dirname "$0")/../.."
build=$(realpath "${WRIT_BUILD:-build/release}")
limit=${WRIT_QEMU_LIMIT:-3600}

# What the programs link to, what the tests call, and a system that logs users in.
packages=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,linux-image-cloud-amd64,python3,jq,openssl,curl,procps
packages=$packages,iproute2,sudo,ca-certificates,libgrpc29,libprotobuf-c1,libuv1,libsqlite3-0,libseccomp2,libjansson4,libcurl4
packages=$packages,libtss2-esys-3.0.2-0,libtss2-rc0,libtss2-tctildr0,libcmocka0
# Runtimes, so that their cgroups are the real ones.
packages=$packages,podman,crun,conmon,uidmap,slurmd,slurmctld,slurm-client,munge

keep=
if [ "${1:-}" = -keep ]; then
	keep=1
	shift
fi
if [ "$(id -u)" != 0 ]; then
	echo "qemu.sh: run it as root: the image's files have to be root's" >&2
	exit 2
fi
missing=
command -v qemu-system-x86_64 >/dev/null || missing="$missing qemu-system-x86"
command -v mmdebstrap >/dev/null || missing="$missing mmdebstrap"
command -v mke2fs >/dev/null || missing="$missing e2fsprogs"
if [ -n "$missing" ]; then
	echo "Installing:$missing"
	# shellcheck disable=SC2086 # a list of words, on purpose
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

# Debian itself changes seldom: it is made once for each list of packages.
cache=$build/qemu
mkdir -p "$cache"
base=$cache/base-$(echo "$packages" | cksum | cut -d' ' -f1).tar
if [ ! -f "$base" ]; then
	echo "making Debian 12 (about 1.5 minutes)"
	mmdebstrap --quiet --mode=root --variant=apt --include="$packages" --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--format=tar bookworm "$base.new"
	mv "$base.new" "$base"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/writ-qemu.XXXXXX")
qemu=
finish() {
	[ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true
	if [ -n "$keep" ]; then
		echo "left in $work" >&2
	else
		rm -rf "$work"
	fi
}
trap finish EXIT
trap 'exit 130' INT TERM

root=$work/root
mkdir "$root"
tar -xf "$base" -C "$root" --exclude='./dev/*'
cp -L "$root/vmlinuz" "$root/initrd.img" "$work"
rm -rf "${root:?}/boot" "$root/var/cache/apt" "$root/var/lib/apt/lists"
DESTDIR="$root" cmake --install "$build" >/dev/null

# Sources and tests, out of the way of what a boot cleans.
home=/srv/writ
mkdir -p "$root$home/build/release/clients"
tar -cf - --exclude=./build --exclude=./.git . | tar -xf - -C "$root$home"
for folder in bin tests bars clients/bin; do
	[ ! -d "$build/$folder" ] || cp -r "$build/$folder" "$root$home/build/release/$folder"
done

# Without a machine ID systemd asks the console for what a new machine needs.
rm -f "$root/etc/resolv.conf"
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
echo writ-qemu >"$root/etc/hostname"
echo "127.0.0.1 localhost writ-qemu writ.example.org" >"$root/etc/hosts"
echo "/dev/vda / ext4 defaults 0 1" >"$root/etc/fstab"
cat >"$root/etc/systemd/system/writ-bar.service" <<END
[Unit]
Description=The bar
After=multi-user.target dbus.service systemd-logind.service
[Service]
Type=exec
Environment=TREE=$home BUILD=$home/build/release
ExecStart=/bin/sh $home/tests/bars/qemu_inside.sh $*
ExecStopPost=/usr/bin/systemctl --no-block poweroff
StandardOutput=file:/dev/ttyS1
StandardError=inherit
END
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../writ-bar.service "$root/etc/systemd/system/multi-user.target.wants/writ-bar.service"
for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
mke2fs -q -F -t ext4 -d "$root" "$work/root.img" 3G >/dev/null
rm -rf "$root"

echo "booting (at most $limit s; the console's text: $work/console)"
timeout "$limit" qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 3G -nodefaults -no-reboot \
	-display none -nic none -device virtio-rng-pci -kernel "$work/vmlinuz" -initrd "$work/initrd.img" \
	-append "root=/dev/vda rw console=ttyS0 quiet panic=-1 systemd.show_status=0 net.ifnames=0" \
	-drive "file=$work/root.img,if=virtio,format=raw,cache=unsafe" \
	-serial "file:$work/console" -chardev "file,id=rows,path=$work/rows" -serial chardev:rows </dev/null &
qemu=$!
touch "$work/rows"
tail -n +1 -s 0.5 --pid="$qemu" -f "$work/rows"
wait "$qemu" || true
qemu=
if ! grep -q '^end: 0 failed' "$work/rows"; then
	grep -q '^end: ' "$work/rows" || tail -n 40 "$work/console" >&2
	exit 1
fi
