"""The servers whose power is cut. Each has a `disk` to mount something on, and serves a folder of that."""
import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time

import processes
import server as fastfile
from client import Connection, wait_for
from loop_fs import PATH
from machine import USER, free_port
from model import REPLACES


def is_running(pid):
    """Not so a zombie, which may have to wait for init."""
    try:
        return processes.status(pid, "State")[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class FastFile:
    auth = fastfile.ALICE
    hides = ".fastfile"  # names that begin so are never shown
    other = True  # its folder has one on another file system
    is_exact = True  # 201 is for what is new, 204 for the rest

    def __init__(self, *options):
        self.server = fastfile.Server(*options, plain=True, start=False, dir_name="disk/files")
        self.folder = self.server.dir
        self.disk = os.path.dirname(self.folder)

    def start(self):
        self.server.start()

    @staticmethod
    def methods():
        return {"PUT", "DELETE", "MKCOL", "COPY", "MOVE", "PATCH", REPLACES}

    def pids(self):
        return [pid for pids in self.server.roles().values() for pid in pids]

    def kill(self):
        pids = self.pids()
        self.server.kill()
        self.server.check_log()
        wait_for(lambda: not any(map(is_running, pids)), 10, "the end of the server", interval=0.002)

    def connect(self):
        return self.server.connect()

    def url(self, path):
        return f"http://localhost:{self.server.port}{path}"

    def listing(self):
        """All paths that the server shows; folders end in a slash."""
        found, waiting = set(), ["/"]
        with self.connect() as connection:
            while waiting:
                folder = waiting.pop()
                response = connection.request("GET", folder, auth=self.auth, fields={"Accept": "application/json"})
                assert response.status == 200, response
                for entry in response.json()["entries"]:
                    path = folder + entry["name"] + "/" * (entry["type"] == "folder")
                    found.add(path)
                    if entry["type"] == "folder":
                        waiting.append(path)
        return found

    def finish(self):
        self.server.finish()


@functools.cache
def nginx_program():
    """Where nginx is: Debian's package, unpacked and not installed, as it would come with a service. None where it cannot be had."""
    if found := shutil.which("nginx", path=PATH):
        return found
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "fastfile-nginx")
    program = os.path.join(cache, "usr/sbin/nginx")
    try:
        if not os.path.exists(program):
            with tempfile.TemporaryDirectory() as folder:
                quietly(["apt-get", "-q", "-o", "APT::Sandbox::User=", "download", "nginx"], folder)
                os.makedirs(cache, exist_ok=True)
                quietly(["dpkg-deb", "-x", os.path.join(folder, os.listdir(folder)[0]), cache], folder)
        quietly([program, "-V"], "/")
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None
    return program


def quietly(command, folder):
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


NGINX = """
user {user};
worker_processes 2;
daemon off;
pid {base}/pid;
error_log {base}/log;
events {{ }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {disk}/.temporary;
    proxy_temp_path {base}/proxy;
    fastcgi_temp_path {base}/fastcgi;
    uwsgi_temp_path {base}/uwsgi;
    scgi_temp_path {base}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder};
        dav_methods PUT DELETE MKCOL COPY MOVE;
    }}
}}
"""


class Nginx:
    """What it acknowledges is in memory only. (Uploads on their way are on the same file system, so that they are renamed.)"""
    auth = None
    hides = None
    other = False
    is_exact = False

    def __init__(self):
        self.base = tempfile.mkdtemp(prefix="nginx-")
        os.chmod(self.base, 0o755)
        self.disk = os.path.join(self.base, "disk")
        self.folder = os.path.join(self.disk, "files")
        os.mkdir(self.disk)
        self.port = free_port()
        self.process = None
        with open(os.path.join(self.base, "conf"), "w", encoding="ascii") as file:
            file.write(NGINX.format(user=USER.pw_name, base=self.base, disk=self.disk, folder=self.folder, port=self.port))

    def start(self):
        self.process = subprocess.Popen([nginx_program(), "-e", os.path.join(self.base, "log"), "-c", os.path.join(self.base, "conf")],
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        wait_for(self.answers, 10, "nginx", interval=0.01)

    def answers(self):
        assert self.process.poll() is None, "nginx ended"
        with contextlib.suppress(OSError), self.connect():
            return True
        return False

    @staticmethod
    def methods():
        return {"PUT", "DELETE", "MKCOL", "COPY", "MOVE"}

    def kill(self):
        group = self.process.pid
        os.killpg(group, signal.SIGKILL)
        self.process.wait()
        self.process = None
        deadline = time.monotonic() + 10
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(group, 0)
                time.sleep(0.002)

    def connect(self):
        return Connection(("127.0.0.1", self.port))

    def url(self, path):
        return f"http://localhost:{self.port}{path}"

    @staticmethod
    def listing():
        return None  # it shows whatever is there

    def finish(self):
        if self.process:
            self.kill()
        shutil.rmtree(self.base, ignore_errors=True)
