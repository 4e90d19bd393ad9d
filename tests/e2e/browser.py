"""Chromium, driven by tests/browser/*.test.js: each test of theirs is one here.

SCREENSHOTS=FOLDER keeps the pictures that it takes.
"""
import contextlib
import functools
import glob
import hashlib
import os
import re
import shutil
import subprocess

import loop_fs
import pytest
from server import PROJECT, SLOW, Server, own

FOLDER = os.path.join(PROJECT, "tests", "browser")
SCRIPTS = {os.path.basename(path)[:-8]: path for path in sorted(glob.glob(os.path.join(FOLDER, "*.test.js")))}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NODE = shutil.which("node")
SMALL, SMALL_BYTES = "Small", 24 << 20
LIBRARY = os.path.join(FOLDER, "node_modules", "playwright-core")


def missing():
    if not CHROMIUM:
        return "no chromium"
    if not NODE:
        return "no node"
    return "" if os.path.isdir(LIBRARY) else "no playwright-core: npm ci"


needs_browser = pytest.mark.skipif(bool(missing()), reason=f"the browser ({missing()})")


def scenarios(names):
    """For pytest.mark.parametrize("script, name"): all tests of these scripts."""
    found = []
    for of in names if not missing() else []:
        done = subprocess.run([NODE, SCRIPTS[of]], env={**os.environ, "FASTFILE_LIST": "1"}, capture_output=True, text=True, timeout=60, check=True)
        found += [pytest.param(SCRIPTS[of], name, id=f"{of}: {name}") for name in done.stdout.splitlines()]
    return found or [("", "not run")]


def make_files(server):
    song = os.urandom(300_000)
    server.write("Music/song.mp3", song)
    server.write("Documents/Jahresabschluß 2025 & Grüße/<b>not bold & <i>.txt", "text")
    server.write("Documents/Jahresabschluß 2025 & Grüße/文件.pdf", b"x" * 123_456)
    server.write("Documents/letter.odt", b"x" * 23_000)
    server.write("evil.html", "<script>document.title = 'evil'</script>")
    for name, size in (("archive.tar.gz", 5 << 20), ("picture.jpg", 2_345_678), ("film.mkv", 42 << 20), ("main.c", 4321), ("README.md", 900)):
        server.write(name, bytes(size))
    for name, size, day in (("file 1.txt", 10, 20), ("file 2.txt", 3000, 10), ("file 10.txt", 200, 30)):
        server.write("Sorting/" + name, b"x" * size)
        os.utime(server.path("Sorting/" + name), (day * 86400, day * 86400))
    server.write("Long names/" + "a very long name with blanks " * 8 + ".txt", "x")
    server.write("Long names/" + "withoutblanks" * 18 + ".txt", "x")
    server.mkdir("Empty")
    make_files_to_walk(server)
    return hashlib.sha256(song).hexdigest()


def make_files_to_walk(server):
    server.mkdir("Many")
    for number in range(1, 1201):
        with open(server.path(f"Many/file {number}.txt"), "w"):
            pass
    names = ['"quoted" \'name\'.txt', "<img src=x>.html", "a&lt;b.txt", "family 👨‍👩‍👧.png", "שלום.txt", "مرحبا بالعالم.pdf", "100% #1?.txt", "z" * 255,
             "turned \u202egpj.exe", "two\nlines.txt", b"not \xff\xfe text.txt"]
    for name in names:
        server.write(b"Odd/" + os.fsencode(name), "x")
    server.write("Closed/secret.txt", "x")
    os.chmod(server.path("Closed"), 0)
    for number in range(1, 8):
        server.mkdir("/".join(["Deep"] + [f"a folder of level {level}" for level in range(1, number + 1)]))


@contextlib.contextmanager
def servers(with_small):
    """Fresh ones for a script: its environment's part about them."""
    with contextlib.ExitStack() as stack:
        server, trash = Server(start=False), Server("--trash")
        stack.callback(trash.finish)
        if with_small := with_small and not loop_fs.missing():
            server.mkdir(SMALL)
            fs = loop_fs.LoopFileSystem(server.path(SMALL), SMALL_BYTES)
            stack.callback(fs.finish)
            fs.mount()
            own(fs.mountpoint)
        stack.callback(server.finish)  # before what is mounted in it goes
        server.start()
        yield {"URL": server.origin, "FOLDER": server.dir, "SHA256": make_files(server), "SMALL": SMALL if with_small else "",
               "TRASH_URL": trash.origin, "TRASH_FOLDER": trash.dir}
        server.check_log()
        trash.check_log()


def run_one(script, screenshots):
    """What node says of it."""
    with servers(with_small=script == SCRIPTS["upload"]) as about:
        environment = {**os.environ, **about, "ALL_LOOKS": "1" if "SCREENSHOTS" in os.environ else "", "CHROMIUM": CHROMIUM, "SCREENSHOTS": screenshots, "SLOW": str(SLOW)}
        try:
            done = subprocess.run([NODE, "--test-reporter=tap", script], env=environment, capture_output=True, text=True, timeout=600 * SLOW,
                                  check=False)
            return done.stdout + done.stderr
        except subprocess.TimeoutExpired as late:  # what has come to an end counts
            return (late.stdout or b"").decode(errors="replace")


@pytest.fixture(scope="module")
def run_script(tmp_path_factory):
    """run_script(path) runs one of them, if that has not been done; returns name → (whether it is well, why it was not run, what was said)."""
    screenshots = os.environ.get("SCREENSHOTS") or str(tmp_path_factory.mktemp("screenshots"))
    os.makedirs(screenshots, exist_ok=True)

    @functools.cache
    def run(script):
        said = run_one(script, screenshots)
        found = re.findall(r"^(ok|not ok) \d+ - (.*?)(?: # SKIP (.*))?\n((?: .*\n)*)", said, re.M)
        results = {name: (word == "ok", skipped, about) for word, name, skipped, about in found}
        return lambda name: results.get(name, (False, "", f"It has not come to that:\n{said}"))

    return run


def check(run_script, script, name):
    well, skipped, said = run_script(script)(name)
    if skipped:
        pytest.skip(skipped)
    assert well, said
