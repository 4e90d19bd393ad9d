"""What small answers are on the wire: one record and one segment, also for several requests that came together."""
import socket
import ssl
import sys

import pytest
from client import basic
from machine import IN_VM
from openssl import OpenSSLConnection
from server import ALICE, Server

BODY = b"x" * 999 + b"!"
GET = f"GET /small HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(*ALICE)}\r\n\r\n".encode()
RECORD = 16384
DATA_SEGS_IN = 152  # where struct tcp_info has tcpi_data_segs_in


@pytest.fixture(params=["TLS 1.3", "TLS 1.2", "plain"])
def connection(request):
    server = Server(plain=request.param == "plain")
    server.write("small", BODY)
    if server.plain:
        made = server.connect_plain()
    else:
        made = OpenSSLConnection(server, ssl.TLSVersion.TLSv1_2 if request.param == "TLS 1.2" else ssl.TLSVersion.TLSv1_3)
    with made:
        exchange(made, 1)  # the ticket is behind it, and the way from gate to home
        yield made
    server.finish()


def exchange(connection, count):
    """So many requests at once; returns how many bytes their answers have."""
    connection.send(GET * count)
    while connection.buffer.count(b"!") < count:
        assert connection._more()
    answers, connection.buffer = connection.buffer, b""
    assert answers.count(b"HTTP/1.1 200 ") == answers.count(BODY) == count and answers.endswith(BODY)
    return len(answers)


def records(connection):
    return getattr(connection.socket, "records_in", None)


def segments(connection):
    tcp = getattr(connection.socket, "tcp", connection.socket)
    return int.from_bytes(tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, DATA_SEGS_IN + 4)[DATA_SEGS_IN:], sys.byteorder)


@pytest.mark.parametrize("count", [1, 2, 10, 100])
def test_answers_that_leave_together(connection, count):
    """As few records as their bytes need, each one send. That is a segment: the loopback's hold 64 KiB. (TCP may join those of several.)"""
    for _ in range(10):
        before = records(connection), segments(connection)
        needed = -(-exchange(connection, count) // RECORD)
        assert count > 10 or needed == 1
        if before[0] is not None:
            assert records(connection) - before[0] == needed
        if not IN_VM:  # QEMU sends anew
            assert 1 <= segments(connection) - before[1] <= needed
