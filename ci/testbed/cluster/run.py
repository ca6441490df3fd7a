"""One run of a seed or one scenario, in namespaces of its own; prints its outcome as a line of JSON.

usage: python3 run.py SEED|SCENARIO WORK LOGS
"""

import json
import signal
import subprocess
import sys
import time
import traceback

import chaos
import scenarios
from bed import Bed
from cards import Deck

LIMIT = 400  # seconds without faults after which the cluster must stand
STUCK = 1500  # seconds after which a story is ended, whatever it does


def play(bed, seed):
    """Plays the plan of a seed, then waits until the cluster stands."""
    left_out = 0
    for at, kind, what in chaos.plan(seed):
        bed.watch(at - (time.monotonic() - bed.begun))
        left_out += not bed.do(kind, what)
    bed.heal()
    healed = bed.wait(LIMIT)
    return {"healed": round(healed, 1), "left_out": left_out}


def stuck(*_):
    raise TimeoutError("the run itself hangs")


def main():
    name, work, logs = sys.argv[1:]
    signal.signal(signal.SIGALRM, stuck)
    signal.alarm(STUCK if name in scenarios.ALL else LIMIT + 100)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", work], check=True)
    profile, later, story = scenarios.ALL.get(name, ("cluster", None, None))
    begun, outcome, bed = time.monotonic(), {"name": name, "ok": False}, None
    try:
        bed = Bed(Deck.named(profile), work, logs, Deck.named(later, profile) if later else None)
        outcome |= (story(bed) or {} if story else play(bed, int(name))) | {"ok": True}
    except Exception as error:  # whatever it was, the run failed and its evidence is kept
        outcome["why"] = f"{type(error).__name__}: {error}"
        traceback.print_exc()
        if bed:
            bed.keep_evidence()
    outcome |= {"foundings": len(bed.judge.foundings) if bed else 0, "seconds": round(time.monotonic() - begun, 1)}
    if bed:
        bed.end()
    print(json.dumps(outcome), flush=True)


main()
