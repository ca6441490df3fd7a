"""What happens to the boards in one run: drawn from a seed, so that it can be played again."""

import itertools
import random

NODES = ("node1", "node2", "node3", "worker1")
ORDERS = list(itertools.permutations(NODES))
FAULT_TIME = 14.0  # seconds in which boards are powered on and faults happen


def plan(seed):
    """Events as (second, kind, …), in the order of time. The order of power-on goes through all 24;
    every third run has no faults."""
    dice = random.Random(seed)
    events, when = [], 0.0
    spread = dice.choice([0.0, 0.5, 2.0, 4.0])
    for node in ORDERS[seed % len(ORDERS)]:
        events.append((round(when, 2), "on", node))
        when += dice.uniform(0, spread)
    for _ in range(0 if seed % 3 == 0 else dice.randint(1, 5)):
        events += fault(dice)
    return sorted(events, key=lambda event: event[0])


def fault(dice):
    """One fault and its end."""
    at, long = round(dice.uniform(0.5, FAULT_TIME - 1), 2), dice.uniform(0.3, 8.0)
    node = dice.choice(NODES)
    end = round(min(at + long, FAULT_TIME), 2)
    kind = dice.choices(["power", "cable", "partition", "rebake", "reflash"], [5, 2, 3, 3, 1])[0]
    if kind == "power":
        return [(at, "off", node), (end, "on", node)]
    if kind == "cable":
        return [(at, "pull", node), (end, "plug", node)]
    if kind == "partition":
        side = tuple(sorted(dice.sample(NODES, dice.randint(1, 2))))
        return [(at, "part", side), (end, "unite", ())]
    return [(at, kind, node), (round(min(at + long / 4, FAULT_TIME), 2), "on", node)]
