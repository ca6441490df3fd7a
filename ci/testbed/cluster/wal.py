"""Reads etcd's cluster id from a write-ahead log: it is in the metadata record at the head of each
file (etcd `server/wal`: frames of a length and a walpb.Record; type 1 holds etcdserverpb.Metadata)."""

import glob
import struct

METADATA = 1


def cluster_id(folder):
    """16 hex digits, or None while no log in `folder` says."""
    for path in sorted(glob.glob(f"{folder}/*.wal")):
        with open(path, "rb") as file:
            head = file.read(4096)
        for record in records(head):
            fields = message(record)
            if fields.get(1) == METADATA and isinstance(fields.get(3), bytes):
                found = message(fields[3]).get(2)
                if found:
                    return f"{found:016x}"
    return None


def records(head):
    """Whole records at the start of a log. The top byte of a length tells of padding: 0x80 | bytes."""
    at = 0
    while at + 8 <= len(head):
        (word,) = struct.unpack_from("<Q", head, at)
        length, pad = word & ((1 << 56) - 1), (word >> 56) & 7
        if not length or at + 8 + length > len(head):
            return
        yield head[at + 8:at + 8 + length]
        at += 8 + length + pad


def message(data):
    """A protocol buffer message as field number → varint or bytes."""
    fields, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            fields[key >> 3], at = varint(data, at)
        elif key & 7 == 2:
            length, at = varint(data, at)
            fields[key >> 3], at = data[at:at + length], at + length
        else:
            return fields
    return fields


def varint(data, at):
    value = shift = 0
    while at < len(data):
        byte = data[at]
        value, at, shift = value | (byte & 0x7F) << shift, at + 1, shift + 7
        if byte < 0x80:
            break
    return value, at
