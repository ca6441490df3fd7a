"""Runs seeds of the cluster test, several at a time.

usage: python3 main.py runs COUNT [--first SEED] [--jobs N]
       python3 main.py scenarios [NAME...]
In a mount and process namespace of its own: whatever happens, what it mounted and started goes with it.
"""

import argparse
import concurrent.futures
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

from bed import INCARNATIONS
from cards import TOP, Deck

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = f"{TOP}/target/cluster-test"
ARENA = os.environ["ARENA"]


def arena():
    """Makes what all runs share: the doubles that lie over every root file system."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", ARENA], check=True)
    for name in ("systemctl", "journalctl", "timedatectl"):
        os.makedirs(f"{ARENA}/double/usr/bin", exist_ok=True)
        shutil.copy(f"{HERE}/{name}", f"{ARENA}/double/usr/bin/{name}")
    shutil.copytree(f"{HERE}/overlay", f"{ARENA}/double", dirs_exist_ok=True)


def deck_of(profile):
    name = os.path.basename(profile).removesuffix(".yaml")
    return Deck(profile, f"{OUT}/cards/{name}", os.environ["BASE"])


def in_namespaces(*words, **options):
    """Runs one of our Python programs with a network, mounts and processes of its own."""
    return subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                           "--propagation", "private", sys.executable, "-B", *words], text=True, **options)


def one(seed, deck):
    """The outcome of one seed."""
    work, logs = f"{ARENA}/run-{seed}", f"{OUT}/seed-{seed}"
    shutil.rmtree(logs, ignore_errors=True)
    os.makedirs(work)
    os.makedirs(logs)
    with open(f"{logs}/run.log", "w", encoding="utf-8") as err:
        done = in_namespaces(f"{HERE}/run.py", str(seed), deck.profile, deck.folder, work, logs,
                             stdout=subprocess.PIPE, stderr=err)
    try:
        outcome = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        outcome = {"seed": seed, "ok": False, "why": f"the run itself ended with {done.returncode}, see run.log"}
    if outcome["ok"]:
        shutil.rmtree(logs)
    return outcome


def runs(count, first, jobs):
    deck = deck_of(f"{TOP}/ci/testbed/profiles/cluster.yaml")
    begun = time.monotonic()
    for incarnation in range(1, INCARNATIONS + 1):
        for node in deck.nodes():
            deck.root(node, incarnation)
    deck.kubeconfig()
    print(f"cards baked and mounted in {time.monotonic() - begun:.0f} s", flush=True)
    begun, bad, healed, foundings = time.monotonic(), [], [], []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for outcome in pool.map(lambda seed: one(seed, deck), range(first, first + count)):
            if outcome["ok"]:
                healed.append(outcome["healed"])
                foundings.append(outcome["foundings"])
                print(f"ok      seed {outcome['seed']}: {outcome}", flush=True)
            else:
                bad.append(outcome["seed"])
                print(f"FAILED  seed {outcome['seed']}: {outcome.get('why')}\n"
                      f"        its logs: {OUT}/seed-{outcome['seed']}; again: ci/cluster-test runs 1 --first {outcome['seed']}", flush=True)
    seconds = time.monotonic() - begun
    if healed:
        print(f"standing after the last fault: median {statistics.median(healed):.1f} s, worst {max(healed):.1f} s; "
              f"{sum(f > 1 for f in foundings)} runs founded anew after the only card with data was re-baked")
    print(f"{count} runs in {seconds:.0f} s, {jobs} at a time: {count - len(bad)} passed, {len(bad)} failed")
    return not bad


def main():
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    many = verbs.add_parser("runs")
    many.add_argument("count", type=int)
    many.add_argument("--first", type=int, default=0)
    many.add_argument("--jobs", type=int, default=4)
    arguments = parser.parse_args()
    arena()
    sys.exit(0 if runs(arguments.count, arguments.first, arguments.jobs) else 1)


main()
