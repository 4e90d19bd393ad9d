"""File systems that can do little: vfat and exFAT, as SD cards and USB sticks have them, and one that can do less (bare_fs.py). Needs root."""
import contextlib
import os
import shutil
import subprocess

import loop_fs
import pytest
from server import IS_ROOT, USER, own

SIZE = 48 << 20
OURS = f"uid={USER.pw_uid},gid={USER.pw_gid}" if IS_ROOT else ""
# Of the kernel, or where that has none by FUSE: (mount's type, mkfs, options)
KINDS = {
    "vfat": [("vfat", ("mkfs.vfat",), f"{OURS},utf8=1")],
    "exfat": [("exfat", ("mkfs.exfat",), OURS), ("exfat-fuse", ("mkfs.exfat",), OURS)],
}


def mount(kind, mountpoint):
    """The first that works; None if none does."""
    for name, mkfs, options in KINDS[kind]:
        if not shutil.which(mkfs[0], path=loop_fs.PATH):
            continue
        fs = loop_fs.LoopFileSystem(mountpoint, SIZE, mkfs, name, options)
        try:
            fs.mount()
            return fs
        except AssertionError:
            fs.finish()
    return None


@contextlib.contextmanager
def bare_fs(server, name, pause=0, files=()):
    """bare_fs.py below the folder that the server serves."""
    pytest.importorskip("pyfuse3", reason="a bare file system (python3-pyfuse3 is not there)")
    server.mkdir(name)
    own(server.path(name))
    st = os.stat(server.path(name))
    program = os.path.join(os.path.dirname(__file__), "bare_fs.py")
    with subprocess.Popen(["/usr/bin/python3", program, server.path(name), str(st.st_uid), str(st.st_gid), str(pause), *files],
                          stdout=subprocess.PIPE) as mounted:
        try:
            assert mounted.stdout.readline() == b"mounted\n"
            yield
        finally:
            subprocess.run(["umount", "-l", server.path(name)], check=False)
            mounted.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                mounted.wait(10)
            mounted.kill()
