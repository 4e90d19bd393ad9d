"""What may be in the folder after a power cut: each writer's paths and contents, and what each operation makes of them.

A state is a dict: path -> Content, or FOLDER. Paths have no slash at their ends.
"""
import dataclasses
import os
import random
import struct

FOLDER = "a folder"
REPLACES = "replaces folders"
LARGEST = 4 << 20
_START_MOST = 1 << 20
_BYTES = memoryview(os.urandom(LARGEST + _START_MOST))


@dataclasses.dataclass(frozen=True)
class Content:
    """What one upload sends: no two are alike, if they are longer than a few bytes."""
    number: int
    size: int

    def __post_init__(self):
        """Those that are too short to differ are the same."""
        object.__setattr__(self, "number", self.number >> 8 * max(0, 8 - self.size) << 8 * max(0, 8 - self.size))

    def bytes(self):
        head = struct.pack(">QQ", self.number, self.size)[:self.size]
        start = self.number * 7919 % _START_MOST
        return head + bytes(_BYTES[start:start + self.size - len(head)])


def size_of_an_upload(rng):
    kind = rng.random()
    for share, most in (0.05, 16), (0.45, 10 << 10), (0.80, 100 << 10), (0.95, 600 << 10):
        if kind < share:
            return rng.randrange(most)
    return rng.randrange(600 << 10, LARGEST)


@dataclasses.dataclass
class Unfinished:
    """An upload that goes on, perhaps after a power cut. offset: what was acknowledged of it. is_tus: by tus, or by the IETF's draft."""
    path: str
    content: Content
    is_tus: bool = False
    url: str = None
    offset: int = 0
    was_there: bool = False  # after a power cut; it may be somewhere else since


@dataclasses.dataclass
class Operation:
    """One request. after: the state when it is done. whole: before or after, nothing between but these states; else each path by
    itself is as before or as after, as in the middle of a recursive one. abort: only so many bytes of the body are sent."""
    method: str
    path: str
    after: dict
    statuses: tuple
    content: Content = None
    chunked: bool = False
    abort: int = None
    destination: str = None
    is_folder: bool = False
    whole: bool = True
    between: tuple = ()
    goes: frozenset = frozenset()  # paths that are copied, and go one by one when the copy is there
    upload: Unfinished = None  # that this is a part of; at its end if `completes`
    completes: bool = False

    def __str__(self):
        return " ".join(str(part) for part in (self.method, self.path, self.destination, self.content) if part)


def allowed(state, pending):
    """The states that there may be, after the last acknowledged one and with an operation that was not acknowledged."""
    return [state, *pending.between, pending.after] if pending else [state]


def is_allowed(observed, state, pending):
    if observed in allowed(state, pending):
        return True
    if pending and pending.goes:
        rest = {path: what for path, what in observed.items() if path not in pending.goes}
        return rest == pending.after and all(state[path] == observed[path] for path in pending.goes & set(observed))
    if not pending or pending.whole:
        return False
    paths = {*observed, *state, *pending.after}
    return all(observed.get(path) in (state.get(path), pending.after.get(path)) for path in paths)


def differences(observed, state, pending):
    """[(path, what was expected, what is there)] for the paths that are neither as before nor as after."""
    states = allowed(state, pending)
    paths = sorted({*observed, *(path for one in states for path in one)})
    found = [(path, [one.get(path) for one in states], observed.get(path)) for path in paths
             if observed.get(path) not in [one.get(path) for one in states]]
    return found or [("all together", ["before", "after"], "some of both")]


class Mix:
    """Chooses operations for one writer, whose paths are below /NAME/ and those beginning with /shared/NAME-, and /other/NAME- where
    `other` is another file system."""

    PATHS_MOST = 30
    BYTES_MOST = 12 << 20

    def __init__(self, name, methods, seed, unfinished, has_other=False):
        self.name = name
        self.tops = [f"/{name}/", f"/shared/{name}-"] + [f"/other/{name}-"] * has_other
        self.methods = methods
        self.unfinished = unfinished
        self.rng = random.Random(seed)

    def new_path(self, state):
        folders = self.tops.copy()
        folders += [path + "/" for path, what in state.items() if what == FOLDER] * 2
        while True:
            path = f"{self.rng.choice(folders)}{self.rng.randrange(10**6)}"
            if path not in state:
                return path

    def next(self, state):
        files = [path for path, what in state.items() if what != FOLDER]
        folders = [path for path, what in state.items() if what == FOLDER]
        full = len(state) > self.PATHS_MOST or sum(state[path].size for path in files) > self.BYTES_MOST
        choices = [(self.replace, 5, files), (self.resume, 3, not full), (self.abort, 0.5, True), (self.put, 3, not full), (self.mkcol, 0.7, not full and len(folders) < 6),
                   (self.delete, 6 if full else 2, files), (self.move, 2, files), (self.move_over, 1, len(files) > 1),
                   (self.copy, 1, files and not full), (self.copy_over, 1, len(files) > 1), (self.delete_folder, 2 if full else 0.4, folders),
                   (self.move_folder, 0.7, folders), (self.copy_folder, 0.4, folders and not full),
                   (self.move_onto_folder, 0.7, self._two_folders(folders)), (self.copy_onto_folder, 0.7, not full and self._two_folders(folders))]
        choices = [(make, weight) for make, weight, possible in choices if possible and METHODS[make.__name__] in self.methods]
        make = self.rng.choices([make for make, _ in choices], [weight for _, weight in choices])[0]
        return make(state, files, folders)

    # --- uploads ---

    def _upload(self, state, path):
        content = Content(self.rng.randrange(1, 1 << 60), size_of_an_upload(self.rng))
        statuses = (204, 200) if path in state else (201,)
        return Operation("PUT", path, state | {path: content}, statuses, content, chunked=self.rng.random() < 0.2)

    def put(self, state, _files, _folders):
        return self._upload(state, self.new_path(state))

    def replace(self, state, files, _folders):
        return self._upload(state, self.rng.choice(files))

    def abort(self, state, files, _folders):
        path = self.rng.choice(files) if files and self.rng.random() < 0.7 else self.new_path(state)
        upload = self._upload(state, path)
        if upload.content.size > 0:
            upload.abort = self.rng.randrange(upload.content.size)
            upload.after = state
        return upload

    def resume(self, state, _files, _folders):
        """Begins an upload, or goes on with one."""
        if len(self.unfinished) < 3 and self.rng.random() < 0.4 or not self.unfinished:
            content = Content(self.rng.randrange(1, 1 << 60), size_of_an_upload(self.rng))
            path = f"/{self.name}/{self.rng.randrange(10**6)}"  # no folder that may be gone until then
            is_tus = self.rng.random() < 0.5 and content.size > 0  # nothing at all is complete at once there
            return Operation("POST" if is_tus else "PUT", path, state, (201,), content, upload=Unfinished(path, content, is_tus))
        upload = self.rng.choice(self.unfinished)
        completes = self.rng.random() < 0.6
        statuses = (204,) if upload.path in state or not completes or upload.is_tus else (201,)
        after = state | {upload.path: upload.content} if completes else state
        return Operation("PATCH", upload.path, after, statuses, upload.content, upload=upload, completes=completes)

    # --- the others ---

    def mkcol(self, state, _files, _folders):
        path = self.new_path(state)
        return Operation("MKCOL", path, state | {path: FOLDER}, (201,), is_folder=True)

    def delete(self, state, files, _folders):
        path = self.rng.choice(files)
        return Operation("DELETE", path, {other: what for other, what in state.items() if other != path}, (204,))

    def move(self, state, files, _folders):
        return self._transfer("MOVE", state, self.rng.choice(files), self.new_path(state))

    def move_over(self, state, files, _folders):
        return self._transfer("MOVE", state, *self.rng.sample(files, 2))

    def copy(self, state, files, _folders):
        return self._transfer("COPY", state, self.rng.choice(files), self.new_path(state))

    def copy_over(self, state, files, _folders):
        return self._transfer("COPY", state, *self.rng.sample(files, 2))

    def _transfer(self, method, state, path, to):
        after = {other: what for other, what in state.items() if other != path or method == "COPY"} | {to: state[path]}
        return Operation(method, path, after, (204,) if to in state else (201,), destination=to, goes=_going(method, state, path, to))

    def delete_folder(self, state, _files, folders):
        path = self.rng.choice(folders)
        after = {other: what for other, what in state.items() if not _within(other, path)}
        return Operation("DELETE", path, after, (204,), is_folder=True, whole=False)

    def move_folder(self, state, _files, folders):
        return self._transfer_folder("MOVE", state, self.rng.choice(folders))

    def copy_folder(self, state, _files, folders):
        return self._transfer_folder("COPY", state, self.rng.choice(folders))

    def _transfer_folder(self, method, state, path):
        to = self.new_path({other: what for other, what in state.items() if not _within(other, path)})
        while to in state:
            to = self.new_path({other: what for other, what in state.items() if not _within(other, path)})
        after = {other: what for other, what in state.items() if method == "COPY" or not _within(other, path)}
        after |= {_renamed(other, path, to): what for other, what in state.items() if _within(other, path)}
        return Operation(method, path, after, (201,), destination=to, is_folder=True, whole=method == "MOVE", goes=_going(method, state, path, to))

    # --- and over what is there, as a whole ---

    def _two_folders(self, folders):
        """Pairs of which neither is in the other."""
        return [(one, other) for one in folders for other in folders if not _within(one, other) and not _within(other, one)]

    def move_onto_folder(self, state, _files, folders):
        """First the two are exchanged, and then the old one is taken away."""
        path, to = self.rng.choice(self._two_folders(folders))
        goes = _going("MOVE", state, path, to)
        exchanged = {_renamed(other, path, to) if _within(other, path) else _renamed(other, to, path) if _within(other, to) else other: what
                     for other, what in state.items()}
        after = {other: what for other, what in exchanged.items() if not _within(other, path)}
        return Operation("MOVE", path, after, (204,), destination=to, is_folder=True, between=() if goes else (exchanged,), goes=goes)

    def copy_onto_folder(self, state, _files, folders):
        path, to = self.rng.choice(self._two_folders(folders))
        after = {other: what for other, what in state.items() if not _within(other, to)}
        after |= {_renamed(other, path, to): what for other, what in state.items() if _within(other, path)}
        return Operation("COPY", path, after, (204,), destination=to, is_folder=True)


def _renamed(path, folder, to):
    return to + path[len(folder):]


def _going(method, state, path, to):
    """What of it goes by itself, because the two are on different file systems."""
    is_across = path.startswith("/other/") != to.startswith("/other/")
    return frozenset(other for other in state if method == "MOVE" and is_across and _within(other, path))


def _within(path, folder):
    return path == folder or path.startswith(folder + "/")


# What an operation needs of the server: a method, or to do it with a folder in the place of another.
METHODS = {"put": "PUT", "replace": "PUT", "abort": "PUT", "resume": "PATCH", "mkcol": "MKCOL", "delete": "DELETE", "move": "MOVE", "move_over": "MOVE", "copy": "COPY",
           "copy_over": "COPY", "delete_folder": "DELETE", "move_folder": "MOVE", "copy_folder": "COPY",
           "move_onto_folder": REPLACES, "copy_onto_folder": REPLACES}
