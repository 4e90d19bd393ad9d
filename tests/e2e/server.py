"""Starts the real server in a folder of its own, and watches how it ends."""
import contextlib
import os as host
import re
import shutil
import signal
import subprocess
import tempfile
import time

import machine
import processes
from client import ClosedEarly, Connection, trusting_context, wait_for
from machine import IN_VM, IS_ROOT, USER, free_port, open, os  # noqa: F401

PROJECT = host.path.abspath(host.path.join(host.path.dirname(__file__), "..", ".."))
SANITIZER = host.environ.get("FASTFILE_SANITIZER", "")
# How much longer than usual things may take.
SLOW = 6 if IN_VM else {"": 1, "address": 4, "thread": 10}[SANITIZER]
# user, kernel: where records are sealed; empty is what the server chooses itself.
TLS_MODE = host.environ.get("FASTFILE_TLS", "")

# What every server is told to use, unless the test itself says it: "epoll", "uring"; None: nothing is said.
IO = host.environ.get("FASTFILE_IO") or None

ALICE = ("alice", "wonderland")
BOB = ("bob", "builder")  # read-only

SANITIZER_REPORT = re.compile(
    r"ERROR: (Address|Leak)Sanitizer|LeakSanitizer has encountered|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer|"
    r"AddressSanitizer:DEADLYSIGNAL|[Aa]ssertion .*failed|FATAL: ThreadSanitizer")

SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=0:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1",
}


EXECUTABLE_COPY = host.path.join(tempfile.gettempdir(), f"fastfile-e2e-{host.getpid()}")


def own(path):
    """Gives a path and all below it to the user whom the server runs as."""
    if IS_ROOT:
        for folder, _, names in os.walk(path):
            for name in [folder] + [os.path.join(folder, name) for name in names]:
                os.chown(name, USER.pw_uid, USER.pw_gid, follow_symlinks=False)
        if not os.path.isdir(path):
            os.chown(path, USER.pw_uid, USER.pw_gid, follow_symlinks=False)


def executable():
    """The binary, where the server's user can reach it whatever the checkout's rights are."""
    if IN_VM:
        return "/usr/local/bin/fastfile"  # tests/vm/boot has put it there
    path = os.environ.get("FASTFILE") or os.path.join(PROJECT, "build", "fastfile")
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path} is not there; ./test builds it, or set FASTFILE")
    if not IS_ROOT:
        return path
    copy = EXECUTABLE_COPY
    if not os.path.exists(copy):
        shutil.copy2(path, copy)
        os.chmod(copy, 0o755)
    return copy


class Server:
    """One server. `dir` is the folder that it serves, `base` holds everything of it.

    options: command line options after those that every server here gets; a str or a list.
    users: name -> (password, read_only); None leaves the users file out, so that the first start makes one.
    as_root: start it as root (needs a suite that runs as root); give --run-as with `options`.
    listen: the addresses; default is one free port on 127.0.0.1. start=False only prepares.
    """

    def __init__(self, *options, users="default", plain=False, as_root=False, listen=None, start=True,
                 environment=None, dir_name="files", wrapper=()):
        self.base = machine.make_folder("fastfile-")
        os.chmod(self.base, 0o755)
        self.dir = os.path.join(self.base, dir_name)
        self.log_path = os.path.join(self.base, "log")
        self.users_path = os.path.join(self.base, "config", "fastfile", "users")
        self.plain = plain
        self.as_root = as_root
        self.port = free_port()
        self.listen = listen or [f"127.0.0.1:{self.port}"]
        # ThreadSanitizer needs the address space where it expects it; its older versions do not see to that.
        self.wrapper = [*(["setarch", "-R"] if SANITIZER == "thread" else []), *wrapper]
        self.stdout = None  # a descriptor; None: the log
        self.process = None
        self.checked = 0  # how much of the log was found clean
        for path in (self.dir, os.path.dirname(self.users_path), os.path.join(self.base, "state"),
                     os.path.join(self.base, "home")):
            os.makedirs(path)
        own(self.base)
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "HOME": os.path.join(self.base, "home"),
            "XDG_CONFIG_HOME": os.path.join(self.base, "config"),
            "XDG_STATE_HOME": os.path.join(self.base, "state"),
            **SANITIZER_OPTIONS,
            **(environment or {}),
        }
        self.options = [*options]
        if plain:
            self.options.append("--plain")
        elif TLS_MODE:
            self.options += ["--tls", TLS_MODE]
        if users == "default":
            users = {ALICE[0]: (ALICE[1], False), BOB[0]: (BOB[1], True)}
        for name, (password, read_only) in (users or {}).items():
            self.passwd(name, password, read_only)
        self.options += ["--users", self.users_path] if users else []
        if start:
            self.start()

    # --- running the program ---

    def identity(self):
        """Arguments for subprocess that make the program an ordinary user's."""
        if not IS_ROOT or self.as_root:
            return {}
        return {"user": USER.pw_uid, "group": USER.pw_gid, "extra_groups": []}

    def run(self, *arguments, timeout=30, **options):
        """Runs the program to its end, as the server's user, and returns what it said."""
        return machine.run([*self.wrapper, executable(), *arguments], self.environment, self.base, self.identity(),
                           timeout * SLOW, **options)

    def passwd(self, name, password, read_only=False):
        arguments = ["passwd", "--users", self.users_path] + ["--read-only"] * read_only + [name]
        done = self.run(*arguments, input=password + "\n")
        assert done.returncode == 0, done.stderr

    def command(self):
        listen = [part for address in self.listen for part in ("--listen", address)]
        use = ["--io", IO] if IO and "--io" not in self.options else []
        return [*self.wrapper, executable(), *listen, *use, *self.options, self.dir]

    def launch(self):
        """Starts the program; does not wait."""
        self.process = machine.start(self.command(), self.environment, self.base, self.log_path, self.identity(),
                                     stdout=self.stdout)

    def start(self):
        self.launch()
        wait_for(self.answers, 10 * SLOW, f"the server's first answer; its log:\n{self.log()}")

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
        try:
            return self.request("GET", "/.fastfile/health", auth=None).status == 200
        except (OSError, ClosedEarly):
            return False  # not there yet

    def run_to_failure(self):
        """For starts that have to fail: (exit code, what was said)."""
        self.launch()
        try:
            code = self.process.wait(15 * SLOW)
        except machine.TimeoutExpired:
            self.kill()
            raise AssertionError(f"started although it should not:\n{self.log()}") from None
        self.process = None
        return code, self.log()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Ends it as an administrator would, and checks that all went well."""
        if not self.process:
            return
        descendants = [pid for pids in self.roles().values() for pid in pids]
        self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(15 + 10 * SLOW)
        except machine.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end after SIGTERM; its log:\n{self.log()}") from None
        self.process = None
        self.check_log()
        assert code == 0, f"ended with {code}:\n{self.log()}"
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in descendants), 3 * SLOW,
                 "the end of its processes")

    def kill(self):
        pids = [pid for role, pids in self.roles().items() for pid in pids if role != "monitor"]
        self.process.kill()
        self.process.wait()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process = None

    def finish(self):
        """Stops it and removes its folders, and says so if anything was wrong."""
        try:
            self.stop()
        finally:
            if self.process:
                self.kill()
            machine.remove_folder(self.base)

    # --- what it says ---

    def log(self):
        with contextlib.suppress(FileNotFoundError), open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()
        return ""

    def check_log(self):
        log = self.log()
        report = SANITIZER_REPORT.search(log, self.checked)
        self.checked = len(log)
        assert not report, log[max(0, report.start() - 200):report.start() + 6000]

    def wait_for_log(self, pattern, timeout=5, start=0):
        """Waits until the log, from `start` on, has a line that matches, and returns the match."""
        return wait_for(lambda: re.search(pattern, self.log()[start:], re.M), timeout * SLOW,
                        f"{pattern!r} in the log:\n{self.log()}")

    # --- what it is ---

    def roles(self):
        return processes.by_role(self.process.pid)

    def pid_of(self, role):
        """The one process with this role; waits for it."""
        return wait_for(lambda: self.roles().get(role), 5 * SLOW, f"a process '{role}'")[0]

    def descriptors(self):
        """Open descriptors of monitor, gate and home together, when they have come to rest."""
        def count():
            roles = self.roles()
            return sum(processes.descriptors(pid) for role in ("monitor", "gate", "home") for pid in roles.get(role, []))
        last = count()
        for _ in range(50):
            time.sleep(0.1)
            now = count()
            if now == last:
                break
            last = now
        return last

    # --- the files that it serves ---

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, content=b"", mode=None):
        """Makes a file below `dir`, and the folders above it. Returns its URL path."""
        path = os.path.join(os.fsencode(self.dir), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        if mode is not None:
            os.chmod(path, mode)
        self.own_below(name)
        return "/" + os.fsdecode(name)

    def mkdir(self, name):
        os.makedirs(self.path(name), exist_ok=True)
        self.own_below(name)

    def own_below(self, name):
        if IS_ROOT:
            path = os.fsencode(self.dir)
            for part in os.fsencode(name).split(b"/"):
                path = os.path.join(path, part)
                os.chown(path, USER.pw_uid, USER.pw_gid, follow_symlinks=False)

    # --- talking to it ---

    @property
    def origin(self):
        return f"{'http' if self.plain else 'https'}://localhost:{self.port}"

    def url(self, path="/"):
        return f"{'http' if self.plain else 'https'}://127.0.0.1:{self.port}{path}"

    def connect(self, context=None, **options):
        """A connection; TLS unless the server is plain."""
        if not self.plain and context is None:
            context = trusting_context()
        return Connection(("127.0.0.1", self.port), context=context, **options)

    def connect_plain(self, **options):
        """TCP only, whatever the server speaks."""
        return Connection(("127.0.0.1", self.port), **options)

    def request(self, method, target, auth=ALICE, source=None, **options):
        """One request on a connection of its own."""
        with self.connect(source=source) as connection:
            return connection.request(method, target, auth=auth, **options)

    def get(self, target, **options):
        return self.request("GET", target, **options)

    def head(self, target, **options):
        return self.request("HEAD", target, **options)

    def curl(self, *arguments, timeout=60, **options):
        """curl -k; returns the finished process (stdout and stderr are bytes)."""
        return subprocess.run(["curl", "-k", "-sS", "--noproxy", "*", *arguments], capture_output=True,
                              timeout=timeout * SLOW, check=False, **options)
