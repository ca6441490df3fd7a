"""Three servers and a client on a bridge, each in a network namespace of its own."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time

VIP = "192.168.24.40"
PORT = 16443
SERVERS = {"node1": "192.168.24.11", "node2": "192.168.24.12", "node3": "192.168.24.13"}
CLIENT = "192.168.24.100"
HERE = pathlib.Path(__file__).parent

PROFILE = f"""\
version: 1
cluster:
  name: failover
  topology: embedded-etcd
  vip: {{address: {VIP}, port: {PORT}, provider: keepalived}}
image: ./base.img
k3s: {{version: v1.36.5+k3s1, airgap: false}}
network: {{interface: eth0, prefix: 24, gateway: 192.168.24.1, dns: [192.168.24.1]}}
nodes:
""" + "".join(f"  - {{name: {name}, role: server, address: {at}}}\n" for name, at in SERVERS.items())

# What a server's part in the shared address consists of.
BAKED = (
    "/etc/keepalived/keepalived.conf",
    "/etc/haproxy/haproxy.cfg",
    "/usr/local/lib/bake/vip-alive",
    "/etc/systemd/system/keepalived.service.d/bake.conf",
    "/etc/bake/api/server-ca.crt",
)
CA = BAKED[-1][1:]
# What K3s issues the certificate of its port with.
TLS = "/var/lib/rancher/k3s/server/tls/server-ca"

# The first process of a server: when it is killed the kernel kills all others.
INIT = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/haproxy
for dir in etc usr/local/lib; do
    mount -t overlay overlay -o "lowerdir=$FILES/$dir:/$dir" "/$dir"
done
"$BACKEND" "$NAME" "$ADDRESS" "$WORK/server.crt" "$WORK/server.key" &
haproxy -Ws -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid &
keepalived --dont-fork --log-console &
wait
"""


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def bake(top, work):
    """Bakes an image for each server and takes out of it what the lab runs; {name: folder}."""
    # The one that has both packages already, so that none has to be downloaded.
    base = run(top / "ci/testbed/base", "cluster", stdin=subprocess.DEVNULL).strip()
    program = os.environ.get("BAKE")
    if not program:
        run("cargo", "build", "--quiet", "--locked", "--workspace", "--bin", "bake", cwd=top)
        program = top / "target/debug/bake"
    (work / "failover.yaml").write_text(PROFILE)
    folders = {}
    for name in SERVERS:
        image, folder = work / f"{name}.img", work / name
        # Nothing of it is booted: any program does for K3s and the device binary.
        run(program, "--profile", work / "failover.yaml", "--node", name, "--base", base,
            "--k3s", "/bin/true", "--firstboot", "/bin/true", "--out", image, cwd=work)
        for path in BAKED:
            file = folder / path[1:]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(
                subprocess.run([program, "cat", f"{image}:{path}"], check=True,
                               capture_output=True).stdout)
        (folder / "usr/local/lib/bake/vip-alive").chmod(0o755)
        (folder / "etc/keepalived/keepalived.conf").chmod(0o600)
        for end in ("crt", "key"):
            ca = subprocess.run([program, "cat", f"{image}:{TLS}.{end}"], check=True,
                                capture_output=True)
            (work / f"server-ca.{end}").write_bytes(ca.stdout)
        image.unlink()
        folders[name] = folder
    return folders


class Lab:
    def __init__(self, work, folders):
        self.work, self.folders = work, folders
        self.prefix = f"vip{os.getpid()}-"
        self.bridge = self.prefix + "br"
        self.spaces = []
        self.servers = {}
        self.asker = None
        self.down = set()

    # --- building and tearing down

    def start(self):
        self.certificates()
        self.space("br")
        self.ip("br", "link", "add", "br0", "type", "bridge", "forward_delay", "0")
        self.ip("br", "link", "set", "br0", "up")
        for name, address in [*SERVERS.items(), ("client", CLIENT)]:
            self.space(name)
            run("ip", "link", "add", name, "netns", self.bridge, "type", "veth", "peer", "name",
                "eth0", "netns", self.prefix + name)
            self.ip("br", "link", "set", name, "master", "br0", "up")
            self.ip(name, "link", "set", "eth0", "up")
            self.ip(name, "address", "add", f"{address}/24", "dev", "eth0")
        for name in SERVERS:
            self.boot(name)
        ways = [f"{name}={address}:{PORT}" for name, address in SERVERS.items()]
        self.asker = subprocess.Popen(
            ["ip", "netns", "exec", self.prefix + "client", HERE / "client", self.folders["node1"] / CA,
             f"{VIP}:{PORT}", *ways],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.settle()

    def stop(self):
        if self.asker:
            self.asker.kill()
            self.asker.wait()
        for name in list(self.servers):
            self.end(name)
        for space in reversed(self.spaces):
            subprocess.run(["ip", "netns", "delete", space], check=False)

    def space(self, name):
        run("ip", "netns", "add", self.prefix + name)
        self.spaces.append(self.prefix + name)
        self.ip(name, "link", "set", "lo", "up")

    def ip(self, name, *words):
        return run("ip", "-netns", self.prefix + name, *words)

    def certificates(self):
        """A certificate for every server, as K3s issues one from the CA that was baked."""
        work = self.work
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", work / "server.key", "-out",
            work / "server.crt", "-subj", "/CN=server", "-CA", work / "server-ca.crt", "-CAkey",
            work / "server-ca.key", "-addext", "basicConstraints=critical,CA:FALSE", "-addext",
            "subjectAltName=DNS:server")

    # --- servers

    def boot(self, name):
        environment = dict(os.environ, FILES=self.folders[name], BACKEND=HERE / "backend",
                           NAME=name, ADDRESS=SERVERS[name], WORK=self.work)
        with open(self.work / f"{name}.log", "a") as log:
            self.servers[name] = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.prefix}{name}", "unshare", "--mount", "--pid",
                 "--fork", "--kill-child", "--mount-proc", "bash", "-c", INIT],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def first_process(self, name):
        pid = self.servers[name].pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else pid

    def end(self, name):
        """Returns when the last process is gone: the first one outlives the others."""
        os.kill(self.first_process(name), signal.SIGKILL)
        self.servers.pop(name).wait()

    # Each of these returns when it began and when it was done.

    def kill(self, name):
        """Every process at once. Then what systemd does when keepalived is gone."""
        began = time.monotonic()
        self.end(name)
        done = time.monotonic()
        self.down.add(name)
        unit = self.folders[name] / "etc/systemd/system/keepalived.service.d/bake.conf"
        for line in unit.read_text().splitlines():
            key, _, command = line.partition("=")
            if key == "ExecStopPost":
                subprocess.run(["ip", "netns", "exec", self.prefix + name,
                                *command.lstrip("-").split()], check=False, capture_output=True)
        return began, done

    def unplug(self, name):
        began = time.monotonic()
        self.ip("br", "link", "set", name, "down")
        self.down.add(name)
        return began, time.monotonic()

    def silence(self, name):
        began = time.monotonic()
        run("bridge", "-netns", self.bridge, "link", "set", "dev", name, "state", "0")
        self.down.add(name)
        return began, time.monotonic()

    def restore(self, name):
        if name not in self.servers:
            self.boot(name)
        self.ip("br", "link", "set", name, "up")
        run("bridge", "-netns", self.bridge, "link", "set", "dev", name, "state", "3")
        self.down.discard(name)

    def holders(self, names=SERVERS):
        return [name for name in names if name not in self.down
                and f" {VIP}/" in self.ip(name, "-4", "address", "show", "dev", "eth0")]

    def holder(self, names=SERVERS):
        held = self.holders(names)
        return held[0] if len(held) == 1 else f"{len(held)} of them"

    def settle(self, patience=20):
        """Waits until one server has the address and each HAProxy reaches every server."""
        until = time.monotonic() + patience
        # As long as from one health check to the next: what they found before is out of date.
        time.sleep(1)
        while time.monotonic() < until:
            time.sleep(0.2)
            if len(self.holders()) == 1 and all(self.up(name) == 3 for name in SERVERS):
                return
        raise SystemExit(f"after {patience} s {self.holders()} hold the address and HAProxy "
                         f"reaches {[self.up(name) for name in SERVERS]} servers")

    def up(self, name):
        """How many servers the HAProxy of this one calls up (its statistics, haproxy(1))."""
        if name not in self.servers:
            return 0
        try:
            with socket.socket(socket.AF_UNIX) as admin:
                admin.settimeout(2)
                admin.connect(f"/proc/{self.first_process(name)}/root/run/haproxy/admin.sock")
                admin.sendall(b"show stat servers 4 -1\n")
                text = b"".join(iter(lambda: admin.recv(65536), b"")).decode()
        except OSError:
            return 0
        return sum(line.split(",")[17].startswith("UP") for line in text.splitlines()
                   if line.startswith("servers,"))

    # --- the client

    def client(self, *words):
        self.asker.stdin.write(" ".join(map(str, words)) + "\n")
        self.asker.stdin.flush()
        return json.loads(self.asker.stdout.readline())
