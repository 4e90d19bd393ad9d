"""Programs that speak WebDAV."""
import hashlib
import json
import re
import shutil
import subprocess

import pytest
from machine import not_in_the_vm
from server import ALICE, SLOW, Server

pytestmark = not_in_the_vm("the programs are outside")


def needs(program):
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

    def ask(*arguments):
        done = run("rclone", "--retries", "1", *arguments, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

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


@needs("litmus")
@pytest.mark.parametrize("suite, tests", [("basic", 16), ("copymove", 13), ("http", 4), ("props", 30), ("locks", 41)])
def test_litmus(plain_site, tmp_path, suite, tests):
    said = run("litmus", "-k", plain_site.url("/"), *ALICE, cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "TESTS": suite}).stdout
    assert f"of {tests} tests run: {tests} passed, 0 failed" in said, said
