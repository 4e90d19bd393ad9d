"""What bench/ktls does while an emulated machine runs: starts the servers there, downloads from them, reads CPU time there.

    tests/vm/boot ... ARCH /usr/bin/python3 bench/ktls_vm.py NGINX DISCARD ROUNDS BYTES RESULT

NGINX and DISCARD are programs for that machine. RESULT is the file for the kernel's version and a record of each download, as JSON.
Round 0 warms up.
"""
import contextlib
import json
import re
import sys
import time
from dataclasses import dataclass

import prepare
from client import Connection, Target, WrongAnswer, expect
from prepare import GIB, KIB

sys.path.append(f"{prepare.PROJECT}/tests/e2e")  # behind this folder, which has a client.py too

import guest  # noqa: E402

BASE = "/tmp/bench"  # in the machine, like all paths below
CERTIFICATE, KEY = f"{BASE}/certificate.pem", f"{BASE}/key.pem"
USER = 1000  # and group
TICKS = 100  # of /proc, a second
READY_S = 60
PATIENCE_S = 300  # for a download
SETTLE_S = 0.2  # what was sent may wait to be acknowledged


def nginx(port, *, kernel):
    return [f"{BASE}/nginx", "-c", write(f"{BASE}/nginx-{port}.conf", f"""
daemon off; worker_processes 1; pid {BASE}/nginx-{port}.pid; error_log {BASE}/nginx-{port}.log;
events {{ }}
http {{
  access_log off; sendfile on; tcp_nopush on;
  client_body_temp_path {BASE}/body; proxy_temp_path {BASE}/proxy; fastcgi_temp_path {BASE}/fastcgi;
  uwsgi_temp_path {BASE}/uwsgi; scgi_temp_path {BASE}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl reuseport; root {BASE}/files;
    ssl_certificate {CERTIFICATE}; ssl_certificate_key {KEY}; ssl_protocols TLSv1.3;
    {"ssl_conf_command Options KTLS;" if kernel else ""}
  }}
}}""")]


def fastfile(port, *, kernel):
    return ["/usr/local/bin/fastfile", "--listen", f"127.0.0.1:{port}", "--threads", "1", "--no-auth",
            "--tls", "kernel" if kernel else "user", "--cert", CERTIFICATE, "--key", KEY, f"{BASE}/files"]


@dataclass(frozen=True)
class Server:
    name: str
    command: object  # function of a port
    kernel: bool     # it seals


SERVERS = [Server("nginx, kernel TLS", nginx, True), Server("nginx", nginx, False),
           Server("fastfile, kernel TLS", fastfile, True), Server("fastfile, user TLS", fastfile, False)]


# --- the machine's files ----------------------------------------------------------------------------------------

def write(path, content, mode=0o644):
    with guest.open_file(path, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    guest.chmod(path, mode)
    guest.chown(path, USER, USER)
    return path


def read(path):
    return guest.open_file(path).read()


def furnish(ground, nginx_binary, discard):
    """Puts there what servers read."""
    for folder in (BASE, f"{BASE}/files"):
        guest.mkdir(folder, 0o755)
        guest.chown(folder, USER, USER)
    copies = [(nginx_binary, f"{BASE}/nginx", 0o755), (discard, f"{BASE}/discard", 0o755),
              (ground.certificate, CERTIFICATE, 0o644), (ground.key, KEY, 0o600), (ground.configuration, f"{BASE}/openssl.cnf", 0o644)]
    copies += [(f"{ground.folder}/{name}", f"{BASE}/files/{name}", 0o644) for name in ("1k.bin", "large.bin")]
    for source, path, mode in copies:
        with open(source, "rb") as file:
            write(path, file.read(), mode)
    guest.Process(["sync"], {"PATH": "/bin"}, "/", 0, 0).wait()  # or the disk would be written to while we measure


# --- its processes and clocks -----------------------------------------------------------------------------------

def stat_fields(pid):
    """/proc/PID/stat after the name: [0] state, [1] parent, [11] and [12] ticks of CPU, [13] and [14] those of children waited for."""
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def descendants(pid):
    children = {}
    for name in filter(str.isdigit, guest.listdir("/proc")):
        with contextlib.suppress(OSError):  # it ended meanwhile
            children.setdefault(int(stat_fields(name)[1]), []).append(int(name))
    found = [pid]
    for one in found:  # grows while it is gone through
        found += children.get(one, [])
    return found


def machine_cpu():
    """Seconds that all its processors were busy, whoever that was for."""
    user, nice, system, _, _, irq, softirq, _ = map(int, read("/proc/stat").split()[1:9])
    return (user + nice + system + irq + softirq) / TICKS


def sealed_by_kernel():
    """Connections that were given to the kernel until now."""
    return int(re.search(r"TlsTxSw\s+(\d+)", read("/proc/net/tls_stat"))[1])


class Running:
    """A server that answers."""

    def __init__(self, server, port):
        self.server, self.target, log = server, Target(port), f"{BASE}/{port}.log"
        environment = {"PATH": "/bin", "HOME": BASE, "OPENSSL_CONF": f"{BASE}/openssl.cnf"}
        self.process = guest.Process(server.command(port, kernel=server.kernel), environment, BASE, USER, USER, "/dev/null", log, log)
        deadline = time.monotonic() + READY_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{server.name} does not serve:\n{read(log)}")
            time.sleep(0.2)
        self.pids = descendants(self.process.pid)

    def answers(self):
        try:
            with Connection(self.target) as connection:
                connection.get("/1k.bin", KIB)
                spoken = connection.socket.version(), connection.socket.cipher()[0]
        except OSError:
            return False
        expect(spoken == ("TLSv1.3", "TLS_AES_128_GCM_SHA256"), f"{self.server.name} negotiates {spoken}")
        return True

    def cpu(self):
        """CPU seconds of all its processes."""
        return sum(int(ticks) for pid in self.pids for ticks in stat_fields(pid)[11:15]) / TICKS


# --- a download, in two ways -------------------------------------------------------------------------------------

@contextlib.contextmanager
def meter(it):
    """Fills a dict with CPU seconds: the server's, and the whole machine's, where the kernel's own threads are among them."""
    got = {}
    server, machine = it.cpu(), machine_cpu()
    yield got
    time.sleep(SETTLE_S)
    got.update(server=it.cpu() - server, machine=machine_cpu() - machine)


def network(it, content):
    """To a client out here, which compares every byte. The connection is used already, so that no handshake counts."""
    with Connection(it.target, timeout=PATIENCE_S) as connection:
        connection.get("/1k.bin", KIB)
        with meter(it) as got:
            body = connection.get("/large.bin", len(content))
    expect(body == content, "what came is not the file")
    return got


def loopback(it, content):
    """To bench/discard.c in there, whose own time does not count."""
    said = f"{BASE}/said"
    with meter(it) as got:
        command = [f"{BASE}/discard", str(it.target.port), "/large.bin", str(len(content))]
        client = guest.Process(command, {"PATH": "/bin"}, BASE, USER, USER, "/dev/null", said, said)
        client.wait(PATIENCE_S)
    last = read(said).splitlines()[-1]
    expect(client.returncode == 0, last)
    got["machine"] -= int(last) / 1e6
    return got


WAYS = {"loopback": loopback, "network": network}


def measure(it, way, content):
    sealed = sealed_by_kernel()
    try:
        got = WAYS[way](it, content)
        expect((sealed_by_kernel() > sealed) == it.server.kernel, f"the kernel sealed {'nothing' if it.server.kernel else 'something'}")
    except (OSError, WrongAnswer, guest.TimeoutExpired) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {f"{whose}_s_gib": seconds / (len(content) / GIB) for whose, seconds in got.items()}


def main():
    nginx_binary, discard, rounds, size, path = *sys.argv[1:3], *map(int, sys.argv[3:5]), sys.argv[5]
    with prepare.ground(None) as ground:
        ground.add_file("large.bin", size)
        with open(f"{ground.folder}/large.bin", "rb") as file:
            content = file.read()
        furnish(ground, nginx_binary, discard)
    port = guest.where()[1] + 1
    running = [Running(server, port + number) for number, server in enumerate(SERVERS)]
    records = []
    for number in range(1 + rounds):
        turn = number % len(running)
        for way in WAYS:
            for it in running[turn:] + running[:turn]:
                found = measure(it, way, content)
                if number > 0 or "error" in found:
                    records.append({"round": number, "way": way, "server": it.server.name, **found})
        print(f"round {number} of {rounds}", file=sys.stderr)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"kernel": read("/proc/version").split()[2], "records": records}, file)


if __name__ == "__main__":
    main()
