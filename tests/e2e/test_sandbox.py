"""What gate and home cannot do, tried inside the living processes: a debugger makes them call the kernel.

What /proc/PID/status says proves nothing. Each call has to fail, whatever the reason; that the process dies
of it (a filter may kill) is as good. A call that has to succeed shows that the calls were really made.
"""
import functools
import json
import os
import re
import struct
import subprocess

import processes
import pytest
from client import wait_for
from server import ALICE, PROJECT, SANITIZER, SLOW, own

pytestmark = pytest.mark.skipif(SANITIZER != "", reason="calls inside gate and home under a sanitizer, whose reports need more of the kernel")

INJECT = [*([] if os.geteuid() == 0 else ["sudo", "-n"]), "/usr/bin/python3", os.path.join(PROJECT, "tests/e2e/inject.py")]
AT_FDCWD = -100
RING_PARAMETERS = "\0" * 120
OPEN_HOW = struct.pack("QQQ", 0, 0, 0).decode("latin-1")


@functools.cache
def system_calls():
    """name -> number, as this machine's headers have them."""
    done = subprocess.run(["gcc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"], capture_output=True, text=True, check=True)
    return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)$", done.stdout, re.M)}


def scratch_memory(pid):
    """Address of a writable page: the end of the heap."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as file:
        for line in file:
            if "[heap]" in line and " rw" in line:
                return int(line.split()[0].split("-")[1], 16) - 4096
    raise AssertionError("no heap")


def inject(pid, calls, tmp_path):
    """Makes the calls [(name, argument...)] in process `pid`; {call: result}. Those that this machine's kernel
    headers do not know are left out."""
    calls = [call for call in calls if call[0] in system_calls()]
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"pid": pid, "memory": scratch_memory(pid), "calls": [[system_calls()[name], *rest] for name, *rest in calls]}))
    done = subprocess.run([*INJECT, job], capture_output=True, text=True, timeout=120, check=False)
    if re.search(r"ptrace: Operation not permitted|a password is required|sudo: .*not found", done.stdout + done.stderr):
        pytest.skip("calls inside gate and home (this machine does not let a debugger attach)")
    match = re.search(r"^RESULTS (.*)$", done.stdout, re.M)
    assert match, done.stdout[-2000:] + done.stderr[-2000:]
    return dict(zip(calls, json.loads(match[1])))


def succeeded(results):
    """The calls that did not fail."""
    return {call: result for call, result in results.items() if result != "killed" and result >= 0}


# What neither may do. (Strings stand for pointers to them.)
FORBIDDEN = [
    ("open", "/etc/passwd", 0), ("openat", AT_FDCWD, "/etc/passwd", 0), ("openat", AT_FDCWD, "/proc/self/mem", 2),
    ("openat2", AT_FDCWD, "/etc/passwd", OPEN_HOW, 24), ("creat", "/tmp/fastfile-was-here", 0o600),
    ("socket", 2, 1, 0), ("socket", 10, 2, 0), ("socket", 1, 1, 0), ("socket", 16, 3, 0), ("connect", 0, "\2\0\0\x50\x7f\0\0\1" + "\0" * 8, 16),
    ("execve", "/bin/true", 0, 0), ("execveat", AT_FDCWD, "/bin/true", 0, 0, 0), ("fork",), ("vfork",), ("clone", 17, 0, 0, 0, 0),
    ("ptrace", 0, 0, 0, 0), ("process_vm_readv", "PPID", 0, 0, 0, 0, 0), ("kill", "PPID", 0), ("tgkill", "PPID", "PPID", 0), ("pidfd_open", "PPID", 0),
    ("io_uring_setup", 8, RING_PARAMETERS), ("io_uring_register", 3, 0, 0, 0), ("io_uring_register", 5, 11, 0, 0), ("epoll_create1", 0),
    ("mmap", 0, 4096, 7, 0x22, -1, 0), ("mmap", 0, 4096, 5, 0x22, -1, 0),
    ("mount", "none", "/", "tmpfs", 0, 0), ("umount2", "/", 2), ("unshare", 0x10000000), ("unshare", 0x20000), ("setns", 0, 0), ("chroot", "/"),
    ("pivot_root", "/", "/"), ("setuid", 0), ("setgid", 0), ("setresuid", 0, 0, 0), ("capset", 0, 0), ("bpf", 0, 0, 0), ("userfaultfd", 1),
    ("perf_event_open", 0, 0, -1, -1, 0), ("add_key", "user", "x", "y", 1, -4), ("keyctl", 0, -3, 1), ("init_module", 0, 0, 0),
    ("open_by_handle_at", AT_FDCWD, 0, 0), ("memfd_create", "x", 0), ("personality", 0x0040000), ("seccomp", 0, 0, 0), ("reboot", 0, 0, 0, 0),
    ("swapon", "/x", 0), ("acct", 0), ("syslog", 3, 0, 0), ("mknodat", AT_FDCWD, "/tmp/x", 0o20666, 0x105), ("msgget", 0, 0o1000), ("shmget", 0, 4096, 0o1000),
]

# What gate may not do besides: anything with a path.
FORBIDDEN_AT_GATE = [
    ("openat", AT_FDCWD, "/", 0o200000), ("openat", AT_FDCWD, ".", 0o200000), ("stat", "/", "\0" * 200), ("newfstatat", AT_FDCWD, "/", "\0" * 200, 0),
    ("mkdir", "/x", 0o700), ("mkdirat", AT_FDCWD, "/x", 0o700), ("unlink", "/x"), ("unlinkat", AT_FDCWD, "/x", 0), ("rename", "/x", "/y"),
    ("symlinkat", "/x", AT_FDCWD, "/y"), ("readlinkat", AT_FDCWD, "/proc/self/exe", "\0" * 100, 100), ("fchmodat", AT_FDCWD, "/", 0o777), ("chdir", "/"),
    ("truncate", "/x", 0), ("inotify_init1", 0), ("faccessat", AT_FDCWD, "/", 0), ("bind", 0, "\2\0\0\0\x7f\0\0\1" + "\0" * 8, 16), ("listen", 0, 1),
]


def outside(path):
    """What home may not do to a file that is its own user's, but outside DIR."""
    times = struct.pack("qqqq", 1, 0, 1, 0).decode("latin-1")
    return [
        ("open", path, 0), ("openat", AT_FDCWD, path, 0), ("openat2", AT_FDCWD, path, OPEN_HOW, 24), ("chmod", path, 0o777), ("fchmodat", AT_FDCWD, path, 0o777),
        ("chown", path, 1, 1), ("fchownat", AT_FDCWD, path, 1, 1, 0), ("truncate", path, 0), ("utimensat", AT_FDCWD, path, times, 0),
        ("setxattr", path, "user.x", "y", 1, 0), ("removexattr", path, "user.x"), ("getxattr", path, "user.x", "\0" * 100, 100),
        ("listxattr", path, "\0" * 100, 100), ("lsetxattr", path, "user.x", "y", 1, 0), ("unlink", path), ("unlinkat", AT_FDCWD, path, 0),
        ("rename", path, path + ".new"), ("renameat2", AT_FDCWD, path, AT_FDCWD, path + ".new", 0), ("link", path, path + ".new"),
        ("linkat", AT_FDCWD, path, AT_FDCWD, path + ".new", 0), ("symlink", "x", path + ".link"), ("mkdirat", AT_FDCWD, path + ".dir", 0o700),
        ("inotify_add_watch", 0, path, 0xfff), ("stat", path, "\0" * 200), ("newfstatat", AT_FDCWD, path, "\0" * 200, 0), ("chdir", os.path.dirname(path)),
        ("openat", AT_FDCWD, "../secret", 0), ("openat", AT_FDCWD, "../../../../../../../etc/passwd", 0), ("openat", AT_FDCWD, "/", 0o200000 | 0o2),
    ]


def with_parent(calls, pid):
    parent = int(processes.status(pid, "PPid"))
    return [tuple(parent if part == "PPID" else part for part in call) for call in calls]


@pytest.fixture
def ready(make_server):
    """A server with a file outside its folder; both processes have served something."""
    server = make_server()
    server.write("hello.txt", "hello")
    server.secret = os.path.join(server.base, "secret")
    with open(server.secret, "w", encoding="ascii") as file:
        file.write("SECRET")
    own(server.secret)
    assert server.get("/hello.txt").status == 200
    return server


@pytest.mark.parametrize("role", ["gate", "home"])
def test_forbidden_calls(ready, role, tmp_path):
    pid = ready.pid_of(role)
    calls = with_parent(FORBIDDEN + (FORBIDDEN_AT_GATE if role == "gate" else []), pid)
    results = inject(pid, [("getpid",), *calls], tmp_path)
    assert results.pop(("getpid",)) > 0, "the calls were not made at all"
    assert not succeeded(results)
    wait_for(lambda: ready.get("/hello.txt").status == 200, 5 * SLOW, "the server to answer after that")


def test_the_monitor_may_do_what_they_may_not(ready, tmp_path):
    """The same calls by the same way, where nothing forbids them: what fails in gate and home fails there."""
    calls = [("openat", AT_FDCWD, ready.secret, 0), ("chmod", ready.secret, 0o644), ("stat", ready.secret, "\0" * 200),
             ("utimensat", AT_FDCWD, ready.secret, struct.pack("qqqq", 1, 0, 1, 0).decode("latin-1"), 0),
             ("socket", 2, 1, 0), ("io_uring_setup", 8, RING_PARAMETERS), ("mkdirat", AT_FDCWD, ready.secret + ".dir", 0o700)]
    results = inject(ready.process.pid, calls, tmp_path)
    assert succeeded(results) == results
    assert os.stat(ready.secret).st_mtime == 1 and os.path.isdir(ready.secret + ".dir")


def test_home_and_what_is_outside(ready, tmp_path):
    pid = ready.pid_of("home")
    results = inject(pid, [("getpid",), *outside(ready.secret)], tmp_path)
    assert results.pop(("getpid",)) > 0
    if os.stat(f"/proc/{pid}/root/").st_ino == os.stat("/").st_ino and os.stat(f"/proc/{pid}/root/").st_dev == os.stat("/").st_dev:
        # No namespaces here, which the server says; opening has to fail all the same (Landlock, or the filter).
        ready.wait_for_log("namespace|root of its own")
        opened = {call for call in succeeded(results) if call[0].startswith("open")}
        assert not opened
        pytest.skip("what home cannot change outside its folder (no namespaces for ordinary users here)")
    assert not succeeded(results)
    with open(ready.secret, encoding="ascii") as file:
        assert file.read() == "SECRET"
    assert os.stat(ready.secret).st_mode & 0o777 == 0o644


def test_home_sees_nothing_but_the_folder(ready):
    pid = ready.pid_of("home")
    root = f"/proc/{pid}/root"
    if os.path.samefile(root + "/", "/"):
        pytest.skip("what home sees (no namespaces for ordinary users here)")
    for path in ("etc", "usr", "home", "proc", "root", "dev", ready.users_path.lstrip("/")):
        assert not os.path.exists(f"{root}/{path}"), path


def test_gate_sees_nothing_at_all(ready):
    pid = ready.pid_of("gate")
    if os.path.samefile(f"/proc/{pid}/root/", "/"):
        pytest.skip("what gate sees (no namespaces for ordinary users here)")
    assert os.listdir(f"/proc/{pid}/root/") == []


def test_gate_never_holds_a_file(ready):
    """After any number of requests: no descriptor of gate is a file or folder of ours."""
    for _ in range(20):
        ready.get("/hello.txt")
    pid = ready.pid_of("gate")
    for number in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{number}")
        assert not target.startswith(ready.base) or target == ready.log_path, target


def test_the_keys_stay_with_the_monitor(ready):
    """Home holds no socket that it could accept connections on, and no certificate."""
    pid = ready.pid_of("home")
    looked_at = 0
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{number}")
        except FileNotFoundError:
            continue  # closed since the list was made: an earlier request's
        looked_at += 1
        assert not re.search(r"key|cert|users|sessions", target), target
    assert looked_at > 0
    assert ready.get("/hello.txt", auth=ALICE).status == 200
