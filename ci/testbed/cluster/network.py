"""The network of one run: two bridges without a way out. A board's cable is in the first; the second
is where the other side of a partition goes. This process is 192.168.24.1 on the first."""

import subprocess

GATEWAY = "192.168.24.1/24"


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def build():
    """Makes the bridges; once, in a network namespace of its own."""
    ip("link", "set", "lo", "up")
    for bridge in ("bed0", "bed1"):
        ip("link", "add", bridge, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        ip("link", "set", bridge, "up")
    ip("address", "add", GATEWAY, "dev", "bed0")


class Cable:
    """What connects a board to the network."""

    def __init__(self, name, pid, side):
        self.port = f"p-{name}"[:15]
        ip("link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        ip("link", "set", self.port, "master", f"bed{side}", "up")

    def pull(self):
        ip("link", "set", self.port, "down", check=False)

    def plug(self):
        ip("link", "set", self.port, "up", check=False)

    def move(self, side):
        """Into one of the two bridges; the board sees no change of its link."""
        ip("link", "set", self.port, "master", f"bed{side}", check=False)

    def remove(self):
        ip("link", "del", self.port, check=False)
