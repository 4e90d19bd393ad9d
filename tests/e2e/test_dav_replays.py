"""What macOS' Finder, Windows' Explorer and Microsoft Office send, byte for byte and in their order, and what each of them needs
of the answers: conversations in replays/. The programs themselves are not here.

A conversation is a list of steps:

    === What the client does
    each {name} of first second         # optional: the step is done for each of these
    METHOD /path HTTP/1.1               # the request as it is sent, its lines ended by CRLF
    Content-Length: 4

    <a/>                                # as many bytes as Content-Length says, or the name of one of CONTENTS
    ? 207                               # what the client needs: the status first, then lines that Answer knows

`{host}`, `{origin}`, `{alice}` and `{carol}` (their Authorization) stand for what is known when it runs, `{x}` for what
`? keep {x} of ...` has kept, `{note}` for one of CONTENTS, `{note:length}` for its length in bytes and `{note:chunked}` for it in
chunks of 8 KiB. All steps are on one connection, as with the clients, but where a request says `Connection: close`.
"""
import pathlib
import random
import re
import urllib.parse
import xml.etree.ElementTree as ElementTree

import pytest
from client import basic
from machine import open, os
from server import ALICE, SLOW

FOLDER = pathlib.Path(__file__).with_name("replays")
CAROL = ("carol", "carpenter")
USERS = {ALICE[0]: (ALICE[1], False), CAROL[0]: (CAROL[1], False)}
SPACES = {"D": "DAV:", "Z": "urn:schemas-microsoft-com:"}

CONTENTS = {
    "nothing": b"",
    "old": b"as it was before\n",
    "note": "Grüße\n".encode(),
    "picture": random.Random(1).randbytes(20_000),
    # AppleDouble: magic, version, filler, and one entry of type 9 (Finder's information), 32 bytes from byte 38 on.
    "double": bytes.fromhex("0005160700020000") + b"Mac OS X        " + bytes.fromhex("0001000000090000002600000020") + bytes(32),
    "owner": b"\x05Alice" + bytes(156),
    "document": b"PK\x03\x04" + random.Random(2).randbytes(12_000),
}
CHUNK = 8192


def chunked(content):
    pieces = [content[at:at + CHUNK] for at in range(0, len(content), CHUNK)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def fill(text, values):
    """Bytes of a text, with what its placeholders stand for."""
    def value(found):
        name, form = found[1].decode(), (found[2] or b"").decode()
        if name not in CONTENTS:
            return values[name].encode()
        content = CONTENTS[name]
        return {"": content, "length": b"%d" % len(content), "chunked": chunked(content)}[form]
    return re.sub(rb"\{(\w+)(?::(\w+))?\}", value, text.encode())


def steps_of(name):
    """[(title, name of a placeholder, its values, lines of the head, all that follows)]"""
    found = []
    for part in re.split(r"^=== ", (FOLDER / f"{name}.http").read_text(), flags=re.M)[1:]:
        title, rest = part.split("\n", 1)
        each = re.match(r"each \{(\w+)\} of (.*)\n", rest)
        head, rest = rest[each.end() if each else 0:].split("\n\n", 1)
        found.append((title, each and each[1], each[2].split() if each else [None], head.split("\n"), rest))
    return found


def split_body(head, rest, values):
    """The body, and the lines that say what the client needs."""
    if rest.startswith("{"):
        line, rest = rest.split("\n", 1)
        body, rest = fill(line, values), rest.encode()
    else:
        length = re.search(rb"\r\nContent-Length: (\d+)", head)
        end = int(length[1]) if length else 0
        body, rest = rest.encode()[:end], rest.encode()[end:]
    lines = [line for line in rest.decode().split("\n") if line]
    assert lines and all(line.startswith("? ") for line in lines), f"a body and its Content-Length are not of one length: {lines}"
    return body, [line.removeprefix("? ") for line in lines]


def text_of(element):
    return element if element is None else "".join(element.itertext()).strip().encode()


class Answer:
    """What there is to need of one answer. Each function takes the rest of a line."""

    def __init__(self, response, server, values):
        self.response = response
        self.server = server
        self.values = values

    def check(self, need):
        kind, _, rest = need.partition(" ")
        getattr(self, f"check_{kind}")(rest)

    def judge(self, found, what):
        """found: bytes; None where nothing is."""
        verb, _, expected = what.partition(" ")
        expected = fill(expected, self.values)
        if verb == "exists":
            assert found is not None
        elif verb == "missing":
            assert found is None
        else:
            items = [value.strip() for value in found.split(b",")]
            assert {"is": found == expected, "begins": found.startswith(expected), "lists": expected in items,
                    "lacks": expected not in items}[verb], (found, what)

    def tree(self):
        assert self.response.field("Content-Type") == "application/xml; charset=utf-8"
        return ElementTree.fromstring(self.response.body)

    def check_field(self, rest):
        """field NAME is VALUE; or begins, or, of a list, lists or lacks it; field NAME exists, field NAME missing"""
        name, what = rest.split(" ", 1)
        value = self.response.field(name)
        self.judge(value if value is None else value.encode(), what)

    def check_body(self, what):
        self.judge(self.response.body, what)

    def check_xml(self, rest):
        """xml PATH is VALUE, and so on: the text of an element below the root"""
        path, what = rest.split(" ", 1)
        self.judge(text_of(self.tree().find(path, SPACES)), what)

    def check_hrefs(self, rest):
        """hrefs HREF HREF ...: all that a multistatus is about, in any order"""
        found = [one.findtext("D:href", None, SPACES) for one in self.tree()]
        assert sorted(found) == sorted(fill(rest, self.values).decode().split(" ")), found

    def check_prop(self, rest):
        """prop HREF PATH is VALUE, and so on: of a property that it has; prop HREF NAME unknown: it is told not to have it"""
        href, path, what = rest.split(" ", 2)
        (one,) = [one for one in self.tree() if one.findtext("D:href", None, SPACES) == fill(href, self.values).decode()]
        has = {propstat.findtext("D:status", None, SPACES).split(" ")[1]: propstat.find("D:prop", SPACES)
               for propstat in one.findall("D:propstat", SPACES)}
        if what == "unknown":
            assert has["404"].find(path, SPACES) is not None
        else:
            self.judge(text_of(has["200"].find(path, SPACES)), what)

    def check_keep(self, rest):
        """keep {NAME} of FIELD: a lock token"""
        name, field = re.fullmatch(r"\{(\w+)\} of (\S+)", rest).groups()
        self.values[name] = re.fullmatch("<(opaquelocktoken:[-0-9a-f]{36})>", self.response.field(field))[1]

    def check_file(self, rest):
        """file NAME is VALUE, file NAME missing: on the disk of the server"""
        name, what = rest.split(" ", 1)
        path = self.server.path(urllib.parse.unquote(name))
        content = None
        if os.path.exists(path):
            with open(path, "rb") as file:
                content = file.read()
        self.judge(content, what)


class Client:
    def __init__(self, server):
        self.server = server
        self.values = {"host": f"localhost:{server.port}", "origin": server.origin, "alice": basic(*ALICE), "carol": basic(*CAROL)}
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def send(self, head, body):
        if not self.connection:
            self.connection = self.server.connect()
        self.connection.send(head + b"\r\n\r\n" + body)
        response = self.connection.read_response(head.split(b" ")[0].decode())
        if b"\r\nConnection: close" in head:
            assert self.connection.is_closed(3 * SLOW)
            self.close()
        return response

    def do(self, title, head, rest):
        head = b"\r\n".join(fill(line, self.values) for line in head)
        body, (status, *needs) = split_body(head, rest, self.values)
        response = self.send(head, body)
        need = status
        try:
            assert response.status == int(status)
            assert response.status == 204 or response.field("Content-Length") is not None  # Finder needs it
            for need in needs:
                Answer(response, self.server, self.values).check(need)
        except Exception as error:
            raise AssertionError(f"{title}\n{head.decode()}\n\nneeds: {need}\nhas: {response}\n{response.body}") from error


@pytest.mark.parametrize("name", ["finder", "explorer", "office"])
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "TLS"])
def test_a_conversation(make_server, name, plain):
    server = make_server(plain=plain, users=USERS)
    server.write("Shared/old.docx", CONTENTS["old"])
    server.write("Shared/readme.txt", CONTENTS["old"])
    client = Client(server)
    for title, placeholder, choices, head, rest in steps_of(name):
        for choice in choices:
            client.values[placeholder] = choice
            client.do(title, head, rest)
    client.close()
