"""What tests of MKCOL, DELETE, MOVE and COPY have in common: asking for them, and looking at what is there then."""
import xml.etree.ElementTree

from machine import open, os
from server import ALICE, SLOW


def change(server, method, target, fields=None, auth=ALICE, **options):
    with server.connect(timeout=60 * SLOW) as connection:  # a disk may be busy
        return connection.request(method, target, fields=fields, auth=auth, **options)


def move(server, source, target, overwrite=None, method="MOVE", **fields):
    fields = {name.replace("_", "-"): value for name, value in fields.items()}
    if overwrite is not None:
        fields["Overwrite"] = overwrite
    return change(server, method, source, fields={"Destination": target, **fields})


def copy(server, source, target, overwrite=None, **fields):
    return move(server, source, target, overwrite, method="COPY", **fields)


def names(server, folder=""):
    """All that is there, also what no listing shows."""
    return set(os.listdir(server.path(folder)))


def content(server, name):
    with open(server.path(name), "rb") as file:
        return file.read()


def tree(server, *files, top=""):
    """Makes files that contain their own names."""
    for name in files:
        server.write(os.path.join(top, name), name)


def shape(server, folder):
    """{path: content} of all files below it, and {path/: None} of all folders, and links with an arrow."""
    found = {}
    base = server.path(folder)
    for path, folders, files in os.walk(base):
        for name in folders + files:
            whole = os.path.join(path, name)
            inside = os.path.relpath(whole, base)
            if os.path.islink(whole):
                found[inside] = "-> " + os.readlink(whole)
            elif name in folders:
                found[inside + "/"] = None
            else:
                with open(whole, "rb") as file:
                    found[inside] = file.read().decode(errors="replace")
    return found


def failures(response):
    """{href: status} of a 207."""
    assert response.status == 207 and response.field("Content-Type") == "application/xml; charset=utf-8", response
    found = xml.etree.ElementTree.fromstring(response.text)
    assert found.tag == "{DAV:}multistatus"
    return {one.find("{DAV:}href").text: int(one.find("{DAV:}status").text.split()[1]) for one in found.iter("{DAV:}response")}
