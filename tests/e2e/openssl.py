"""A TLS client by libssl itself, for what Python's ssl cannot: choose suites of TLS 1.3, change keys, ask to renegotiate, and
keep the records in the test's hands."""
import ctypes
import ssl

from client import Connection

_lib = ctypes.CDLL("libssl.so.3")
_crypto = ctypes.CDLL("libcrypto.so.3")

_P, _I, _L, _S = ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p
_MESSAGE_CALLBACK = ctypes.CFUNCTYPE(None, _I, _I, _I, _P, ctypes.c_size_t, _P, _P)
for library, name, result, arguments in (
        (_lib, "TLS_client_method", _P, []), (_lib, "SSL_CTX_new", _P, [_P]), (_lib, "SSL_CTX_free", None, [_P]),
        (_lib, "SSL_CTX_ctrl", _L, [_P, _I, _L, _P]), (_lib, "SSL_CTX_set_ciphersuites", _I, [_P, _S]),
        (_lib, "SSL_CTX_set_cipher_list", _I, [_P, _S]), (_lib, "SSL_CTX_set_msg_callback", None, [_P, _MESSAGE_CALLBACK]),
        (_lib, "SSL_new", _P, [_P]), (_lib, "SSL_free", None, [_P]), (_lib, "SSL_set_bio", None, [_P, _P, _P]),
        (_lib, "SSL_set_connect_state", None, [_P]), (_lib, "SSL_do_handshake", _I, [_P]), (_lib, "SSL_get_error", _I, [_P, _I]),
        (_lib, "SSL_read", _I, [_P, _P, _I]), (_lib, "SSL_write", _I, [_P, _S, _I]), (_lib, "SSL_key_update", _I, [_P, _I]),
        (_lib, "SSL_renegotiate", _I, [_P]), (_lib, "SSL_get_version", _S, [_P]),
        (_crypto, "BIO_s_mem", _P, []), (_crypto, "BIO_new", _P, [_P]), (_crypto, "BIO_read", _I, [_P, _P, _I]),
        (_crypto, "BIO_write", _I, [_P, _S, _I]), (_crypto, "BIO_ctrl", _L, [_P, _I, _L, _P]), (_crypto, "ERR_clear_error", None, [])):
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments

_SET_MIN_VERSION, _SET_MAX_VERSION = 123, 124  # SSL_CTRL_…
_WANT_READ, _ZERO_RETURN = 2, 6  # SSL_ERROR_…
_BIO_C_SET_BUF_MEM_EOF_RETURN = 130
_HANDSHAKE, _KEY_UPDATE, _CLIENT_HELLO, _SERVER_HELLO = 22, 24, 1, 2
_APPLICATION_DATA = 23  # in TLS 1.3 whatever is sealed
_HEADER = 0x100  # SSL3_RT_HEADER


class OpenSSLSocket:
    """Stands where a socket of Python's ssl would: recv, sendall, settimeout, close."""

    def __init__(self, tcp, version, suite):
        self.tcp = tcp
        self.buffer = ctypes.create_string_buffer(65536)
        self.piece = 65536  # how much it takes off TCP at a time
        self.messages_in = []  # types of the handshake messages that the server has sent
        self.records_in = 0  # records of data that it has sent

        def on_message(sent, _version, content_type, data, length, _ssl, _argument):
            if sent or not length or content_type not in (_HANDSHAKE, _HEADER):
                return
            first = ctypes.cast(data, ctypes.POINTER(ctypes.c_ubyte))[0]
            if content_type == _HANDSHAKE:
                self.messages_in.append(first)
            else:
                self.records_in += first == _APPLICATION_DATA

        self.on_message = _MESSAGE_CALLBACK(on_message)  # has to live as long as the connection
        context = _lib.SSL_CTX_new(_lib.TLS_client_method())
        for control in (_SET_MIN_VERSION, _SET_MAX_VERSION):
            assert _lib.SSL_CTX_ctrl(context, control, int(version), None) == 1
        if suite:
            choose = _lib.SSL_CTX_set_ciphersuites if version == ssl.TLSVersion.TLSv1_3 else _lib.SSL_CTX_set_cipher_list
            assert choose(context, suite.encode()) == 1
        _lib.SSL_CTX_set_msg_callback(context, self.on_message)
        self.ssl = _lib.SSL_new(context)
        _lib.SSL_CTX_free(context)
        self.incoming, self.outgoing = (_crypto.BIO_new(_crypto.BIO_s_mem()) for _ in range(2))
        for bio in (self.incoming, self.outgoing):
            _crypto.BIO_ctrl(bio, _BIO_C_SET_BUF_MEM_EOF_RETURN, -1, None)
        _lib.SSL_set_bio(self.ssl, self.incoming, self.outgoing)
        _lib.SSL_set_connect_state(self.ssl)
        while (result := _lib.SSL_do_handshake(self.ssl)) != 1:
            self._needs_more(result)
            self.tcp.sendall(self.taken())
            self._receive()
        self.tcp.sendall(self.taken())

    def _needs_more(self, result):
        """Whether the last call only waits for bytes; False at the end; raises at a failure."""
        error = _lib.SSL_get_error(self.ssl, result)
        _crypto.ERR_clear_error()
        if error == _ZERO_RETURN:
            return False
        if error != _WANT_READ:
            raise ssl.SSLError(f"libssl says {error}")
        return True

    def _receive(self):
        data = self.tcp.recv(self.piece)
        if not data:
            raise ssl.SSLEOFError("closed without close_notify")
        _crypto.BIO_write(self.incoming, data, len(data))

    def taken(self):
        """The bytes that have to go out."""
        data = b""
        while (length := _crypto.BIO_read(self.outgoing, self.buffer, len(self.buffer))) > 0:
            data += self.buffer.raw[:length]
        return data

    # --- records in the test's hands: they count from now on, and are to be sent in this order ---

    def seal(self, data):
        assert _lib.SSL_write(self.ssl, data, len(data)) == len(data)
        return self.taken()

    def key_update(self, ask_for_theirs=False):
        assert _lib.SSL_key_update(self.ssl, int(ask_for_theirs)) == 1 and _lib.SSL_do_handshake(self.ssl) == 1
        return self.taken()

    def renegotiation(self):
        """A ClientHello in the middle of a connection."""
        assert _lib.SSL_renegotiate(self.ssl) == 1
        assert self._needs_more(_lib.SSL_do_handshake(self.ssl))
        return self.taken()

    @property
    def key_updates_received(self):
        return self.messages_in.count(_KEY_UPDATE)

    @property
    def handshakes(self):
        return self.messages_in.count(_SERVER_HELLO)

    # --- a socket ---

    def sendall(self, data):
        self.tcp.sendall(self.seal(data))

    def recv(self, size):
        while (result := _lib.SSL_read(self.ssl, self.buffer, min(size, len(self.buffer)))) <= 0:
            if not self._needs_more(result):
                return b""
            self._receive()
        return self.buffer.raw[:result]

    def settimeout(self, seconds):
        self.tcp.settimeout(seconds)

    def close(self):
        self.tcp.close()
        if self.ssl:
            _lib.SSL_free(self.ssl)
        self.ssl = None


class OpenSSLConnection(Connection):
    """A Connection whose `socket` is an OpenSSLSocket."""

    def __init__(self, server, version=ssl.TLSVersion.TLSv1_3, suite=None, **options):
        super().__init__(("127.0.0.1", server.port), **options)
        self.socket = OpenSSLSocket(self.socket, version, suite)

    def send_raw(self, data):
        """Sends records as they are."""
        self.socket.tcp.sendall(data)
