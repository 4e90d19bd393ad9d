"""Fixtures: servers that are started for a test, and that have to end well after it."""
import contextlib
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import machine  # noqa: E402
import server as server_module  # noqa: E402


NOT_IN_THE_VM = {
    "test_browser": "a browser is slow enough",
    "test_browser_uploads": "a browser is slow enough",
    "test_load": "it measures",
    "test_sandbox": "a debugger would have to be inside",
}


# Other tests would be part of what these measure, so ./test lets them run alone; so are single tests with that mark.
MEASURES = {"test_load", "test_lock_attack", "test_propfind", "test_propfind_large", "test_slow_files", "test_stress", "test_upload_memory"}


def pytest_configure(config):
    config.addinivalue_line("markers", "measures: compares times or memory, so nothing else should run beside it")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.module.__name__ in MEASURES:
            item.add_marker(pytest.mark.measures)
        if reason := NOT_IN_THE_VM.get(item.module.__name__):
            item.add_marker(machine.not_in_the_vm(reason))


@pytest.fixture(autouse=True, scope="session")
def the_kernel_has_sealed():
    """With FASTFILE_TLS=kernel: that the kernel has indeed done it."""
    before = machine.kernel_tls_counters()
    yield
    if server_module.TLS_MODE == "kernel":
        after = machine.kernel_tls_counters()
        print(f"/proc/net/tls_stat: {after}")
        assert after.get("TlsTxSw", 0) > before.get("TlsTxSw", 0), "no connection was sealed by the kernel"
        assert after["TlsDecryptError"] == 0, "the kernel is not asked to open anything"


def pytest_sessionfinish():
    with contextlib.suppress(FileNotFoundError):
        os.unlink(server_module.EXECUTABLE_COPY)


@pytest.fixture(scope="module")
def module_server():
    made = server_module.Server()
    yield made
    made.finish()


@pytest.fixture
def server(module_server):
    """A server with alice and the read-only bob, shared by the tests of one file; its log is checked
    after each of them, and it has to be the same processes as before."""
    before = {role: module_server.pid_of(role) for role in ("gate", "home")}  # gate may answer before home is there
    yield module_server
    module_server.check_log()
    assert module_server.process.poll() is None, module_server.log()
    after = module_server.roles()
    assert all(after.get(role) == [pid] for role, pid in before.items()), f"a process died:\n{module_server.log()}"


@pytest.fixture
def make_server():
    """make_server(...): a server of the test's own (see Server)."""
    made = []

    def make(*arguments, **options):
        made.append(server_module.Server(*arguments, **options))
        return made[-1]

    yield make
    problems = []
    for one in made:
        try:
            one.finish()
        except AssertionError as error:
            problems.append(error)
    if problems:
        raise problems[0]


@pytest.fixture
def as_root():
    if not server_module.IS_ROOT:
        pytest.skip("what only root can start (this is an ordinary user)")
