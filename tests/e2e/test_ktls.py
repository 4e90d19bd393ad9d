"""Who seals the records of large files: the kernel where it can and is asked to, otherwise the server itself."""
import hashlib
import re

import machine
import pytest
from machine import os
from server import ALICE, TLS_MODE

pytestmark = pytest.mark.skipif(TLS_MODE != "", reason="--tls is said to every server already")
HAS_TLS = bool(machine.kernel_tls_counters())


def test_kernel_that_is_asked_for(make_server):
    server = make_server(start=False)
    server.options += ["--tls", "kernel"]
    if not HAS_TLS:
        code, log = server.run_to_failure()
        assert code == 1 and "--tls kernel" in log and "modprobe tls" in log
        return
    server.start()
    before = machine.kernel_tls_counters()["TlsTxSw"]
    content = os.urandom(3_000_000)
    server.write("file", content)
    assert hashlib.sha256(server.get("/file", auth=ALICE).body).digest() == hashlib.sha256(content).digest()
    assert machine.kernel_tls_counters()["TlsTxSw"] == before + 1


def is_trusted():
    major, minor, patch = machine.kernel_version()
    return patch >= {(6, 12): 104, (6, 18): 45}.get((major, minor), float("inf"))


@pytest.mark.parametrize("options", [[], ["--tls", "auto"], ["--tls", "user"]], ids=["default", "auto", "user"])
def test_who_seals(make_server, options):
    """With auto the kernel does where it is known to do it right."""
    server = make_server(*options)
    before = machine.kernel_tls_counters()  # the start tries it out too
    content = os.urandom(3_000_000)
    server.write("file", content)
    assert server.get("/file", auth=ALICE).body == content
    by_kernel = HAS_TLS and is_trusted() and "user" not in options
    assert machine.kernel_tls_counters().get("TlsTxSw", 0) == before.get("TlsTxSw", 0) + by_kernel


def test_check_speaks_of_it(make_server):
    said = make_server(start=False).run("check").stdout
    line, advice = re.search(r"^Kernel TLS +(.*)\n(?: +-> (.*)\n)?", said, re.M).groups("")
    if not HAS_TLS:
        assert line.startswith("no: ") and "modprobe tls" in advice and "/etc/modules-load.d/tls.conf" in advice
    elif not is_trusted():
        assert line.startswith("there, but not used") and "--tls kernel" in advice
    else:
        assert line.startswith("yes: ") and advice == ""
