"""A virtual machine's operating system, with the functions that Python's `os` has for this one's (those that tests need).

tests/vm/boot starts the machine and says in FASTFILE_VM where it is: "architecture,port of the agent,number of ports behind it".
Each call is a message to tests/vm/agent.c, which runs there as root. Paths are the machine's; errors are raised as here.
"""
import io
import os as host
import posixpath
import socket
import stat as stat_module
import struct
import threading
import time
import types
from os import devnull, environ, fsdecode, fsencode, geteuid, getpid, makedev, sep, urandom  # noqa: F401
from os import O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY  # noqa: F401

PIECE = 1 << 20

_connections = {}  # each process and thread has its own


def where():
    arch, port, count = host.environ["FASTFILE_VM"].split(",")
    return arch, int(port), int(count)


def _receive(connection, length):
    data = bytearray()
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise ConnectionError("the virtual machine is gone")
        data += piece
    return bytes(data)


def call(operation, *arguments):
    """Has the agent do something; returns its answers as bytes."""
    key = host.getpid(), threading.get_ident()
    strings = [argument if isinstance(argument, bytes) else host.fsencode(str(argument) if isinstance(argument, int) else argument)
               for argument in (operation, *arguments)]
    if key not in _connections:
        _connections[key] = socket.create_connection(("127.0.0.1", where()[1]), timeout=300)
        _connections[key].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection = _connections[key]
    try:
        connection.sendall(struct.pack("<I", len(strings)) + b"".join(struct.pack("<I", len(one)) + one for one in strings))
        answers = []
        for _ in range(struct.unpack("<I", _receive(connection, 4))[0]):
            answers.append(_receive(connection, struct.unpack("<I", _receive(connection, 4))[0]))
    except OSError:
        del _connections[key]
        raise
    if error := int(answers[0]):
        named = arguments[0] if arguments and isinstance(arguments[0], (str, bytes)) else None
        raise OSError(error, host.strerror(error), named)
    return answers[1:]


def set_clock():
    call("clock", time.time_ns())


# --- paths ---------------------------------------------------------------------------------------------------


class path:  # noqa: N801 (it stands for os.path)
    join, dirname, basename, abspath = posixpath.join, posixpath.dirname, posixpath.basename, posixpath.normpath

    @staticmethod
    def _mode(name, follow=True):
        try:
            return stat(name, follow_symlinks=follow).st_mode
        except OSError:
            return 0

    @staticmethod
    def exists(name):
        return path._mode(name) != 0

    @staticmethod
    def lexists(name):
        return path._mode(name, follow=False) != 0

    @staticmethod
    def isdir(name):
        return stat_module.S_ISDIR(path._mode(name))

    @staticmethod
    def isfile(name):
        return stat_module.S_ISREG(path._mode(name))

    @staticmethod
    def islink(name):
        return stat_module.S_ISLNK(path._mode(name, follow=False))

    @staticmethod
    def getsize(name):
        return stat(name).st_size


def stat(name, follow_symlinks=True):
    keys = ("st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size", "st_atime_ns", "st_mtime_ns", "st_ctime_ns")
    found = types.SimpleNamespace(**dict(zip(keys, map(int, call("stat", name, int(follow_symlinks))))))
    for which in ("atime", "mtime", "ctime"):
        setattr(found, f"st_{which}", getattr(found, f"st_{which}_ns") / 1e9)
    return found


def lstat(name):
    return stat(name, follow_symlinks=False)


def listdir(name="."):
    names = call("listdir", name)
    return names if isinstance(name, bytes) else [host.fsdecode(one) for one in names]


def walk(top):
    folders, others = [], []
    try:
        names = listdir(top)
    except OSError:
        return  # as os.walk does
    for name in names:
        folder = stat_module.S_ISDIR(lstat(path.join(top, name)).st_mode)
        (folders if folder else others).append(name)
    yield top, folders, others
    for name in folders:
        yield from walk(path.join(top, name))


def mkdir(name, mode=0o777):
    call("mkdir", name, mode)


def makedirs(name, mode=0o777, exist_ok=False):
    try:
        call("mkdir", name, mode)
    except FileNotFoundError:
        makedirs(path.dirname(name), exist_ok=True)
        call("mkdir", name, mode)
    except FileExistsError:
        if not exist_ok:
            raise


def rmdir(name):
    call("rmdir", name)


def unlink(name):
    call("unlink", name)


remove = unlink


def rename(old, new):
    call("rename", old, new)


replace = rename


def link(old, new, follow_symlinks=False):
    call("link", old, new)


def symlink(target, name):
    call("symlink", target, name)


def readlink(name):
    return host.fsdecode(call("readlink", name)[0])


def mknod(name, mode=0o600, device=0):
    call("mknod", name, mode, device)


def mkfifo(name, mode=0o666):
    call("mknod", name, mode | stat_module.S_IFIFO, 0)


def chmod(name, mode):
    call("chmod", name, mode)


def chown(name, uid, gid, follow_symlinks=True):
    assert not (follow_symlinks and path.islink(name))
    call("lchown", name, uid, gid)


def utime(name, times=None, ns=None):
    ns = ns or tuple(int(one * 10**9) for one in times or (time.time(),) * 2)
    call("utime", name, *ns)


def truncate(name, size):
    call("truncate" if isinstance(name, (str, bytes)) else "ftruncate", name, size)


# --- descriptors and files --------------------------------------------------------------------------------------


def open(name, flags, mode=0o777):
    return int(call("open", name, flags, mode)[0])


def close(descriptor):
    call("close", descriptor)


def pwrite(descriptor, data, offset):
    for start in range(0, len(data), PIECE):
        call("write", descriptor, bytes(data[start:start + PIECE]), offset + start if offset >= 0 else -1)
    return len(data)


def write(descriptor, data):
    return pwrite(descriptor, data, -1)


def ftruncate(descriptor, size):
    call("ftruncate", descriptor, size)


class RawFile(io.RawIOBase):
    def __init__(self, name, flags, mode):
        super().__init__()
        self.name = name
        self.descriptor = open(name, flags, 0o666)
        self.appends = bool(flags & O_APPEND)
        self.can = mode
        self.position = 0

    def fileno(self):
        return self.descriptor

    def readable(self):
        return "r" in self.can or "+" in self.can

    def writable(self):
        return self.can.strip("r") != ""

    def seekable(self):
        return True

    def readinto(self, buffer):
        data = call("read", self.descriptor, min(len(buffer), PIECE), self.position)[0]
        buffer[:len(data)] = data
        self.position += len(data)
        return len(data)

    def write(self, data):
        data = bytes(data)
        pwrite(self.descriptor, data, -1 if self.appends else self.position)
        self.position += len(data)
        return len(data)

    def seek(self, offset, whence=0):
        self.position = offset + (0, self.position, stat(f"/proc/self/fd/{self.descriptor}").st_size if whence == 2 else 0)[whence]
        return self.position

    def tell(self):
        return self.position

    def truncate(self, size=None):
        ftruncate(self.descriptor, self.position if size is None else size)
        return size

    def close(self):
        if not self.closed:
            close(self.descriptor)
        super().close()


def open_file(name, mode="r", buffering=-1, encoding=None, errors=None):
    """What the built-in open() is."""
    letters = mode.replace("b", "").replace("t", "")
    if letters == "r":
        found = io.BytesIO(call("load", name)[0])
        found.name = name
    else:
        flags = {"r": 0, "w": O_CREAT | O_TRUNC, "a": O_CREAT | O_APPEND, "x": O_CREAT | O_EXCL}[letters[0]]
        found = RawFile(name, flags | (O_RDWR if "+" in letters else O_WRONLY), letters)
        if buffering != 0:
            found = (io.BufferedRandom if "+" in letters else io.BufferedWriter)(found)
    return found if "b" in mode else io.TextIOWrapper(found, encoding=encoding, errors=errors)


# --- processes -----------------------------------------------------------------------------------------------


def kill(pid, number):
    call("kill", pid, int(number))


class TimeoutExpired(Exception):
    pass


class Process:
    """What subprocess.Popen is."""

    def __init__(self, command, environment, folder, user, group, stdin="/dev/null", stdout="/dev/null", stderr="/dev/null"):
        self.command = command
        self.returncode = None
        self.pid = int(call("spawn", folder, user, group, stdin, stdout, stderr, len(command), *command,
                            *(f"{name}={value}" for name, value in environment.items()))[0])

    def poll(self):
        return self._wait(0)

    def _wait(self, milliseconds):
        if self.returncode is None and (answer := call("wait", self.pid, milliseconds)):
            self.returncode = host.waitstatus_to_exitcode(int(answer[0]))
        return self.returncode

    def wait(self, timeout=None):
        deadline = time.monotonic() + (timeout if timeout is not None else 10**6)
        while self._wait(500) is None:
            if time.monotonic() > deadline:
                raise TimeoutExpired(f"{self.command} still runs")
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            kill(self.pid, number)

    def kill(self):
        self.send_signal(9)
