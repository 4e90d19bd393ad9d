"""File systems of a test's own, in images on loop devices: small ones, full ones, ones whose power is cut. Needs root."""
import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
import time

from machine import IN_VM, IS_ROOT

# From <linux/ext4.h>, which not every Debian has.
EXT4_IOC_SHUTDOWN = 0x8004587d
LOG_FLUSHED, LOG_LOST = 1, 2  # EXT4_GOING_FLAGS_LOGFLUSH, EXT4_GOING_FLAGS_NOLOGFLUSH


def missing():
    """Why there are no loop devices here, or None."""
    if IN_VM:
        return "not run in the VM: loop devices would have to be inside"
    if not IS_ROOT:
        return "file systems of a test's own (this is an ordinary user)"
    if not shutil.which("mkfs.ext4", path=PATH):
        return "file systems of a test's own (mkfs.ext4 is not there)"
    done = subprocess.run(["losetup", "--find"], capture_output=True, text=True, check=False, env={"PATH": PATH})
    return None if done.returncode == 0 else "file systems of a test's own (no loop devices here)"


PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def run(*command, codes=(0,)):
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": PATH, "LC_ALL": "C"})
    assert done.returncode in codes, f"{' '.join(command)}: {done.returncode}, {done.stdout}{done.stderr}"
    return done.stdout


def image_folder(size_bytes):
    """In memory, where there is room: what is measured here is what survives, not a disk's speed."""
    with contextlib.suppress(OSError):
        at = os.statvfs("/dev/shm")
        if at.f_bavail * at.f_frsize > 4 * size_bytes:
            return "/dev/shm"
    return tempfile.gettempdir()


class LoopFileSystem:
    """An image, its loop device, and whether it is mounted at `mountpoint`.

    mkfs: the program and its options, e.g. ("mkfs.ext4", "-N", "64"). is_below: it is mounted on another one of these.
    """

    def __init__(self, mountpoint, size_bytes, mkfs=("mkfs.ext4", "-q", "-F"), kind="ext4", options="", is_below=False):
        self.mountpoint = mountpoint
        self.kind = kind
        self.options = options
        self.device = None
        self.mounted = self.bound = False
        self.image = tempfile.mktemp(prefix="fastfile-image-", dir=image_folder(size_bytes))
        try:
            with open(self.image, "wb") as file:
                file.truncate(size_bytes)
            run(*mkfs, self.image)
            self.device = run("losetup", "--find", "--show", self.image).strip()
            if is_below:  # which has seen to the following
                return
            # Other servers' namespaces have copies of all mounts, perhaps for long: what is unmounted below a shared one goes
            # there too.
            run("mount", "--bind", self.mountpoint, self.mountpoint)
            self.bound = True
            run("mount", "--make-shared", self.mountpoint)
        except BaseException:
            self.finish()
            raise

    def mount(self):
        run("mount", "-t", self.kind, *(["-o", self.options] if self.options else []), self.device, self.mountpoint)
        self.mounted = True

    def unmount(self):
        """And waits until the kernel has let go of it: who mounts it again shall read it anew."""
        if not self.mounted:
            return
        run("umount", self.mountpoint)
        self.mounted = False
        state = f"/sys/fs/{self.kind}/{os.path.basename(self.device)}"
        deadline = time.monotonic() + 20
        while os.path.exists(state):
            assert time.monotonic() < deadline, f"{self.device} is still in use"
            time.sleep(0.002)

    def cut_power(self, flags=LOG_LOST):
        """Nothing that the file system has not written yet is ever written. With LOG_FLUSHED its log still is, but not what the
        files contain. ext4 only."""
        fd = os.open(self.mountpoint, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("=I", flags))
        finally:
            os.close(fd)

    def sync(self):
        fd = os.open(self.mountpoint, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)  # of ext4: all changes of names
        finally:
            os.close(fd)

    def check(self):
        """e2fsck of the unmounted image: raises if there is anything to say."""
        assert not self.mounted
        run("e2fsck", "-f", "-n", self.image)

    def room(self):
        """(free bytes, free inodes) for ordinary users."""
        at = os.statvfs(self.mountpoint)
        return at.f_bavail * at.f_frsize, at.f_favail

    def finish(self):
        if self.mounted:
            run("umount", "-l", self.mountpoint)
            self.mounted = False
        if self.bound:
            run("umount", "-l", self.mountpoint)
            self.bound = False
        if self.device:
            run("losetup", "--detach", self.device, codes=(0, 1))
            self.device = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.image)
