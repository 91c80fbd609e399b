# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A Docker Engine inside a network namespace, so that the host's links and rules are never touched: for the tests (tests/docker/lib.sh)
# and for quickstart's shop (shop.sh). Sourced.
#
#	engine_start NETNS FOLDER LOG [OPTION...]   starts dockerd there and waits until it answers; its pid in ENGINE_PID, its socket
#	                                           is FOLDER/docker.sock. 1: it did not come up, the reason is in ENGINE_WHY
#
# Why nsenter and not `ip netns exec`: the latter mounts a new /sys, and without its cgroups no container starts.
# FOLDER is short: a Unix socket's path has room for 107 bytes.

ENGINE_SECONDS=${ENGINE_SECONDS:-120} # a loaded machine takes its time

engine_start() {
	engine_ns=$1 engine_dir=$2 engine_log=$3
	shift 3
	ENGINE_PID='' ENGINE_WHY='dockerd is not installed'
	command -v dockerd >/dev/null || return 1
	nsenter --net="$engine_ns" dockerd --data-root "$engine_dir/root" --exec-root "$engine_dir/exec" -p "$engine_dir/pid" \
		-H "unix://$engine_dir/docker.sock" "$@" >>"$engine_log" 2>&1 </dev/null &
	ENGINE_PID=$!
	engine_end=$(($(date +%s) + ENGINE_SECONDS))
	until timeout 20 docker -H "unix://$engine_dir/docker.sock" version >/dev/null 2>&1; do
		# One that has given up will never answer.
		if ! kill -0 "$ENGINE_PID" 2>/dev/null || [ "$(date +%s)" -ge "$engine_end" ]; then
			ENGINE_WHY=$(grep -o 'level=\(error\|fatal\).*' "$engine_log" | tail -n 1)
			[ -n "$ENGINE_WHY" ] || ENGINE_WHY="no answer after $ENGINE_SECONDS s"
			return 1
		fi
		sleep 0.2
	done
}
