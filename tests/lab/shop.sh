# shellcheck shell=bash
# A small shop of real servers, for quickstart and for tests: a reverse proxy (nginx), two application replicas (Python), a cache
# (Redis), a worker that resolves a name and calls a service outside over TLS, a cron-like job that lives for a second, customers
# outside who come through a published port, and an intruder. Everything lives in network namespaces made here:
#
#   the world 203.0.113.0/24 ---- $LAB ("the host": engine, weir) ---- bridge ---- containers
#
# With a Docker Engine the containers are real ones; without, plain namespaces on a bridge play the same parts.
# Sourced, after engine.sh. Needs: LAB (a short unique name), LAB_DIR (a scratch folder). Sets LAB_BACKEND, LAB_DOCKER (the socket).

LAB_BACKEND=
LAB_HOST_WORLD=203.0.113.1   # the host's address towards the world (TEST-NET-3, RFC 5737)
LAB_WORLD=203.0.113.10       # payments service and customers
LAB_WORLD_DNS=203.0.113.53   # the world's name server
LAB_PORT=8080                # the shop's published port

lab_in() { nsenter --net="/run/netns/$LAB" "$@"; }
lab_world() { nsenter --net="$LAB_DIR/world.ns" "$@"; }
lab_docker() { docker -H "unix://$LAB_DOCKER" "$@"; }

# lab_until SECONDS COMMAND...: polls until the command succeeds; 1 when it never did.
lab_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}

# lab_spawn NAME PLACE COMMAND...: in the background, in the namespace of that file; its own pid is kept for lab_down.
lab_spawn() {
	local name=$1 place=$2
	shift 2
	nsenter --net="$place" "$@" >"$LAB_DIR/log/$name.log" 2>&1 </dev/null &
	echo "$!" >>"$LAB_DIR/pids"
}

# ---- files of the servers ---------------------------------------------------------------------------------------
lab_write_files() {
	local d=$LAB_DIR/etc
	mkdir -p "$d"
	cat >"$d/app.py" <<'PY'
"""The shop's application: counts the visit in the cache and answers. One cache connection a request, as PHP does it."""
import http.server, os, socket, sys

CACHE = (sys.argv[1], 6379)

def visits():
    with socket.create_connection(CACHE, timeout=3) as s:
        s.sendall(b"*2\r\n$4\r\nINCR\r\n$6\r\nvisits\r\n")
        return s.recv(64).decode().strip(":\r\n")

class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            code, body = 200, "visit %s served by %s\n" % (visits(), os.uname().nodename)
        except OSError as e:
            code, body = 502, "cache: %s\n" % e
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body.encode())
        self.close_connection = True

    def log_message(self, *a):
        pass

class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6

Server(("::", 8000), Shop).serve_forever()
PY
	cat >"$d/lb.conf" <<'CONF'
daemon off;
user root;
worker_processes 1;
pid /tmp/nginx.pid;
error_log /dev/stderr;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
	upstream app { server WEB1:8000; server WEB2:8000; }
	server {
		listen 80;
		listen [::]:80;
		location / { proxy_pass http://app; proxy_connect_timeout 2s; }
	}
}
CONF
	cat >"$d/payments.conf" <<CONF
daemon off;
user root;
worker_processes 1;
pid $LAB_DIR/payments.pid;
error_log /dev/stderr;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
	server {
		listen $LAB_WORLD:443 ssl;
		ssl_certificate $d/cert.pem;
		ssl_certificate_key $d/key.pem;
		location / { return 200 "paid\n"; }
	}
}
CONF
	[ -e "$d/key.pem" ] || openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=api.payments.test \
		-addext subjectAltName=DNS:api.payments.test -keyout "$d/key.pem" -out "$d/cert.pem" 2>/dev/null
	cat >"$d/worker.sh" <<'SH'
# Every two seconds: resolve the payment service's name, call it over TLS, note it in the cache.
while :; do
	curl -ksS -m 3 https://api.payments.test/ >/dev/null || echo "payment failed"
	redis-cli -h "$1" incr payments >/dev/null || echo "cache failed"
	sleep 2
done
SH
	cat >"$d/intruder.sh" <<'SH'
# What somebody does who got into a container: look at who is there, try the doors.
for target in "$@"; do
	for port in 22 80 443 3306 5432 6379 8000 9200; do
		nc.openbsd -z -w 1 "$target" "$port" && echo "$target:$port open"
	done
done
printf 'GET visits\r\nQUIT\r\n' | nc.openbsd -w 2 "$CACHE" 6379 && echo "the cache answered"
exit 0
SH
	chmod -R a+rX "$LAB_DIR/etc"
}

# ---- the world outside ------------------------------------------------------------------------------------------
lab_net_up() {
	local pid
	ip netns add "$LAB" || return 1
	# The world is no named namespace: weir would rightly take such a one for a workload.
	: >"$LAB_DIR/world.ns"
	unshare --net sleep 86400 >/dev/null 2>&1 </dev/null &
	pid=$!
	echo $pid >>"$LAB_DIR/pids"
	lab_until 5 sh -c "[ \"\$(readlink /proc/$pid/ns/net)\" != \"\$(readlink /proc/self/ns/net)\" ]" || return 1
	mount --bind "/proc/$pid/ns/net" "$LAB_DIR/world.ns" || return 1
	ip link add up0 netns "$LAB" type veth peer name eth0 netns "$pid" || return 1
	lab_in ip link set lo up
	lab_in ip addr add $LAB_HOST_WORLD/24 dev up0 && lab_in ip link set up0 up
	lab_in sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	lab_world ip link set lo up
	lab_world ip addr add $LAB_WORLD/24 dev eth0 && lab_world ip addr add $LAB_WORLD_DNS/24 dev eth0
	lab_world ip link set eth0 up
	lab_world ip route add default via $LAB_HOST_WORLD
	lab_spawn payments "$LAB_DIR/world.ns" nginx -c "$LAB_DIR/etc/payments.conf"
	lab_spawn world-dns "$LAB_DIR/world.ns" dnsmasq -k -h -R -p 53 -a $LAB_WORLD_DNS -z --pid-file= -u root \
		--address=/api.payments.test/$LAB_WORLD --log-facility=-
	lab_until 10 lab_world curl -ks -m 1 --resolve api.payments.test:443:$LAB_WORLD https://api.payments.test/
}

# ---- containers: a real engine, or plain namespaces -----------------------------------------------------------------
lab_engine_up() {
	local up=0
	LAB_DOCKER=$LAB_DIR/docker.sock
	engine_start "/run/netns/$LAB" "$LAB_DIR" "$LAB_DIR/log/dockerd.log" --dns $LAB_WORLD_DNS || up=1
	[ -z "$ENGINE_PID" ] || echo "$ENGINE_PID" >>"$LAB_DIR/pids"
	[ $up = 0 ] || { lab_why=$ENGINE_WHY; return 1; }
	mkdir -p "$LAB_DIR/image"/{usr,tmp,var/log,run,proc,sys,dev,etc,lab}
	ln -sfn usr/bin "$LAB_DIR/image/bin"
	ln -sfn usr/sbin "$LAB_DIR/image/sbin"
	ln -sfn usr/lib "$LAB_DIR/image/lib"
	ln -sfn usr/lib64 "$LAB_DIR/image/lib64"
	echo root:x:0:0:root:/tmp:/bin/sh >"$LAB_DIR/image/etc/passwd"
	echo root:x:0: >"$LAB_DIR/image/etc/group"
	echo "hosts: files dns" >"$LAB_DIR/image/etc/nsswitch.conf"
	chmod 1777 "$LAB_DIR/image/tmp"
	for image in lb web cache worker report intruder; do
		tar -C "$LAB_DIR/image" -c . | lab_docker import - "shop-$image:1.0" >>"$LAB_DIR/log/images.log" 2>&1 || return 1
	done
	lab_docker network create --subnet 172.30.0.0/24 -o com.docker.network.bridge.name=br-shop shop \
		>>"$LAB_DIR/log/images.log" 2>&1 || return 1
	LAB_BACKEND=docker
}

lab_bridge_up() {
	lab_in ip link add br-shop type bridge
	lab_in ip addr add 172.30.0.1/24 dev br-shop && lab_in ip link set br-shop up || return 1
	lab_in nft -f - <<NFT || return 1
table ip lab_nat {
	chain pre { type nat hook prerouting priority dstnat; ip daddr $LAB_HOST_WORLD tcp dport $LAB_PORT dnat to 172.30.0.10:80; }
	chain post { type nat hook postrouting priority srcnat; ip saddr 172.30.0.0/24 oifname up0 masquerade; }
}
NFT
	LAB_BACKEND=netns
}

# A plain namespace's view of names and of /lab, in a mount namespace of its own.
# shellcheck disable=SC2016
lab_mounts='mount --bind "$0/resolv" /etc/resolv.conf; mkdir -p /lab; mount --bind "$0/etc" /lab; exec "$@"'

# lab_run NAME SERVICE LAST_OCTET COMMAND...: starts one part of the shop, in the background.
lab_run() {
	local name=$1 service=$2 ip=172.30.0.$3 opt=
	shift 3
	if [ "$LAB_BACKEND" = docker ]; then
		[ "$service" = lb ] && opt="-p $LAB_PORT:80"
		# shellcheck disable=SC2086
		lab_docker run -d --name "$name" --hostname "$name" --network shop --ip "$ip" $opt \
			-l com.docker.compose.project=shop -l com.docker.compose.service="$service" \
			-v /usr:/usr:ro -v "$LAB_DIR/etc:/lab:ro" "shop-$service:1.0" "$@" >>"$LAB_DIR/log/run.log" 2>&1
		return
	fi
	ip netns add "shop-$name" || return 1
	echo "shop-$name" >>"$LAB_DIR/namespaces"
	ip link add "shop${ip##*.}" netns "$LAB" type veth peer name eth0 netns "shop-$name" || return 1
	lab_in ip link set "shop${ip##*.}" master br-shop up
	nsenter --net="/run/netns/shop-$name" sh -c "ip link set lo up; ip addr add $ip/24 dev eth0; ip link set eth0 up
		ip route add default via 172.30.0.1"
	lab_spawn "$name" "/run/netns/shop-$name" unshare --mount sh -c "$lab_mounts" "$LAB_DIR" "$@"
}

# lab_exec NAME COMMAND...: runs a command inside a part of the shop, in the foreground.
lab_exec() {
	local name=$1
	shift
	if [ "$LAB_BACKEND" = docker ]; then
		lab_docker exec "$name" "$@"
	else
		nsenter --net="/run/netns/shop-$name" unshare --mount sh -c "$lab_mounts" "$LAB_DIR" "$@"
	fi
}

lab_remove() {
	if [ "$LAB_BACKEND" = docker ]; then
		lab_docker rm -f "$1" >/dev/null 2>&1
	else
		ip netns pids "shop-$1" 2>/dev/null | xargs -r kill 2>/dev/null
		ip netns del "shop-$1" 2>/dev/null
	fi
}

# lab_report N: the short-lived job: one look into the cache and gone.
lab_report() {
	if [ "$LAB_BACKEND" = docker ]; then
		lab_docker run --rm --name "report-$1" --network shop -l com.docker.compose.project=shop \
			-l com.docker.compose.service=report -v /usr:/usr:ro shop-report:1.0 \
			redis-cli -h 172.30.0.20 get visits >>"$LAB_DIR/log/report.log" 2>&1
	else
		lab_run "report-$1" report $((100 + $1 % 100)) redis-cli -h 172.30.0.20 get visits
		lab_until 5 grep -q . "$LAB_DIR/log/report-$1.log"
		lab_remove "report-$1"
	fi
}

lab_shop_up() {
	local web1=web-1 web2=web-2
	echo "nameserver $LAB_WORLD_DNS" >"$LAB_DIR/resolv"
	[ "$LAB_BACKEND" = docker ] || { web1=172.30.0.11 web2=172.30.0.12; }
	sed -i "s/WEB1/$web1/; s/WEB2/$web2/" "$LAB_DIR/etc/lb.conf"
	lab_run cache cache 20 redis-server --save '' --protected-mode no --dir /tmp || return 1
	lab_run web-1 web 11 /usr/bin/python3 /lab/app.py 172.30.0.20 || return 1
	lab_run web-2 web 12 /usr/bin/python3 /lab/app.py 172.30.0.20 || return 1
	lab_until 20 lab_in curl -sf -m 1 http://172.30.0.11:8000/ && lab_until 20 lab_in curl -sf -m 1 http://172.30.0.12:8000/ || return 1
	lab_run lb lb 10 nginx -c /lab/lb.conf || return 1
	lab_run worker worker 30 sh /lab/worker.sh 172.30.0.20 || return 1
	lab_until 20 lab_world curl -sf -m 1 "http://$LAB_HOST_WORLD:$LAB_PORT/"
}

# lab_customers: visits from outside, five a second, one line each in $LAB_DIR/customers ("ok" or what went wrong).
lab_customers() {
	# shellcheck disable=SC2016
	lab_spawn customers "$LAB_DIR/world.ns" sh -c '
		while :; do
			if out=$(curl -sS -m 5 "$0" 2>&1) && [ "${out#visit}" != "$out" ]; then echo ok; else echo "$out"; fi >>"$1"
			sleep 0.2
		done' "http://$LAB_HOST_WORLD:$LAB_PORT/" "$LAB_DIR/customers"
	# shellcheck disable=SC2016
	lab_spawn health "/run/netns/$LAB" sh -c 'while :; do curl -s -m 2 -o /dev/null http://172.30.0.10/; sleep 3; done'
}
lab_customers_count() { grep -c "^ok" "$LAB_DIR/customers" 2>/dev/null || true; }
lab_customers_errors() { grep -vc "^ok" "$LAB_DIR/customers" 2>/dev/null || true; }

lab_up() {
	mkdir -p "$LAB_DIR/log" || return 1
	: >"$LAB_DIR/pids"
	lab_write_files
	lab_net_up || { echo "the lab's namespaces could not be made (see $LAB_DIR/log)" >&2; return 1; }
	if [ -n "${LAB_NO_DOCKER-}" ]; then
		lab_why="asked for"
	elif lab_engine_up; then
		lab_shop_up
		return
	fi
	lab_bridge_up && lab_shop_up
}

# Everything away, also what a killed run left behind.
lab_down() {
	local ns pid
	if [ -S "$LAB_DIR/docker.sock" ] && command -v docker >/dev/null; then
		LAB_DOCKER=$LAB_DIR/docker.sock
		timeout 20 docker -H "unix://$LAB_DOCKER" ps -aq 2>/dev/null | xargs -r timeout 30 docker -H "unix://$LAB_DOCKER" rm -f >/dev/null 2>&1
	fi
	if [ -e "$LAB_DIR/pids" ]; then
		while read -r pid; do kill "$pid" 2>/dev/null; done <"$LAB_DIR/pids"
		lab_until 10 lab_all_gone
		while read -r pid; do kill -9 "$pid" 2>/dev/null; done <"$LAB_DIR/pids"
	fi
	for ns in $(cat "$LAB_DIR/namespaces" 2>/dev/null) "$LAB"; do
		[ -e "/run/netns/$ns" ] || continue
		ip netns pids "$ns" | xargs -r kill 2>/dev/null
		ip netns del "$ns"
	done
	# An engine that was killed leaves mounts.
	awk -v d="$LAB_DIR/" 'index($2, d) == 1 {print $2}' /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null
	lab_until 10 rm -rf "$LAB_DIR"
	[ "$LAB_BACKEND" = docker ] || rmdir /lab 2>/dev/null || true
}
lab_all_gone() {
	local pid
	while read -r pid; do ! kill -0 "$pid" 2>/dev/null || return 1; done <"$LAB_DIR/pids"
}
