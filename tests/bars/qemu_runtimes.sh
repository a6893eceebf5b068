# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# Sourced by qemu_inside.sh. Containers, pods and jobs with cgroup v2 alone, each in the cgroup that its runtime or systemd
# really made: podman (crun) of root's and of a user's, slurmd with its plugin for v2. Docker and the kubelet are not there:
# their cgroups are made as their two drivers make them, by systemd and by hand.

with_runtimes() { # once
	[ ! -f "$tmp/attestors" ] || return 0
	make_user
	groupadd --system podman-api
	mkdir -p /etc/systemd/system/podman.socket.d /etc/systemd/system/writ-agent.service.d
	printf '[Socket]\nSocketGroup=podman-api\n' >/etc/systemd/system/podman.socket.d/group.conf
	# It ends when nobody asked for 5 s, and starts for longer than an agent waits, on this slow machine.
	for manager in system user; do
		mkdir -p "/etc/systemd/$manager/podman.service.d"
		printf '[Service]\nExecStart=\nExecStart=/usr/bin/podman system service -t 0\n' \
			>"/etc/systemd/$manager/podman.service.d/stays.conf"
	done
	printf '[Service]\nSupplementaryGroups=podman-api %s\n' "$user" >/etc/systemd/system/writ-agent.service.d/runtimes.conf
	cat >"$tmp/attestors" <<-'END'
		WorkloadAttestor "slurm" {
			plugin_data {}
		}
		WorkloadAttestor "docker" {
			plugin_data {
				podman_socket_path = "unix:///run/podman/podman.sock"
				podman_socket_path_template = "unix:///run/user/%d/podman/podman.sock"
			}
		}
	END
	sed -i "/^plugins {/r $tmp/attestors" /etc/writ/agent.conf
	systemctl daemon-reload && systemctl restart writ-agent
	same "the agent, with runtimes" "$(systemctl is-active writ-agent)" active
	systemctl stop podman.service podman.socket # it was started at boot, without that group
	started podman.socket
	started podman.service
	chgrp podman-api /run/podman && chmod 710 /run/podman # Debian makes it root's alone
}

hex() { od -An -tx1 -N32 /dev/urandom | tr -d ' \n'; }

# The selectors of a process that come from its cgroup, without the path.
where() {
	writ explain --pid "$1" -o json | jq -r '[.found[].selector
		| select(test("^(container|systemd|systemd-user|podman-rootless:uid:[0-9]+:id|slurm):"))] | sort
		| if length == 0 then "none" else join(" ") end'
}

is_in() { # is_in name PID cgroup selectors, as patterns of the shell
	seen=$(cut -d: -f3- "/proc/$2/cgroup")
	# shellcheck disable=SC2254 # a pattern, on purpose
	case $seen in
	$3) ;;
	*) row FAIL "$1" "it is in $seen (wanted $3)" ;;
	esac
	same "$1, in $seen" "$(where "$2")" "$4"
}

# --- Docker's and the kubelet's cgroups, by both drivers ---

h=$(hex)
uuid=2c48913c-b29f-11e7-9350-020968147796
uuid_=2c48913c_b29f_11e7_9350_020968147796
static=8daa50c3a64c9ff60bb9eab7b44b56fd
burstable=/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod

by_systemd() { # by_systemd name slice scope cgroup selectors
	systemd-run --quiet --scope --slice="$2" --unit="$3" sleep 600 &
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		! grep -q "/$3\$" "/proc/$!/cgroup" || break
		sleep 0.5
	done
	is_in "$1, systemd" "$!" "$4/$3" "$5"
	kill $!
	wait $! 2>/dev/null
}

by_hand() { # by_hand name cgroup selectors
	mkdir -p "/sys/fs/cgroup$2"
	sleep 600 &
	echo $! >"/sys/fs/cgroup$2/cgroup.procs"
	is_in "$1, cgroupfs" "$!" "$2" "$3"
	kill $!
	wait $! 2>/dev/null
}

in_folder() { # in_folder cgroup command...
	mkdir -p "/sys/fs/cgroup$1"
	# shellcheck disable=SC2016 # for the other shell
	sh -c 'echo $$ >"/sys/fs/cgroup$1/cgroup.procs" && shift && exec "$@"' sh "$@" 2>&1
}

forms() {
	docker="container:id:$h container:runtime:docker"
	containerd="container:id:$h container:pod:$uuid container:runtime:containerd"
	crio="container:id:$h container:pod:$uuid container:runtime:crio"
	by_systemd docker system.slice "docker-$h.scope" /system.slice "$docker"
	by_systemd "a burstable pod" "kubepods-burstable-pod$uuid_.slice" "cri-containerd-$h.scope" "$burstable$uuid_.slice" "$containerd"
	by_systemd "a guaranteed pod" "kubepods-pod$uuid_.slice" "crio-$h.scope" "/kubepods.slice/kubepods-pod$uuid_.slice" "$crio"
	by_systemd "a static pod" "kubepods-burstable-pod$static.slice" "cri-containerd-$h.scope" "$burstable$static.slice" \
		"container:id:$h container:pod:$static container:runtime:containerd"
	by_systemd "kind's pod" "kubelet-kubepods-pod$uuid_.slice" "cri-containerd-$h.scope" \
		"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod$uuid_.slice" "$containerd"
	by_systemd "cri-o's monitor" "kubepods-pod$uuid_.slice" "crio-conmon-$h.scope" "/kubepods.slice/kubepods-pod$uuid_.slice" none
	by_hand docker "/docker/$h" "$docker"
	by_hand "docker in docker" "/docker/$h/docker/$(hex)" "$docker"
	by_hand "a burstable pod" "/kubepods/burstable/pod$uuid/$h" "container:id:$h container:pod:$uuid"
	by_hand "a guaranteed pod" "/kubepods/pod$uuid/$h" "container:id:$h container:pod:$uuid"
	by_hand "a pod of cri-o" "/kubepods/besteffort/pod$uuid/crio-$h" "$crio"
	by_hand "a build of docker's" /docker/buildkit/t4967jvf8rbufklrhkicskyes none

	entry /pod "container:pod:$uuid"
	served "a pod, systemd" "$(systemd-run --quiet --scope --slice="kubepods-pod$uuid_.slice" \
		--unit="cri-containerd-$h.scope" "$fetch" 2>&1)" /pod
	served "a pod, cgroupfs" "$(in_folder "/kubepods/burstable/pod$uuid/$h" "$fetch")" /pod
	served "another pod" "$(in_folder "/kubepods/burstable/pod$static/$h" "$fetch")" nobody
	served "a monitor" "$(systemd-run --quiet --scope --slice="kubepods-pod$uuid_.slice" \
		--unit="crio-conmon-$h.scope" "$fetch" 2>&1)" nobody
}

# --- podman ---

# An image with nothing in it: containers see the machine's own programs.
make_image() {
	d=$tmp/image
	[ ! -d "$d" ] || return 0
	mkdir -p "$d/usr" "$d/dev" "$d/proc" "$d/sys" "$d/tmp" "$d/etc" "$d/run"
	for name in bin lib lib64; do ln -s "usr/$name" "$d/$name"; done
	tar -cf /srv/tiny.tar -C "$d" .
}
run_flags="--network=none -v /usr:/usr:ro -v /etc/ld.so.cache:/etc/ld.so.cache:ro -v /run/writ/agent/public:/run/writ/agent/public"
tiny=localhost/tiny:1

contained() { # contained flags...: podman, as $podman says, with a container that asks
	# shellcheck disable=SC2086 # lists of words, on purpose
	$podman run --rm $run_flags "$@" $tiny "$fetch" 2>&1
}

is_container() { # is_container name cgroup selectors flags...: with ID for the container's number; run by $runner, else by $podman
	name=$1 cgroup=$2 wanted=$3
	shift 3
	# shellcheck disable=SC2086
	id=$(${runner:-$podman} run -d $run_flags "$@" $tiny sleep 600 2>"$tmp/podman")
	printf '%s' "$id" | grep -qxE '[0-9a-f]{64}' || row FAIL "$name" "$id $(cat "$tmp/podman")"
	is_in "$name" "$($podman inspect -f '{{.State.Pid}}' "$id")" "$(echo "$cgroup" | sed "s/ID/$id/")" \
		"$(echo "$wanted" | sed "s/ID/$id/g")"
	monitor=$($podman inspect -f '{{.State.ConmonPid}}' "$id")
}

of_root() {
	# In a unit, podman leaves its monitor in there.
	podman="env -u INVOCATION_ID podman"
	$podman import /srv/tiny.tar $tiny >"$tmp/import" 2>&1 || row FAIL "podman import" "$(cat "$tmp/import")"
	has "podman's runtime" "$(podman info -f '{{.Host.OCIRuntime.Name}}, cgroups {{.Host.CgroupsVersion}}, {{.Host.CgroupManager}}')" \
		'^crun, cgroups v2, systemd$'
	entry /web docker:label:app:web
	for _ in 1 2 3 4 5; do
		out=$(contained --label app=web)
		case $out in *"SPIFFE ID"*) break ;; esac
		sleep 1
	done
	served "root's podman" "$out" /web
	served "root's podman, another label" "$(contained --label app=db)" nobody
	served "root's podman, no label" "$(contained)" nobody
	wanted="container:id:ID container:runtime:podman"
	is_container "root's podman" '/machine.slice/libpod-ID.scope/container' "$wanted"
	is_in "its monitor" "$monitor" '/machine.slice/libpod-conmon-*.scope' none
	podman rm -fa -t 0 >/dev/null 2>&1
	podman="$podman --cgroup-manager=cgroupfs"
	is_container "root's podman, cgroupfs" '/libpod_parent/libpod-ID*' "$wanted"
	served "root's podman, cgroupfs" "$(contained --label app=web)" /web
	podman="env -u INVOCATION_ID podman"
	podman rm -fa -t 0 >/dev/null 2>&1
	# shellcheck disable=SC2086
	systemd-run --quiet --collect --unit=split -p Delegate=yes podman run --cgroups=split --name split $run_flags $tiny sleep 600
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		pid=$(podman inspect -f '{{.State.Pid}}' split 2>/dev/null)
		[ "${pid:-0}" = 0 ] || break
		sleep 1
	done
	is_in "in a unit (cgroups=split)" "$pid" '/system.slice/split.service/libpod-payload-*' \
		"container:id:$(podman inspect -f '{{.Id}}' split) container:runtime:podman"
	systemctl stop split
	systemctl stop podman.socket podman.service
	served "root's podman, which does not run" "$(sleep 12; contained --label app=web)" nobody
}

of_user() {
	# Its monitor stays, and in a scope of its own.
	podman="by_his_manager -p KillMode=process env -u INVOCATION_ID podman"
	grep -q "^$user:" /etc/subuid || usermod --add-subuids 200000-265535 --add-subgids 200000-265535 "$user"
	$podman import /srv/tiny.tar $tiny >"$tmp/import" 2>&1 || row FAIL "podman import" "$(cat "$tmp/import")"
	has "his podman's runtime" "$($podman info -f \
		'{{.Host.OCIRuntime.Name}}, cgroups {{.Host.CgroupsVersion}}, {{.Host.CgroupManager}}, rootless {{.Host.Security.Rootless}}')" \
		'^crun, cgroups v2, systemd, rootless true$'
	entry /his "podman-rootless:uid:$uid:label:app:web"
	by_his_manager systemctl --user daemon-reload
	by_his_manager systemctl --user start podman.socket podman.service
	served "a user's podman that lets nobody in" "$(contained --label app=web)" nobody
	chmod 710 "/run/user/$uid"
	sleep 2.5
	for _ in 1 2 3 4 5; do
		out=$(contained --label app=web)
		case $out in *"SPIFFE ID"*) break ;; esac
		sleep 1
	done
	served "a user's podman" "$out" /his
	has "and only that" "$(printf '%s\n' "$out" | grep -c '^SPIFFE ID')" '^1$'
	served "a user's podman, another label" "$(contained --label app=db)" nobody
	own="/user.slice/user-$uid.slice/user@$uid.service"
	wanted="podman-rootless:uid:$uid:id:ID systemd:id:user@$uid.service"
	is_container "a user's podman" "$own/user.slice/libpod-ID.scope/container" "$wanted"
	is_in "its monitor" "$monitor" "$own/user.slice/libpod-conmon-$id.scope" \
		"systemd-user:uid:$uid:id:libpod-conmon-$id.scope systemd:id:user@$uid.service"
	$podman rm -fa -t 0 >/dev/null 2>&1
	runner="by_his_manager --unit=his -p KillMode=process podman --cgroup-manager=cgroupfs"
	podman="by_his_manager podman --cgroup-manager=cgroupfs"
	is_container "a user's podman, cgroupfs" "$own/app.slice/his.service*" \
		"systemd-user:uid:$uid:id:his.service systemd:id:user@$uid.service"
	runner=
	$podman rm -fa -t 0 >/dev/null 2>&1
}

# --- Slurm ---

make_cluster() {
	ip addr add 192.0.2.1/32 dev lo # it looks up no address where there is none but 127.0.0.1
	mkdir -p /etc/slurm /var/lib/slurm/state /var/lib/slurm/spool
	host=$(hostname)
	cat >/etc/slurm/slurm.conf <<-END
		ClusterName=writ
		SlurmctldHost=$host(127.0.0.1)
		SlurmUser=root
		StateSaveLocation=/var/lib/slurm/state
		SlurmdSpoolDir=/var/lib/slurm/spool
		ProctrackType=proctrack/cgroup
		TaskPlugin=task/cgroup
		JobAcctGatherType=jobacct_gather/none
		SelectType=select/linear
		SlurmdParameters=config_overrides
		MpiDefault=none
		ReturnToService=2
		NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
		PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP
	END
	printf 'CgroupPlugin=cgroup/v2\nConstrainCores=no\nConstrainRAMSpace=no\nConstrainDevices=no\n' >/etc/slurm/cgroup.conf
	mkdir -p /etc/systemd/system/slurmctld.service.d
	printf '[Service]\nUser=root\nGroup=root\n' >/etc/systemd/system/slurmctld.service.d/root.conf
	systemctl daemon-reload
	started munge && started slurmctld && started slurmd
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		! sinfo -h | grep -q idle || break
		sleep 2
	done
	has "slurm's node" "$(sinfo -h 2>&1)" idle
}

job() { # job UID command...
	who=$1
	shift
	setpriv --reuid "$who" --regid "$who" --clear-groups env HOME=/tmp timeout 60 srun --chdir=/tmp -n1 "$@" 2>&1
}

jobs_of_slurm() {
	make_cluster
	entry /job slurm:step:0
	for _ in 1 2 3; do
		out=$(job "$uid" "$fetch")
		case $out in *"SPIFFE ID"*) break ;; esac
	done
	served "a job's step" "$out" /job
	served "outside of a job" "$(as_user "$fetch")" nobody
	job "$uid" sleep 777 >"$tmp/srun" &
	tries=0
	until pid=$(pgrep -u "$uid" -f "(^|/)sleep 777\$") || [ $((tries += 1)) = 60 ]; do # Slurm has a sleep of its own there
		sleep 1
	done
	number=$(squeue -h -o %i)
	is_in "a job's step" "$pid" "/system.slice/*slurmstepd.scope/job_$number/step_0/user/task_*" "slurm:job_id:$number slurm:step:0"
	is_in "its slurmstepd" "$(pgrep -f "slurmstepd: \[$number.0\]")" "/system.slice/*slurmstepd.scope/job_$number/step_0/slurm" "slurm:job_id:$number slurm:step:0"
	scancel "$number"
	[ "$failed" = 0 ] || journal slurmd
}

part_forms() { with_runtimes && forms; }

part_podman() { with_runtimes && make_image && of_root; }

part_rootless() { with_runtimes && make_image && of_user; }

part_slurm() { with_runtimes && jobs_of_slurm; }
