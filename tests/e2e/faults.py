"""A server in which calls fail when a test says so; how is in tests/preload/fault.h."""
import mmap
import os
import shutil
import struct

from server import SANITIZER

CALLS = ("tcp_ulp", "tls_tx", "notsent_lowat", "sendfile", "cachestat", "preadv2", "malloc", "fsync", "fsync_folder", "syncfs", "sync_range", "fallocate", "unlink", "clock")
FAULT = struct.Struct("=iIII")  # error, skip, times, hits
ALWAYS = 0xffffffff
PRETEND = 0  # as an error: the call seems to succeed, and nothing is done


class Faults:
    """The calls of one server, which is not started yet."""

    def __init__(self, server):
        path = os.path.join(server.base, "faults")
        library = os.path.join(server.base, "libfault.so")  # where the server's user can read it
        shutil.copy(os.path.join(os.path.dirname(os.path.abspath(os.environ["FASTFILE"])), "libfault.so"), library)
        with open(path, "w+b") as file:
            file.truncate(FAULT.size * len(CALLS))
            self.memory = mmap.mmap(file.fileno(), 0)
        os.chmod(path, 0o666)
        server.environment |= {"LD_PRELOAD": library, "FASTFILE_FAULTS": path}
        if SANITIZER:  # its library does not come first then
            server.environment["ASAN_OPTIONS"] += ":verify_asan_link_order=0"

    def set(self, call, error, skip=0, times=ALWAYS):
        """From now on `skip` calls go through, and then `times` fail."""
        at = CALLS.index(call) * FAULT.size
        FAULT.pack_into(self.memory, at, error, 0, 0, 0)  # none while it is being written
        FAULT.pack_into(self.memory, at, error, skip, times, 0)

    def clear(self):
        for call in CALLS:
            self.set(call, 0, times=0)

    def hits(self, call):
        return FAULT.unpack_from(self.memory, CALLS.index(call) * FAULT.size)[3]
