"""The machine that the server runs on: this one, or a virtual one that tests/vm/boot has started.

Tests that touch the server's files take `os` and `open` from here, and so do the same on either. The clients run here always.
"""
import builtins
import contextlib
import os as host
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import types

import pytest

IN_VM = "FASTFILE_VM" in host.environ

if IN_VM:
    import guest as os
    from guest import TimeoutExpired
    open = os.open_file
    IS_ROOT = True
    USER = types.SimpleNamespace(pw_name="user", pw_uid=1000, pw_gid=1000)
    CLIENT_ADDRESS = "10.0.2.2"  # what the server sees, whoever asks
else:
    import os
    from subprocess import TimeoutExpired  # noqa: F401
    open = builtins.open
    CLIENT_ADDRESS = "127.0.0.1"
    IS_ROOT = os.geteuid() == 0
    # Whoever runs the suite, the server is an ordinary user's. (Not nobody: that is also the name of whoever
    # has no number in a user namespace.)
    USER = pwd.getpwnam("daemon") if IS_ROOT else pwd.getpwuid(os.geteuid())


def not_in_the_vm(reason):
    """Marks a test."""
    return pytest.mark.skipif(IN_VM, reason=f"not run in the VM: {reason}")


# --- ports ---

_next_port = 0
# Servers share their ports with others that ask for the same one, so each process of tests has some to itself: those of a name that it holds.
PORTS, PORTS_EACH = range(20_000, 30_000), 250
_ports = None


def _own_ports():
    """Endless; the socket lives as long as the process."""
    holder = socket.socket(socket.AF_UNIX)
    for first in PORTS[::PORTS_EACH]:
        with contextlib.suppress(OSError):
            holder.bind(f"\0fastfile-tests-{first}")
            break
    else:
        raise RuntimeError("so many tests at once?")
    while holder:
        yield from range(first, first + PORTS_EACH)


def free_port():
    """A port nobody has; from below the range that connections take theirs from."""
    global _ports
    if IN_VM:
        return _free_port_there()
    _ports = _ports or _own_ports()
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _free_port_there():
    """Only some ports lead there; they are taken in turn."""
    global _next_port
    _, agent, count = os.where()
    with open("/proc/net/tcp", encoding="ascii") as four, open("/proc/net/tcp6", encoding="ascii") as six:
        taken = {int(line.split()[1].rsplit(":", 1)[1], 16) for file in (four, six) for line in file.readlines()[1:] if line.split()[3] == "0A"}
    for _ in range(count):
        port = agent + 1 + _next_port % count
        _next_port += 1
        if port not in taken:
            return port
    raise AssertionError("no free port leads into the virtual machine")


# --- folders ---


def make_folder(prefix):
    if not IN_VM:
        return tempfile.mkdtemp(prefix=prefix)
    path = f"/tmp/{prefix}{host.urandom(6).hex()}"
    os.mkdir(path, 0o700)
    return path


def remove_folder(path):
    if IN_VM:
        os.Process(["rm", "-rf", path], {"PATH": "/bin"}, "/", 0, 0).wait()
    else:
        shutil.rmtree(path, ignore_errors=True)


# --- programs ---


def start(command, environment, folder, log_path, identity, stdout=None):
    """Starts a program; what it says is appended to a file, or its output goes to the descriptor `stdout`.

    identity: subprocess's arguments for another user, or {}.
    """
    if IN_VM:
        assert stdout is None
        return os.Process(command, environment, folder, identity.get("user", 0), identity.get("group", 0), "/dev/null", log_path, log_path)
    with open(log_path, "ab") as log:  # the process keeps it
        return subprocess.Popen(command, env=environment, cwd=folder, stdout=stdout or log, stderr=log, stdin=subprocess.DEVNULL, **identity)


def run(command, environment, folder, identity, timeout, input=None, **options):  # noqa: A002
    """Runs a program to its end; returns what subprocess.run() does."""
    if not IN_VM:
        return subprocess.run(command, env=environment, cwd=folder, text=True, capture_output=True, timeout=timeout, check=False,
                              input=input, **options, **identity)
    assert not options
    place = make_folder("run-")
    names = [f"{place}/{name}" for name in ("in", "out", "err")]
    for name, content in zip(names, (input or "", "", "")):
        with open(name, "w", encoding="utf-8") as file:
            file.write(content)
        os.chmod(name, 0o666)
    os.chmod(place, 0o777)
    process = os.Process(command, environment, folder, identity.get("user", 0), identity.get("group", 0), *names)
    try:
        code = process.wait(timeout)
    except TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        raise
    said = [open(name, encoding="utf-8", errors="replace").read() for name in names[1:]]
    remove_folder(place)
    return subprocess.CompletedProcess(command, code, *said)


# --- the kernel ---


def kernel_version():
    """(6, 12, 104)"""
    with open("/proc/version", encoding="ascii") as file:
        return tuple(int(number) for number in re.match(r"Linux version (\d+)\.(\d+)(?:\.(\d+))?", file.read()).groups("0"))


def kernel_tls_counters():
    """/proc/net/tls_stat as a dict; empty where the kernel has no TLS."""
    try:
        with open("/proc/net/tls_stat", encoding="ascii") as file:
            return {name: int(value) for name, value in (line.split() for line in file)}
    except FileNotFoundError:
        return {}
