"""The file manager's uploads in Chromium."""
import pytest
from browser import check, needs_browser, run_script, scenarios  # noqa: F401

pytestmark = needs_browser


@pytest.mark.parametrize("script, name", scenarios(["upload"]))
def test_browser_uploads(run_script, script, name):  # noqa: F811
    check(run_script, script, name)
