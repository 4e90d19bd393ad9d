"""Cuts the power of a file system while clients change files on it, mounts it again, and looks at what is left.

The power is cut by the file system itself (EXT4_IOC_SHUTDOWN): what it has not written then is gone. Nothing that a disk holds back
in a cache of its own is lost, and nothing is half written.
"""
import collections
import contextlib
import dataclasses
import glob
import os
import random
import re
import shutil
import signal
import sys
import threading
import time

import loop_fs
from machine import USER
from model import FOLDER, differences, is_allowed
from writers import Writer

SIZE = 192 << 20
WRITERS = 8  # at most; each has a folder
CHECK_EVERY = 8  # cycles: the file system's own check
LOST_AND_FOUND = "other/lost+found"  # which a file system has at its top
TORN = "torn"  # the content that a file has then


@dataclasses.dataclass
class Report:
    cycles: int = 0
    seconds: float = 0
    acknowledged: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    in_flight: int = 0  # when the power went
    lost: int = 0  # paths whose acknowledged content or absence is not there
    torn: int = 0  # paths with a content that nobody ever sent
    visible: int = 0  # paths that nobody asked for
    hidden: int = 0  # what the server left, but never shows
    checks: int = 0  # by e2fsck
    problems: list = dataclasses.field(default_factory=list)

    @property
    def is_good(self):
        return not (self.lost or self.torn or self.visible or self.problems)

    def __str__(self):
        methods = ", ".join(f"{count} {method}" for method, count in sorted(self.acknowledged.items()))
        text = (f"{self.cycles} power cuts in {self.seconds:.0f} s; {sum(self.acknowledged.values())} operations acknowledged ({methods}), "
                f"{self.in_flight} in flight; {self.lost} lost, {self.torn} torn, {self.visible} visible leftovers, {self.hidden} hidden ones; "
                f"{self.checks} checks by e2fsck")
        return "\n  ".join([text, *self.problems[:40]])


class Campaign:
    """One server, one image, many cuts."""

    def __init__(self, server, mount_options="", seed=None):
        self.server = server
        self.rng = random.Random(seed)
        self.report = Report()
        self.states = {f"w{number}": {} for number in range(WRITERS)}
        self.pending = dict.fromkeys(self.states)
        self.unfinished = {name: [] for name in self.states}
        self.known = {name: set() for name in self.states}  # contents that may be there, perhaps wrongly so
        self.methods = None
        self.all_fs = [loop_fs.LoopFileSystem(server.disk, SIZE, options=mount_options)]
        self.all_fs[0].mount()
        for folder in (".", "files", "files/shared", *(f"files/{name}" for name in self.states)):
            self.make_folder(folder)
        if server.other:
            self.make_folder("files/other")
            self.all_fs.append(loop_fs.LoopFileSystem(os.path.join(server.folder, "other"), SIZE, options=mount_options, is_below=True))
            self.all_fs[1].mount()
            for folder in "files/other", f"files/{LOST_AND_FOUND}":
                self.make_folder(folder)
                os.chmod(os.path.join(server.disk, folder), 0o755)

    def make_folder(self, name):
        path = os.path.join(self.server.disk, name)
        os.makedirs(path, exist_ok=True)
        os.chown(path, USER.pw_uid, USER.pw_gid)

    def sync(self):
        for fs in self.all_fs:
            fs.sync()

    def unmount(self):
        for fs in reversed(self.all_fs):
            fs.unmount()

    def mount(self):
        for fs in self.all_fs:
            fs.mount()

    def run(self, cycles):
        started = time.monotonic()
        interval = sys.getswitchinterval()
        sys.setswitchinterval(0.001)  # so that the cut comes when it likes, not when a writer waits
        try:
            for _ in range(cycles):
                self.cycle()
        finally:
            sys.setswitchinterval(interval)
            self.report.seconds += time.monotonic() - started
        return self.report

    def finish(self):
        with contextlib.ExitStack() as stack:
            stack.callback(self.server.finish)
            for fs in self.all_fs:
                stack.callback(fs.finish)

    # --- one cut ---

    def cycle(self):
        self.thin_out()
        self.server.start()
        self.methods = self.methods or self.server.methods()
        self.look_through_server()
        self.report.cycles += 1
        cut = threading.Event()
        names = self.rng.sample(sorted(self.states), self.rng.choice([1, 2, 4, WRITERS]))
        self.known = {name: {what for what in state.values() if what != FOLDER} for name, state in self.states.items()}
        writers = {name: Writer(name, self.server, self.methods, self.states[name], self.unfinished[name], cut, self.rng.random()) for name in names}
        flags = self.rng.choices([loop_fs.LOG_LOST, loop_fs.LOG_FLUSHED], [3, 1])[0]
        pause = self.rng.uniform(0.01, 0.4)
        pids = self.server.pids() if self.server.other else []
        for writer in writers.values():
            writer.start()
        time.sleep(pause)
        cut.set()
        for pid in pids:  # or what begins now would be on one file system and not on the other
            os.kill(pid, signal.SIGSTOP)
        for fs in self.rng.sample(self.all_fs, len(self.all_fs)):
            fs.cut_power(flags)
        self.server.kill()
        for name, writer in writers.items():
            writer.join(30)
            assert not writer.is_alive(), f"{name} hangs"
            self.take_results(name, writer)
        self.unmount()
        self.mount()  # their logs are replayed
        if self.rng.random() < 0.5:
            self.another_boot()
        if self.report.cycles % CHECK_EVERY == 0:
            self.unmount()
            for fs in self.all_fs:
                fs.check()
            self.report.checks += 1
            self.mount()
        self.compare()

    def another_boot(self):
        """As if the machine had been off, and not the disk alone."""
        for path in glob.glob(os.path.join(self.server.folder, ".fastfile", "uploads", "*.info")):
            with open(path, "r+b") as file:
                text = re.sub(rb"^(mark \d{15}) .{36}$", rb"\1 " + 36 * b"0", file.read(), flags=re.MULTILINE)
                file.seek(0)
                file.write(text)

    def take_results(self, name, writer):
        self.states[name], self.pending[name] = writer.state, writer.pending
        self.known[name].update(writer.sent)
        self.report.acknowledged += writer.acknowledged
        self.report.in_flight += writer.pending is not None
        if writer.problem:
            self.report.problems.append(f"cut {self.report.cycles}: before it, {writer.problem}")

    # --- what is left ---

    def compare(self):
        observed = self.observe()
        for name, state in self.states.items():
            pending, found = self.pending[name], observed[name]
            if not is_allowed(found, state, pending):
                self.count(found, state, pending)
            self.states[name], self.pending[name] = found, None
            for upload in self.unfinished[name]:
                upload.was_there |= upload.path in found

    def count(self, found, state, pending):
        """What is wrong, by path."""
        for path, expected, there in differences(found, state, pending):
            if there is TORN:
                self.report.torn += 1
            elif there is not None and all(what is None for what in expected) and path not in state:
                self.report.visible += 1
            else:
                self.report.lost += 1
            self.report.problems.append(f"cut {self.report.cycles}: {path} is {there}, not {' or '.join(sorted({str(what) for what in expected}))}")

    def observe(self):
        """{writer: state} of what is on the disk."""
        found = {name: {} for name in self.states}
        for folder, folders, files in os.walk(self.server.folder):
            self.remove_hidden(folder, folders, files)
            for name in [*folders, *files]:
                full = os.path.join(folder, name)
                path = full[len(self.server.folder):]
                if path in ("/shared", "/other", f"/{LOST_AND_FOUND}") or path[1:] in found:
                    continue
                owner = path.split("/")[2].split("-")[0] if path.startswith(("/shared/", "/other/")) else path.split("/")[1]
                if owner not in found:
                    self.report.visible += 1
                    self.report.problems.append(f"cut {self.report.cycles}: {path} is there")
                    continue
                found[owner][path] = FOLDER if name in folders else self.recognize(full, owner)
        return found

    def remove_hidden(self, folder, folders, files):
        for names, remove in (files, os.unlink), (folders, shutil.rmtree):
            for name in [name for name in names if self.server.hides and name.startswith(self.server.hides)]:
                names.remove(name)
                if name != self.server.hides:  # its own folder
                    self.report.hidden += 1
                    remove(os.path.join(folder, name))

    def recognize(self, full, owner):
        with open(full, "rb") as file:
            content = file.read()
        return next((one for one in self.known[owner] if one.size == len(content) and one.bytes() == content), TORN)

    def look_through_server(self):
        """What the server lists is what is there, and nothing else."""
        listed = self.server.listing()
        if listed is None:
            return
        expected = {"/shared/", *(["/other/", f"/{LOST_AND_FOUND}/"] * self.server.other), *(f"/{name}/" for name in self.states)}
        for state in self.states.values():
            expected |= {path + "/" * (what == FOLDER) for path, what in state.items()}
        if listed != expected:
            self.report.visible += 1
            self.report.problems.append(f"cut {self.report.cycles}: the listing has {sorted(listed ^ expected)} too much or not")

    def thin_out(self):
        """Makes room where the server cannot remove anything, and takes away what is torn."""
        for state in self.states.values():
            files = [path for path, what in state.items() if what != FOLDER]
            victims = [path for path in files if state[path] is TORN]
            if self.methods and "DELETE" not in self.methods and len(files) > 20:
                victims += self.rng.sample(sorted(set(files) - set(victims)), min(10, len(files) - len(victims)))
            for path in victims:
                os.unlink(self.server.folder + path)
                del state[path]
        self.sync()
