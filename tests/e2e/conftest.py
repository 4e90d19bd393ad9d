"""Fixtures: servers that are started for a test, and that have to end well after it."""
import contextlib
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import server as server_module  # noqa: E402


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
    before = module_server.roles()
    yield module_server
    module_server.check_log()
    assert module_server.process.poll() is None, module_server.log()
    after = module_server.roles()
    assert after.get("gate") == before.get("gate") and after.get("home") == before.get("home"), \
        f"a process died:\n{module_server.log()}"


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
