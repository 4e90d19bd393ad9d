"""Who seals the records of large files: the kernel where it can and is asked to, otherwise the server itself."""
import hashlib

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
    before = machine.kernel_tls_counters()["TlsTxSw"]
    server.start()
    content = os.urandom(3_000_000)
    server.write("file", content)
    assert hashlib.sha256(server.get("/file", auth=ALICE).body).digest() == hashlib.sha256(content).digest()
    assert machine.kernel_tls_counters()["TlsTxSw"] == before + 1


def test_user_space_that_is_asked_for(make_server):
    before = machine.kernel_tls_counters()
    server = make_server("--tls", "user")
    content = os.urandom(3_000_000)
    server.write("file", content)
    assert server.get("/file", auth=ALICE).body == content
    assert machine.kernel_tls_counters().get("TlsTxSw") == before.get("TlsTxSw")


def test_check_speaks_of_it(make_server):
    said = make_server(start=False).run("check").stdout
    line = next(line for line in said.splitlines() if line.startswith("Kernel TLS"))
    assert "no:" not in line if HAS_TLS else "no:" in line
