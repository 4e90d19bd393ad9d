"""WebDAV requests, and answers taken apart by another parser than the server's."""
import urllib.parse
import xml.etree.ElementTree as ElementTree

from server import ALICE

DAV = "{DAV:}"
APACHE = "{http://apache.org/dav/props/}"


def prop(*names):
    """A body that asks for these properties: "getetag" of DAV:, or "{namespace}name"."""
    parts = []
    for name in names:
        space, _, local = name.rpartition("}")
        parts.append(f'<{local} xmlns="{space[1:]}"/>' if space or name.startswith("{}") else f"<{local}/>")
    return f'<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop>{"".join(parts)}</prop></propfind>'.encode()


def read_multistatus(response):
    """{href: {name: (status, element)}}, each href in the order of the answer."""
    assert response.status == 207, response
    assert response.field("Content-Type") == "application/xml; charset=utf-8"
    root = ElementTree.fromstring(response.body)
    assert root.tag == DAV + "multistatus"
    found = {}
    for one in root:
        assert one.tag == DAV + "response"
        href = one.findtext(DAV + "href")
        assert href.startswith("/") and href not in found, href
        properties = found[href] = {}
        statuses = [int(propstat.findtext(DAV + "status").split()[1]) for propstat in one.iter(DAV + "propstat")]
        assert statuses and statuses[0] == 200 and len(set(statuses)) == len(statuses)
        for status, propstat in zip(statuses, one.iter(DAV + "propstat")):
            for element in propstat.find(DAV + "prop"):
                assert element.tag not in properties
                properties[element.tag] = (status, element)
    return found


def propfind(server, target, body=None, depth="0", auth=ALICE, fields=None):
    fields = {**({"Depth": depth} if depth is not None else {}), **(fields or {})}
    return server.request("PROPFIND", target, auth=auth, body=body, fields=fields)


def properties(server, target, *names, **options):
    """{name: text} of what is there of one resource."""
    found = read_multistatus(propfind(server, target, prop(*names) if names else None, **options))
    (only,) = found.values()
    return {name.removeprefix(DAV): element.text or "" for name, (status, element) in only.items() if status == 200}


def hrefs(server, target, depth="1", body=None, **options):
    return list(read_multistatus(propfind(server, target, body, depth=depth, **options)))


def names(server, target, **options):
    """What is in a folder: names, with a slash where it is a folder."""
    return {urllib.parse.unquote(href.removeprefix(target), errors="surrogateescape")
            for href in hrefs(server, target, **options) if href != target}


# --- changing ---

WIN32 = "{urn:schemas-microsoft-com:}"


def element(name, value=""):
    """Markup of a property: "getetag" of DAV:, or "{namespace}name"."""
    space, _, local = name.rpartition("}")
    space = space[1:] if name.startswith("{") else "DAV:"
    return f'<{local} xmlns="{space}">{value}</{local}>'


def update(*steps):
    """A body of (name, value): to be set, or with None removed, in this order."""
    parts = [f"<D:remove><D:prop>{element(name)}</D:prop></D:remove>" if value is None else
             f"<D:set><D:prop>{element(name, value)}</D:prop></D:set>" for name, value in steps]
    return f'<?xml version="1.0" encoding="utf-8"?><D:propertyupdate xmlns:D="DAV:">{"".join(parts)}</D:propertyupdate>'.encode()


def proppatch(server, target, *steps, auth=ALICE, fields=None, body=None):
    return server.request("PROPPATCH", target, auth=auth, body=body or update(*steps), fields=fields)


def read_statuses(response):
    """{name: status} of what a PROPPATCH has answered."""
    assert response.status == 207, response
    assert response.field("Content-Type") == "application/xml; charset=utf-8"
    (only,) = ElementTree.fromstring(response.body)
    found = {}
    for propstat in only.iter(DAV + "propstat"):
        status = int(propstat.findtext(DAV + "status").split()[1])
        for one in propstat.find(DAV + "prop"):
            assert one.tag not in found and not one.text and not len(one)
            found[one.tag] = status
    return found


def patch(server, target, *steps, **options):
    """The same for a request with these steps; the status alone where all are the same."""
    statuses = read_statuses(proppatch(server, target, *steps, **options))
    return set(statuses.values()).pop() if len(set(statuses.values())) == 1 else statuses


# --- locks -------------------------------------------------------------------------------------------------


def lockinfo(scope="exclusive", owner="<D:href>mailto:me@example.org</D:href>"):
    return (f'<?xml version="1.0" encoding="utf-8"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:{scope}/></D:lockscope>'
            f"<D:locktype><D:write/></D:locktype><D:owner>{owner}</D:owner></D:lockinfo>").encode()


def lock(server, target, scope="exclusive", depth=None, timeout=None, body=None, auth=ALICE, fields=None):
    """The answer to a LOCK."""
    fields = {"Depth": depth, "Timeout": timeout, **(fields or {})}
    return server.request("LOCK", target, auth=auth, body=lockinfo(scope) if body is None else body, fields=fields)


def refresh(server, target, token, timeout=None, auth=ALICE):
    return server.request("LOCK", target, auth=auth, fields={"If": f"(<{token}>)", "Timeout": timeout})


def unlock(server, target, token, auth=ALICE):
    return server.request("UNLOCK", target, auth=auth, fields={"Lock-Token": f"<{token}>"})


def token_of(response):
    assert response.status in (200, 201), response
    field = response.field("Lock-Token")
    assert field.startswith("<opaquelocktoken:") and field.endswith(">")
    return field[1:-1]


def read_locks(discovery):
    """[{depth, scope, owner, timeout, token, root}] of an element <lockdiscovery>."""
    found = []
    for one in discovery:
        assert one.tag == DAV + "activelock" and one.find(DAV + "locktype")[0].tag == DAV + "write"
        owner = one.find(DAV + "owner")
        found.append({
            "scope": one.find(DAV + "lockscope")[0].tag.removeprefix(DAV),
            "depth": one.findtext(DAV + "depth"),
            "owner": "".join(owner.itertext()) if owner is not None else None,
            "seconds": int(one.findtext(DAV + "timeout").removeprefix("Second-")),
            "token": one.findtext(f"{DAV}locktoken/{DAV}href"),
            "root": one.findtext(f"{DAV}lockroot/{DAV}href"),
        })
    return found


def locks_told(response):
    """The same of the answer to a LOCK."""
    assert response.status in (200, 201) and response.field("Content-Type") == "application/xml; charset=utf-8"
    root = ElementTree.fromstring(response.body)
    assert root.tag == DAV + "prop" and len(root) == 1
    return read_locks(root[0])


def locks(server, target, **options):
    """The same of one resource, by PROPFIND."""
    (only,) = read_multistatus(propfind(server, target, prop("lockdiscovery"), **options)).values()
    return read_locks(only[DAV + "lockdiscovery"][1])


def condition_of(response):
    """The condition in an <error>, and the hrefs in that."""
    root = ElementTree.fromstring(response.body)
    assert root.tag == DAV + "error" and len(root) == 1
    return root[0].tag.removeprefix(DAV), [href.text for href in root[0]]


def statuses(response):
    """{href: status} of a 207 that has a status for each."""
    assert response.status == 207
    return {one.findtext(DAV + "href"): int(one.findtext(DAV + "status").split()[1]) for one in ElementTree.fromstring(response.body)}
