"""Clients that change files until the power is gone, and know what was acknowledged."""
import base64
import collections
import ssl
import threading

from client import ClosedEarly
from model import Mix

CHUNK = 50_000
TUS, TUS_URL = {"Tus-Resumable": "1.0.0"}, "/.fastfile/tus/"
IETF = {"Upload-Draft-Interop-Version": "8"}


class Writer(threading.Thread):
    """Sends one operation after the other. `state` is what was acknowledged, `pending` what was asked for since then.

    cut: an Event that is set before the power goes: from then on errors are no surprise.
    """

    def __init__(self, name, server, methods, state, unfinished, cut, seed):
        super().__init__(daemon=True)
        self.server = server
        self.mix = Mix(name, methods, seed, unfinished, server.other)
        self.state = state
        self.pending = None
        self.cut = cut
        self.sent = []  # contents, whatever became of them
        self.acknowledged = collections.Counter()
        self.problem = None
        self.connection = None
        self.part_end = None

    def run(self):
        try:
            while self.step():
                pass
        except (ClosedEarly, OSError, ssl.SSLError) as error:
            if not self.cut.is_set():
                self.problem = f"{self.pending}: {error!r}"
        finally:
            if self.connection:
                self.connection.close()

    def step(self):
        """One operation; False at the end."""
        self.connection = self.connection or self.server.connect()
        self.pending = self.mix.next(self.state)
        if self.pending.content:
            self.sent.append(self.pending.content)
        if self.pending.upload and not self.send_part(self.pending, self.pending.upload):
            self.pending = None
            return True
        if not self.pending.upload:
            self.send(self.pending)
        if self.pending.abort is not None:
            self.connection.close()
            self.connection = None
            self.pending = None
            return not self.cut.is_set()
        response = self.read_response()
        if response.status not in (self.pending.statuses if self.server.is_exact else range(200, 300)):
            self.problem = f"{self.pending}: {response}"
            return False
        self.acknowledged[self.pending.method + " across" * bool(self.pending.goes)] += 1
        if self.pending.upload:
            self.took_part(self.pending, response)
        self.state, self.pending = self.pending.after, None
        if response.field("Connection") == "close":
            self.connection.close()
            self.connection = None
        return True

    def read_response(self, method="GET"):
        """An answer that was there before the power went. This file system says yes to some who ask afterwards: a sync that began
        before finds that there is nothing left to be written, and that the end of its transaction, which was broken off, is over."""
        response = self.connection.read_response(method)
        if self.cut.is_set():
            raise ClosedEarly(b"")
        return response

    def send_part(self, operation, upload):
        """Of an upload that goes on later. False where there is nothing to be sent."""
        if upload.url:
            # To ask completes one that all has come for, but for its name.
            there = self.state | {upload.path: upload.content}
            operation.between = (there,)
            if not self.find_offset(upload):
                self.mix.unfinished.remove(upload)
                self.state = self.state if upload.was_there else there
                return False
        size = upload.content.size
        # With its last byte an upload by tus is complete.
        end = size if operation.completes else self.mix.rng.randint(upload.offset, size - upload.is_tus)
        body = upload.content.bytes()[upload.offset:end]
        target = upload.url or (TUS_URL if upload.is_tus else operation.path)
        fields = tus_fields(upload) if upload.is_tus else ietf_fields(upload, operation.completes)
        self.connection.send_request(operation.method, target, fields=fields, body=body, auth=self.server.auth)
        self.part_end = end
        return True

    def find_offset(self, upload):
        """Asks for it. False: one that was in flight when the power went is complete."""
        self.connection.send_request("HEAD", upload.url, auth=self.server.auth, fields=TUS if upload.is_tus else IETF)
        found = self.read_response("HEAD")
        offset, size = int(found.field("Upload-Offset") or -1), upload.content.size
        # Nobody knows of one that was in flight whether it will stay; but it was there.
        if found.status == 404 and upload.was_there:
            return False
        # What was acknowledged is there.
        if found.status != (200 if upload.is_tus else 204) or offset < upload.offset or offset > size:
            raise OSError(f"{upload}: {found}")
        upload.offset = offset
        return offset < size if upload.is_tus else found.field("Upload-Complete") == "?0"

    def took_part(self, operation, response):
        upload = operation.upload
        upload.offset = self.part_end
        if not upload.url:
            upload.url = response.field("Location")
            self.mix.unfinished.append(upload)
        elif operation.completes:
            self.mix.unfinished.remove(upload)

    def send(self, operation):
        fields = {}
        body = operation.content.bytes() if operation.content else b""
        if operation.destination:
            fields["Destination"] = self.server.url(operation.destination) + "/" * operation.is_folder
        if operation.chunked:
            fields["Transfer-Encoding"] = "chunked"
            body = encode_chunks(body)
        elif operation.content:
            fields["Content-Length"] = str(len(body))
        target = operation.path + "/" * operation.is_folder
        self.connection.send_request(operation.method, target, fields=fields, auth=self.server.auth)
        self.connection.send(body if operation.abort is None else body[:operation.abort])


def tus_fields(upload):
    state = {"Upload-Offset": str(upload.offset)} if upload.url else {
        "Upload-Length": str(upload.content.size), "Upload-Metadata": "path " + base64.b64encode(upload.path[1:].encode()).decode()}
    return {"Content-Type": "application/offset+octet-stream", **TUS, **state}


def ietf_fields(upload, completes):
    state = {"Upload-Offset": str(upload.offset), "Content-Type": "application/partial-upload"} if upload.url else {
        "Upload-Length": str(upload.content.size)}
    return {"Upload-Complete": "?1" if completes else "?0", **IETF, **state}


def encode_chunks(body):
    pieces = [body[at:at + CHUNK] for at in range(0, len(body), CHUNK)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
