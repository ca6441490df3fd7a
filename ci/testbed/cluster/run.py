"""One run of a seed, in namespaces of its own; prints its outcome as a line of JSON.

usage: python3 run.py SEED PROFILE CARDS WORK LOGS
"""

import json
import subprocess
import sys
import time
import traceback

import chaos
from bed import Bed
from cards import Deck

LIMIT = 180  # seconds without faults after which the cluster must stand


def play(bed, seed):
    """Plays the plan of a seed, then waits until the cluster stands."""
    left_out = 0
    for at, kind, what in chaos.plan(seed):
        bed.watch(at - (time.monotonic() - bed.begun))
        left_out += not bed.do(kind, what)
    bed.heal()
    healed = bed.wait(LIMIT)
    return {"healed": round(healed, 1), "left_out": left_out}


def main():
    seed, profile, cards, work, logs = sys.argv[1:]
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", work], check=True)
    begun, outcome = time.monotonic(), {"seed": int(seed), "ok": False}
    bed = Bed(Deck(profile, cards, None), work, logs)
    try:
        outcome |= play(bed, int(seed)) | {"ok": True}
    except Exception as error:  # whatever it was, the run failed and its evidence is kept
        outcome["why"] = f"{type(error).__name__}: {error}"
        bed.tell(traceback.format_exc())
        bed.keep_evidence()
    outcome |= {"foundings": len(bed.judge.foundings), "seconds": round(time.monotonic() - begun, 1)}
    bed.end()
    print(json.dumps(outcome), flush=True)


main()
