#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs in the machine that qemu.sh boots, as root: Writ as README.md installs it, under a real systemd with cgroup v2 alone and
# Linux 6.1. Rows "ok|FAIL name: value"; the last line counts. Parts: system units svid fragment forms podman
# rootless slurm run attacks, and all of them without arguments; places, a part of attacks; all_attacks, as often as bar 41 wants it.
set -u
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
: "${TREE:?where the sources are}" "${BUILD:?where they are built}"
parts=${*:-system units svid fragment forms podman rootless slurm run attacks}
failed=0
machine=spiffe://example.org/machine/one
tmp=$(mktemp -d)

row() { # row ok|FAIL name value
	printf '%-4s %s: %s\n' "$1" "$2" "$3"
	[ "$1" = ok ] || failed=$((failed + 1))
}

same() { # same name seen wanted
	if [ "$2" = "$3" ]; then row ok "$1" "$2"; else row FAIL "$1" "$2 (wanted $3)"; fi
}

has() { # has name text pattern: the first line of it that matches
	line=$(printf '%s\n' "$2" | grep -E -m1 -- "$3") || {
		row FAIL "$1" "nothing like '$3' in:"
		printf '%s\n' "$2" | sed 's/^/     | /' | head -n 40
		return
	}
	row ok "$1" "$line"
}

served() { # served name output ID|nobody: what `writ svid fetch` printed
	case $3 in
	nobody) has "$1" "$2" 'PermissionDenied|no identity issued' ;;
	*) has "$1" "$2" "spiffe://example.org$3\$" ;;
	esac
	[ "$3" != nobody ] || ! printf '%s\n' "$2" | grep -q '^SPIFFE ID' || row FAIL "$1" "it was served"
	trace=$(printf '%s\n' "$2" | sed -n 's/.*(trace \([0-9A-Z]*\)).*/\1/p' | head -n 1)
	[ "$3" = nobody ] || [ -z "$trace" ] || writ explain "$trace" 2>&1 | sed 's/^/     | /'
}

journal() { journalctl -q --no-pager -o cat -n "${2:-25}" -u "$1" | sed 's/^/     | /'; }

entry() { writ entry create -parentID "$machine" -spiffeID "spiffe://example.org$1" -selector "$2" >"$tmp/entry" 2>&1 || {
	row FAIL "entry for $2" "$(cat "$tmp/entry")"
}; }

started() { # started unit
	systemctl start "$1" >/dev/null 2>&1
	state=$(systemctl is-active "$1")
	same "systemctl start $1" "$state" active
	[ "$state" = active ] || journal "$1"
}

part_system() {
	has "kernel" "$(uname -r)" '^6\.1\.'
	same "SO_PEERPIDFD" "$(python3 -c '
import socket
a, b = socket.socketpair()
try:
    a.getsockopt(1, 77)
    print("there")
except OSError as e:
    print(e.strerror)')" "Protocol not available"
	same "process 1" "$(cat /proc/1/comm)" systemd
	same "cgroups" "$(stat -f -c %T /sys/fs/cgroup) $(cat /proc/self/cgroup)" "cgroup2fs 0::/system.slice/writ-bar.service"
}

install_all() { # once
	[ ! -f /etc/writ/server.conf ] || return 0
	ldconfig
	systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload
	install -D -m 644 "$TREE/deploy/conf/server.conf" /etc/writ/server.conf
	install -D -m 644 "$TREE/deploy/conf/agent.conf" /etc/writ/agent.conf
	has "configuration" "$(writ-server validate -config /etc/writ/server.conf 2>&1)" 'is valid'
	started writ-server
	[ "$state" = active ] || return 1
	has "writ healthcheck" "$(writ healthcheck 2>&1)" 'healthy'
	writ bundle show >"$tmp/bundle.pem" && install -m 644 "$tmp/bundle.pem" /etc/writ/bundle.pem
	(umask 077 && echo no-such-token >"$tmp/token")
	install -m 600 -o writ-agent "$tmp/token" /etc/writ/join-token
	if systemctl start writ-agent >/dev/null 2>&1; then
		row FAIL "systemctl start writ-agent, with a token that is refused" "exit 0"
	else
		row ok "systemctl start writ-agent, with a token that is refused" "$(systemctl show -p Result,StatusText writ-agent | xargs)"
	fi
	systemctl stop writ-agent
	(umask 077 && writ token generate -spiffeID "$machine" -o json | jq -r .value >"$tmp/token")
	install -m 600 -o writ-agent "$tmp/token" /etc/writ/join-token
	started writ-agent
	[ "$state" = active ] || return 1
	# The unit is ready once the agent has joined.
	same "writ agent count" "$(writ agent count 2>&1)" "1 attested agents"
}

# A user with a manager of his own.
user=alice uid=1200
make_user() {
	id "$user" >/dev/null 2>&1 || useradd -m -u "$uid" -s /bin/bash "$user"
	started "user@$uid.service"
}

as_user() { # as_user command...: outside of any unit of his
	setpriv --reuid "$uid" --regid "$uid" --clear-groups env HOME="/home/$user" "$@" 2>&1
}

by_his_manager() {
	setpriv --reuid "$uid" --regid "$uid" --clear-groups env HOME="/home/$user" XDG_RUNTIME_DIR="/run/user/$uid" \
		DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$uid/bus" systemd-run --user --quiet --collect --wait --pipe "$@" 2>&1
}

probe() { # probe unit options... -- command
	unit=$1
	shift
	systemd-run --quiet --collect --wait --pipe --unit="$unit" "$@" 2>&1
}

# What asks for an identity, as one word.
fetch=/usr/local/bin/fetch-svid
printf '#!/bin/sh\nexec writ svid fetch -timeout 10s\n' >$fetch
# The same, from a folder below its own cgroup, by a command that follows.
below=/usr/local/bin/fetch-below
cat >$below <<'END'
#!/bin/sh
d=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/$1
mkdir -p "$d" && echo $$ >"$d/cgroup.procs" && grep -q "/$1\$" /proc/self/cgroup || exit
shift
exec "$@" fetch-svid
END
chmod 755 $fetch $below

part_svid() {
	make_user
	entry /probe systemd:id:probe.service
	entry /hers "systemd-user:uid:$uid:id:probe.service"
	# The entry reaches the agent by a push; the first to ask waits for it.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		out=$(probe probe -p User=daemon $fetch)
		case $out in *"/probe"*) break ;; esac
		sleep 1
	done
	served "a unit" "$out" /probe
	served "root, outside of it" "$($fetch 2>&1)" nobody
	served "another user, outside of it" "$(as_user $fetch)" nobody
	served "a unit of another name" "$(probe other $fetch)" nobody
	served "a unit whose name ends so" "$(probe not-probe $fetch)" nobody
	served "a unit that a user calls so" "$(by_his_manager --unit=probe $fetch)" /hers
	has "and only that" "$(by_his_manager --unit=probe $fetch | grep -c '^SPIFFE ID')" '^1$'
	served "a folder of that name, in what is delegated" \
		"$(probe delegated -p User=$user -p Delegate=yes $below probe.service)" nobody
	served "the same by the user's manager" \
		"$(by_his_manager --unit=delegated -p Delegate=yes $below system.slice/probe.service)" nobody
	served "a unit, from a namespace of cgroups" "$(probe probe unshare -C $fetch)" /probe
	served "a folder of that name, from a namespace below" "$(probe delegated -p Delegate=yes $below probe.service unshare -C)" nobody

	systemd-run --quiet --collect --unit=probe sleep 300
	pid=$(systemctl show -p MainPID --value probe)
	out=$(writ explain --pid "$pid" 2>&1)
	has "writ explain --pid" "$out" 'systemd:id:probe\.service'
	systemctl stop probe
	sleep 300 &
	out=$(writ explain --pid $! 2>&1)
	has "writ explain --pid, of another" "$out" 'missing|no entry matches'
	kill $!
	out=$(writ doctor 2>&1)
	has "writ doctor" "$out" ' 0 failures'
	printf '%s\n' "$out" | grep -iE 'warn|fail' | sed 's/^/     | /'
	while read -r pid; do
		row ok "process of the agent" "$(awk '/^(Uid|CapEff|NoNewPrivs|Seccomp):/ { printf "%s %s ", $1, $2 }' "/proc/$pid/status")"
	done </sys/fs/cgroup/system.slice/writ-agent.service/cgroup.procs
}

# The file of a unit: systemd's own word, by D-Bus.
mapped() { # how often the agent's processes map libsystemd
	sed 's|.*|/proc/&/maps|' /sys/fs/cgroup/system.slice/writ-agent.service/cgroup.procs | xargs cat 2>/dev/null | grep -c libsystemd
}

filed() { # filed instance
	: >"$tmp/filed"
	systemctl start "filed@$1.service"
	cat "$tmp/filed"
}

part_fragment() {
	served "fragment_path, before any entry asks" "$(probe filed $fetch)" nobody
	same "libsystemd in the agent, before" "$(mapped)" 0
	printf '[Service]\nType=oneshot\nUser=daemon\nStandardOutput=file:%s\nStandardError=inherit\nExecStart=-%s\n' "$tmp/filed" $fetch \
		>/etc/systemd/system/filed@.service
	systemctl daemon-reload
	entry /filed systemd:fragment_path:/etc/systemd/system/filed@.service
	entry /transient systemd:fragment_path:/run/systemd/transient/one.service
	for i in 1 2 3 4 5 6 7 8 9 10; do
		out=$(filed "$i")
		case $out in *"/filed"*) break ;; esac
		sleep 1
	done
	served "a unit, by its file" "$out" /filed
	journalctl -q --no-pager -o cat -u writ-agent | grep -F runtime.failed | tail -n 3 | sed 's/^/     | /'
	served "a unit of another file" "$(probe other $fetch)" nobody
	served "a transient unit, by its file" "$(probe one $fetch)" /transient
	served "a user's unit of the same name" "$(by_his_manager --unit=one $fetch)" nobody
	systemctl stop dbus.socket dbus.service
	sleep 6 # an answer holds for five seconds
	served "a unit, by its file, without a bus" "$(filed 21)" nobody
	# The first question starts the daemon, and systemd comes to it then.
	systemctl start dbus.socket
	for i in 22 23 24 25 26; do
		out=$(filed "$i")
		case $out in *"/filed"*) break ;; esac
		sleep 3
	done
	served "a unit, by its file, with a bus again" "$out" /filed
}

part_run() {
	sed -i "s|^\t# run { allow.*|\trun { allow = [ { uid = $uid, prefix = \"/agents/dev\" }, { uid = 0, prefix = \"/agents/dev\" } ] }|" \
		/etc/writ/agent.conf
	install -D -m 644 "$TREE/deploy/systemd/writ-agent-run.conf" /etc/systemd/system/writ-agent.service.d/run.conf
	systemctl daemon-reload && systemctl restart writ-agent
	same "the agent, with writ-agent-run.conf" "$(systemctl is-active writ-agent)" active
	entry /agents/dev/foo run:as:/agents/dev/foo
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		out=$(as_user writ run -as /agents/dev/foo -- $fetch)
		case $out in *"SPIFFE ID"*) break ;; esac
		sleep 1
	done
	served "writ run" "$out" /agents/dev/foo
	served "writ run by root" "$(writ run -as /agents/dev/foo -- $fetch 2>&1)" /agents/dev/foo
	# From here on cpuset is on, as on machines with docker.
	systemd-run --quiet --collect --unit=container-runtime -p Delegate=yes sleep 600
	has "cpuset is on" "$(cat /sys/fs/cgroup/cgroup.subtree_control)" 'cpuset'
	served "writ run by root, with cpuset" "$(writ run -as /agents/dev/foo -- $fetch 2>&1)" /agents/dev/foo
	served "writ run, with cpuset" "$(as_user writ run -as /agents/dev/foo -- $fetch)" /agents/dev/foo
	systemctl stop container-runtime
	served "a child of it" "$(as_user writ run -as /agents/dev/foo -- sh -c "$fetch; :")" nobody
	has "a path that is not his" "$(as_user writ run -as /agents/other -- true)" 'may not run'
	served "a unit, as before" "$(probe probe -p User=daemon $fetch)" /probe
	journalctl -q --no-pager -o cat -u writ-agent | grep -F run.off && row FAIL "run.off" "see above"
}

part_units() {
	cd "$TREE" || return
	for t in "$BUILD"/tests/test_attest_* "$BUILD"/tests/test_attestor "$BUILD"/tests/test_wlapi "$BUILD"/tests/test_front \
		"$BUILD"/tests/test_run "$BUILD"/tests/test_keeper "$BUILD"/tests/test_launches "$BUILD"/tests/test_runtime \
		"$BUILD"/tests/test_systemd "$BUILD"/tests/test_cgroup_real; do
		name=${t##*/}
		if timeout 300 "$t" >"$tmp/$name" 2>&1; then
			row ok "$name" "$(grep -c '\[       OK' "$tmp/$name") tests, $(grep -c '\[  SKIPPED' "$tmp/$name") skipped"
		else
			row FAIL "$name" "exit $?"
			grep -vE '\[ RUN|\[       OK' "$tmp/$name" | tail -n 30 | sed 's/^/     | /'
		fi
	done
}

bar41() { # bar41 arguments...: the rows as they come, since it takes minutes here
	cd "$TREE" || return
	export WRIT_BIN="$BUILD/bin" WRIT_CLIENTS="$BUILD/clients"
	{
		python3 -B tests/bars/bar41.py "$@" 2>&1
		echo $? >"$tmp/code"
	} | tee "$tmp/attacks" | sed -un 's/^ *//; /^ok/d; s/^/     | /p'
	row ok "rows that were made" "$(grep -c ' s: [0-9]* accepted,' "$tmp/attacks")"
	same "rows that were left out" "$(grep -c 'left out: ' "$tmp/attacks")" 0
	has "accepted, in all attacks" "$(sed -n 's/.* s: \([0-9]*\) accepted,.*/\1/p' "$tmp/attacks" | sum)" '^0$'
	same "bar 41: exit" "$(cat "$tmp/code")" 0
}

scenario() { # scenario file arguments...: of tests/integration
	cd "$TREE" || return
	name=$1
	shift
	timeout 900 python3 -B "tests/integration/$name.py" "$@" >"$tmp/scenario" 2>&1
	code=$?
	sed -n 's/ \.\.\. skipped / left out: /p' "$tmp/scenario" | sed 's/^/     | /'
	[ "$code" = 0 ] || grep -v '"level":' "$tmp/scenario" | tail -n 60 | sed 's/^/     | /'
	has "$name.py $*" "$(tail -n 4 "$tmp/scenario" | tr '\n' ' ')" 'Ran [0-9]+ tests?.* OK'
}

# All of docs/attacks.md: the rows of bar 41, and what has tests of its own (A22 is in units).
part_attacks() {
	bar41 -short
	part_places
}

part_places() {
	scenario places
	scenario hidepid
	scenario attacks Faulty
}

part_all_attacks() { bar41; }

sum() { awk '{ s += $1 } END { print NR ? s : "none were made" }'; }

# shellcheck source=tests/bars/qemu_runtimes.sh
. "$TREE/tests/bars/qemu_runtimes.sh"

begin=$(cut -d. -f1 /proc/uptime)
for part in $parts; do
	case $part in
	system | units | places | *attacks) ;;
	*) install_all || break ;;
	esac
	"part_$part"
done
echo "     $(($(cut -d. -f1 /proc/uptime) - begin)) s after a boot of $begin s"
echo "end: $failed failed"
