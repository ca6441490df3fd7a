"""Measures a cluster in namespaces: firstboot's own time, the whole against K3s started by hand in
the right order, and what the witness takes of memory. Prints a table.

usage: python3 bench.py RUNS WORK LOGS
"""

import glob
import os
import statistics
import subprocess
import sys
import time

from bed import Bed
from cards import Deck
from judge import DECISION

LIMIT = 300


def zero_touch(bed):
    """All boards get power at once, and nobody does anything."""
    for board in bed.boards.values():
        board.power_on()
    stands = bed.wait(LIMIT, bed.judge.cluster_missing)
    bed.wait(LIMIT)
    events = {b.node: b.events() for b in bed.servers}
    own = {node: e["k3s.service started"] - e["network-online"] for node, e in events.items()}
    return stands, min(own.values())


def by_hand(bed):
    """The same boards without our services: an operator starts K3s node by node, without a pause."""
    for board in bed.boards.values():
        board.power_on(without="bake-*")
        board.wait_booted()
    begun, first = time.monotonic(), bed.servers[0]
    vip = first.config["cluster"]["vip"]
    for board in bed.servers:
        line = "cluster-init: true" if board is first else f"server: https://{vip['address']}:{vip['port']}"
        board.run("/bin/sh", "-c", f"mkdir -p {os.path.dirname(DECISION)}; echo '{line}' >{DECISION}")
        board.run("/bin/sh", "-c", "mkdir -p /run/bake; touch /run/bake/vip-admitted")
        board.run("systemctl", "start", "keepalived", "haproxy")
        board.run("systemctl", "start", "--no-block", "k3s")
        while bed.judge.kubeconfig.get("/readyz", host=board.address, port=6443)[0] != 200:
            if time.monotonic() - begun > LIMIT:
                raise TimeoutError(f"{board.node} is not ready")
            time.sleep(0.1)
    for board in bed.boards.values():
        if board.role == "agent":
            board.run("systemctl", "start", "--no-block", "k3s-agent")
    bed.wait(LIMIT, bed.judge.cluster_missing)
    return time.monotonic() - begun


def witness_memory():
    """Resident memory in MiB of every witness that runs."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                words = file.read().split(b"\0")
            if words[0].endswith(b"/firstboot") and b"witness" in words:
                with open(path.replace("cmdline", "status"), encoding="utf-8") as file:
                    found += [int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS:")]
        except OSError:
            pass
    return found


def fresh(bed):
    for board in bed.boards.values():
        bed.replace(board, 1)


def main():
    runs, work, logs = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", work], check=True)
    bed = Bed(Deck.named("cluster"), work, logs)
    whole, own, hand, memory = [], [], [], []
    for number in range(1, runs + 1):
        stands, first = zero_touch(bed)
        whole.append(stands)
        own.append(first)
        memory += witness_memory()
        fresh(bed)
        hand.append(by_hand(bed))
        fresh(bed)
        print(f"run {number}: zero touch {stands:.1f} s, by hand {hand[-1]:.1f} s, first K3s after {first:.1f} s", flush=True)
    ratio = statistics.median(whole) / statistics.median(hand)
    rows = [("network-online to K3s started, the founder", f"{statistics.median(own):.1f} s", "15 s", statistics.median(own) <= 15),
            ("whole cluster standing, zero touch", f"{statistics.median(whole):.1f} s", "", True),
            ("the same, K3s started by hand in order", f"{statistics.median(hand):.1f} s", "", True),
            ("ratio", f"{ratio:.2f}", "1.15", ratio <= 1.15),
            ("resident memory of the witness, largest", f"{max(memory):.1f} MiB", "10 MiB", max(memory) <= 10)]
    for what, value, limit, good in rows:
        print(f"{what:<46}{value:>12}  {('limit ' + limit) if limit else '':<14}{'' if good else 'MISSED'}")
    bed.end()
    sys.exit(0 if all(good for *_, good in rows) else 1)


main()
