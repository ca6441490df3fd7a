"""Whole machines: three baked amd64 nodes and a baked arm64 agent boot in QEMU on one bridge, and
must become one cluster; then the power of one is cut. Judged from outside only. The agent's clock
starts in 1970, as that of a board without one does, and one server's is years late: both begin at the
time of the bake, a month ago. The time server answers when that server has said that it waits for it.

usage: python3 vms.py [--seed N]      (in namespaces of its own)
"""

import argparse
import calendar
import glob
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import network
import wal
from cards import TOP, Deck, partition
from client import Kubeconfig
from judge import WAL

OUT = f"{TOP}/target/vm-cluster"
SERVERS, AGENT = ("node1", "node2", "node3"), "worker1"
STANDS, HEALS = 900, 600  # seconds after which a machine that hangs is given up
LATE, NONE = "2021-06-01", "1970-01-01"  # what clocks start at
MONTH = 30 * 86400  # seconds since the cards were baked, as far as they know: the floor of their clocks
WRONG = 600  # seconds that a clock which is right may seem to be off: it is seen in what was written last


class Machine:
    """A virtual machine with a card of its own."""

    def __init__(self, name, image, clock):
        self.name, self.arch, self.clock = name, "arm64" if name == AGENT else "amd64", clock
        self.disk, self.folder, self.process, self.boots = f"{OUT}/{name}.disk", f"{OUT}/{name}", None, 0
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", image, self.disk], check=True)
        os.truncate(self.disk, 5 << 30)  # the card is larger than the image
        network.ip("tuntap", "add", "dev", f"t-{name}", "mode", "tap")
        network.ip("link", "set", f"t-{name}", "master", "bed0", "up")
        self.mac = f"52:54:00:be:d0:{network_number(name):02x}"

    def power_on(self):
        self.boots += 1
        words = subprocess.run([f"{TOP}/ci/testbed/machine", self.arch, self.disk, self.folder], check=True,
                               text=True, stdout=subprocess.PIPE).stdout.splitlines()
        words += ["-smp", "1", "-m", "1024", "-rtc", f"base={self.clock}", "-netdev", f"tap,id=net,ifname=t-{self.name},script=no,downscript=no",
                  "-device", f"virtio-net-pci,netdev=net,romfile=,mac={self.mac}",
                  "-serial", f"file:{self.folder}/console{self.boots}"]
        with open(f"{self.folder}/qemu.log", "ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def power_off(self):
        """Cuts the power: what the guest had not written to its disk is lost."""
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def says(self, text):
        """Whether `text` was on its console."""
        for path in glob.glob(f"{self.folder}/console*"):
            with open(path, encoding="utf-8", errors="replace") as console:
                if text in console.read():
                    return True
        return False

    def founded(self):
        """The cluster whose data is on its disk; its power is off."""
        start, _ = partition(self.disk)
        # The power was cut: what the journal has is put in its place, as a boot would. The status says
        # only that nothing else was looked at.
        subprocess.run(["e2fsck", "-y", "-E", "journal_only", f"{self.disk}?offset={start}"], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run(["debugfs", "-R", f"rdump {WAL} {self.folder}", f"{self.disk}?offset={start}"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return wal.cluster_id(f"{self.folder}/wal")

    def look(self):
        """A machine that rebooted by itself (Raspberry Pi OS does to grow its root) is started again."""
        if self.process and self.process.poll() is not None:
            self.power_on()


def network_number(name):
    return [*SERVERS, AGENT].index(name) + 1


class Test:
    """Checks with their outcome, and the time since power-on."""

    def __init__(self, machines, kubeconfig):
        self.machines, self.kubeconfig = machines, kubeconfig
        self.begun, self.passed, self.failed = time.monotonic(), 0, 0

    def check(self, what, holds, seen=""):
        self.passed, self.failed = self.passed + bool(holds), self.failed + (not holds)
        print(f"{'ok     ' if holds else 'FAILED '} {time.monotonic() - self.begun:5.0f} s  {what}", flush=True)
        if not holds:
            print(f"        seen: {seen}", flush=True)
        return holds

    def until(self, what, limit, condition):
        """Waits for a condition, which returns what is missing."""
        end, lacks = time.monotonic() + limit, "?"
        while time.monotonic() < end:
            for machine in self.machines.values():
                machine.look()
            lacks = condition()
            if not lacks:
                break
            time.sleep(1)
        return self.check(what, not lacks, lacks)

    def api(self, **where):
        status, text = self.kubeconfig.get("/readyz", timeout=8, **where)
        return "" if status == 200 else f"{status} {text[:200]}"

    def clocks(self, names):
        """What is wrong with the clocks of nodes, as their leases show them."""
        for name in names:
            status, text = self.kubeconfig.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}")
            if status != 200:
                return f"the lease of {name}: {status} {text[:200]}"
            told = json.loads(text)["spec"]["renewTime"]
            if abs(time.time() - calendar.timegm(time.strptime(told[:19], "%Y-%m-%dT%H:%M:%S"))) > WRONG:
                return f"{name} renewed its lease at {told}"
        return ""

    def ready(self, names):
        nodes = self.kubeconfig.nodes()
        return "" if nodes and set(names) <= nodes[0] else f"nodes (Ready, others): {nodes}"


def bake_all():
    """Bakes the four cards, and the kubeconfig before any has booted."""
    shutil.copy(f"{TOP}/ci/testbed/profiles/vms.yaml", f"{OUT}/vms.yaml")
    start, _ = partition(os.environ["BASE_CLUSTER"])
    subprocess.run(["debugfs", "-R", f"dump /usr/bin/etcd {OUT}/etcd", f"{os.environ['BASE_CLUSTER']}?offset={start}"],
                   check=True, stderr=subprocess.DEVNULL)
    os.environ["SOURCE_DATE_EPOCH"] = str(int(time.time()) - MONTH)
    images, decks = {}, {}
    for name in (*SERVERS, AGENT):
        device = "x86_64" if name in SERVERS else "aarch64"
        os.environ["K3S"] = f"{TOP}/target/standin/{device}/k3s"
        os.environ["FIRSTBOOT"] = f"{TOP}/target/firstboot/{device}/firstboot"
        base, packages = ("BASE_AMD64", os.environ["PACKAGES"]) if name in SERVERS else ("BASE_ARM64", None)
        decks[name] = Deck(f"{OUT}/vms.yaml", OUT, os.environ[base], packages=packages)
        images[name] = decks[name].card(name, 1)
    return images, decks["node1"].kubeconfig()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    dice = random.Random(seed := parser.parse_args().seed)
    os.makedirs(OUT, exist_ok=True)
    images, kubeconfig = bake_all()
    network.build()
    late = dice.choice(SERVERS)
    clocks = {AGENT: NONE, late: LATE}
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    machines = {n: Machine(n, image, clocks.get(n, now)) for n, image in images.items()}
    order = dice.sample(list(machines), len(machines))
    print(f"seed {seed}: power on {', '.join(order)}; the clock of {late} is late", flush=True)
    test = Test(machines, Kubeconfig(kubeconfig))
    for name in order:
        machines[name].power_on()
        time.sleep(dice.uniform(0, 3))
    story(test, dice, machines[late])
    for machine in machines.values():
        machine.power_off()
    founded = {name: machines[name].founded() for name in SERVERS}
    test.check("the disks hold the data of one cluster", None not in founded.values() and len(set(founded.values())) == 1, founded)
    for machine in machines.values():
        if not test.failed:
            os.unlink(machine.disk)
    if test.failed:
        print(f"consoles: {OUT}/*/console*; the disks are kept; again with --seed {seed}")
    print(f"vm-cluster: {test.passed} passed, {test.failed} failed")
    sys.exit(1 if test.failed else 0)


def story(test, dice, late):
    """Power on, stand, lose one, heal."""
    everybody = (*SERVERS, AGENT)
    told = test.until(f"{late.name} says that its clock is not right", STANDS,
                      lambda: "" if late.says("the clock is not synchronised") else "nothing on its console")
    # Ends with this process namespace.
    subprocess.Popen([f"{TOP}/ci/testbed/ntp-server", network.GATEWAY.split("/")[0]])
    return (told
            and test.until("the VIP answers the offline kubeconfig", STANDS, test.api)
            and test.until("all three servers are Ready", STANDS, lambda: test.ready(SERVERS))
            and test.until("the arm64 agent is Ready", STANDS, lambda: test.ready(everybody))
            and test.until("every clock is right", HEALS, lambda: test.clocks(everybody))
            and lose_one(test, test.machines[dice.choice(SERVERS)])
            and test.until("everything is Ready again", HEALS, lambda: test.ready(everybody)))


def lose_one(test, machine):
    machine.power_off()
    print(f"        power of {machine.name} cut", flush=True)
    held = test.until("the VIP answers without it", HEALS, test.api)
    machine.power_on()
    # Its Node may still be called Ready.
    own = f"192.168.24.1{network_number(machine.name)}"
    return held and test.until(f"{machine.name} serves the cluster again", HEALS,
                               lambda: test.api(host=own, port=6443))


main()
