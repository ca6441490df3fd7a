"""A board: a card, power, a cable. It runs the baked root file system under the double of systemd."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

from network import Cable

HERE = os.path.dirname(os.path.abspath(__file__))


class Board:
    """One board. Its card keeps what was written to it while the power is off."""

    def __init__(self, deck, node, work, logs):
        self.deck, self.node, self.logs = deck, node, f"{logs}/{node}"
        self.home = f"{work}/{node}"
        self.incarnation, self.flashes, self.boots = 0, 0, 0
        self.process, self.cable, self.side = None, None, 0
        self.flash(1)

    # The card.

    def flash(self, incarnation=None):
        """Another card: the image of `incarnation`, or the present one again."""
        assert not self.process, "the power is on"
        self.incarnation = incarnation or self.incarnation
        self.flashes += 1
        self.card = f"{self.home}/card{self.flashes}"
        for part in ("upper", "work", "root"):
            os.makedirs(f"{self.card}/{part}")

    def written(self, path):
        """Where a file lies that the board wrote."""
        return f"{self.card}/upper{path}"

    def read(self, path):
        """A file of the card, as the board sees it; None where there is none."""
        for folder in (f"{self.card}/upper", self.deck.root(self.node, self.incarnation)):
            try:
                with open(folder + path, encoding="utf-8") as file:
                    return file.read()
            except (FileNotFoundError, NotADirectoryError):
                pass
        return None

    def json(self, path):
        try:
            return json.loads(self.read(path) or "null") or {}
        except ValueError:
            return {}

    @property
    def config(self):
        return self.json("/etc/bake/node.json")

    @property
    def address(self):
        return self.config["node"]["address"]["static"]["address"]

    @property
    def role(self):
        return self.config["node"]["role"]

    @property
    def votes(self):
        """Whether it is one of the servers that keep the cluster's state themselves."""
        return self.is_server and self.config["cluster"]["topology"] == "embedded-etcd"

    @property
    def is_server(self):
        return self.role == "server"

    # Power and cable.

    @property
    def on(self):
        return self.process is not None

    def power_on(self, without=""):
        """Boots it; units that match the pattern `without` are not started by themselves."""
        if self.process:
            return
        self.boots += 1
        logs = f"{self.logs}/boot{self.boots}"
        os.makedirs(logs)
        lower = f"{os.environ['ARENA']}/double:{self.deck.root(self.node, self.incarnation)}"
        options = f"lowerdir={lower},upperdir={self.card}/upper,workdir={self.card}/work"
        subprocess.run(["mount", "-t", "overlay", "-o", options, "board", f"{self.card}/root"], check=True)
        with open(f"{logs}/init.log", "wb") as out:
            # Process 1 of the board is the child of unshare, which dies with it.
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child", sys.executable, "-B",
                 f"{HERE}/init.py", f"{self.card}/root", logs, without], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.cable = Cable(self.node, self._namespace(), self.side)

    def _namespace(self):
        """Waits until the board is in a network namespace of its own; the process that shows it."""
        own = os.readlink("/proc/self/ns/net")
        while self.process.poll() is None:
            if os.readlink(f"/proc/{self.process.pid}/ns/net") != own:
                return self.process.pid
            time.sleep(0.005)
        raise RuntimeError(f"{self.node} did not start")

    def power_off(self):
        """Cuts the power: no process has a last word, no packet leaves. What was written is kept, as
        if every write had been synced: lost page cache cannot be shown here."""
        if not self.process:
            return
        self.cable.pull()
        # Its process 1, and so all of them; unshare ends when the last is gone.
        for child in children(self.process.pid) or [self.process.pid]:
            os.kill(child, signal.SIGKILL)
        self.process.wait()
        self.cable.remove()
        self.process = self.cable = None
        subprocess.run(["umount", f"{self.card}/root"], check=True)

    def discard(self):
        """Throws the present card away."""
        shutil.rmtree(self.card, ignore_errors=True)

    def inside(self, *words):
        """A command line that runs in the board's network."""
        return ["nsenter", "-t", str(self.process.pid), "--net", *words]

    def run(self, *words):
        """Runs a program of the board's own."""
        subprocess.run([*self._within(), *words], check=True)

    def asked(self, *words):
        """The same, whatever comes of it: with its status, and all it says."""
        words = ["sh", "-c", 'cd / && exec "$@"', "sh", *words]
        return subprocess.run([*self._within(), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def _within(self):
        (init,) = children(self.process.pid)
        return ["nsenter", "-t", str(init), "-m", "-u", "-i", "-n", "-p", "-r"]

    def printed(self, name, boot=None):
        """Lines of one of the logs of a boot, the present one: a unit's, with `.log`, or what init noted."""
        try:
            with open(f"{self.logs}/boot{boot or self.boots}/{name}", encoding="utf-8", errors="replace") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def wait_booted(self):
        """Waits until it has its network, and a systemd to ask."""
        while "network-online" not in self.events():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.node} did not boot")
            time.sleep(0.02)

    def events(self):
        """What its init noted in this boot, as text → second of the first time."""
        return dict(reversed(list(self._noted(self.boots))))

    def happened(self):
        """What its init noted in all boots, in order: (text, second)."""
        return [event for boot in range(1, self.boots + 1) for event in self._noted(boot)]

    def _noted(self, boot):
        for line in self.printed("events", boot):
            when, text = line.split(" ", 1)
            yield text, float(when)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
        return [int(word) for word in file.read().split()]
