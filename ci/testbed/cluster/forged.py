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


def storm(bed, source, targets, seconds):
    """Sends adverts from `source` for a while; seconds for which no server had the address."""
    router = int(bed.servers[0].read("/etc/keepalived/keepalived.conf").split("virtual_router_id")[1].split()[0])
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(STRANGER))
    away, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        for target in targets:
            out.sendto(advert(source, target, router), (target, 0))
        time.sleep(0.05)
        if not holders(bed):
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
    """A stranger in the segment claims the shared address, by multicast and to each server: nobody
    minds. Only who can send from a server's own address takes it away, and cannot serve under it."""
    power_on(bed)
    bed.wait(LIMIT)
    before = settled(bed)
    servers = [board.address for board in bed.servers]
    away = storm(bed, STRANGER, [MULTICAST, *servers], 10)
    bed.expect(away == 0.0 and holders(bed) == before, f"a stranger took the address from {before} for {away:.1f} s")
    bed.expect(not bed.judge.api_missing(), "the API answers at the shared address")
    # The oracle that these are adverts keepalived would obey: from a peer's address it does.
    other = next(board.address for board in bed.servers if board.node not in before)
    away = storm(bed, other, [a for a in servers if a != other], 10)
    bed.expect(away > 2.0, "adverts from a server's address are obeyed, so the others were good ones")
    bed.wait(60)
    return {"away": round(away, 1)}


#: As in scenarios.py.
ALL = {"forged-vrrp": ("cluster", None, forged_vrrp)}
