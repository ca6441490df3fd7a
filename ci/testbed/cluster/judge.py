"""What must be so of a cluster, seen from outside and on the cards."""

import json
import subprocess

import wal
from client import Kubeconfig

WAL = "/var/lib/rancher/k3s/server/db/etcd/member/wal"
ETCD_TLS = "/var/lib/rancher/k3s/server/tls/etcd"
DECISION = "/etc/rancher/k3s/config.yaml.d/50-bake.yaml"


class Fork(Exception):
    """Two clusters: what must never be."""


class Judge:
    """Watches the boards of one run."""

    def __init__(self, boards, kubeconfig=None):
        self.boards = boards
        self.kubeconfig = Kubeconfig(kubeconfig) if kubeconfig else None
        self.foundings = []  # cluster ids in the order in which they were seen
        self.held = {}       # cluster id → cards that ever held its data: (node, flash)

    def etcd_of(self, board):
        """The cluster whose data is on the card of a board."""
        return wal.cluster_id(board.written(WAL)) if board.is_server else None

    def look(self):
        """Looks at every card in a board: all data must be of one cluster. Call it again and again,
        and before a card is thrown away."""
        now = {}
        for board in self.boards.values():
            found = self.etcd_of(board)
            if found:
                now.setdefault(found, []).append(board.node)
                self.held.setdefault(found, set()).add((board.node, board.flashes))
                if found not in self.foundings:
                    self.foundings.append(found)
        if len(now) > 1:
            raise Fork(f"data of {len(now)} clusters: {now}")
        return now

    def members(self, board):
        """etcd's own list, asked through the board with etcdctl: names of voters, and of learners."""
        tls = f"{board.card}/root{ETCD_TLS}"
        words = ["etcdctl", "--endpoints", "https://127.0.0.1:2379", "--cacert", f"{tls}/server-ca.crt", "--cert",
                 f"{tls}/client.crt", "--key", f"{tls}/client.key", "--command-timeout=3s", "member", "list", "-w", "json"]
        done = subprocess.run(["env", "ETCDCTL_API=3", *board.inside(*words)], text=True, capture_output=True)
        if done.returncode:
            return None
        found = json.loads(done.stdout)["members"]
        voters = {m.get("name", "") for m in found if not m.get("isLearner")}
        return voters, {m.get("name", "") for m in found if m.get("isLearner")}

    def api_missing(self):
        """What keeps the API from answering the offline kubeconfig."""
        status, text = self.kubeconfig.get("/readyz")
        return [] if status == 200 else [f"{self.kubeconfig.host} answers {status} to /readyz: {text[:120]}"]

    def missing(self):
        """What is not yet as it must be; empty when the cluster stands with every board in it."""
        lacks = [f"{b.node}: firstboot is {b.json('/var/lib/bake/status.json').get('state')}" for b in self.boards.values()
                 if b.on and b.json("/var/lib/bake/status.json").get("state") != "done"]
        lacks += [f"{b.node}: its witness does not know that the cluster is formed" for b in self.boards.values()
                  if b.on and b.votes and not b.json("/var/lib/bake/witness.json").get("state", {}).get("formed")]
        lacks += [f"{b.node}: cluster-init is in its decision" for b in self.boards.values()
                  if "cluster-init: true" in (b.read(DECISION) or "")]
        if lacks:
            self.look()
            return lacks
        return self.cluster_missing()

    def cluster_missing(self):
        """What is not yet as it must be of K3s itself, whoever started it."""
        self.look()
        boards = [b for b in self.boards.values() if b.on]
        lacks = self.api_missing()
        if lacks:
            return lacks
        nodes = self.kubeconfig.nodes()
        if nodes != ({b.node for b in boards if b.role != "database"}, set()):
            return [f"nodes (Ready, others) are {nodes}"]
        servers = [b for b in boards if b.votes]
        for board in servers:
            members = self.members(board)
            if not members:
                return [f"etcd of {board.node} does not list its members"]
            names = sorted(name.rpartition("-")[0] for name in members[0])
            if members[1] or names != sorted(b.node for b in servers):
                return [f"etcd of {board.node} has (voters, learners) {members}"]
        return []
