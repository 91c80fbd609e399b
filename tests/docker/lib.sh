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
# and, for a test of weir itself:
#
#	lab_begin_weir name TOOL...   lab_begin, and a weir that will ask this engine: $state, $log, $LAB_DIR/weir.yaml
#	lab_container NAME CMD...     a command of the host's in that container's network: `docker exec` takes as long as it takes
#	weir_start [CONFIG]           weir, its pid in $weir; waits until it answers
#	weir_stop                     ends it as systemd does; its exit status
#	w VERB ARGS...                weir's command line with this state directory
#	status_is JQ, status_of JQ    asks `weir status`; no answer is no
#	weir_settled, weir_watches N  for lab_poll: the inventory is complete; N interfaces are captured
#	weir_pid ROLE                 the process of a role; empty while it is between two lives
#	not CMD...                    succeeds where CMD fails
#
# Variables: LAB_NS the namespace, LAB_DIR a temporary folder, LAB_SOCKET the engine's socket, LAB_PIDS processes to end.
#
# Deadlines are what an idle machine needs at most; a loaded one gets LAB_PATIENCE (4) times as long, which costs nothing where all is
# well. What is measured in time is measured against the kernel's own clocks (a SYN is sent again after a second), never against how
# fast this machine starts processes. A script may define lab_explain: what it prints is told behind each check that failed.
. "${top_srcdir:-.}/tests/lab/engine.sh"
LAB_PATIENCE=${LAB_PATIENCE:-4}

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
	for ns in $LAB_EXTRA_NS $LAB_NS; do
		# Whatever runs in the lab's namespaces goes with them, also what a killed daemon left behind.
		# shellcheck disable=SC2046
		kill -9 $(ip netns pids "$ns" 2>/dev/null) 2>/dev/null
		ip netns del "$ns" 2>/dev/null
	done
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
	lab_needs ip
	lab_at=$(date +%s)
	trap lab_cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	# Short: a Unix socket's path has room for 107 bytes.
	LAB_DIR=$(mktemp -d /tmp/weir-lab.XXXXXX) || exit 1
	LAB_SOCKET=$LAB_DIR/docker.sock LAB_RUNTIME=''
	ip netns add "$LAB_NS" || lab_skip "no network namespaces here"
	lab_in ip link set lo up
}

lab_begin() {
	lab_needs dockerd docker busybox
	lab_begin_netns "$1"
	LAB_RUNTIME=$LAB_SOCKET
}

lab_begin_weir() {
	lab_begin "$1"
	shift
	lab_weir "$@"
}

# lab_weir TOOL...: the second half of lab_begin_weir.
lab_weir() {
	lab_needs jq "$@"
	[ -x "${WEIR:=./weir}" ] || lab_skip "no weir at $WEIR"
	state=$LAB_DIR/state log=$LAB_DIR/log weir=''
	mkdir "$state"
	chmod 755 "$LAB_DIR" # weir's own user looks in
	: >"$log"
	printf 'write_through: 1s\nruntime_sockets: [%s]\n' "$LAB_RUNTIME" >"$LAB_DIR/weir.yaml"
}

# lab_needs COMMAND...: or the test is skipped, with the package to install.
lab_needs() {
	for lab_tool; do
		command -v "$lab_tool" >/dev/null && continue
		case $lab_tool in
		dockerd | docker) lab_package=docker.io ;;
		busybox) lab_package=busybox-static ;;
		nft) lab_package=nftables ;;
		ip) lab_package=iproute2 ;;
		pgrep) lab_package=procps ;;
		*) lab_package=$lab_tool ;;
		esac
		lab_skip "needs $lab_tool: apt-get install $lab_package"
	done
}

lab_in() {
	nsenter --net="/run/netns/$LAB_NS" "$@"
}

# Not `lab_in CMD &`: that would be a subshell, and ending it would leave CMD running.
lab_spawn() {
	lab_out=$1
	shift
	nsenter --net="/run/netns/$LAB_NS" "$@" >>"$lab_out" 2>&1 &
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
	engine_start "/run/netns/$LAB_NS" "$LAB_DIR" "$LAB_DIR/dockerd.log" "$@" && LAB_ENGINE=$ENGINE_PID && return
	LAB_ENGINE=$ENGINE_PID
	sed 's/^/# dockerd: /' "$LAB_DIR/dockerd.log" | tail -20
	lab_skip "dockerd does not start here: $ENGINE_WHY"
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
	busybox=$(command -v busybox)
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

# lab_poll SECONDS CMD...: no sleeping and hoping; tries about ten times a second until the deadline, and once behind it.
lab_poll() {
	# shellcheck disable=SC3043
	local lab_began lab_most
	lab_began=$(date +%s) lab_most=$(($1 * LAB_PATIENCE))
	shift
	while ! "$@"; do
		[ $(($(date +%s) - lab_began)) -lt "$lab_most" ] || { "$@"; return; }
		sleep 0.1
	done
	# What comes close to its deadline here will miss it elsewhere.
	[ $((($(date +%s) - lab_began) * 3)) -lt "$lab_most" ] || lab_say "slow: $(($(date +%s) - lab_began)) of $lab_most s for: $*" >&2
}

# lab_netns NAME: one more named namespace, removed at the end.
lab_netns() {
	ip netns add "$1" && LAB_EXTRA_NS="$LAB_EXTRA_NS $1"
}

lab_container() {
	# shellcheck disable=SC3043
	local lab_process
	lab_process=$(lab_docker inspect -f '{{.State.Pid}}' "$1")
	shift
	nsenter -t "$lab_process" -n "$@"
}

w() {
	"$WEIR" "$@" --state "$state"
}

weir_start() {
	lab_spawn "$log" "$WEIR" run -c "$LAB_DIR/${1:-weir}.yaml" --state "$state"
	weir=$LAB_PID
	lab_poll 20 weir_answers
}
weir_answers() { w status >/dev/null 2>&1; }
weir_stop() {
	kill -TERM "$weir"
	lab_poll 20 lab_gone "$weir" && wait "$weir"
}

# Slurped: of no input at all, jq -e says yes.
status_is() { w status -o json 2>/dev/null | jq -es "length == 1 and (.[0] | $1)" >/dev/null; }
status_of() { w status -o json 2>/dev/null | jq -r "$1" 2>/dev/null; }
weir_settled() { status_is .inventory.settled; }
weir_watches() { status_is "[.interfaces[] | select(.attached)] | length == $1"; }
weir_pid() { status_of ".roles[] | select(.role == \"$1\" and .pid > 0) | .pid"; }

lab_explain() {
	[ -n "${weir-}" ] || return 0
	status_of "[.interfaces, .engine, .coverage, .capture] | tojson"
	tail -n 8 "$log"
}

not() {
	! "$@"
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
		lab_say "failed: $*" | cut -c 1-400
		lab_say "$(($(date +%s) - lab_at)) s after the start; load $(cut -d ' ' -f 1-3 /proc/loadavg)"
		if command -v lab_explain >/dev/null; then lab_explain 2>&1 | tail -n 12 | cut -c 1-400 | sed 's/^/# /'; fi
	fi
}

lab_end() {
	echo "# $LAB_TESTS checks, $LAB_FAILED failed"
	[ "$LAB_FAILED" -eq 0 ] && [ "$LAB_TESTS" -gt 0 ] && exit 0
	exit 1
}
