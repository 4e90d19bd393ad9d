#!/usr/bin/python3
"""A file system that can do little: no links, no files without a name, no times, rights or owners that could be set, no names that
are exchanged.

    tests/e2e/bare_fs.py MOUNTPOINT UID GID PAUSE [NAME]

Folders and files in memory, of that user; an empty file of that name is there. No folder called "dropbox" can be read. Each look at
the topmost folder itself lasts PAUSE seconds. SIGTERM unmounts it. Needs root, /dev/fuse and python3-pyfuse3.
"""
import errno
import os
import stat
import sys
import time

import pyfuse3
import trio

RENAME_NOREPLACE = 1


class BareFiles(pyfuse3.Operations):
    def __init__(self, uid, gid, pause, *names):
        super().__init__()
        self.uid, self.gid, self.pause = uid, gid, pause
        self.last = pyfuse3.ROOT_INODE
        self.folders = {pyfuse3.ROOT_INODE: {}}  # inode -> {name: inode}
        self.contents = {}  # of files
        self.times = {}
        self.closed = set()  # folders that cannot be read
        for name in names:
            self.add(pyfuse3.ROOT_INODE, os.fsencode(name), self.contents, bytearray())

    def add(self, parent, name, kind, value):
        self.last += 1
        kind[self.last] = value
        self.folders[parent][name] = self.last
        return self.last

    def find(self, parent, name):
        if name not in self.folders[parent]:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return self.folders[parent][name]

    def attributes(self, inode):
        entry = pyfuse3.EntryAttributes()
        folder = inode in self.folders
        entry.st_ino = inode
        entry.st_mode = stat.S_IFDIR | 0o755 if folder else stat.S_IFREG | 0o600
        entry.st_size = 0 if folder else len(self.contents[inode])
        entry.st_nlink = 1
        entry.st_uid, entry.st_gid = self.uid, self.gid
        entry.st_mtime_ns = entry.st_ctime_ns = entry.st_atime_ns = self.times.get(inode, 10**18)
        entry.attr_timeout = entry.entry_timeout = 0
        return entry

    async def getattr(self, inode, ctx=None):
        if inode == pyfuse3.ROOT_INODE:
            await trio.sleep(self.pause)
        return self.attributes(inode)

    async def lookup(self, parent, name, ctx=None):
        return self.attributes(self.find(parent, name))

    async def create(self, parent, name, mode, flags, ctx):
        inode = self.add(parent, name, self.contents, bytearray())
        return pyfuse3.FileInfo(fh=inode), self.attributes(inode)

    async def mkdir(self, parent, name, mode, ctx):
        if name in self.folders[parent]:
            raise pyfuse3.FUSEError(errno.EEXIST)
        inode = self.add(parent, name, self.folders, {})
        if name == b"dropbox":
            self.closed.add(inode)
        return self.attributes(inode)

    async def open(self, inode, flags, ctx):
        return pyfuse3.FileInfo(fh=inode)

    async def read(self, handle, offset, size):
        return bytes(self.contents[handle][offset:offset + size])

    async def write(self, handle, offset, data):
        content = self.contents[handle]
        content[offset:offset + len(data)] = data
        self.times[handle] = time.time_ns()
        return len(data)

    async def fsync(self, handle, datasync):
        pass

    async def flush(self, handle):
        pass

    async def release(self, handle):
        pass

    async def rename(self, parent, name, new_parent, new_name, flags, ctx):
        inode, old = self.find(parent, name), self.folders[new_parent].get(new_name)
        if flags & ~RENAME_NOREPLACE:
            raise pyfuse3.FUSEError(errno.EINVAL)
        if flags & RENAME_NOREPLACE and old is not None:
            raise pyfuse3.FUSEError(errno.EEXIST)
        if self.folders.get(old):
            raise pyfuse3.FUSEError(errno.ENOTEMPTY)
        del self.folders[parent][name]
        self.folders[new_parent][new_name] = inode

    async def unlink(self, parent, name, ctx):
        self.find(parent, name)
        del self.folders[parent][name]

    async def rmdir(self, parent, name, ctx):
        if self.folders[self.find(parent, name)]:
            raise pyfuse3.FUSEError(errno.ENOTEMPTY)
        del self.folders[parent][name]

    async def opendir(self, inode, ctx):
        if inode in self.closed:
            raise pyfuse3.FUSEError(errno.EACCES)
        return inode

    async def fsyncdir(self, handle, datasync):
        pass

    async def readdir(self, handle, start, token):
        for number, (name, inode) in enumerate(sorted(self.folders[handle].items())):
            if number >= start and not pyfuse3.readdir_reply(token, name, self.attributes(inode), number + 1):
                return


async def serve(mountpoint, *arguments):
    pyfuse3.init(BareFiles(*arguments), mountpoint, {"fsname=bare", "allow_other"})
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
    trio.run(serve, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), *sys.argv[5:])
