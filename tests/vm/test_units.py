"""The unit tests of a cross build, each run in the virtual machine. FASTFILE_UNITS is the build folder."""
import glob
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))

import guest  # noqa: E402
import machine  # noqa: E402

PROGRAMS = sorted(path for path in glob.glob(os.path.join(os.environ["FASTFILE_UNITS"], "test_*")) if os.path.isfile(path))


@pytest.fixture(scope="module")
def folder():
    made = machine.make_folder("units-")
    guest.chmod(made, 0o777)
    yield made
    machine.remove_folder(made)


# What is the same on every machine, and slow on this one.
SEEN_ELSEWHERE = {f"test_{name}" for name in ("auth_passwd", "auth_password", "auth_session", "auth_throttle", "auth_users", "exchange_body",
                                              "monitor_forward")}


@pytest.mark.parametrize("path", PROGRAMS, ids=os.path.basename)
def test_unit(folder, path):
    if os.path.basename(path) in SEEN_ELSEWHERE:
        pytest.skip("the same on every machine")
    copy = f"{folder}/{os.path.basename(path)}"
    with open(path, "rb") as here, guest.open_file(copy, "wb") as there:
        there.write(here.read())
    guest.chmod(copy, 0o755)
    environment = {"PATH": "/usr/local/bin:/bin", "HOME": folder, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = machine.run([copy], environment, folder, {"user": machine.USER.pw_uid, "group": machine.USER.pw_gid}, 240)
    guest.unlink(copy)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
