"""What can be wrong with a board or around it: each ends in a stated condition, which heals when the
cause goes away. (A wrong clock cannot be shown here, since these boards share the machine's: vms.py
has machines with clocks of their own.)"""

import os
import subprocess
import time

import network
from cards import CARDS, Deck

LIMIT = 240  # seconds until what a scenario waits for must be so
TOKEN = "/etc/rancher/k3s/server-token"
VIP = "192.168.24.40/24"


def stated(bed, node, *parts, limit=LIMIT):
    """Waits until the board says all of `parts` of what is the matter with it; its state."""
    def said():
        status = bed.boards[node].json("/var/lib/bake/status.json")
        trouble = status.get("trouble") or {}
        return status.get("state"), f"{trouble.get('step')}: {trouble.get('what')}; {trouble.get('remedy')}"
    end, last = time.monotonic() + limit, None
    while True:
        now = said()
        if now != last:
            bed.tell(f"{node} is {now[0]}: {now[1]}")
            last = now
        if all(part in now[1] for part in parts):
            return now[0]
        if time.monotonic() > end:
            raise TimeoutError(f"{node} does not say {' … '.join(parts)} after {limit} s, but {now}")
        time.sleep(0.2)


def power_on(bed, *names):
    for name in names or bed.boards:
        bed.do("on", name)


def boot_without_firstboot(board):
    """Powers a board on and waits for its network and its systemd; firstboot is not started."""
    board.power_on(without="bake-firstboot*")
    board.wait_booted()


def wrong_token(bed):
    """The token of a server that joins was tampered with: K3s ends with 401 at once, and says so
    through firstboot."""
    board = bed.boards["node3"]
    good = board.read(TOKEN)
    os.makedirs(os.path.dirname(board.written(TOKEN)))
    with open(board.written(TOKEN), "w", encoding="utf-8") as file:
        file.write(good.strip()[:-4] + "nope\n")
    power_on(bed, "node1", "node2", "worker1")
    bed.wait(LIMIT, bed.judge.api_missing)
    power_on(bed)
    bed.expect(stated(bed, "node3", "401 Unauthorized") != "done", "node3 is refused")
    board.run("sh", "-c", f"printf '%s\\n' '{good.strip()}' >{TOKEN}")
    bed.wait(LIMIT)


def wrong_ca(bed):
    """A card that was baked with other secrets: strangers, in both directions."""
    board, own = bed.boards["node3"], bed.deck
    folder = f"{CARDS}/strangers"
    board.deck = Deck(own.profile, folder, own.base, packages=own.packages)
    board.deck.root("node3", 1)
    power_on(bed)
    stated(bed, "node3", "secrets")
    bed.wait(LIMIT, lambda: bed.judge.api_missing())
    bed.do("off", "node3")
    board.discard()
    board.deck = own
    board.flash(1)
    bed.do("on", "node3")
    bed.wait(LIMIT)


def shared_address_taken(bed):
    """Another machine has the address that the cluster is to stand behind."""
    network.ip("address", "add", VIP, "dev", "bed0")
    power_on(bed)
    stated(bed, "node1", "is used by another machine")
    network.ip("address", "del", VIP, "dev", "bed0")
    bed.wait(LIMIT)


def address_taken(bed):
    """Another machine has a board's own address, which its network manager therefore gives up."""
    board = bed.boards["node3"]
    address = f"{board.address}/24"
    network.ip("address", "add", address, "dev", "bed0")
    boot_without_firstboot(board)
    board.run("ip", "address", "del", address, "dev", "eth0")
    board.run("systemctl", "start", "--no-block", "bake-firstboot.service")
    stated(bed, "node3", f"{board.address} is not on eth0", "no other machine has the address")
    network.ip("address", "del", address, "dev", "bed0")
    board.run("ip", "address", "add", address, "dev", "eth0")
    board.run("ip", "route", "add", "default", "via", "192.168.24.1")
    power_on(bed)
    bed.wait(LIMIT)


def no_network(bed):
    """The cable is not plugged in."""
    power_on(bed)
    bed.do("pull", "node3")
    stated(bed, "node3", "eth0 has no link")
    bed.do("plug", "node3")
    bed.wait(LIMIT)


def no_quorum(bed):
    """One server of three cannot found; two can."""
    power_on(bed, "node2", "worker1")
    stated(bed, "node2", "node1", "node3", "answer")
    bed.watch(5)
    bed.expect(not bed.judge.foundings, "one server of three founds nothing")
    power_on(bed, "node1")
    bed.wait(LIMIT)
    power_on(bed)
    bed.wait(LIMIT)


def small_card(board, size):
    """Makes the board's card one of this size."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", board.card], check=True)
    for part in ("upper", "work", "root"):
        os.makedirs(f"{board.card}/{part}")


def full_disk(bed):
    """The card has no room; then it has."""
    board = bed.boards["node3"]
    small_card(board, "120m")
    power_on(bed)
    stated(bed, "node3", "MiB are free on root")
    subprocess.run(["mount", "-o", "remount,size=2g", board.card], check=True)
    bed.wait(LIMIT)


def disk_fills(bed):
    """Something fills the card of a server that waits for the others: they go on without it, and it
    says why it cannot join, in its journal, since a full card takes no status either."""
    board = bed.boards["node3"]
    small_card(board, "500m")
    power_on(bed, "node3")
    stated(bed, "node3", "node1", "node2", "answer")
    filler = f"{board.card}/upper/var/filler"
    done = subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=64k"], stderr=subprocess.PIPE, check=False)
    bed.expect(done.returncode, "dd fills the card")
    power_on(bed)
    wait_for_line(bed, board, "No space left on device", "free some space")
    bed.wait(LIMIT, bed.judge.api_missing)
    os.unlink(filler)
    bed.wait(LIMIT)


def wait_for_line(bed, board, *parts):
    """Waits until firstboot printed a line with all of `parts` in this boot of the board."""
    end = time.monotonic() + LIMIT
    while True:
        for line in board.printed("bake-firstboot.service.log"):
            if all(part in line for part in parts):
                bed.tell(f"{board.node} prints: {line}")
                return
        if time.monotonic() > end:
            raise TimeoutError(f"{board.node} does not print {' … '.join(parts)} within {LIMIT} s")
        time.sleep(0.2)


def no_memory_cgroup(bed):
    """The kernel was started without it: only a person can change that, with a reboot."""
    board = bed.boards["node3"]
    boot_without_firstboot(board)
    board.run("sh", "-c", "grep -v ^memory /proc/cgroups >/run/cgroups && mount --bind /run/cgroups /proc/cgroups")
    board.run("systemctl", "start", "--no-block", "bake-firstboot.service")
    bed.expect(stated(bed, "node3", "without the memory cgroup", "cgroup_enable=memory") == "halted", "node3 halts")
    bed.do("off", "node3")
    power_on(bed)
    bed.wait(LIMIT)


def no_database(bed):
    """The database is not there: the servers say which node they wait for."""
    power_on(bed, "node1", "node2", "worker1")
    stated(bed, "node1", "database does not answer", "db1")
    power_on(bed)
    bed.wait(LIMIT)


#: As in scenarios.py.
ALL = {
    "wrong-token": ("cluster", None, wrong_token),
    "wrong-ca": ("cluster", None, wrong_ca),
    "shared-address-taken": ("cluster", None, shared_address_taken),
    "address-taken": ("cluster", None, address_taken),
    "no-network": ("cluster", None, no_network),
    "no-quorum": ("cluster", None, no_quorum),
    "full-disk": ("cluster", None, full_disk),
    "disk-fills": ("cluster", None, disk_fills),
    "no-memory-cgroup": ("cluster", None, no_memory_cgroup),
    "no-database": ("cluster-postgres", None, no_database),
}
