"""Pictures of `bake status --watch` while a cluster forms, for the documentation.

usage: python3 record.py FOLDER WORK LOGS
"""

import os
import subprocess
import sys

from bed import Bed
from cards import TOP, Deck

LIMIT = 300


def main():
    folder, work, logs = sys.argv[1:]
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", work], check=True)
    deck = Deck.named("cluster")
    bed = Bed(deck, work, logs)
    typed = "bake status --profile attic --watch"
    watch = subprocess.Popen(
        [os.environ["TERMINAL_PYTHON"], f"{TOP}/ci/testbed/terminal", "--size", "130x30", "--typed", typed,
         "--when", rf"(bootstrap|confirm) +2\d{{3}}-={folder}/status-forming.svg", "--end", f"{folder}/status.svg",
         os.environ["BAKE"], "status", "--watch", "--give-up", str(LIMIT), "--profile", deck.profile, "--secrets", deck.secrets])
    for board in bed.boards.values():
        board.power_on()
    status = watch.wait()
    bed.end()
    sys.exit(status)


main()
