"""The file manager and the plain listing in Chromium; uploads are in a file of their own, as they take long."""
import pytest
from browser import SCRIPTS, check, needs_browser, run_script, scenarios  # noqa: F401

pytestmark = needs_browser


@pytest.mark.parametrize("script, name", scenarios([name for name in SCRIPTS if name != "upload"]))
def test_browser(run_script, script, name):  # noqa: F811
    check(run_script, script, name)
