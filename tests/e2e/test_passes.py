"""What tests/vm/passes makes of a pass that does not come to its end, with a pytest that only pretends."""
import os
import subprocess

import machine
import pytest
from server import IO, PROJECT, SANITIZER

pytestmark = [machine.not_in_the_vm("it is about the machine that the VM runs on"),
              pytest.mark.skipif(SANITIZER != "" or IO is not None, reason="a script, which is the same")]

# Leaves results at once, as pytest does not. HANGS says in which of its runs it then hangs, with a minus: whatever it is told.
PRETENDER = r"""#!/bin/bash
for argument; do case $argument in --junitxml=*) results=${argument#*=} ;; esac; done
echo run >>"$results.runs"
run=$(wc -l <"$results.runs")
echo "results of run $run" >"$results"
case " $HANGS " in *" -$run "*) trap '' INT ;; esac
case " $HANGS " in *[\ -]"$run "*) exec sleep 20 ;; esac
exit "$CODE"
"""


@pytest.mark.parametrize("hangs, code, runs, kept", [
    ("", 0, 1, "results of run 1\n"),
    ("", 1, 1, "results of run 1\n"),    # tests that failed have results
    ("1", 0, 2, "results of run 2\n"),   # once more, and that counts
    ("1", 1, 2, "results of run 2\n"),
    ("-1", 0, 2, "results of run 2\n"),
    ("1 2", 0, 2, None),                 # half of the results are none: ./test then counts a failure
    ("1 -2", 0, 2, None),
], ids=["passes", "fails", "hangs-once", "hangs-then-fails", "is-killed-once", "hangs-twice", "is-killed-in-the-end"])
def test_a_pass_that_is_cut_off(tmp_path, hangs, code, runs, kept):
    pretender, results = tmp_path / "pretender", tmp_path / "units.xml"
    pretender.write_text(PRETENDER)
    pretender.chmod(0o755)
    done = subprocess.run([os.path.join(PROJECT, "tests/vm/passes"), tmp_path, "units"], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "FASTFILE_PYTEST": str(pretender), "FASTFILE_PASS_SECONDS": "1", "HANGS": hangs, "CODE": str(code)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("once more") == runs - 1, done.stdout
    assert len((tmp_path / "units.xml.runs").read_text().splitlines()) == runs
    assert (results.read_text() if results.exists() else None) == kept
