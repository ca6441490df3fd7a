"""Stands in for udisks2 on a private bus: hands out one file as a block device.

usage: udisks_double.py ADDRESS FILE
"""
import os
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

address, path = sys.argv[1:]
BLOCK = "org.freedesktop.UDisks2.Block"


class Block(dbus.service.Object):
    @dbus.service.method(BLOCK, in_signature="sa{sv}", out_signature="h")
    def OpenDevice(self, mode, options):
        if mode != "rw" or list(options) != ["flags"] or type(options["flags"]) is not dbus.Int32:
            raise dbus.DBusException(f"asked for {mode} with {options}")
        # The exclusive opening of a device means nothing for a file.
        fd = os.open(path, os.O_RDWR | (options["flags"] & ~os.O_EXCL & ~os.O_NOFOLLOW))
        return dbus.types.UnixFd(fd)


class Busy(dbus.service.Object):
    @dbus.service.method(BLOCK, in_signature="sa{sv}", out_signature="h")
    def OpenDevice(self, mode, options):
        raise dbus.DBusException("Not authorized to perform operation", name="org.freedesktop.UDisks2.Error.NotAuthorized")


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.bus.BusConnection(address)
name = dbus.service.BusName("org.freedesktop.UDisks2", bus)
Block(bus, "/org/freedesktop/UDisks2/block_devices/sd_2dx")
Busy(bus, "/org/freedesktop/UDisks2/block_devices/sdy")
print("ready", flush=True)
GLib.MainLoop().run()
