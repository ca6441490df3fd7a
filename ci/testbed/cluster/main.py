"""Runs seeds and scenarios of the cluster test, several at a time.

usage: python3 main.py runs COUNT [--first SEED] [--jobs N]
       python3 main.py scenarios [NAME...] [--jobs N]
       python3 main.py all
       python3 main.py bench [RUNS]
       python3 main.py record FOLDER
In a mount and process namespace of its own: whatever happens, what it mounted and started goes with it.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time

import scenarios
from bed import INCARNATIONS
from cards import CARDS, TOP, Deck

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = f"{TOP}/target/cluster-test"
ARENA = os.environ["ARENA"]
RUNS = 50
LONGEST = 1600  # seconds after which a run is killed that did not end itself
BAKING = threading.Lock()
AWAITED = collections.Counter()  # how many runs are still to use a deck
TOLD = 25  # lines of the story of a failed run that are printed


def arena(quick):
    """Makes what all runs share: the doubles that lie over every root file system, and the cards of
    the profile that most of them use. `quick` shortens what the stand-in waits for nothing,
    and makes later cards too."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", ARENA], check=True)
    os.makedirs(f"{ARENA}/double/usr/bin")
    for name in ("systemctl", "journalctl", "timedatectl"):
        shutil.copy(f"{HERE}/{name}", f"{ARENA}/double/usr/bin/{name}")
    if quick:
        shutil.copytree(f"{HERE}/overlay", f"{ARENA}/double", dirs_exist_ok=True)
    begun, deck = time.monotonic(), Deck.named("cluster")
    for incarnation in range(1, (INCARNATIONS if quick else 1) + 1):
        for node in deck.nodes():
            deck.root(node, incarnation)
    deck.kubeconfig()
    print(f"cards baked and mounted in {time.monotonic() - begun:.0f} s", flush=True)


def in_namespaces(program, *words, **options):
    """Runs one of our programs with a network, mounts and processes of its own."""
    return subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
         sys.executable, "-B", f"{HERE}/{program}", *words], text=True, **options)


def alone(verb, word):
    """Runs the benchmark, or takes pictures, with nothing beside it."""
    for folder in (f"{ARENA}/{verb}", f"{OUT}/{verb}"):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
    return in_namespaces(f"{verb}.py", word, f"{ARENA}/{verb}", f"{OUT}/{verb}").returncode == 0


def bake_cards(name):
    """Bakes what only this scenario has."""
    profile, later, _ = scenarios.ALL.get(name, ("cluster", None, None))
    old = Deck.named(profile)
    for node in old.nodes():
        old.card(node, 1)
    new = Deck.named(later, profile) if later else old
    for node in new.nodes():
        if node not in old.nodes():
            new.card(node, 1)


def decks(name):
    """The decks that are made for this scenario, and perhaps others."""
    profile = scenarios.ALL.get(name, ("cluster", None))
    return set(profile[:2]) - {"cluster", None}


def one(name):
    """The outcome of one seed or scenario."""
    work, logs = f"{ARENA}/{name}", f"{OUT}/{name}"
    shutil.rmtree(logs, ignore_errors=True)
    os.makedirs(work)
    os.makedirs(logs)
    with BAKING:
        bake_cards(name)
    outcome = {"name": name, "ok": False}
    try:
        with open(f"{logs}/run.log", "w", encoding="utf-8") as err:
            done = in_namespaces("run.py", name, work, logs, stdout=subprocess.PIPE, stderr=err, timeout=LONGEST)
        outcome = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        outcome["why"] = f"it was killed after {LONGEST} s"
    except (IndexError, ValueError):
        outcome["why"] = f"the run itself ended with {done.returncode}, see run.log"
    with BAKING:
        for deck in decks(name):
            AWAITED[deck] -= 1
            if not AWAITED[deck]:
                shutil.rmtree(f"{CARDS}/{deck}", ignore_errors=True)
    if outcome["ok"]:
        shutil.rmtree(logs)
    return outcome


def run(names, jobs):
    """Runs all of them, `jobs` at a time; whether all passed."""
    begun, bad, good = time.monotonic(), [], []
    AWAITED.update(deck for name in names for deck in decks(name))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for outcome in concurrent.futures.as_completed([pool.submit(one, name) for name in names]):
            outcome = outcome.result()
            name = outcome.pop("name")
            if outcome.pop("ok"):
                good.append(outcome)
                told = ", ".join(f"{key} {value}" for key, value in outcome.items())
                print(f"ok      {label(name)}: {told}", flush=True)
            else:
                bad.append(name)
                again = f"runs 1 --first {name}" if name.isdigit() else f"scenarios {name}"
                print(f"FAILED  {label(name)}: {outcome.get('why')}\n"
                      f"        its logs: {OUT}/{name}; again: ci/cluster-test {again}\n"
                      f"        its story ends with:\n{story(name)}", flush=True)
    healed = [outcome["healed"] for outcome in good if "healed" in outcome]
    if healed:
        anew = sum(outcome["foundings"] > 1 for outcome in good)
        print(f"the cluster stands after the last fault in {statistics.median(healed):.1f} s (median), "
              f"{max(healed):.1f} s (worst); founded anew after the only card with data was re-baked: {anew} runs")
    print(f"{time.monotonic() - begun:.0f} s, {jobs} at a time")
    print(f"cluster-test: {len(good)} passed, {len(bad)} failed")
    return not bad


def story(name):
    """The last of what happened in a run, and of what its cluster lacked."""
    try:
        with open(f"{OUT}/{name}/story", encoding="utf-8") as file:
            return "".join(f"          {line[:400]}" for line in file.readlines()[-TOLD:])
    except OSError as error:
        return f"          {error}"


def label(name):
    return f"seed {name}" if name.isdigit() else name


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["all", "runs", "scenarios", "bench", "record"])
    parser.add_argument("what", nargs="*")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=4)
    options = parser.parse_args()
    if options.verb in ("bench", "record"):
        arena(quick=False)
        sys.exit(0 if alone(options.verb, options.what[0] if options.what else "3") else 1)
    stories = options.what if options.verb == "scenarios" and options.what else list(scenarios.ALL)
    count = int(options.what[0]) if options.verb == "runs" and options.what else RUNS
    seeds = [str(seed) for seed in range(options.first, options.first + count)]
    if unknown := set(stories) - set(scenarios.ALL):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))} ({', '.join(scenarios.ALL)})")
    names = {"all": stories + seeds, "runs": seeds, "scenarios": stories}[options.verb]
    arena(quick=True)
    sys.exit(0 if run(names, options.jobs) else 1)


main()
