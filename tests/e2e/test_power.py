"""Power cuts: what was acknowledged is there afterwards. `tests/power/run` makes as many as one likes.

And that this harness would find what is lost: in servers that do not write through, in ways of their own.
"""
import os
import sys

import loop_fs
import pytest
from faults import PRETEND, Faults
from server import IO, PROJECT, SANITIZER, SLOW

sys.path.insert(0, os.path.join(PROJECT, "tests", "power"))

from cuts import Campaign  # noqa: E402
from servers import FastFile, Nginx, nginx_program  # noqa: E402

pytestmark = pytest.mark.skipif(bool(loop_fs.missing()), reason=f"{loop_fs.missing()}")

CYCLES = 20 if SLOW == 1 else 4
LOSING_CYCLES = 100  # at most; often the first one suffices


@pytest.fixture
def campaign():
    made = []

    def make(server, mount_options=""):
        made.append(Campaign(server, mount_options))
        return made[-1]

    yield make
    for one in made:
        one.finish()


@pytest.mark.parametrize("mount_options", ["", "noauto_da_alloc"], ids=["default", "noauto_da_alloc"])
def test_nothing_is_lost(campaign, mount_options):
    report = campaign(FastFile(), mount_options).run(CYCLES)
    print(report)
    assert report.is_good, report
    assert report.acknowledged["PUT"] >= CYCLES and report.acknowledged["MOVE across"] > 0, report


def losses(campaign):
    """Whether the harness finds some."""
    for _ in range(LOSING_CYCLES):
        report = campaign.run(1)
        if report.lost + report.torn:
            return True
    return False


@pytest.mark.skipif(SANITIZER != "" or IO is not None, reason="what a server loses that does not write through, which is the same")
class TestItFindsLosses:
    @pytest.mark.parametrize("call", ["fsync", "fsync_folder", "syncfs"])
    def test_of_a_server_without(self, campaign, call):
        """Of its calls that write through one does nothing."""
        server = FastFile()
        Faults(server.server).set(call, PRETEND)
        assert losses(campaign(server))

    def test_of_a_server_that_shall_not_write_through(self, campaign):
        assert losses(campaign(FastFile("--durability", "none")))

    @pytest.mark.parametrize("mount_options", ["", "noauto_da_alloc"], ids=["default", "noauto_da_alloc"])
    def test_of_nginx(self, campaign, mount_options):
        if not nginx_program():
            pytest.skip("power cuts of nginx (it cannot be had)")
        assert losses(campaign(Nginx(), mount_options))
