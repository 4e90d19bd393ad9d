"""Programs that speak WebDAV."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile
import urllib.parse

import pytest
from client import wait_for
from machine import not_in_the_vm
from server import ALICE, IS_ROOT, PROJECT, SLOW, Server

NODE_CLIENT = os.path.join(PROJECT, "tests", "dav-client")
pytestmark = not_in_the_vm("the programs are outside")


def needs(program):
    """A name, or the path of what is not in PATH."""
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} (it is not there)")


def make_site(plain):
    """A server, and a tree in it."""
    made = Server(plain=plain)
    made.write("tree/file.txt", "hello")
    made.write("tree/ä ö/with blank.txt", "x" * 100_000)
    made.write("tree/ä ö/100% <&>.bin", bytes(range(256)))
    made.mkdir("tree/empty")
    return made


@pytest.fixture(scope="module", params=["plain", "TLS"])
def site(request):
    made = make_site(request.param == "plain")
    yield made
    made.finish()


@pytest.fixture(scope="module")
def plain_site():
    """For programs that ask about, or refuse, a certificate of the server's own."""
    made = make_site(True)
    yield made
    made.finish()


def certificate(site):
    """The file of the server's own."""
    return os.path.join(site.base, "state", "fastfile", "certificate.pem")


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=100 * SLOW, check=False, **options)


def digests(folder):
    """{path: SHA-256} of a folder's files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@pytest.fixture
def rclone(site):
    password = run("rclone", "obscure", ALICE[1]).stdout.strip()
    environment = {"PATH": "/usr/bin:/bin", "HOME": site.base, "RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_S_TYPE": "webdav",
                   "RCLONE_CONFIG_S_URL": site.url("/"), "RCLONE_CONFIG_S_VENDOR": "other", "RCLONE_CONFIG_S_USER": ALICE[0],
                   "RCLONE_CONFIG_S_PASS": password, "RCLONE_NO_CHECK_CERTIFICATE": "true", "NO_PROXY": "*"}

    def ask(*arguments, log=False):
        done = run("rclone", "--retries", "1", *arguments, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stderr + done.stdout if log else done.stdout

    return ask


@needs("rclone")
def test_rclone(site, rclone, tmp_path):
    assert set(rclone("lsf", "-R", "s:tree").splitlines()) == {
        "file.txt", "empty/", "ä ö/", "ä ö/with blank.txt", "ä ö/100% <&>.bin"}
    listed = {one["Path"]: one for one in json.loads(rclone("lsjson", "-R", "s:tree"))}
    assert listed["ä ö/with blank.txt"]["Size"] == 100_000 and listed["ä ö"]["IsDir"] and not listed["file.txt"]["IsDir"]
    rclone("copy", "s:tree", str(tmp_path / "down"))
    there = digests(tmp_path / "down")
    assert len(there) == 3 and there["file.txt"] == hashlib.sha256(b"hello").hexdigest()
    (tmp_path / "down" / "new.txt").write_text("new")
    rclone("copy", str(tmp_path / "down"), "s:up")
    rclone("check", "--download", str(tmp_path / "down"), "s:up")
    rclone("delete", "s:up")
    assert "total" in rclone("about", "--json", "s:").lower()


def times(folder):
    return {str(path.relative_to(folder)): int(path.stat().st_mtime) for path in sorted(folder.rglob("*")) if path.is_file()}


@needs("rclone")
def test_rclone_sync(site, rclone, tmp_path):
    """Both ways, with times: as "owncloud" it sends X-OC-Mtime, and sets times alone by PROPPATCH."""
    local = tmp_path / "local"
    make_local(local)
    for number, path in enumerate(sorted(path for path in local.rglob("*") if path.is_file())):
        os.utime(path, (1_500_000_000 + number, 1_500_000_000 + number))
    there = pathlib.Path(site.path("synced"))
    remote = "s,vendor=owncloud:synced"

    def check_equal():
        assert digests(there) == digests(local) and times(there) == times(local)
        assert "There was nothing to transfer" in rclone("sync", "-v", str(local), remote, log=True)

    rclone("sync", str(local), remote)
    check_equal()
    (local / "run.sh").write_text("changed, and longer\n")
    (local / "run.sh").rename(local / "renamed.sh")
    os.utime(local / "empty", (1_600_000_000, 1_600_000_000))
    rclone("sync", "--checksum", str(local), remote)
    rclone("sync", str(local), remote)
    check_equal()
    site.write("synced/from the server.txt", "server")
    os.unlink(there / "renamed.sh")
    rclone("sync", remote, str(local))
    assert (local / "from the server.txt").read_text() == "server"
    check_equal()
    rclone("purge", remote)
    assert not there.exists()


@needs("rclone")
def test_rclone_finds_out(rclone):
    """Whether names stay as they are, and what is sent without a length arrives."""
    rclone("mkdir", "s:info")
    told = rclone("test", "info", "--check-normalization", "--check-streaming", "s:info", log=True)
    assert "canWriteUnnormalized = true" in told and "canReadUnnormalized   = true" in told and "canReadRenormalized   = false" in told
    assert "canStream = true" in told
    rclone("purge", "s:info")


@needs("curl")
def test_curl(site):
    done = site.curl("-u", ":".join(ALICE), "-X", "PROPFIND", "-H", "Depth: 1", site.url("/tree/"))
    assert done.returncode == 0 and done.stdout.count(b"<D:response>") == 4
    body = '<?xml version="1.0"?><propfind xmlns="DAV:"><prop><getcontentlength/></prop></propfind>'
    done = site.curl("-u", ":".join(ALICE), "-X", "PROPFIND", "-H", "Depth: 0", "-d", body, site.url("/tree/file.txt"))
    assert b"<D:getcontentlength>5</D:getcontentlength>" in done.stdout


@needs("cadaver")
def test_cadaver(plain_site, tmp_path):
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1\nlogin {ALICE[0]}\npassword {ALICE[1]}\n")
    (tmp_path / ".netrc").chmod(0o600)
    (tmp_path / "local.txt").write_text("from cadaver")
    said = run("cadaver", plain_site.url("/"), cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
               input="ls tree\nput local.txt\nget local.txt back.txt\nmkcol made\nmove local.txt made/moved.txt\n"
                     "copy made/moved.txt made/copied.txt\nls made\ndelete made/moved.txt\nrmcol made\nquit\n").stdout
    assert re.search(r"Coll:\s+empty", said) and re.search(r"file\.txt\s+5", said), said
    assert re.search(r"moved\.txt\s+12", said) and re.search(r"copied\.txt\s+12", said), said
    assert "failed" not in said, said
    assert (tmp_path / "back.txt").read_text() == "from cadaver"
    assert plain_site.get("/made/").status == 404


def test_python_webdavclient(site, tmp_path):
    program = f"""
from webdav3.client import Client
c = Client({{"webdav_hostname": {site.url("")!r}, "webdav_login": {ALICE[0]!r}, "webdav_password": {ALICE[1]!r}}})
c.verify = False
assert set(c.list("tree")) == {{"file.txt", "empty/", "ä ö/"}}, c.list("tree")
assert c.check("tree/ä ö/with blank.txt") and not c.check("tree/none")
assert c.info("tree/file.txt")["size"] == "5" and c.is_dir("tree/empty")
c.mkdir("by-python")
c.upload_sync(remote_path="by-python/up.txt", local_path={str(tmp_path / "up.txt")!r})
c.download_sync(remote_path="by-python/up.txt", local_path={str(tmp_path / "down.txt")!r})
c.copy(remote_path_from="by-python/up.txt", remote_path_to="by-python/copy.txt")
assert set(c.list("by-python")) == {{"up.txt", "copy.txt"}}
c.clean("by-python")
print("done")
"""
    if run("/usr/bin/python3", "-c", "import webdav3.client").returncode != 0:
        pytest.skip("python3-webdavclient (it is not there)")
    (tmp_path / "up.txt").write_text("up")
    done = run("/usr/bin/python3", "-W", "ignore", "-c", program)
    assert done.stdout.strip() == "done", done.stderr
    assert (tmp_path / "down.txt").read_text() == "up"


# --- node's package webdav ---


@pytest.mark.skipif(not os.path.isdir(os.path.join(NODE_CLIENT, "node_modules", "webdav")), reason="node's webdav (npm ci, it is not there)")
def test_node(site, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(os.urandom(5_000_000))
    digest = hashlib.sha256(big.read_bytes()).hexdigest()
    environment = {"PATH": os.environ["PATH"], "NODE_EXTRA_CA_CERTS": certificate(site)}
    done = run("node", os.path.join(NODE_CLIENT, "client.js"), site.url(""), *ALICE, str(big), env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("free") > 0
    assert found == {
        "tree": [["/tree/empty", "directory", 0], ["/tree/file.txt", "file", 5], ["/tree/ä ö", "directory", 0],
                 ["/tree/ä ö/100% <&>.bin", "file", 256], ["/tree/ä ö/with blank.txt", "file", 100_000]],
        "written": True, "writtenAgain": False, "stat": ["big #1.bin", "file", 5_000_000, True, True], "content": digest,
        "range": big.read_bytes()[1_000_000:1_000_100].hex(), "moved": True, "left": False,
        "locked": 423, "withToken": True, "unlocked": "done", "missing": 404}
    unlocked = hashlib.sha256(b"unlocked").hexdigest()
    assert digests(pathlib.Path(site.path("by node"))) == {
        "ä ö & 100%/copy 50% ü.bin": digest, "ä ö & 100%/moved & ß.bin": unlocked, "ä ö & 100%/streamed.bin": digest,
        "copied folder/moved & ß.bin": digest, "copied folder/streamed.bin": digest}


# --- what mounts ---


def make_local(folder):
    """A tree as people have them: {path: SHA-256}. All of its times are in the past."""
    files = {"Grüße & 100%/with blank #1.txt": b"text\n", "Grüße & 100%/more/deep.bin": os.urandom(3_000_001), "big.bin": os.urandom(8 << 20),
             "empty": b"", "run.sh": b"#!/bin/sh\n"}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (10**9, 10**9))
    (folder / "run.sh").chmod(0o755)
    return digests(folder)


class Davfs:
    """The server's folder, mounted by davfs2: its daemon is another user, so its files are where that one can reach them."""

    def __init__(self, site):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="fastfile-davfs2-"))
        self.base.chmod(0o755)
        self.path = self.base / "mounted"
        cache = self.base / "cache"
        for folder in (self.path, cache):
            folder.mkdir()
        shutil.chown(cache, "root", "davfs2")
        cache.chmod(0o775)
        (self.base / "secrets").touch(0o600)
        (self.base / "secrets").write_text(f"{self.path} {' '.join(ALICE)}\n")
        # Linux 6.18 asks for more of a folder at once than fits into davfs2's own 16 KiB, and then there is nothing to see but EINVAL.
        settings = {"secrets": self.base / "secrets", "cache_dir": cache, "delay_upload": 0, "buf_size": 256}
        if not site.plain:
            settings["trust_ca_cert"] = shutil.copy(certificate(site), self.base / "certificate.pem")
            os.chmod(self.base / "certificate.pem", 0o644)
        (self.base / "davfs2.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self.url = site.url("/")

    def mount(self):
        done = run("mount.davfs", "-o", f"conf={self.base}/davfs2.conf", self.url, str(self.path), stdin=subprocess.DEVNULL,
                   env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})  # and no proxy
        assert done.returncode == 0, done.stderr

    def unmount(self):
        """Waits until all is uploaded."""
        done = run("umount", str(self.path))
        assert done.returncode == 0, done.stdout + done.stderr

    def finish(self):
        if os.path.ismount(self.path):
            run("umount", "-l", str(self.path))
        shutil.rmtree(self.base, ignore_errors=True)


@pytest.fixture
def davfs(site):
    made = Davfs(site)
    yield made
    made.finish()


def change_as_people_do(folder):
    """With the tree of make_local() in it. Returns {path: content} of what it has then changed or made."""
    folder.joinpath("big.bin").rename(folder / "Grüße & 100%" / "moved 50% ü.bin")
    folder.joinpath("Grüße & 100%", "more").rename(folder / "less & more")
    with open(folder / "Grüße & 100%" / "with blank #1.txt", "a", encoding="ascii") as file:
        file.write("appended\n")
    # As editors save: another file, which gets the name.
    (folder / "run.sh.new").write_text("saved\n")
    (folder / "run.sh.new").rename(folder / "run.sh")
    with open(folder / "Grüße & 100%" / "moved 50% ü.bin", "r+b") as file:
        file.seek(4_000_000)
        file.write(b"inside")
    (folder / "empty").unlink()
    return {"Grüße & 100%/with blank #1.txt": b"text\nappended\n", "run.sh": b"saved\n"}


@pytest.mark.measures  # it gives up on a disk that others keep busy, and tries again after minutes
@pytest.mark.skipif(not IS_ROOT or not os.access("/dev/fuse", os.W_OK), reason="davfs2 (root and /dev/fuse)")
@needs("mount.davfs")
def test_davfs2(site, davfs, tmp_path):
    local = tmp_path / "local"
    wanted = make_local(local)
    there = pathlib.Path(site.path(davfs.base.name))
    site.mkdir(davfs.base.name)
    davfs.mount()
    mounted = davfs.path / davfs.base.name
    assert (davfs.path / "tree" / "ä ö" / "100% <&>.bin").read_bytes() == bytes(range(256))
    assert run("cp", "-a", f"{local}/.", str(mounted)).returncode == 0
    wait_for(lambda: digests(mounted) == wanted, 20 * SLOW, "sizes, which davfs2 shows when a file is closed, and the kernel a second later")
    assert int(os.stat(davfs.path / "tree/file.txt").st_mtime) == int(os.stat(site.path("tree/file.txt")).st_mtime)
    df = os.statvfs(davfs.path)
    assert 0 < df.f_bavail * df.f_frsize < df.f_blocks * df.f_frsize
    davfs.unmount()
    assert digests(there) == wanted

    davfs.mount()
    assert digests(mounted) == wanted
    # A right that a file had before it was uploaded is davfs2's secret; of others it tells the server at once.
    (mounted / "big.bin").chmod(0o755)
    assert os.stat(there / "big.bin").st_mode & stat.S_IXUSR
    for path, content in change_as_people_do(mounted).items():
        assert (mounted / path).read_bytes() == content
    change_as_people_do(local)
    wait_for(lambda: digests(there) == digests(local), 20 * SLOW, "davfs2's uploads")
    assert run("rm", "-r", str(mounted)).returncode == 0
    davfs.unmount()
    assert not there.exists()
    assert not list(davfs.base.glob("cache/*/lost+found/*")), "what could not be uploaded"


class Gvfs:
    """gio, as GNOME Files does it, with a message bus of its own."""

    def __init__(self, site):
        # Sockets have short names.
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="fastfile-gvfs-"))
        self.uri = site.url("").replace("http", "dav", 1)
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.base), "XDG_RUNTIME_DIR": str(self.base), "LC_ALL": "C.UTF-8",
                            "GIO_USE_VOLUME_MONITOR": "unix"}
        with open(self.base / "log", "ab") as log:
            self.bus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--print-address"], env=self.environment,
                                        stdout=subprocess.PIPE, stderr=log, text=True)
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = self.bus.stdout.readline().strip()

    def at(self, path):
        return self.uri + urllib.parse.quote("/" + path)

    def __call__(self, *arguments, **options):
        done = run("gio", *map(str, arguments), env=self.environment, **options)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def copy_tree(self, folder, name):
        self("mkdir", self.at(name))
        for path in sorted(folder.rglob("*")):
            there = self.at(f"{name}/{path.relative_to(folder)}")
            self(*(["mkdir"] if path.is_dir() else ["copy", path]), there)

    def finish(self):
        """Those that serve a mount end with the bus."""
        self.bus.terminate()
        self.bus.wait(10 * SLOW)
        self.bus.stdout.close()
        shutil.rmtree(self.base, ignore_errors=True)


@pytest.fixture
def gvfs(site):
    made = Gvfs(site)
    yield made
    made.finish()


@needs("gio")
@needs("dbus-daemon")
@needs("/usr/libexec/gvfsd-dav")
def test_gvfs(site, gvfs, tmp_path):
    local, name = tmp_path / "local", "gvfs " + gvfs.base.name
    wanted = make_local(local)
    there = pathlib.Path(site.path(name))
    # It asks whether to go on with a certificate that it does not know; 1 is yes.
    gvfs("mount", gvfs.at(""), input="1\n" * (not site.plain) + "\n".join(ALICE) + "\n")
    assert sorted(gvfs("list", gvfs.at("tree/ä ö")).splitlines()) == ["100% <&>.bin", "with blank.txt"]
    gvfs.copy_tree(local, name)
    assert digests(there) == wanted
    assert re.search(r"filesystem::free: [1-9]", gvfs("info", "-f", gvfs.at("")))
    assert re.search(r"size: +8388608\n", gvfs("info", gvfs.at(name + "/big.bin")))
    gvfs("move", gvfs.at(name + "/big.bin"), gvfs.at(name + "/Grüße & 100%/moved 50% ü.bin"))
    gvfs("rename", gvfs.at(name + "/Grüße & 100%/more"), "less & more")
    gvfs("copy", gvfs.at(name + "/run.sh"), gvfs.at(name + "/Grüße & 100%/copy #2.sh"))
    for content in ("saved", "saved again"):
        gvfs("save", gvfs.at(name + "/run.sh"), input=content)
    gvfs("remove", gvfs.at(name + "/empty"))
    assert gvfs("cat", gvfs.at(name + "/run.sh")) == "saved again"
    gvfs("copy", gvfs.at(name + "/Grüße & 100%/moved 50% ü.bin"), tmp_path / "back.bin")
    assert hashlib.sha256((tmp_path / "back.bin").read_bytes()).hexdigest() == wanted["big.bin"]
    assert digests(there) == {
        "Grüße & 100%/with blank #1.txt": wanted["Grüße & 100%/with blank #1.txt"], "Grüße & 100%/moved 50% ü.bin": wanted["big.bin"],
        "Grüße & 100%/less & more/deep.bin": wanted["Grüße & 100%/more/deep.bin"], "Grüße & 100%/copy #2.sh": wanted["run.sh"],
        "run.sh": hashlib.sha256(b"saved again").hexdigest()}
    gvfs("mount", "-u", gvfs.at(""))
