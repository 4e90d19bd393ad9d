"""A server as a tree of processes: started, watched and ended.

Figures are sums over all processes of the tree. What /proc does not let us read makes a figure unknown (None),
never too small.
"""
import contextlib
import os
import signal
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
OWN = ("Pss_Anon:", "Pss_Shmem:")
GONE = (FileNotFoundError, ProcessLookupError)


def stat_fields(pid):
    """/proc/PID/stat after the name: [0] state, [1] parent, [13] and [14] CPU ticks of children waited for."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def cpu_clock(pid):
    """CPU seconds of a process with all its threads, to the nanosecond; /proc has only ticks of 10 ms."""
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3), which Python lacks


def ended(process):
    """Without waiting for it: until then its number cannot become anybody else's."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


class Tree:
    def __init__(self):
        self.started = []  # subprocess.Popen, each the leader of its own session

    def start(self, command, log, **options):
        with open(log, "ab") as output:
            self.started.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                                 start_new_session=True, **options))

    def has_ended(self):
        return any(map(ended, self.started))

    def stop(self, patience=3):
        """Asks each to end, then ends what is left of its session: nothing that start() did not make."""
        for process in reversed(self.started):
            process.terminate()
        deadline = time.monotonic() + patience
        for process in self.started:
            while not ended(process) and time.monotonic() < deadline:
                time.sleep(0.01)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.started = []

    def pids(self):
        children = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(*GONE):
                children.setdefault(int(stat_fields(name)[1]), []).append(int(name))
        found = [process.pid for process in self.started]
        for pid in found:  # grows while it is gone through
            found += children.get(pid, [])
        return found

    def cpu(self):
        """CPU seconds until now, with those of children that ended."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                total += cpu_clock(pid) + sum(map(int, stat_fields(pid)[13:15])) / TICKS
        return total

    def memory(self, *kinds):
        """Bytes of user-space memory; a page that several processes share counts once (PSS). None if unknown.

        OWN leaves out mapped files: their share also depends on who else on the machine maps the same library.
        """
        names = kinds or ("Pss:",)
        return self._sum("smaps_rollup", lambda file: sum(
            int(line.split()[1]) * 1024 for line in file if line.startswith(names)))

    def resident(self):
        """Bytes, with shared pages once for each process: cheap, for watching a peak."""
        return self._sum("statm", lambda file: int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))

    def _sum(self, name, read):
        total = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/{name}", encoding="ascii") as file:
                    total += read(file)
            except GONE:
                pass  # it ended meanwhile
            except PermissionError:
                return None
        return total
