"""Forged messages about the shared address: VRRP version 3 (RFC 5798), made here byte by byte."""

import socket
import struct
import time

from conditions import LIMIT, power_on

VIP = "192.168.24.40"
STRANGER = "192.168.24.1"  # this process, a machine of the same segment
MULTICAST = "224.0.0.18"
VRRP = 112


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def advert(source, target, router):
    """A packet that claims the shared address with the highest priority there is."""
    head = struct.pack("!BBBBHH", 0x31, router, 255, 1, 10, 0) + socket.inet_aton(VIP)
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, VRRP, len(head))
    message = head[:6] + struct.pack("!H", checksum(pseudo + head)) + head[8:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(message), 0, 0, 255, VRRP, 0,
                     socket.inet_aton(source), socket.inet_aton(target))
    return ip + message


def storm(bed, pairs, seconds):
    """Sends adverts to and fro for a while (source, target); seconds for which no server had the address."""
    router = int(bed.servers[0].read("/etc/keepalived/keepalived.conf").split("virtual_router_id")[1].split()[0])
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(STRANGER))
    away, end, last = 0.0, time.monotonic() + seconds, None
    while time.monotonic() < end:
        begun = time.monotonic()
        for source, target in pairs:
            out.sendto(advert(source, target, router), (target, 0))
        time.sleep(0.05)
        now = holders(bed)
        if now != last:
            bed.tell(f"under adverts from {pairs[0][0]} {now} have the address")
            last = now
        if not now:
            away += time.monotonic() - begun
    return away


def holders(bed):
    found = []
    for board in bed.servers:
        shown = board.asked("ip", "-4", "-o", "address").stdout
        found += [board.node] if f" {VIP}/" in shown else []
    return found


def settled(bed):
    """Who holds the address once it has not moved for a while: at first it goes to its first server."""
    now, since, end = holders(bed), time.monotonic(), time.monotonic() + 60
    while len(now) != 1 or time.monotonic() - since < 8:
        bed.expect(time.monotonic() < end, f"the shared address does not come to rest: {now}")
        time.sleep(0.2)
        if (then := holders(bed)) != now:
            now, since = then, time.monotonic()
    return now


def forged_vrrp(bed):
    """A stranger in the segment claims the shared address, by multicast and to each server: some server
    has it all the same, though it may wander between them (keepalived 2.2.7 misses good adverts among
    bad ones). Only who sends from the servers' own addresses takes it from all of them."""
    power_on(bed)
    bed.wait(LIMIT)
    settled(bed)
    servers = [board.address for board in bed.servers]
    away = storm(bed, [(STRANGER, target) for target in (MULTICAST, *servers)], 10)
    bed.expect(away < 1.0, f"a stranger took the address for {away:.1f} s")
    bed.wait(30)
    # The oracle that these are adverts keepalived would obey: from their peers' addresses they do.
    settled(bed)
    taken = storm(bed, list(zip(servers[1:] + servers[:1], servers)), 10)
    bed.expect(taken > 2.0, f"adverts from the servers' addresses took it for {taken:.1f} s only")
    bed.wait(60)
    return {"stranger": round(away, 1), "peer": round(taken, 1)}


#: As in scenarios.py.
ALL = {"forged-vrrp": ("cluster", None, forged_vrrp)}
