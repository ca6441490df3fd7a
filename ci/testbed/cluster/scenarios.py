"""Stories that are always the same: each a function of a bed, named as `ci/cluster-test scenarios` takes it."""

import json
import subprocess

import conditions
import forged
import rotation

LIMIT = 240  # seconds until what a scenario waits for must be so


def power_on(bed, *names):
    for name in names or bed.boards:
        bed.do("on", name)


def three_servers(bed):
    """All at once; then `bake status` knows every node, and the VIP's holder."""
    power_on(bed)
    bed.wait(LIMIT)
    all_well(bed)


def five_servers(bed):
    """Five servers are one cluster, and two of them may lose their power."""
    power_on(bed)
    bed.wait(LIMIT)
    all_well(bed)
    for name in ("node1", "node4"):
        bed.do("off", name)
    bed.wait(60, lambda: bed.judge.api_missing())
    power_on(bed)
    bed.wait(LIMIT)


def single(bed):
    """The agent first: it waits for the server."""
    power_on(bed, "worker1")
    bed.watch(3)
    power_on(bed)
    bed.wait(LIMIT)
    all_well(bed)


def postgres(bed):
    """The database last: the servers wait for it; then its power is cut, and all heals."""
    power_on(bed, "node1", "node2", "worker1")
    bed.watch(5)
    power_on(bed)
    bed.wait(LIMIT)
    all_well(bed)
    bed.do("off", "db1")
    bed.watch(15)
    power_on(bed)
    bed.wait(LIMIT)


def replace(bed):
    """A server's board dies and is replaced by a card of `bake --replace`; so is the agent's."""
    power_on(bed)
    bed.wait(LIMIT)
    for name in ("node2", "worker1"):
        bed.do("off", name)
        bed.watch(2)
        bed.replace(bed.boards[name], 2)
        bed.do("on", name)
        bed.wait(LIMIT)
    all_well(bed)


def same_card_again(bed):
    """A card of a formed cluster is written once more from the same image."""
    power_on(bed)
    bed.wait(LIMIT)
    bed.do("off", "node3")
    bed.replace(bed.boards["node3"], 1)
    bed.do("on", "node3")
    bed.wait(LIMIT)


def baked_twice(bed):
    """Every card made anew before the first boot: incarnation 2 everywhere, and still one cluster."""
    for board in bed.boards.values():
        bed.replace(board, 2)
    power_on(bed)
    bed.wait(LIMIT)


def all_off(bed):
    """The power of all goes at once and comes back in another order."""
    power_on(bed)
    bed.wait(LIMIT)
    for name in bed.boards:
        bed.do("off", name)
    bed.watch(1)
    power_on(bed, *reversed(bed.boards))
    bed.wait(LIMIT)


def grown(bed):
    """An agent and a server come into the profile later: their cards alone are baked and join; the
    old servers' services know the new one. Then `bake remove` takes both out again."""
    power_on(bed)
    bed.wait(LIMIT)
    bed.grow()
    power_on(bed)
    bed.wait(LIMIT)
    bed.wait(60, lambda: who_forgets(bed, "node4", "192.168.24.14"))
    holders = [b.node for b in bed.servers if " 192.168.24.40/" in addresses(b)]
    bed.expect(len(holders) == 1, f"{holders} hold the shared address")
    bed.do("off", "worker2")
    done = bed.deck.bake("remove", "worker2", "--yes", check=False)
    bed.expect(done.returncode == 0, f"bake remove worker2 ended with {done.returncode}: {done.stderr}")
    bed.boards.pop("worker2")
    bed.wait(LIMIT)
    bed.do("off", "node4")
    done = bed.deck.bake("remove", "node4", "--yes", check=False)
    bed.expect(done.returncode == 0, f"bake remove node4 ended with {done.returncode}: {done.stderr}")
    bed.boards.pop("node4")
    bed.wait(60, lambda: [] if len(who_forgets(bed, "node4", "192.168.24.14")) == len(bed.servers)
             else ["somebody still has node4 in its files"])
    bed.wait(LIMIT)


def addresses(board):
    return subprocess.run(board.inside("ip", "-4", "-o", "address"), check=True, capture_output=True,
                          text=True).stdout


def who_forgets(bed, name, address):
    """Servers that do not send their adverts to another, or connections to its API."""
    files = {"/etc/keepalived/keepalived.conf": f" {address}\n", "/etc/haproxy/haproxy.cfg": f" {name} "}
    return [f"{b.node} does not know {name}" for b in bed.servers if b.node != name
            and not all(words in b.read(path) for path, words in files.items())]


def all_well(bed):
    """`bake status --json` reaches every node and finds all of them done."""
    done = bed.deck.bake("status", "--json", check=False)
    bed.tell(f"bake status: {done.returncode} {done.stdout} {done.stderr}")
    bed.expect(done.returncode == 0, f"bake status ended with {done.returncode}: {done.stdout} {done.stderr}")
    nodes = {n["name"]: n for n in json.loads(done.stdout.splitlines()[-1])["nodes"]}
    bed.expect(set(nodes) == set(bed.boards), f"bake status lists {sorted(nodes)}")
    for name, node in nodes.items():
        bed.expect(node["reachable"], f"bake status does not reach {name}")


#: name → (profile, a later profile baked with the same secrets, story)
ALL = {
    "three-servers": ("cluster", None, three_servers),
    "replace": ("cluster", None, replace),
    "same-card-again": ("cluster", None, same_card_again),
    "baked-twice": ("cluster", None, baked_twice),
    "all-off": ("cluster", None, all_off),
    "grown": ("cluster", "cluster-grown", grown),
    "five-servers": ("cluster-five", None, five_servers),
    "single": ("cluster-single", None, single),
    "postgres": ("cluster-postgres", None, postgres),
} | conditions.ALL | forged.ALL | rotation.ALL
