"""The field If (RFC 4918 section 10.4) on all that changes something: it holds, it does not (412), or nobody can read it (400);
then nothing has changed."""
import base64

import pytest
from changes import shape
from machine import os
from server import ALICE

VERSION = {"Upload-Draft-Interop-Version": "8"}
TUS = {"Tus-Resumable": "1.0.0"}
UNKNOWN = "opaquelocktoken:e71d4fae-5dec-11d6-fea5-00a0c91e6be4"

# What is there is changed, or something new comes. How -> (method, status of success).
OF_A_FILE = {"PUT": 204, "PUT that can be resumed": 204, "tus": 201, "DELETE": 204, "MOVE": 201, "COPY": 201}
OF_NOTHING = {"PUT of nothing": 201, "MKCOL": 201}
ALL = {**OF_A_FILE, **OF_NOTHING}

HOLD = ['([{tag}])', '(Not ["x"])', '(Not <DAV:no-lock>)', '(["x"]) ([{tag}])', '([{tag}] Not <DAV:no-lock>)', '([W/{tag}])',
        '</{place}/file> ([{tag}])', '<{origin}/{place}/file> ([{tag}])', '</{place}/%66ile> ([{tag}])',
        '</{place}/file> (["x"]) </{place}/other> ([{other}])', '</{place}/nothing> (Not [{tag}])',
        '<https://elsewhere/{place}/file> (Not [{tag}])', f'(<{UNKNOWN}>) (Not <DAV:no-lock>)']
FAIL = ['(["x"])', '(Not [{tag}])', f'(<{UNKNOWN}>)', '(<DAV:no-lock>)', '([{tag}] ["x"])', '([{tag}] <DAV:no-lock>)',
        f'(<{UNKNOWN}> [{{tag}}]) (["x"])', '</{place}/other> ([{tag}])', '</{place}/nothing> ([{tag}])', '</{place}> ([{tag}])',
        '<https://elsewhere/{place}/file> ([{tag}])', '</.fastfile/health> ([{tag}])', '</../file> ([{tag}])']
HOLD_OF_NOTHING = ['(Not [{tag}])', '(Not <DAV:no-lock>)', '</{place}/file> ([{tag}])']
FAIL_OF_NOTHING = ['([{tag}])', '(<DAV:no-lock>)', '</{place}/file> (["x"])']
MALFORMED = ["", "()", "(Not)", "x", "*", "(<a>)", "([x])", "(<a:b>", "<a:b>", "</x>", "(<a:b>) </x> (<a:b>)", "(<a:b>),(<c:d>)",
             "([\"a\"] Not)", "".join(f"</{number}>([\"a\"])" for number in range(65))]


def tag_of(server, target):
    return server.head(target).field("ETag").removeprefix("W/")


@pytest.fixture
def place(server, request):
    """A folder of this test's with two files."""
    name = f"place-{abs(hash(request.node.name)):x}"
    server.write(f"{name}/file", "old")
    server.write(f"{name}/other", "another")
    return name


def ask(server, how, place, dav_if, fields=None):
    fields = {"If": dav_if, **(fields or {})}
    method, target, body = how.split()[0], f"/{place}/file", None
    if how in OF_NOTHING:
        target = f"/{place}/new"
    if method == "PUT":
        body = b"new"
    if how == "PUT that can be resumed":
        fields.update({"Upload-Complete": "?1", "Upload-Length": "3", **VERSION})
    elif how == "tus":
        path = base64.b64encode(f"{place}/file".encode()).decode()
        method, target, body = "POST", "/.fastfile/tus/", b"new"
        fields.update({"Upload-Length": "3", "Upload-Metadata": f"path {path}",
                       "Content-Type": "application/offset+octet-stream", **TUS})
    elif how in ("MOVE", "COPY"):
        fields["Destination"] = f"/{place}/target"
    return server.request(method, target, auth=ALICE, body=body, fields=fields)


def filled_in(server, place, text):
    return text.format(tag=tag_of(server, f"/{place}/file"), other=tag_of(server, f"/{place}/other"), place=place,
                       origin=server.origin)


def refused(server, how, place, dav_if, status, **options):
    before = shape(server, place)
    response = ask(server, how, place, dav_if, **options)
    assert response.status == status, (dav_if, response)
    assert shape(server, place) == before


@pytest.mark.parametrize("how", ALL)
def test_what_holds(server, place, how):
    for number, text in enumerate(HOLD if how in OF_A_FILE else HOLD_OF_NOTHING):
        folder = f"{place}/{number}"
        server.write(f"{folder}/file", "old")
        server.write(f"{folder}/other", "another")
        dav_if = filled_in(server, folder, text)
        response = ask(server, how, folder, dav_if)
        assert response.status == ALL[how], (dav_if, response)
        assert shape(server, folder) != {"file": "old", "other": "another"}, dav_if


@pytest.mark.parametrize("how", ALL)
def test_what_does_not(server, place, how):
    for text in FAIL if how in OF_A_FILE else FAIL_OF_NOTHING:
        refused(server, how, place, filled_in(server, place, text), 412)


@pytest.mark.parametrize("how", ALL)
def test_what_is_malformed(server, place, how):
    for dav_if in MALFORMED:
        refused(server, how, place, dav_if, 400)


@pytest.mark.parametrize("how", ALL)
@pytest.mark.parametrize("depth", ["", "2", "infinite", "0,noroot", "-1"])
def test_malformed_depth(server, place, how, depth):
    refused(server, how, place, None, 400, fields={"Depth": depth})


def test_two_fields_are_not_one(server, place):
    """Which would be malformed as one, and neither may be ignored."""
    with server.connect() as connection:
        connection.send_request("DELETE", f"/{place}/file", auth=ALICE,
                                fields={"If": '(["x"])', "IF": "(Not <DAV:no-lock>)"})
        assert connection.read_response("DELETE").status == 400
    assert os.path.exists(server.path(f"{place}/file"))


@pytest.mark.parametrize("how", OF_A_FILE)
def test_preconditions_count_as_well(server, place, how):
    tag = tag_of(server, f"/{place}/file")
    refused(server, how, place, f"([{tag}])", 412, fields={"If-Match": '"x"'})
    refused(server, how, place, '(["x"])', 412, fields={"If-Match": "*"})
    assert ask(server, how, place, f"([{tag}])", fields={"If-Match": "*"}).status == ALL[how]


def test_what_only_reads_is_answered(server, place):
    assert server.get(f"/{place}/file", fields={"If": '(["x"])'}).status == 200
    assert server.get(f"/{place}/file", fields={"If": "x"}).status == 200
    assert server.request("PROPFIND", f"/{place}/file", fields={"If": '(["x"])', "Depth": "0"}).status == 207
    assert server.request("PROPFIND", f"/{place}/file", fields={"If": "x", "Depth": "0"}).status == 400


# --- uploads that take several requests ---


def begin(server, place, dav_if):
    return server.request("PUT", f"/{place}/file", body=b"ne", fields={
        "If": dav_if, "Upload-Complete": "?0", "Upload-Length": "3", **VERSION})


def complete(server, url, dav_if=None):
    return server.request("PATCH", url, body=b"w", fields={
        "If": dav_if, "Upload-Offset": "2", "Upload-Complete": "?1", "Content-Type": "application/partial-upload", **VERSION})


def test_an_upload_remembers_what_it_began_with(server, place):
    tag = tag_of(server, f"/{place}/file")
    assert begin(server, place, '(["x"])').status == 412
    url = begin(server, place, f"([{tag}])").field("Location")
    server.write(f"{place}/file", "somebody else's")
    assert complete(server, url).status == 412
    assert shape(server, place) == {"file": "somebody else's", "other": "another"}
    url = begin(server, place, f"</{place}/other> ([{tag_of(server, f'/{place}/other')}])").field("Location")
    assert complete(server, url).status == 204
    assert shape(server, place) == {"file": "new", "other": "another"}


def test_what_a_part_says_is_not_about_the_file(server, place):
    url = begin(server, place, None).field("Location")
    for dav_if in MALFORMED:
        assert complete(server, url, dav_if).status == 400
        assert server.head(url, fields=VERSION).field("Upload-Offset") == "2"
    assert complete(server, url, f"(<{UNKNOWN}>)").status == 204
    assert shape(server, place) == {"file": "new", "other": "another"}
