"""litmus, which asks a WebDAV server what RFC 4918 asks."""
import shutil
import subprocess

import pytest
from machine import not_in_the_vm
from server import ALICE, SLOW, Server

pytestmark = pytest.mark.skipif(not shutil.which("litmus"), reason="litmus (it is not there)")


@pytest.fixture(scope="module", params=[pytest.param("plain", marks=not_in_the_vm("nothing is sealed")), "TLS"])
def site(request):
    made = Server(plain=request.param == "plain")
    yield made
    made.finish()


@pytest.mark.parametrize("suite, tests", [("basic", 16), ("copymove", 13), ("http", 4), ("props", 30), ("locks", 41)])
def test_litmus(site, tmp_path, suite, tests):
    """It asks for no certificate. With TLS it leaves one test out itself, which is of Expect: 100-continue."""
    skipped = int(suite == "http" and not site.plain)
    done = subprocess.run(["litmus", "-k", site.url("/"), *ALICE], cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "TESTS": suite},
                          capture_output=True, text=True, timeout=100 * SLOW, check=False)
    assert f"of {tests - skipped} tests run: {tests - skipped} passed, 0 failed" in done.stdout, done.stdout
    assert "WARNING" not in done.stdout and done.stdout.count("SKIPPED") == skipped, done.stdout
