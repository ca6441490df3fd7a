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
NEWCOMER = {"node4": "192.168.24.14"}  # in the profile only once the others have been baked
CLIENT = "192.168.24.100"
HERE = pathlib.Path(__file__).parent

HEAD = f"""\
version: 1
cluster:
  name: failover
  topology: embedded-etcd
  vip: {{address: {VIP}, port: {PORT}, provider: keepalived}}
image: ./base.img
k3s: {{version: v1.36.5+k3s1, airgap: false}}
network: {{interface: eth0, prefix: 24, gateway: 192.168.24.1, dns: [192.168.24.1]}}
nodes:
"""


def profile(servers):
    return HEAD + "".join(f"  - {{name: {name}, role: server, address: {at}}}\n"
                          for name, at in servers.items())


# What a server's part in the shared address consists of, and who may read it.
BAKED = {
    "/etc/keepalived/keepalived.conf": 0o600,
    "/etc/haproxy/haproxy.cfg": 0o644,
    "/usr/local/lib/bake/vip-alive": 0o755,
    "/etc/systemd/system/keepalived.service.d/bake.conf": 0o644,
    "/etc/bake/node.json": 0o644,
    "/etc/bake/witness/ca.crt": 0o644,
    "/etc/bake/witness/node.crt": 0o644,
    "/etc/bake/witness/node.key": 0o600,
    "/etc/bake/api/server-ca.crt": 0o644,
}
CA = "etc/bake/api/server-ca.crt"
WANTS = "etc/systemd/system/multi-user.target.wants"
# What K3s issues the certificate of its port with.
TLS = "/var/lib/rancher/k3s/server/tls/server-ca"

# The first process of a server: when it is killed the kernel kills all others. What it writes below
# /etc and /var/lib is there again when it boots again.
INIT = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/haproxy /run/bake
mount -t overlay overlay -o "lowerdir=$FILES/usr/local/lib:/usr/local/lib" /usr/local/lib
for dir in etc var/lib; do
    mkdir -p "$STATE/$dir" "$STATE/work/$dir" "$FILES/$dir"
    mount -t overlay overlay -o "lowerdir=$FILES/$dir:/$dir,upperdir=$STATE/$dir,workdir=$STATE/work/$dir" "/$dir"
done
mkdir -p /var/lib/bake
mount --bind "$HERE/systemctl" /usr/bin/systemctl
if [ "$HASTY" ]; then touch /run/bake/vip-admitted; systemctl start keepalived.service; fi
"$HERE/backend" "$NAME" "$ADDRESS" "$WORK/server.crt" "$WORK/server.key" &
systemctl start haproxy.service
"$FIRSTBOOT" witness &
[ "$HASTY" ] || "$FIRSTBOOT" servers &
while :; do wait || :; sleep 1; done
"""


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def built(top, package):
    """The program of a crate, or the one that the variable of its name says."""
    program = os.environ.get(package.upper())
    if not program:
        run("cargo", "build", "--quiet", "--locked", "--workspace", "--bin", package, cwd=top)
    return program or top / "target/debug" / package


def bake(top, work, servers=SERVERS, name=None):
    """Bakes an image for each server, or the one of that name, and takes out of it what the lab
    runs; {name: folder}."""
    # The one that has both packages already, so that none has to be downloaded.
    base = run(top / "ci/testbed/base", "cluster", stdin=subprocess.DEVNULL).strip()
    program = built(top, "bake")
    (work / "failover.yaml").write_text(profile(servers))
    folders = {}
    for name in [name] if name else servers:
        image, folder = work / f"{name}.img", work / name
        # Nothing of it is booted: any program does for K3s and the device binary.
        run(program, "--profile", work / "failover.yaml", "--node", name, "--base", base,
            "--k3s", "/bin/true", "--firstboot", "/bin/true", "--out", image, cwd=work)
        cat = lambda path: subprocess.run([program, "cat", f"{image}:{path}"], check=True,
                                          capture_output=True).stdout
        for path, mode in BAKED.items():
            file = folder / path[1:]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(cat(path))
            file.chmod(mode)
        # As dpkg leaves them.
        (folder / WANTS).mkdir(parents=True, exist_ok=True)
        for unit in ("haproxy.service", "keepalived.service"):
            (folder / WANTS / unit).symlink_to(f"/lib/systemd/system/{unit}")
        for end in ("crt", "key"):
            (work / f"server-ca.{end}").write_bytes(cat(f"{TLS}.{end}"))
        image.unlink()
        folders[name] = folder
    return folders


class Lab:
    def __init__(self, work, folders, firstboot):
        self.work, self.folders, self.firstboot = work, folders, firstboot
        self.addresses = dict(SERVERS)
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
        # An overlay's upper layer cannot lie on another overlay.
        (self.work / "state").mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=64m,mode=755", "tmpfs", self.work / "state")
        for name, address in [*SERVERS.items(), ("client", CLIENT)]:
            self.plug_in(name, address)
        for name in SERVERS:
            self.boot(name)
        ways = [f"{name}={address}:{PORT}" for name, address in SERVERS.items()]
        self.asker = subprocess.Popen(
            ["ip", "netns", "exec", self.prefix + "client", HERE / "client", self.folders["node1"] / CA,
             f"{VIP}:{PORT}", *ways],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.settle()

    def plug_in(self, name, address):
        self.space(name)
        run("ip", "link", "add", name, "netns", self.bridge, "type", "veth", "peer", "name",
            "eth0", "netns", self.prefix + name)
        self.ip("br", "link", "set", name, "master", "br0", "up")
        self.ip(name, "link", "set", "eth0", "up")
        self.ip(name, "address", "add", f"{address}/24", "dev", "eth0")

    def stop(self):
        if self.asker:
            self.asker.kill()
            self.asker.wait()
        for name in list(self.servers):
            self.end(name)
        for space in reversed(self.spaces):
            subprocess.run(["ip", "netns", "delete", space], check=False)
        subprocess.run(["umount", self.work / "state"], check=False, capture_output=True)

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

    def boot(self, name, hasty=False):
        """Starts a server; `hasty` lets keepalived run, and asks nobody."""
        environment = dict(os.environ, FILES=self.folders[name], HERE=HERE, NAME=name,
                           ADDRESS=self.addresses[name], WORK=self.work, FIRSTBOOT=self.firstboot,
                           HASTY="yes" if hasty else "", STATE=self.work / "state" / name)
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
        self.forward(name)
        self.down.discard(name)

    def forward(self, name):
        """Has the port pass frames on. The kernel refuses (ENETDOWN) until it has seen the carrier."""
        for _ in range(50):
            try:
                return run("bridge", "-netns", self.bridge, "link", "set", "dev", name, "state", "3")
            except subprocess.CalledProcessError as error:
                refused = error
                time.sleep(0.05)
        raise RuntimeError(f"{name} stays down: {refused.stderr}") from refused

    def holders(self, names=None):
        return [name for name in names or self.addresses if name not in self.down
                and f" {VIP}/" in self.ip(name, "-4", "address", "show", "dev", "eth0")]

    def holder(self, names=None):
        held = self.holders(names)
        return held[0] if len(held) == 1 else f"{len(held)} of them"

    def settle(self, patience=20):
        """Waits until one server has the address, every keepalived may have it, and each HAProxy
        reaches every server."""
        until = time.monotonic() + patience
        # As long as from one health check to the next: what they found before is out of date.
        time.sleep(1)
        while time.monotonic() < until:
            time.sleep(0.2)
            if (len(self.holders()) == 1 and all(map(self.admitted, self.servers))
                    and all(self.up(name) == len(self.servers) for name in self.servers)):
                return
        raise SystemExit(f"after {patience} s {self.holders()} hold the address, HAProxy reaches "
                         f"{[self.up(name) for name in self.servers]} servers, keepalived may run: "
                         f"{[self.admitted(name) for name in self.servers]}")

    def file(self, name, path):
        """A file of a server as it sees it."""
        return pathlib.Path(f"/proc/{self.first_process(name)}/root{path}")

    def admitted(self, name):
        try:
            return self.file(name, "/run/keepalived.pid").exists()
        except OSError:
            return False

    def up(self, name):
        """How many servers the HAProxy of this one calls up (its statistics, haproxy(1))."""
        if name not in self.servers:
            return 0
        try:
            with socket.socket(socket.AF_UNIX) as admin:
                admin.settimeout(2)
                admin.connect(str(self.file(name, "/run/haproxy/admin.sock")))
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
