"""Test double of systemd, process 1 of a board in namespaces of its own: starts and restarts what
the baked units say, for `systemctl` (the double beside this file).

usage: python3 init.py ROOT LOGS [PATTERN]      (in a new mount and process namespace)
Units whose names match PATTERN are not started at boot.

Real: the programs, their arguments and environment, Restart=, RestartSec=, exit statuses that are
excepted, READY=1, conditions on files, enabling. Not there: cgroups, sandboxing, order (After=),
timers, sockets.
"""

import glob
import json
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from fnmatch import fnmatch

from service import Service, event
from units import Unit

OURS = ("bake-*.service", "k3s*.service", "keepalived.service", "haproxy.service", "postgresql*.service")
DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}


def prepare(root, logs):
    """What a kernel and systemd have done before the first service starts."""
    mount = lambda *args: subprocess.run(["mount", *args], check=True)
    mount("--make-rprivate", "/")
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("-t", "sysfs", "-o", "ro", "sysfs", f"{root}/sys")
    for name in ("dev", "run", "tmp"):
        mount("-t", "tmpfs", "-o", "mode=755" if name != "tmp" else "mode=1777", "tmpfs", f"{root}/{name}")
    for name, minor in DEVICES.items():
        os.mknod(f"{root}/dev/{name}", 0o666 | 0o020000, os.makedev(1, minor))
        os.chmod(f"{root}/dev/{name}", 0o666)
    os.mkdir(f"{root}/dev/shm", 0o1777)
    for name in ("bed/log", "systemd/system", "systemd/timesync", "lock"):
        os.makedirs(f"{root}/run/{name}")
    open(f"{root}/run/systemd/timesync/synchronized", "w").close()
    mount("--bind", logs, f"{root}/run/bed/log")
    os.chroot(root)
    os.chdir("/")
    os.environ.clear()
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    with open("/etc/hostname", encoding="utf-8") as file:
        socket.sethostname(file.read().strip())
    subprocess.run(["systemd-tmpfiles", "--create", "--prefix=/run"], stderr=subprocess.DEVNULL)
    if not os.path.exists("/etc/machine-id") or not os.path.getsize("/etc/machine-id"):
        with open("/etc/machine-id", "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(16) + "\n")


def configure_network():
    """What the baked node's network manager does with the address that bake gave it."""
    with open("/etc/bake/node.json", encoding="utf-8") as file:
        node = json.load(file)["node"]
    ip = lambda *words: subprocess.run(["ip", *words], stderr=subprocess.PIPE).returncode == 0
    interface, fixed = node["interface"], node["address"]["static"]
    while not os.path.exists(f"/sys/class/net/{interface}"):
        time.sleep(0.01)
    ip("link", "set", "lo", "up")
    ip("address", "add", f"{fixed['address']}/{fixed['prefix']}", "dev", interface)
    ip("link", "set", interface, "up")
    if fixed["gateway"]:
        ip("route", "add", "default", "via", fixed["gateway"])


class Init:
    """The service manager."""

    def __init__(self):
        self.services = {}
        self.waiting = []
        self.loop = selectors.DefaultSelector()
        awake, self.wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self.wakeup)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        self.loop.register(awake, selectors.EVENT_READ, lambda: os.read(awake, 4096))
        os.mkfifo("/run/bed/request", 0o600)
        # Open for writing too, so that it never ends.
        self.requests = os.open("/run/bed/request", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.loop.register(self.requests, selectors.EVENT_READ, self.read_requests)
        # What journald takes of those who speak to syslog, keepalived before all.
        self.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.syslog.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        self.loop.register(self.syslog, selectors.EVENT_READ, self.read_syslog)

    def service(self, name):
        name = name if "." in name else name + ".service"
        if name not in self.services:
            self.services[name] = Service(Unit(name), self.loop)
        return self.services[name]

    def boot(self, without):
        """Starts what is enabled, of the units that matter here."""
        home = "/etc/systemd/system"
        for target in sorted(os.listdir(home)):
            if target.endswith(".target.wants"):
                for name in sorted(os.listdir(f"{home}/{target}")):
                    if any(fnmatch(name, pattern) for pattern in OURS) and not fnmatch(name, without):
                        self.service(name).start()
        # Debian's postgresql-generator has every database cluster started (postgresql-common). Not at the
        # first boot: there a card has no PostgreSQL yet, and only this base has it installed before.
        for path in sorted(glob.glob("/etc/postgresql/*/*/postgresql.conf")) if os.path.exists("/var/lib/postgresql/bake") else ():
            version, name = path.split("/")[3:5]
            self.service(f"postgresql@{version}-{name}.service").start()

    def run(self):
        while True:
            due = [s.due for s in self.services.values() if s.due is not None]
            timeout = max(0.0, min(due) - time.monotonic()) if due else None
            for key, _ in self.loop.select(timeout):
                key.data()
            self.reap()
            for service in list(self.services.values()):
                service.tick()
            self.answer_waiting()

    def reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for service in self.services.values():
                service.ended(pid, os.waitstatus_to_exitcode(status))

    def read_syslog(self):
        with open("/run/bed/log/syslog", "a", encoding="utf-8") as log:
            log.write(self.syslog.recv(65536).decode(errors="replace").rstrip("\n\0") + "\n")

    def read_requests(self):
        for line in os.read(self.requests, 65536).decode().splitlines():
            client, *words = line.split()
            options = [w for w in words if w.startswith("-")]
            verb, *names = [w for w in words if not w.startswith("-")] or ["help"]
            try:
                self.handle(client, verb, options, names)
            except OSError as error:
                reply(client, 1, f"{error}\n")

    def handle(self, client, verb, options, names):
        if verb == "daemon-reload":
            for name, service in self.services.items():
                service.unit = Unit(name)
            return reply(client, 0)
        services = [self.service(name) for name in names]
        if verb == "show":
            return reply(client, 0, "\n".join(s.show(options) for s in services))
        if verb == "is-active":
            lines = "" if {"-q", "--quiet"} & set(options) else "".join(f"{s.state}\n" for s in services)
            return reply(client, 0 if all(s.state == "active" for s in services) else 3, lines)
        if verb == "is-enabled":
            enabled = [s.links() != [] for s in services]
            return reply(client, 0 if all(enabled) else 1, "".join("enabled\n" if e else "disabled\n" for e in enabled))
        missing = next((s.unit.name for s in services if not s.unit.path), None)
        if missing and verb not in ("disable", "mask", "unmask", "reset-failed"):
            return reply(client, 5, f"Unit {missing} not found.\n")
        verbs = {"start": "start", "stop": "stop", "restart": "restart", "try-restart": "try_restart",
                 "reload": "reload", "reload-or-restart": "reload_or_restart", "enable": "enable",
                 "disable": "disable", "mask": "mask", "unmask": "unmask", "reset-failed": "reset_failed"}
        if verb not in verbs:
            return reply(client, 1, f"the double of systemctl has no verb {verb}\n")
        for service in services:
            getattr(service, verbs[verb])()
            if "--now" in options and verb in ("enable", "disable"):
                service.start() if verb == "enable" else service.stop()
        settles = verb in ("start", "stop", "restart", "try-restart", "reload-or-restart") or "--now" in options
        if settles and "--no-block" not in options:
            self.waiting.append((client, verb, services))
        else:
            reply(client, 0)
        return None

    def answer_waiting(self):
        still = []
        for client, verb, services in self.waiting:
            if any(s.state in ("activating", "deactivating") and s.sub != "auto-restart" for s in services):
                still.append((client, verb, services))
            else:
                failed = any(s.state == "failed" or s.sub == "auto-restart" for s in services)
                reply(client, 1 if failed and verb != "stop" else 0)
        self.waiting = still


def reply(client, status, text=""):
    """Answers a systemctl. Opening waits until it reads; one that has gone away leaves a thread behind."""
    def write():
        try:
            with open(f"/run/bed/reply.{client}", "wb", buffering=0) as pipe:
                pipe.write(f"{status}\n{text}".encode()[:60000])
        except OSError:
            pass
    if os.path.exists(f"/run/bed/reply.{client}"):
        threading.Thread(target=write, daemon=True).start()


def main():
    root, logs, *without = sys.argv[1:]
    prepare(root, logs)
    with open("/proc/self/comm", "w", encoding="utf-8") as file:
        file.write("systemd")  # keepalived says READY=1 to no other parent
    configure_network()
    init = Init()
    event("network-online")
    init.boot(without[0] if without else "")
    init.run()


main()
