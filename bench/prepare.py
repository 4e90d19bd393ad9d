"""What a run needs before it measures: packages, the product, a folder of files, a certificate, an ordinary user."""
import contextlib
import glob
import os
import platform
import pwd
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(HERE)
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
TOOLS = ("hey", "wrk", "curl", "openssl")
PACKAGES = ("gcc", "libc6-dev", "meson", "ninja-build", "pkg-config", "libssl-dev", "liburing-dev", "libcrypt-dev",
            "libseccomp-dev", "libinih-dev", "libexpat1-dev", "libcmocka-dev")
IS_ROOT = os.geteuid() == 0
# Servers and clients each need one descriptor a connection; a limit of millions makes some servers slow.
DESCRIPTORS = 65536
POLICY = "/usr/sbin/policy-rc.d"


# --- packages and build -------------------------------------------------------------------------------------

def is_installed(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}\n", package], capture_output=True, text=True,
                          check=False)
    return "installed" in done.stdout.split()  # a line for each architecture


def install(packages):
    """Installs what is missing. Returns why that did not work, in one line, or ''."""
    missing = [choice for choice in packages if not any(map(is_installed, choice.split("|")))]
    if not missing:
        return ""
    with no_new_services():
        done = subprocess.run([f"{PROJECT}/tools/install-packages", *missing], text=True, stderr=subprocess.PIPE,
                              stdout=sys.stderr, check=False)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["?"])[0]


@contextlib.contextmanager
def no_new_services():
    """Packages of servers come with services. Those that are new are neither started nor left enabled."""
    as_root = [] if IS_ROOT else ["sudo"]
    before = services()
    forbid = not os.path.exists(POLICY) and (IS_ROOT or shutil.which("sudo"))
    if forbid:  # invoke-rc.d(8) asks it
        script = f"printf '#!/bin/sh\\nexit 101\\n' >{POLICY}; chmod 755 {POLICY}"
        subprocess.run([*as_root, "sh", "-c", script], check=True)
    try:
        yield
    finally:
        if forbid:
            subprocess.run([*as_root, "rm", "-f", POLICY], check=True)
        new = sorted(services() - before)
        if new and os.path.isdir("/run/systemd/system"):
            subprocess.run([*as_root, "systemctl", "--quiet", "disable", "--now", *new], check=False)


def services():
    return {os.path.basename(path) for kind in ("service", "timer")
            for path in glob.glob(f"/lib/systemd/system/*.{kind}") if not path.endswith(f"@.{kind}")}


def install_tools():
    if why := install(TOOLS):
        sys.exit(f"bench: {why}")


def install_peers(servers):
    """Those that are there in the end."""
    there = []
    for server in servers:
        why = install(server.packages)
        if server.installed() and not why:
            there.append(server)
        else:
            print(f"{server.name} is left out: {why or 'not installed'}", file=sys.stderr)
    return there


def build():
    """The product as ./test measures it; the path of the binary."""
    if why := install(PACKAGES):
        sys.exit(f"bench: {why}")
    subprocess.run([f"{PROJECT}/tools/build", f"{PROJECT}/build-release", "--buildtype=release", "-Dtests=enabled"],
                   check=True, stdout=sys.stderr)
    return f"{PROJECT}/build-release/fastfile"


# --- the ground that all servers stand on -------------------------------------------------------------------

def host_takes_free_memory():
    """Feature 5 of virtio's balloon, VIRTIO_BALLOON_F_REPORTING."""
    def text(path):
        with open(path, encoding="ascii") as file:
            return file.read()
    return any(text(path)[5] == "1" for path in glob.glob("/sys/bus/virtio/drivers/virtio_balloon/virtio*/features"))


def loose_memory():
    """Bytes of free memory in blocks of less than 2 MiB."""
    page = os.sysconf("SC_PAGE_SIZE")
    with open("/proc/buddyinfo", encoding="ascii") as file:
        zones = [list(map(int, line.split()[4:])) for line in file]
    return sum(count * page << order for zone in zones for order, count in enumerate(zone) if page << order < 2 * MIB)


class Ground:
    """A temporary folder with everything that servers read or write.

    folder: what they serve. source: a large file to upload. certificate, key, binary: paths that the servers' user
    can read. identity: arguments for subprocess that make a server that user's, who is www-data when we are root.
    """

    def __init__(self, tmp, binary):
        self.tmp, self.folder = tmp, f"{tmp}/files"
        self.certificate, self.key = f"{tmp}/certificate.pem", f"{tmp}/key.pem"
        self.binary = shutil.copy2(binary, f"{tmp}/fastfile") if binary else None  # the checkout may be closed to him
        self.configuration = shutil.copy(f"{HERE}/openssl.cnf", f"{tmp}/openssl.cnf")
        self.user = pwd.getpwnam("www-data") if IS_ROOT else None
        self.identity = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if IS_ROOT else {}
        os.chmod(tmp, 0o755)
        os.mkdir(self.folder)
        self.give(self.folder)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-keyout", self.key, "-out", self.certificate, "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
        self.give(self.key)

    def give(self, path):
        """To the servers' user, with all below."""
        if IS_ROOT:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
            for folder, folders, names in os.walk(path):
                for name in folders + names:
                    os.chown(os.path.join(folder, name), self.user.pw_uid, self.user.pw_gid, follow_symlinks=False)

    def environment(self, home):
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": home, "TMPDIR": home,
                "XDG_CONFIG_HOME": f"{home}/config", "XDG_STATE_HOME": f"{home}/state",
                "OPENSSL_CONF": self.configuration}

    def new_folder(self, name):
        return tempfile.mkdtemp(prefix=f"{name}-", dir=self.tmp)

    def add_file(self, name, size, sparse=False):
        """Random content in blocks of 8 MiB; sparse for what should need no disk."""
        path, block = f"{self.folder}/{name}", os.urandom(min(size, 8 * MIB))
        with open(path, "wb") as file:
            for start in range(0, 0 if sparse else size, len(block)):
                file.write(block[:size - start])
            file.truncate(size)
        self.give(path)

    def keep_memory(self, size):
        """Sees to it that about `size` bytes of free memory stay with this machine.

        A virtual machine tells its host which blocks of memory are free, of 2 MiB and more, and the host takes them
        (free page reporting). Using one again costs several times what a server does with it, and how many of them a
        server meets is chance. So of every 2 MiB a little stays in use, as page cache of a file without blocks: the
        rest is free and never whole, and the kernel takes parts before it breaks whole blocks. Not where the
        temporary folder is a tmpfs, which has no page cache of holes.
        """
        step, kept = 2 * MIB, 64 * KIB
        if not host_takes_free_memory():
            return
        size += loose_memory()  # which is taken first
        size -= size % step
        with open(f"{self.tmp}/memory", "w+b", buffering=0) as file:
            file.truncate(size)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # single pages: neighbours here and in memory
            while file.read(step):
                pass
            print(f"bench: {size / GIB:.1f} GiB of free memory are kept from the host", file=sys.stderr)
            for start in range(0, size, step):
                os.posix_fadvise(file.fileno(), start + kept, step - kept, os.POSIX_FADV_DONTNEED)

    def add_listing(self, name, entries):
        """A folder of files with different sizes that take no blocks."""
        os.mkdir(f"{self.folder}/{name}")
        for i in range(entries):
            with open(f"{self.folder}/{name}/file-{i:06}.txt", "wb") as file:
                file.truncate(i * 37 % 100_000)
        self.give(f"{self.folder}/{name}")


@contextlib.contextmanager
def ground(binary):
    """A Ground with the small files, taken away afterwards, also after SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, DESCRIPTORS), hard))
    os.umask(0o022)  # the servers' user reads what we write
    tmp = tempfile.mkdtemp(prefix="fastfile-bench-")
    try:
        it = Ground(tmp, binary)
        for size in (1, 16, 100):
            it.add_file(f"{size}k.bin", size * KIB)
        yield it
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*:\s*(.*)", file.read())
    if not model and os.path.exists("/proc/device-tree/model"):
        with open("/proc/device-tree/model", encoding="utf-8") as file:
            model = re.match(r"(.*?)\0?$", file.read())
    return {"processor": model[1] if model else platform.machine(), "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB, 1),
            "kernel": platform.release(), "date": time.strftime("%Y-%m-%d")}


def make_output(path):
    """The folder for results, owned as the checkout is even when root measures: ./run builds beside it."""
    owner, made = os.stat(PROJECT), []
    folder = os.path.abspath(path)
    while not os.path.isdir(folder):
        made.append(folder)
        folder = os.path.dirname(folder)
    os.makedirs(path, exist_ok=True)
    for folder in made if IS_ROOT else []:
        os.chown(folder, owner.st_uid, owner.st_gid)
