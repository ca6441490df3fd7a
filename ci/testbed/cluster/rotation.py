"""Tokens and the database's password are replaced while the cluster runs, by the steps that bake says
and the scripts it writes: interrupted, in the wrong order, with cards of before and after."""

import json
import os
import shutil
import subprocess
import threading
import time

from board import Board
from cards import CARDS, TOP, Deck
from conditions import LIMIT, power_on, stated
from judge import Judge

SECRET = "/etc/rancher/k3s/server-token"
FOLDERS = ("boot", "etc", "home", "opt", "root", "run", "srv", "tmp", "var")


class Rotation:
    """A cluster with secrets of its own, and what bake says of their rotation."""

    def __init__(self, bed, name):
        self.bed = bed
        self.folder = f"{CARDS}/{name}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.deck = self.another(bed.deck.profile, "first")
        bed.deck = self.deck
        for board in bed.boards.values():
            board.deck = self.deck
            self.deck.root(board.node, 1)
        bed.judge = Judge(bed.boards, self.deck.kubeconfig())

    def another(self, profile, name):
        """Cards of a profile with the secrets of this cluster as they are by then."""
        return Deck(profile, f"{self.folder}/{name}", os.environ["BASE"], f"{self.folder}/secrets.json",
                    os.environ["PACKAGES"])

    def secrets(self, *keys):
        with open(f"{self.folder}/secrets.json", encoding="utf-8") as file:
            found = json.load(file)
        return [found[key] for key in keys]

    def bake(self, *words, status=0):
        """Runs `bake secrets rotate`; what it says in JSON."""
        done = self.deck.bake("secrets", "rotate", *words, "--json", check=False)
        self.bed.tell(f"bake secrets rotate {' '.join(words)}: {done.returncode} {done.stderr}")
        self.bed.expect(done.returncode == status, f"bake secrets rotate {words}: {done.stdout} {done.stderr}")
        return json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}

    def begin(self, what, folder):
        self.files = f"{self.folder}/{folder}"
        self.steps = self.bake(what, "--files", self.files)["steps"]
        return [(step["node"], step["run"].split()[2:]) for step in self.steps if "node" in step]

    def bring(self, node):
        """Copies a node's folder to it, as scp would."""
        home = f"{self.bed.boards[node].card}/root/root/{node}"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(f"{self.files}/{node}", home)

    def apply(self, node, *words, path=""):
        """Runs the script of a node there, with programs in `path` before the usual ones."""
        self.bed.tell(f"{node}: sh apply.sh {' '.join(words)}")
        path = f"PATH={path}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        done = self.bed.boards[node].asked("env", path, "sh", f"/root/{node}/apply.sh", *words)
        self.bed.tell(f"{node}: {done.returncode} {done.stdout}")
        return done

    def follow(self, steps):
        """Does the steps, each node's when the one before is well."""
        for node, words in steps:
            self.bring(node)
            done = self.apply(node, *words)
            self.bed.expect(done.returncode == 0, f"apply.sh of {node} ended with {done.returncode}: {done.stdout}")
            self.bed.wait(LIMIT, self.bed.judge.cluster_missing)

    def remains(self, *secrets):
        """Files of the boards in which one of these is still to be read."""
        found = []
        for board in self.bed.boards.values():
            patterns = [word for secret in secrets for word in ("-e", secret)]
            places = [f"{board.card}/root/{name}" for name in FOLDERS if os.path.isdir(f"{board.card}/root/{name}")]
            done = subprocess.run(["grep", "-rlF", *patterns, *places], stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.DEVNULL)
            found += [f"{board.node}:{path.removeprefix(f'{board.card}/root')}" for path in done.stdout.splitlines()]
        return found


class Watch(threading.Thread):
    """Asks the API at the cluster's address again and again: the longest it did not answer, which is a
    figure and depends on the machine. What must be so is that no two servers are taken away at a time."""

    def __init__(self, bed):
        super().__init__(daemon=True)
        self.bed, self.longest, self.over = bed, 0.0, threading.Event()
        self.start()

    def run(self):
        since = None
        while not self.over.is_set():
            if self.bed.judge.api_missing():
                since = since or time.monotonic()
                self.longest = max(self.longest, time.monotonic() - since)
            else:
                since = None
            time.sleep(0.2)

    def end(self):
        """The figure."""
        self.over.set()
        self.join()
        self.bed.tell(f"the API was away for {self.longest:.1f} s at most")
        stops = sorted(stop for board in self.bed.servers for stop in absences(board))
        self.bed.tell(f"K3s was stopped: {stops}")
        for (_, until, node), (since, _, other) in zip(stops, stops[1:]):
            self.bed.expect(until <= since, f"{other} was stopped before {node} was back: {stops}")
        return round(self.longest, 1)


def absences(board):
    """(second in which somebody stopped K3s, second in which it served again, name) for each time."""
    since = None
    for event, when in board.happened():
        if event == "k3s.service stopped":
            since = since or when
        elif event == "k3s.service ready" and since:
            yield since, when, board.node
            since = None
    if since:
        yield since, float("inf"), board.node


def tokens(bed):
    """Three servers and an agent get new tokens, with every mishap on the way."""
    cluster = Rotation(bed, "rotate-tokens")
    grown = f"{TOP}/ci/testbed/profiles/cluster-grown.yaml"
    drawer = cluster.another(grown, "drawer")
    for node in ("node4", "worker2"):
        drawer.root(node, 1)
    power_on(bed)
    bed.wait(LIMIT)
    old = cluster.secrets("server_token", "agent_token")
    bed.expect(cluster.remains(*old), "the scan finds the tokens that count")

    cluster.begin("tokens", "given-up")
    cluster.bake("--abandon")
    bed.expect(cluster.secrets("server_token", "agent_token") == old, "given up: the old ones count")
    cluster.begin("tokens", "lost")
    steps = cluster.begin("tokens", "new")
    same = [open(f"{cluster.folder}/{name}/node1{SECRET}", encoding="utf-8").read() for name in ("lost", "new")]
    bed.expect(same[0] == same[1], "taken up again it has the same tokens")
    bed.expect([node for node, _ in steps] == ["node1", "node2", "node3", "worker1"], f"the steps are {steps}")

    watch = Watch(bed)
    cluster.bring("node2")
    done = cluster.apply("node2")
    bed.expect(done.returncode == 1 and "run this on node1 first" in done.stdout, f"node2 before node1: {done.stdout}")
    bed.wait(LIMIT, bed.judge.cluster_missing)
    cut_short(bed, cluster)
    cluster.follow(steps[1:])
    again = cluster.apply("node2")
    bed.expect(again.returncode == 0 and "done before" in again.stdout, f"node2 once more: {again.stdout}")
    away = watch.end()
    cluster.bake("--finish")
    bed.expect(not set(old) & set(cluster.secrets("server_token", "agent_token")), "the new ones count")

    for node in ("node4", "worker2"):
        bed.boards[node] = Board(drawer, node, bed.work, bed.logs)
        bed.do("on", node)
        stated(bed, node, "does not take this card's token", "401 Unauthorized", "if the cluster's tokens were rotated")
    fresh = cluster.another(grown, "fresh")
    for node in ("node4", "worker2"):
        board = bed.boards[node]
        bed.do("off", node)
        board.discard()
        board.deck = fresh
        fresh.root(node, 1)
        board.flash(1)
        bed.do("on", node)
    bed.wait(LIMIT)
    all_off_and_on(bed)
    left = cluster.remains(*old)
    bed.expect(not left, f"the old tokens are still in {left}")
    return {"api_away": away}


def cut_short(bed, cluster):
    """The power of node1 goes when its K3s has encrypted with the new token, while its file still has
    the old one: K3s does not start with that, until the script is run again."""
    board = bed.boards["node1"]
    cluster.bring("node1")
    lag = f"{board.card}/root/root/slow"
    os.makedirs(lag)
    with open(f"{lag}/sync", "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\n[ ! -e {SECRET}.new ] || exec sleep 1000\n")
    os.chmod(f"{lag}/sync", 0o755)
    run = threading.Thread(target=cluster.apply, args=("node1",), kwargs={"path": "/root/slow:"})
    run.start()
    while board.read(f"{SECRET}.new") is None: # it ends by itself, or stays there
        bed.expect(run.is_alive(), "apply.sh of node1 ended before its new token")
        time.sleep(0.05)
    bed.do("off", "node1")
    run.join()
    bed.watch(1)
    bed.do("on", "node1")
    board.wait_booted()
    done = cluster.apply("node1")
    bed.expect(done.returncode == 0 and "has the new server token already" in done.stdout,
               f"node1 once more: {done.stdout}")
    bed.wait(LIMIT, bed.judge.cluster_missing)


def all_off_and_on(bed):
    """Everything is switched off and on: what every board reads at its start is right."""
    bed.watch(4)  # K3s takes a file for newer from 3 s on
    for name in bed.boards:
        bed.do("off", name)
    power_on(bed)
    bed.wait(LIMIT)


def database(bed):
    """Two servers on a database get new tokens, then the database a new password."""
    cluster = Rotation(bed, "rotate-database")
    power_on(bed)
    bed.wait(LIMIT)
    old = cluster.secrets("server_token", "agent_token", "database_password")
    watch = Watch(bed)
    cluster.follow(cluster.begin("tokens", "tokens"))
    cluster.bake("--finish")
    steps = cluster.begin("database", "password")
    staged = [("node1", ["stage"]), ("node2", ["stage"]), ("db1", []), ("node1", []), ("node2", [])]
    bed.expect(steps == staged, f"the steps are {steps}")
    cluster.follow(steps[:3])
    # Whatever ends K3s now, it comes back with the new password.
    board = bed.boards["node2"]
    since = len(board.happened())
    pid = board.asked("systemctl", "show", "k3s", "--property=MainPID").stdout.strip().split("=")[1]
    if int(pid): # else it ended by itself
        board.asked("kill", "-KILL", pid)
    bed.wait(LIMIT, lambda: [] if "k3s.service ready" in dict(board.happened()[since:]) else ["K3s of node2"])
    bed.wait(LIMIT, bed.judge.cluster_missing)
    cluster.follow(steps[3:])
    away = watch.end()
    cluster.bake("--finish")
    all_off_and_on(bed)
    left = cluster.remains(*old)
    bed.expect(not left, f"the old secrets are still in {left}")
    return {"api_away": away}


def single(bed):
    """One server, with its state in SQLite, and an agent. Somebody had K3s take the new server token
    before, so that what K3s shares has it, but the old agent token."""
    cluster = Rotation(bed, "rotate-single")
    power_on(bed)
    bed.wait(LIMIT)
    old = cluster.secrets("server_token", "agent_token")
    steps = cluster.begin("tokens", "new")
    bed.expect(steps == [("node1", []), ("worker1", [])], f"the steps are {steps}")
    server, agent = bed.boards["node1"], bed.boards["worker1"]
    with open(f"{cluster.files}/node1{SECRET}", encoding="utf-8") as file:
        new = file.read().strip()
    done = server.asked("/usr/local/bin/k3s", "token", "rotate", "--token", server.read(SECRET).strip(), "--new-token", new.split(":")[-1])
    bed.expect(done.returncode == 0, f"k3s token rotate: {done.stdout}")
    watch = Watch(bed)
    cluster.follow(steps)
    away = watch.end()
    cluster.bake("--finish")

    fresh = cluster.another(bed.deck.profile, "fresh")
    for deck in (cluster.deck, fresh):
        bed.do("off", "worker1")
        agent.discard()
        agent.deck = deck
        deck.root("worker1", 1)
        agent.flash(1)
        if deck is cluster.deck:
            bed.do("on", "worker1")
            stated(bed, "worker1", "does not take this card's token", "401 Unauthorized", "if the cluster's tokens were rotated")
    all_off_and_on(bed)
    left = cluster.remains(*old)
    bed.expect(not left, f"the old tokens are still in {left}")
    return {"api_away": away}


#: As in scenarios.py.
ALL = {
    "rotate-tokens": ("cluster", None, tokens),
    "rotate-database": ("cluster-postgres", None, database),
    "rotate-single": ("cluster-single", None, single),
}
