# SPDX-License-Identifier: GPL-3.0-or-later
# A Docker Engine for one test, inside a network namespace of its own, so that the host's links and rules are never
# touched, and everything it leaves is removed on the way out, also after a failure or Ctrl-C. Source it, then:
#
#	lab_begin name            checks what is needed (exit 77 with the reason if it cannot be had), makes the namespace
#	lab_engine_start          starts dockerd in it and waits until it answers
#	lab_image busybox         makes an image from the host's static busybox, nothing is pulled
#	lab_docker run -d ...     the docker command, against this engine
#	lab_in CMD...             a command in the lab's network namespace
#	lab_spawn FILE CMD...     the same in the background, output to FILE; its pid in LAB_PID; ended with the lab
#	lab_poll 10 CMD...        runs CMD until it succeeds, at most 10 s; fails otherwise
#	lab_check "what" CMD...   one test: tells ok / not ok, counts
#	lab_end                   exit status for automake: 0 all passed, 1 something failed
#
# Variables: LAB_NS the namespace, LAB_DIR a temporary folder, LAB_SOCKET the engine's socket, LAB_PIDS processes to end.
# Why nsenter and not `ip netns exec`: the latter mounts a new /sys, and without its cgroups no container starts.

lab_skip() {
	echo "SKIP: $*"
	exit 77
}

lab_say() {
	echo "# $*"
}

# Runs at exit, whatever the reason. Each step may fail without stopping the next.
lab_cleanup() {
	trap - EXIT INT TERM
	set +e
	for pid in $LAB_PIDS; do kill "$pid" 2>/dev/null; done
	[ -n "$LAB_ENGINE" ] && lab_engine_stop
	[ -n "$LAB_DIR" ] && lab_sweep
	for ns in $LAB_EXTRA_NS $LAB_NS; do ip netns del "$ns" 2>/dev/null; done
	if [ -n "$LAB_DIR" ]; then
		# Deepest first: a mount inside another one must go before it.
		awk -v d="$LAB_DIR/" 'index($2, d) == 1 { print $2 }' /proc/mounts | sort -r | while read -r m; do
			umount -l "$m" 2>/dev/null
		done
		if [ -n "$LAB_KEEP" ]; then lab_say "kept: $LAB_DIR"; else rm -rf "$LAB_DIR"; fi
	fi
}

# As lab_begin, for tests that need namespaces but no engine.
lab_begin_netns() {
	LAB_NS="weir-$1-$$" LAB_EXTRA_NS='' LAB_PIDS='' LAB_ENGINE='' LAB_DIR='' LAB_TESTS=0 LAB_FAILED=0
	[ "$(id -u)" = 0 ] || lab_skip "needs root (to make network namespaces)"
	command -v ip >/dev/null || lab_skip "needs ip: apt-get install iproute2"
	trap lab_cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	# Short: a Unix socket's path has room for 107 bytes.
	LAB_DIR=$(mktemp -d /tmp/weir-lab.XXXXXX) || exit 1
	LAB_SOCKET=$LAB_DIR/docker.sock
	ip netns add "$LAB_NS" || lab_skip "no network namespaces here"
	lab_in ip link set lo up
}

lab_begin() {
	command -v dockerd >/dev/null || lab_skip "needs dockerd: apt-get install docker.io"
	command -v docker >/dev/null || lab_skip "needs docker: apt-get install docker.io"
	lab_begin_netns "$1"
}

lab_in() {
	nsenter --net="/run/netns/$LAB_NS" "$@"
}

# Not `lab_in CMD &`: that would be a subshell, and ending it would leave CMD running.
lab_spawn() {
	lab_out=$1
	shift
	nsenter --net="/run/netns/$LAB_NS" "$@" >"$lab_out" 2>&1 &
	LAB_PID=$!
	LAB_PIDS="$LAB_PIDS $LAB_PID"
}

# Ends what an engine that died left running: whoever works in the lab's folder (a container's shim does), and its children.
lab_sweep() {
	for lab_proc in /proc/[0-9]*; do
		case $(readlink "$lab_proc/cwd" 2>/dev/null) in
		"$LAB_DIR"/*)
			lab_p=${lab_proc#/proc/}
			for lab_child in $(cat "$lab_proc"/task/*/children 2>/dev/null); do kill -9 "$lab_child" 2>/dev/null; done
			kill -9 "$lab_p" 2>/dev/null
			;;
		esac
	done
}

lab_docker() {
	docker -H "unix://$LAB_SOCKET" "$@"
}

# lab_engine_start [dockerd option...]
lab_engine_start() {
	nsenter --net="/run/netns/$LAB_NS" dockerd --data-root "$LAB_DIR/root" --exec-root "$LAB_DIR/exec" \
		-p "$LAB_DIR/pid" -H "unix://$LAB_SOCKET" "$@" >>"$LAB_DIR/dockerd.log" 2>&1 &
	LAB_ENGINE=$!
	if ! lab_poll 60 lab_engine_answers; then
		sed 's/^/# dockerd: /' "$LAB_DIR/dockerd.log" | tail -20
		lab_skip "dockerd does not start here"
	fi
}

lab_engine_answers() {
	lab_docker info >/dev/null 2>&1
}

# Containers first: an engine that goes away leaves their processes and mounts behind.
lab_engine_stop() {
	ids=$(lab_docker ps -aq 2>/dev/null)
	# shellcheck disable=SC2086
	[ -n "$ids" ] && lab_docker rm -f $ids >/dev/null 2>&1
	lab_engine_kill
}

# Ends the engine alone (its containers stay if it runs with --live-restore).
lab_engine_kill() {
	kill "$LAB_ENGINE" 2>/dev/null
	lab_poll 20 lab_gone "$LAB_ENGINE" || kill -9 "$LAB_ENGINE" 2>/dev/null
	wait "$LAB_ENGINE" 2>/dev/null
	LAB_ENGINE=''
}

lab_gone() {
	! kill -0 "$1" 2>/dev/null || grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null
}

# lab_image NAME: busybox and its applets as a Docker image.
lab_image() {
	busybox=$(command -v busybox) || lab_skip "needs busybox: apt-get install busybox-static"
	if [ ! -d "$LAB_DIR/rootfs" ]; then
		mkdir -p "$LAB_DIR/rootfs/bin" "$LAB_DIR/rootfs/etc" "$LAB_DIR/rootfs/tmp" "$LAB_DIR/rootfs/usr" \
			"$LAB_DIR/rootfs/lib" "$LAB_DIR/rootfs/lib64"
		cp "$busybox" "$LAB_DIR/rootfs/bin/busybox"
		"$LAB_DIR/rootfs/bin/busybox" true || lab_skip "busybox does not run: needs busybox-static"
		for applet in $("$busybox" --list); do
			[ "$applet" = busybox ] || ln -sf busybox "$LAB_DIR/rootfs/bin/$applet"
		done
		echo 'root:x:0:0:root:/:/bin/sh' >"$LAB_DIR/rootfs/etc/passwd"
	fi
	tar -C "$LAB_DIR/rootfs" -c . | lab_docker import - "$1" >/dev/null
}

# lab_poll SECONDS CMD...: no sleeping and hoping; tries ten times a second until the deadline.
lab_poll() {
	lab_tries=$(($1 * 10))
	shift
	while ! "$@"; do
		lab_tries=$((lab_tries - 1))
		[ "$lab_tries" -gt 0 ] || return 1
		sleep 0.1
	done
}

# lab_netns NAME: one more named namespace, removed at the end.
lab_netns() {
	ip netns add "$1" && LAB_EXTRA_NS="$LAB_EXTRA_NS $1"
}

lab_check() {
	lab_what=$1
	shift
	LAB_TESTS=$((LAB_TESTS + 1))
	if "$@"; then
		echo "ok $LAB_TESTS - $lab_what"
	else
		LAB_FAILED=$((LAB_FAILED + 1))
		echo "not ok $LAB_TESTS - $lab_what"
	fi
}

lab_end() {
	echo "# $LAB_TESTS checks, $LAB_FAILED failed"
	[ "$LAB_FAILED" -eq 0 ] && [ "$LAB_TESTS" -gt 0 ] && exit 0
	exit 1
}
