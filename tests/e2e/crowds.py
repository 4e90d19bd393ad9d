"""For tests with many clients at once: import both, the fixture works by being there."""
import contextlib
import os
import resource

import pytest


@pytest.fixture(autouse=True, scope="module")
def many_descriptors():
    """As many for this process, and for the servers that it starts, as it can have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if os.geteuid() == 0 and hard != resource.RLIM_INFINITY:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (65536, max(hard, 65536)))
            return
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def needs_descriptors(count):
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        pytest.skip(f"{count} open files (only {soft} are allowed)")
