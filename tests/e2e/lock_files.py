"""The two files in which the server keeps locks (src/files/locks_text.h): tests put some there before it starts, and look
at what is left."""
import hashlib
import itertools
import os

HEAD = b"fastfile-locks 1 "
ANOTHER_BOOT = b"00000000-0000-4000-8000-000000000000"  # so nobody knows how long ago that was
_numbers = itertools.count(1)


def new_token():
    return f"opaquelocktoken:{next(_numbers):08x}-0000-4000-8000-000000000000"


class Lock:
    def __init__(self, path, user="alice", deep=False, shared=False, seconds=3600):
        self.path, self.user, self.deep, self.shared, self.seconds = path, user, deep, shared, seconds
        self.token = new_token()

    @property
    def tagged(self):
        """An If that shows it wherever it is needed."""
        return f"</{self.path}> (<{self.token}>)"

    def text(self):
        user, path = self.user.encode(), self.path.encode()
        return (f"{self.token} {self.seconds} {'s' if self.shared else 'x'} {'i' if self.deep else '0'} "
                f"{len(user)} {len(path)} 0\n").encode() + user + path + b"\n"


def state_files(server):
    digest = hashlib.sha256(os.path.realpath(server.dir).encode()).hexdigest()[:16]
    folder = os.path.join(server.base, "state", "fastfile", "home")
    return [os.path.join(folder, f"locks-{digest}.{which}") for which in "ab"]


def write_locks(server, locks):
    """All locks of the server, which does not run, but has."""
    text = HEAD + b"0 " + ANOTHER_BOOT + b" 0\n" + b"".join(lock.text() for lock in locks)
    text += f"end {len(locks)} {hashlib.sha256(text).hexdigest()[:16]}\n".encode()
    first, second = state_files(server)
    for file, content in ((first, text), (second, b"")):
        with open(file, "r+b") as out:  # it stays its owner's
            out.truncate(0)
            out.write(content)


def read_locks(server):
    """The tokens of all locks that are kept."""
    newest, found = -1, set()
    for file in state_files(server):
        with open(file, "rb") as read:
            text = read.read()
        if not text:
            continue
        rest, _, end = text.rpartition(b"end ")
        assert end.split()[1].decode() == hashlib.sha256(rest).hexdigest()[:16]
        generation = int(text[len(HEAD):].split()[0])
        if generation > newest:
            newest = generation
            found = {word.decode() for word in text.split() if word.startswith(b"opaquelocktoken:")}
    return found
