"""A set of boards on one network, and what can happen to them."""

import os
import time

import network
from board import Board
from judge import DECISION, WAL, Judge

INCARNATIONS = 3  # cards baked of each node


class Bed:
    """The boards of one run. Make it once, in namespaces of its own (`namespaces.sh`)."""

    def __init__(self, deck, work, logs, later=None):
        network.build()
        self.deck, self.begun = deck, time.monotonic()
        os.makedirs(logs, exist_ok=True)
        self.work, self.logs = work, logs
        self.story = open(f"{logs}/story", "a", encoding="utf-8", buffering=1)
        for name in deck.nodes():
            deck.root(name, 1)
        self.boards = {n: Board(deck, n, work, logs) for n in deck.nodes()}
        self.later = later
        self.judge = Judge(self.boards, deck.kubeconfig())

    def tell(self, text):
        self.story.write(f"{time.monotonic() - self.begun:7.2f}  {text}\n")

    def expect(self, holds, what):
        if not holds:
            self.tell(what)
            raise AssertionError(what)

    def grow(self):
        """The boards that only the later profile has; without power."""
        for name in self.later.nodes():
            if name not in self.boards:
                self.boards[name] = Board(self.later, name, self.work, self.logs)

    @property
    def servers(self):
        return [b for b in self.boards.values() if b.is_server]

    def do(self, kind, what):
        """One event of a plan. False where it is left out because the cluster could never recover."""
        board = self.boards.get(what) if isinstance(what, str) else None
        if kind in ("rebake", "reflash") and not self.may_lose(board, kind):
            self.tell(f"left out: {kind} {what}")
            return False
        self.tell(f"{kind} {what}")
        if kind == "on":
            board.power_on()
        elif kind == "off":
            board.power_off()
        elif kind in ("pull", "plug") and board.on:
            getattr(board.cable, kind)()
        elif kind in ("part", "unite"):
            for other in self.boards.values():
                other.side = 1 if other.node in what else 0
                if other.on:
                    other.cable.move(other.side)
        elif kind in ("rebake", "reflash"):
            self.replace(board, board.incarnation + (kind == "rebake"))
        return True

    def replace(self, board, incarnation):
        """Another card for a board, which is left without power."""
        board.power_off()
        self.judge.look()
        board.discard()
        board.flash(incarnation)

    def may_lose(self, board, kind):
        """Whether the data on a board's card may go. A cluster that loses its quorum's data is gone,
        whatever anybody does; docs/bootstrap.md says so, and no seed asks for it."""
        if kind == "rebake" and board.incarnation >= INCARNATIONS:
            return False
        if not board.is_server:
            return True
        touched = [b for b in self.servers if os.path.exists(b.written(DECISION)) or os.path.exists(b.written(WAL))]
        if kind == "rebake" and board not in touched:
            return True
        if kind == "rebake" and touched == [board]:
            return True
        # One of three voters, and nothing else amiss. (A second flash is known to be one only by those
        # who knew the first: the one risk that remains.)
        others = [b for b in self.servers if b is not board]
        if len(touched) < len(self.servers) or not all(b.on for b in others):
            return False
        members = self.judge.members(others[0])
        return bool(members) and len(members[0]) == len(self.servers) and not members[1]

    def heal(self):
        """The end of all faults."""
        self.do("unite", ())
        for board in self.boards.values():
            if board.on:
                board.cable.plug()
            else:
                self.do("on", board.node)

    def wait(self, limit, until=None):
        """Watches until nothing is missing; the seconds it took. TimeoutError says what is missing."""
        begun, lacks = time.monotonic(), None
        until = until or self.judge.missing
        while True:
            now = until()
            if now != lacks:
                self.tell(f"missing: {now}")
                lacks = now
            if not lacks:
                return time.monotonic() - begun
            if time.monotonic() - begun > limit:
                raise TimeoutError(f"after {limit} s without faults: " + "; ".join(lacks))
            time.sleep(0.4)

    def watch(self, seconds):
        """Lets time pass, looking for forks."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.judge.look()
            time.sleep(min(0.3, max(0.0, end - time.monotonic())))

    def keep_evidence(self):
        """Copies what a person wants to see of a failed run beside its logs."""
        for board in self.boards.values():
            for path in ("/var/lib/bake/status.json", "/var/lib/bake/witness.json", "/var/lib/bake/ledger.json", DECISION):
                text = board.read(path)
                if text is not None:
                    with open(f"{board.logs}/{os.path.basename(path)}", "w", encoding="utf-8") as file:
                        file.write(text)

    def end(self):
        for board in self.boards.values():
            board.power_off()
