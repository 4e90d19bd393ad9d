"""The three processes: how they start, fail to start, die, come back, reload and end."""
import contextlib
import re
import signal
import socket
import threading
import time

import pytest
import processes
from client import ClosedEarly, basic, wait_for
from machine import not_in_the_vm, open, os
from server import ALICE, BOB, SLOW, free_port, own


def new_pid(server, role, old, within):
    """Waits for another process with that role and for an answer; returns (pid, seconds it took)."""
    started = time.monotonic()

    def back():
        pids = server.roles().get(role, [])
        return pids and pids != [old] and server.answers() and pids

    pids = wait_for(back, within, f"a new {role}; the log:\n{server.log()}", interval=0.01)
    return pids[0], time.monotonic() - started


# --- what runs ---------------------------------------------------------------------------------------


def test_three_roles(server):
    server.get("/")
    roles = server.roles()
    assert len(roles["gate"]) == len(roles["home"]) == 1
    assert roles["monitor"] == [server.process.pid]


@pytest.mark.parametrize("role", ["gate", "home"])
def test_what_the_kernel_says_of_a_child(server, role):
    pid = server.pid_of(role)
    assert processes.status(pid, "NoNewPrivs") == "1"
    assert processes.status(pid, "Seccomp") == "2"
    for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        assert int(processes.status(pid, kind), 16) == 0, kind


# --- death and return -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["gate", "home", "hasher"])
def test_a_killed_process_is_back_within_a_second(make_server, role):
    server = make_server()
    server.write("hello.txt", "hello")
    assert server.get("/hello.txt").body == b"hello"
    if role == "hasher" and role not in server.roles():
        pytest.skip("no process named hasher while nothing is to be hashed")
    old = server.pid_of(role)
    others = {name: pids for name, pids in server.roles().items() if name != role}
    length = len(server.log())
    os.kill(old, signal.SIGKILL)
    _, seconds = new_pid(server, role, old, 5 * SLOW)
    assert seconds < 1 * SLOW
    line = server.wait_for_log(rf"^.*{role}.*$", start=length)[0]
    assert re.search(r"signal|killed|SIGKILL", line, re.I) and line.isascii()
    assert {name: pids for name, pids in server.roles().items() if name != role} == others
    assert server.get("/hello.txt").body == b"hello"
    assert server.get("/hello.txt", auth=BOB).body == b"hello"  # a password that has to be hashed


def test_connections_at_home_survive_the_death_of_gate(make_server):
    server = make_server()
    server.write("hello.txt", "hello")
    with server.connect() as connection:
        assert connection.request("GET", "/hello.txt", auth=ALICE).status == 200
        old = server.pid_of("gate")
        os.kill(old, signal.SIGKILL)
        for _ in range(20):
            assert connection.request("GET", "/hello.txt", auth=ALICE).body == b"hello"
        new_pid(server, "gate", old, 5 * SLOW)
        assert connection.request("GET", "/hello.txt", auth=BOB).body == b"hello"  # over the monitor


def test_connections_at_gate_survive_the_death_of_home(make_server):
    server = make_server()
    server.write("hello.txt", "hello")
    server.get("/hello.txt")
    with server.connect() as connection:
        assert connection.request("GET", "/.fastfile/health").status == 200
        old = server.pid_of("home")
        os.kill(old, signal.SIGKILL)
        assert connection.request("GET", "/.fastfile/health").status == 200
        new_pid(server, "home", old, 5 * SLOW)
        assert connection.request("GET", "/hello.txt", auth=ALICE).body == b"hello"


def test_a_process_that_keeps_dying_is_not_restarted_in_a_hurry(make_server):
    server = make_server()
    seen = set()
    end = time.monotonic() + 4
    while time.monotonic() < end:
        for pid in server.roles().get("gate", []):
            seen.add(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.005)
    assert 2 <= len(seen) < 40, f"{len(seen)} restarts in 4 s"
    wait_for(server.answers, 20 * SLOW, "the server to recover")


def test_without_the_monitor_nothing_stays(make_server):
    server = make_server()
    server.get("/")
    pids = [pid for role, found in server.roles().items() if role != "monitor" for pid in found]
    assert pids
    server.process.kill()
    server.process.wait()
    server.process = None
    wait_for(lambda: not any(processes.role_of(pid) for pid in pids), 15 * SLOW, "the children to end")


def test_children_ignore_the_terminals_signals(make_server):
    """Ctrl-C reaches the whole group; only the monitor acts on it."""
    server = make_server()
    server.get("/")
    before = server.roles()
    for role in ("gate", "home"):
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(server.pid_of(role), number)
    time.sleep(0.3)
    assert server.roles() == before
    assert server.answers()


# --- the end -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once(make_server, number):
    server = make_server()
    with server.connect() as at_gate, server.connect() as at_home:
        at_gate.request("GET", "/.fastfile/health")
        at_home.request("GET", "/", auth=ALICE)
        started = time.monotonic()
        server.signal(number)
        assert at_gate.is_closed(5 * SLOW) and at_home.is_closed(5 * SLOW)
        assert server.process.wait(5 * SLOW) == 0
        assert time.monotonic() - started < 2 * SLOW


@not_in_the_vm("QEMU takes connections that the server refuses")
def test_sigterm_lets_a_download_finish(make_server):
    server = make_server()
    size = 32 << 20
    with open(server.path("big.bin"), "wb") as file:
        file.truncate(size)
    own(server.path("big.bin"))
    with server.connect(receive_buffer=8192) as connection:
        connection.send_request("GET", "/big.bin", auth=ALICE)
        assert connection.read_head().status == 200
        server.signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(OSError):
            server.connect_plain(timeout=1).close()  # nobody new is let in
        assert len(connection._exactly(size)) == size
        assert connection.is_closed()
    assert server.process.wait(5 * SLOW) == 0


def test_sigterm_waits_ten_seconds_at_most(make_server):
    server = make_server()
    with open(server.path("big.bin"), "wb") as file:
        file.truncate(256 << 20)
    own(server.path("big.bin"))
    with server.connect(receive_buffer=4096) as connection:
        connection.send_request("GET", "/big.bin", auth=ALICE)
        connection.read_head()  # and no further
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.process.wait(20 + 5 * SLOW) == 0
        assert 8 < time.monotonic() - started < 12 + 3 * SLOW


def test_a_second_sigterm_ends_it_now(make_server):
    server = make_server()
    with open(server.path("big.bin"), "wb") as file:
        file.truncate(256 << 20)
    own(server.path("big.bin"))
    with server.connect(receive_buffer=4096) as connection:
        connection.send_request("GET", "/big.bin", auth=ALICE)
        connection.read_head()
        server.signal(signal.SIGTERM)
        time.sleep(0.5)
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        server.process.wait(20 + 5 * SLOW)
        assert time.monotonic() - started < 11


# --- reload ------------------------------------------------------------------------------------------


def test_sighup_opens_the_access_log_again(make_server):
    server = make_server(start=False)
    log = os.path.join(server.base, "access.log")
    server.options += ["--access-log", log]
    server.write("hello.txt", "hello")
    server.start()
    server.get("/hello.txt?one")

    def has(path, text):
        if not os.path.exists(path):
            return False
        with open(path, encoding="ascii") as file:
            return text in file.read()

    wait_for(lambda: has(log, "/hello.txt"), 3 * SLOW, "the first line")
    os.rename(log, log + ".1")
    server.signal(signal.SIGHUP)
    wait_for(lambda: os.path.exists(log), 3 * SLOW, "a new log file")
    server.write("second.txt", "x")
    server.get("/second.txt")
    wait_for(lambda: has(log, "/second.txt"), 3 * SLOW, "a line in the new file")
    assert not has(log + ".1", "/second.txt")


def test_sighup_again_and_again_under_load(make_server):
    server = make_server()
    server.write("hello.txt", "hello")
    before = server.descriptors()
    with server.connect() as connection:
        for _ in range(30):
            server.signal(signal.SIGHUP)
            assert connection.request("GET", "/hello.txt", auth=ALICE).body == b"hello"
            assert server.get("/hello.txt").body == b"hello"
    assert server.descriptors() <= before + 2


# --- starts that fail ----------------------------------------------------------------------------------


def refused(server, *patterns):
    """The start fails with one short message in which every pattern is found."""
    code, log = server.run_to_failure()
    assert code not in (0, None) and code > 0, f"code {code}: {log}"
    message = "\n".join(line for line in log.splitlines() if line.strip())
    assert 0 < len(message.splitlines()) <= 4, message
    for pattern in patterns:
        assert re.search(pattern, message, re.I), f"{pattern!r} is not in {message!r}"


@not_in_the_vm("it takes a port of this machine")
def test_port_taken(make_server):
    server = make_server(start=False)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", server.port))
        other.listen()
        refused(server, str(server.port), r"in use|taken", r"--listen")


def test_two_servers_do_not_share_a_port(make_server):
    first = make_server()
    second = make_server(start=False)
    second.listen = first.listen
    refused(second, str(first.port), r"in use|taken")
    assert first.answers()


BAD_STARTS = {
    # options, what the message has to say
    "unknown option": (["--nonsense"], ["--nonsense", "--help"]),
    "option without value": (["--listen"], ["listen"]),
    "no port": (["--listen", "127.0.0.1"], ["127\\.0\\.0\\.1", "port|ADDR"]),
    "no address": (["--listen", "nonsense:1"], ["nonsense"]),
    "port too large": (["--listen", "127.0.0.1:70000"], ["70000"]),
    "foreign address": (["--listen", "192.0.2.1:8443"], ["192\\.0\\.2\\.1"]),
    "certificate missing": (["--cert", "/nonexistent/c.pem", "--key", "/nonexistent/k.pem"], ["/nonexistent/c\\.pem"]),
    "certificate without key": (["--cert", "/etc/hostname"], ["key"]),
    "certificate is none": (["--cert", "/etc/hostname", "--key", "/etc/hostname"], ["/etc/hostname"]),
    "users file missing": (["--users", "/nonexistent/users"], ["/nonexistent/users"]),
    "configuration missing": (["--config", "/nonexistent/config"], ["/nonexistent/config"]),
    "no-auth for the world": (["--no-auth", "--listen", "0.0.0.0:{port}"], ["no-auth", "read-only|loopback"]),
    "plain for the world": (["--plain", "--listen", "0.0.0.0:{port}"], ["plain", "plain-anywhere|loopback"]),
    "tls mode": (["--tls", "perhaps"], ["perhaps"]),
    "io mode": (["--io", "perhaps"], ["perhaps"]),
    "threads": (["--threads", "-1"], ["threads|-1"]),
    "log format": (["--log-format", "xml"], ["xml"]),
    "durability": (["--durability", "some"], ["some"]),
    "run-as of an ordinary user": (["--run-as", "root"], ["run-as"]),
    "two folders": (["/tmp", "/var"], ["folder|DIR|argument"]),
    "access log in no folder": (["--access-log", "/nonexistent/log"], ["/nonexistent/log"]),
}


@pytest.mark.parametrize("options, patterns", BAD_STARTS.values(), ids=BAD_STARTS.keys())
def test_bad_start(make_server, options, patterns):
    server = make_server(start=False)
    if "--users" in options:
        server.options = []
    server.options += [option.format(port=free_port()) for option in options]
    if "--listen" in options:
        server.listen = []
    refused(server, *patterns)


def test_folder_missing(make_server):
    server = make_server(start=False)
    os.rmdir(server.dir)
    refused(server, re.escape(server.dir), r"no such|not there|does not exist|missing")


def test_folder_is_a_file(make_server):
    server = make_server(start=False)
    os.rmdir(server.dir)
    with open(server.dir, "w", encoding="ascii"):
        pass
    refused(server, re.escape(server.dir), r"not a (folder|directory)")


def test_folder_of_somebody_else(make_server):
    server = make_server(start=False)
    os.chmod(server.dir, 0)
    refused(server, re.escape(server.dir), r"permission|not allowed|denied")
    os.chmod(server.dir, 0o755)


def test_a_folder_of_root_needs_run_as(make_server, as_root):
    server = make_server(start=False, as_root=True)
    os.chown(server.dir, 0, 0)
    refused(server, r"--run-as", re.escape(server.dir))


def test_a_broken_users_file_at_start(make_server):
    server = make_server(start=False)
    with open(server.users_path, "a", encoding="ascii") as file:
        file.write("nonsense\n")
    refused(server, re.escape(server.users_path), r"\b3\b")


def test_a_broken_configuration(make_server):
    server = make_server(start=False)
    path = os.path.join(server.base, "fastfile.ini")
    for text, pattern in (("nonsense = 1\n", "nonsense"), ("[x\nthreads=1\n", r"line|:1"), ("threads = many\n", "threads")):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        server.options = ["--config", path]
        open(server.log_path, "w", encoding="ascii").close()
        refused(server, pattern)


def test_configuration_by_file(make_server):
    server = make_server(start=False)
    path = os.path.join(server.base, "fastfile.ini")
    with open(path, "w", encoding="ascii") as file:
        file.write(f"listen = 127.0.0.1:{server.port}\nusers = {server.users_path}\nthreads = 1\nread-only = yes\n")
    server.listen, server.options = [], ["--config", path]
    server.write("hello.txt", "hello")
    server.start()
    assert server.get("/hello.txt").body == b"hello"


def test_configuration_below_the_folder_is_never_served(make_server):
    server = make_server(start=False)
    inside = server.path("etc/users")
    os.makedirs(os.path.dirname(inside))
    with open(server.users_path, "rb") as users, open(inside, "wb") as copy:
        copy.write(users.read())
    os.chmod(inside, 0o600)
    own(server.dir)
    server.options = ["--users", inside]
    server.launch()
    with contextlib.suppress(AssertionError):  # it has ended
        wait_for(server.answers, 10 * SLOW, "a start or a refusal")
    if server.process.poll() is not None:
        assert server.process.returncode > 0 and inside in server.log()
        server.process = None
        return
    response = server.get("/etc/users")
    assert response.status in (403, 404) or response.body == b""
    assert b"$y$" not in response.body


# --- the command line ----------------------------------------------------------------------------------


def test_help(server):
    done = server.run("--help")
    assert done.returncode == 0
    for word in ("fastfile [OPTIONS] [DIR]", "--listen", "--config", "--cert", "--users", "--read-only", "--no-auth", "--plain", "--tls",
                 "--io", "--threads", "--durability", "--run-as", "--access-log", "--log-format", "passwd", "check"):
        assert word in done.stdout, word
    assert max(len(line) for line in done.stdout.splitlines()) <= 100


def test_version(server):
    done = server.run("--version")
    assert done.returncode == 0 and re.fullmatch(r"fastfile \d+\.\d+\.\d+\n", done.stdout)


def test_check(server):
    done = server.run("check", server.dir)
    assert done.returncode == 0, done.stderr
    for word in ("kernel", "io_uring", "TLS", "AES"):
        assert word.lower() in done.stdout.lower(), word


def test_where_it_can_be_reached_is_printed(server):
    assert re.search(rf"https://\S*:{server.port}\b", server.log())


@not_in_the_vm("QEMU forwards IPv4 only")
@pytest.mark.parametrize("address", ["127.0.0.1:{}", "[::1]:{}"])
def test_several_addresses(make_server, address):
    port = free_port()
    server = make_server(start=False)
    server.listen.append(address.format(port))
    if "::1" in address:
        try:
            socket.socket(socket.AF_INET6).bind(("::1", 0))
        except OSError:
            pytest.skip("IPv6 (this machine has none)")
    server.start()
    url = f"https://{address.format(port)}/.fastfile/health"
    assert server.curl("-g", url).stdout == b"ok\n"
    assert server.answers()


@pytest.mark.parametrize("io", ["uring", "epoll", "auto"])
def test_plain_http_behind_a_proxy(make_server, io):
    server = make_server("--io", io, plain=True)
    server.write("hello.txt", "hello")
    assert server.get("/hello.txt").body == b"hello"
    assert server.get("/hello.txt", auth=None).status == 401


# --- descriptors and memory ------------------------------------------------------------------------------


def test_no_descriptor_is_lost(server):
    """Every kind of request, good and bad, many times: as many descriptors as before."""
    server.write("sub/file.txt", "x" * 100_000)

    def everything():
        with server.connect() as connection:
            for target in ("/", "/sub/file.txt", "/none", "/sub", "/../x"):
                try:
                    connection.request("GET", target, auth=ALICE)
                    connection.request("GET", target, auth=ALICE, fields={"Range": "bytes=1-2,5-9"})
                    connection.request("GET", target, auth=BOB)
                    connection.request("GET", target)
                except (ClosedEarly, OSError):
                    break
        server.request("PUT", "/x", body=b"x" * 1000)
        with server.connect() as connection:
            connection.send("nonsense\r\n\r\n")
        with server.connect_plain() as connection:
            connection.send("nonsense\r\n\r\n")

    everything()
    before = server.descriptors()
    for _ in range(max(3, 30 // SLOW)):
        everything()
    wait_for(lambda: server.descriptors() <= before, 5 * SLOW, f"descriptors to go back to {before}")


def test_many_clients_at_once(server):
    """300 connections open at the same time, all of them served, all of them gone afterwards."""
    server.write("hello.txt", "hello")
    server.get("/hello.txt")
    before = server.descriptors()
    connections = [server.connect() for _ in range(300)]
    for _ in range(2):
        for connection in connections:
            connection.send_request("GET", "/hello.txt", auth=ALICE)
        assert {connection.read_response().body for connection in connections} == {b"hello"}
    for connection in connections:
        connection.close()
    wait_for(lambda: server.descriptors() <= before, 5 * SLOW, "the descriptors of 300 connections")


@pytest.mark.skipif(SLOW > 1, reason="memory under a sanitizer says nothing")
def test_memory_does_not_grow(server):
    server.write("hello.txt", "hello")

    def resident():
        return sum(int(processes.status(pid, "VmRSS").split()[0]) for pids in server.roles().values() for pid in pids)

    def load():
        for _ in range(300):
            server.get("/hello.txt")

    load()
    before = resident()
    load()
    load()
    assert resident() < before + 1024, "KiB"


@pytest.mark.measures
def test_a_slow_reader_does_not_hold_up_others(server):
    server.write("hello.txt", "hello")
    with open(server.path("big.bin"), "wb") as file:
        file.truncate(64 << 20)
    own(server.path("big.bin"))
    slow = [server.connect(receive_buffer=4096) for _ in range(20)]
    try:
        for connection in slow:
            connection.send_request("GET", "/big.bin", auth=ALICE)
            connection.read_head()
        times = []
        for _ in range(50):
            started = time.monotonic()
            assert server.get("/hello.txt").body == b"hello"
            times.append(time.monotonic() - started)
        assert sorted(times)[48] < 0.2 * SLOW
    finally:
        for connection in slow:
            connection.close()


def test_the_arguments_tell_no_secret(server):
    """What other users of the machine see with ps."""
    for pids in server.roles().values():
        for pid in pids:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read()
            assert b"wonderland" not in line and b"$y$" not in line


def test_requests_from_threads_at_once(server):
    """Eight clients in parallel, different users, everything right."""
    server.write("hello.txt", "hello")
    wrong = []

    def client(user):
        with server.connect() as connection:
            for _ in range(100):
                response = connection.request("GET", "/hello.txt", auth=user)
                if (response.status, response.body) != (200, b"hello"):
                    wrong.append(response)

    threads = [threading.Thread(target=client, args=(user,)) for user in [ALICE, BOB] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_basic_in_the_clear_is_never_logged(server):
    assert basic(*ALICE).split()[1] not in server.log() and "wonderland" not in server.log()


def test_started_from_a_closed_terminal(make_server):
    """No standard input, output or error at all: descriptors 0 to 2 must not become something else."""
    server = make_server(start=False)
    server.wrapper += ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    server.start()
    assert server.get("/").status == 200
