#!/usr/bin/python3
"""A file system that takes its time: each open and each read lasts PAUSE seconds, everything else nothing.

    tests/e2e/slow_fs.py MOUNTPOINT FILES

It holds so many files, named 00, 01, …, of SIZE bytes each. SIGTERM unmounts it. Needs root, /dev/fuse and python3-pyfuse3.
"""
import os
import stat
import sys

import pyfuse3
import trio

PAUSE = 2
SIZE = 64 * 1024


def content_of(number):
    return bytes([number % 256]) * SIZE


class SlowFiles(pyfuse3.Operations):
    """The file number N is the inode ROOT_INODE + 1 + N."""

    def __init__(self, count):
        super().__init__()
        self.names = [b"%02d" % number for number in range(count)]

    async def getattr(self, inode, ctx=None):
        entry = pyfuse3.EntryAttributes()
        entry.st_ino = inode
        entry.st_mode = stat.S_IFDIR | 0o755 if inode == pyfuse3.ROOT_INODE else stat.S_IFREG | 0o644
        entry.st_size = 0 if inode == pyfuse3.ROOT_INODE else SIZE
        entry.st_nlink = 1
        entry.st_mtime_ns = entry.st_ctime_ns = entry.st_atime_ns = 10**18
        # Each look is asked of us, each look-up too.
        entry.attr_timeout = entry.entry_timeout = 0
        return entry

    async def lookup(self, parent, name, ctx=None):
        if name not in self.names:
            raise pyfuse3.FUSEError(2)
        return await self.getattr(pyfuse3.ROOT_INODE + 1 + self.names.index(name))

    async def open(self, inode, flags, ctx):
        await trio.sleep(PAUSE)
        return pyfuse3.FileInfo(fh=inode)

    async def read(self, handle, offset, size):
        await trio.sleep(PAUSE)
        return content_of(handle - pyfuse3.ROOT_INODE - 1)[offset:offset + size]

    async def opendir(self, inode, ctx):
        await trio.sleep(PAUSE)
        return inode

    async def readdir(self, handle, start, token):
        for number in range(start, len(self.names)):
            attributes = await self.getattr(pyfuse3.ROOT_INODE + 1 + number)
            if not pyfuse3.readdir_reply(token, self.names[number], attributes, number + 1):
                return


async def serve(mountpoint, count):
    pyfuse3.init(SlowFiles(count), mountpoint, {"fsname=slow", "allow_other", "default_permissions"})
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pyfuse3.main)
            with trio.open_signal_receiver(15) as signals:
                print("mounted", flush=True)
                async for _ in signals:
                    nursery.cancel_scope.cancel()
                    break
    finally:
        os.system(f"umount -l '{mountpoint}'")
        pyfuse3.close(unmount=False)


if __name__ == "__main__":
    trio.run(serve, sys.argv[1], int(sys.argv[2]))
