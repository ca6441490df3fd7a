"""Forged messages about the shared address: VRRP version 3 (RFC 5798), made here byte by byte."""

import socket
import struct
import time

from conditions import LIMIT, power_on

VIP = "192.168.24.40"
STRANGER = "192.168.24.1"  # this process, a machine of the same segment
MULTICAST = "224.0.0.18"
VRRP = 112
PRIORITY = 255  # the highest there is


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def advert(source, target, router):
    """A packet that claims the shared address with the highest priority there is."""
    head = struct.pack("!BBBBHH", 0x31, router, PRIORITY, 1, 10, 0) + socket.inet_aton(VIP)
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, VRRP, len(head))
    message = head[:6] + struct.pack("!H", checksum(pseudo + head)) + head[8:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(message), 0, 0, 255, VRRP, 0,
                     socket.inet_aton(source), socket.inet_aton(target))
    return ip + message


def storm(bed, pairs, until):
    """Sends adverts to and fro (source, target) for ten seconds at least, and as long as `until` is not
    so of the rounds yet: each is who had the address then. The seconds for which nobody had it."""
    router = int(bed.servers[0].read("/etc/keepalived/keepalived.conf").split("virtual_router_id")[1].split()[0])
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(STRANGER))
    away, rounds, begun = 0.0, [], time.monotonic()
    while (passed := time.monotonic() - begun) < 10 or not until(rounds):
        bed.expect(passed < LIMIT, f"adverts from {pairs[0][0]} for {passed:.0f} s, and never what they should do")
        for source, target in pairs:
            out.sendto(advert(source, target, router), (target, 0))
        time.sleep(0.05)
        now = holders(bed)
        if [now] != rounds[-1:]:
            bed.tell(f"under adverts from {pairs[0][0]} {now} have the address")
        rounds.append(now)
        if not now:
            away += time.monotonic() - begun - passed
    return round(away, 1)


def said(bed, words):
    """What servers' keepalived said with these words."""
    return [line for board in bed.servers for line in board.printed("syslog") if words in line]


def obeyed(bed):
    """What they say when they give way to the forged priority."""
    return said(bed, f"priority {PRIORITY}")


def holders(bed):
    found = []
    for board in bed.servers:
        shown = board.asked("ip", "-4", "-o", "address").stdout
        found += [board.node] if f" {VIP}/" in shown else []
    return found


def settled(bed):
    """Who holds the address once it has not moved for a while: at first it goes to its first server."""
    now, since, end = holders(bed), time.monotonic(), time.monotonic() + LIMIT
    while len(now) != 1 or time.monotonic() - since < 8:
        bed.expect(time.monotonic() < end, f"the shared address does not come to rest: {now}")
        time.sleep(0.2)
        if (then := holders(bed)) != now:
            now, since = then, time.monotonic()
    return now


def forged_vrrp(bed):
    """A stranger in the segment claims the shared address, by multicast and to each server: no server
    gives way, though the address may wander between them (keepalived 2.2.7 misses good adverts among
    bad ones). Only who sends from the servers' own addresses takes it."""
    power_on(bed)
    bed.wait(LIMIT)
    settled(bed)
    servers = [board.address for board in bed.servers]
    held = lambda rounds: sum(map(bool, rounds)) >= 10 and said(bed, f"{STRANGER} not a unicast peer")
    away = storm(bed, [(STRANGER, target) for target in (MULTICAST, *servers)], held)
    bed.expect(not obeyed(bed), f"a stranger was obeyed: {obeyed(bed)}")
    bed.wait(LIMIT)
    # The oracle that these are adverts keepalived would obey: from their peers' addresses they do.
    settled(bed)
    gone = lambda rounds: obeyed(bed) and [] in rounds
    taken = storm(bed, list(zip(servers[1:] + servers[:1], servers)), gone)
    bed.wait(LIMIT)
    return {"stranger": away, "peer": taken}


#: As in scenarios.py.
ALL = {"forged-vrrp": ("cluster", None, forged_vrrp)}
