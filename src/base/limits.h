/* Every limit of the server: its name, its value, and why it is that. */
#pragma once

/* --- requests --- */
enum {
    /* A request's line and fields together. Browsers send 1 to 4 KiB; nginx allows 32, Apache 8. */
    LIMIT_HEAD_BYTES = 16 * 1024,
    /* Fields of one request. Browsers send about 20. */
    LIMIT_FIELDS = 64,
    /* A decoded path. PATH_MAX of Linux. */
    LIMIT_PATH_BYTES = 4096,
    /* Ranges of one request; more, and the whole file is sent (RFC 9110 section 14.2 lets us). */
    LIMIT_RANGES = 16,
    /* A login form: two short fields and where to go next. */
    LIMIT_FORM_BYTES = 8 * 1024,
    /* After a refused body: what is still read before the connection closes, so that the client
     * gets to read the answer instead of a reset. */
    LIMIT_LINGER_BYTES = 1024 * 1024,
    LIMIT_LINGER_MS = 5 * 1000,
};

/* --- time --- */
enum {
    /* For a peer's first bytes, and for the handshake once it has begun. */
    LIMIT_HANDSHAKE_MS = 10 * 1000,
    /* Between the two, until its turn comes: the peer has done its part. Thousands at once take
     * more than ten seconds. */
    LIMIT_TURN_MS = 30 * 1000,
    LIMIT_HEAD_MS = 10 * 1000,
    LIMIT_IDLE_MS = 75 * 1000,
    /* For the monitor to say whether a connection may go on. Hashes in its queue take a second or
       two. */
    LIMIT_VERDICT_MS = 30 * 1000,
    /* A peer that neither takes nor sends this much in LIMIT_RATE_WINDOW_MS is too slow to keep. */
    LIMIT_RATE_WINDOW_MS = 30 * 1000,
    LIMIT_RATE_BYTES = 30 * 256,
    /* What TCP has taken of an answer and not sent yet (TCP_NOTSENT_LOWAT): the kernel would go on
     * to 4 MiB for each slow reader. Well above a segment (64 KiB): with 32 KiB a sendfile into
     * kernel TLS stops for ever (6.12). */
    LIMIT_UNSENT_BYTES = 256 * 1024,
    /* From SIGTERM to the end of the last connection. */
    LIMIT_DRAIN_MS = 10 * 1000,
};

/* --- authentication --- */
enum {
    /* User name, colon, password. Below what crypt(3) takes (CRYPT_MAX_PASSPHRASE_SIZE). */
    LIMIT_CREDENTIAL_BYTES = 512,
    LIMIT_USER_NAME_BYTES = 64,
    LIMIT_USERS = 1024,
    LIMIT_USERS_FILE_BYTES = 1024 * 1024,
    /* A crypt(3) hash with its NUL: CRYPT_OUTPUT_SIZE of libxcrypt. */
    LIMIT_USER_HASH_BYTES = 384,
    /* App passwords of one user, compared one by one, and the length of their names. */
    LIMIT_APP_PASSWORDS = 32,
    LIMIT_APP_LABEL_BYTES = 64,
    LIMIT_SESSIONS = 4096,
    /* Of one user: a script that logs in every minute ends its own sessions, not others'. */
    LIMIT_SESSIONS_PER_USER = 64,
    LIMIT_SESSION_IDLE_S = 7 * 24 * 3600,
    LIMIT_SESSION_S = 30 * 24 * 3600,
    /* How exactly the last use of a session is known: finer, and every request would dirty the
     * store. */
    LIMIT_SESSION_GRAIN_S = 60,
    /* LIMIT_SESSIONS lines of at most 200 bytes. */
    LIMIT_SESSIONS_FILE_BYTES = 1024 * 1024,
    /* Verified credentials remembered, and for how long after their last use and at most. */
    LIMIT_VERIFIED = 1024,
    LIMIT_VERIFIED_IDLE_S = 5 * 60,
    LIMIT_VERIFIED_S = 60 * 60,
    /* Passwords waiting to be hashed (20 ms each). */
    LIMIT_HASH_QUEUE = 64,
    /* Addresses whose failures are remembered, and as many accounts. */
    LIMIT_THROTTLE_ENTRIES = 4096,
    /* Changes of app passwords that wait for the users file, which is edited by one process after
     * the other; how long each may wait for its turn, and how long that process may take: the file
     * may be locked by another one, or its disk asleep. */
    LIMIT_ACCOUNT_CHANGES = 64,
    LIMIT_ACCOUNT_CHANGES_OF_ONE = 4, /* of these one user's */
    LIMIT_ACCOUNT_TURN_MS = 10 * 1000,
    LIMIT_ACCOUNT_CHANGE_MS = 10 * 1000,
    /* When that process ends by itself, should nobody be left to end it. */
    LIMIT_CLERK_S = LIMIT_ACCOUNT_CHANGE_MS / 1000 + 2,
    /* How often the log says that the users file cannot be changed: whoever has an account may try
     * as often as they like. */
    LIMIT_ACCOUNT_COMPLAINT_MS = 60 * 1000,
    /* Questions of one ring to the monitor that wait for their answers, and for how long: longer
     * than both of these times together, and more than changes can wait, so that there is room for
     * those which the monitor answers at once. */
    LIMIT_ACCOUNT_CALLS = 2 * LIMIT_ACCOUNT_CHANGES,
    LIMIT_ACCOUNT_MS = 30 * 1000,
    /* Wrong passwords of an address before it has to wait: 5 at once, then after 1, 2, 4, 8, 16 and
     * 32 seconds make 10 within any minute. One is forgotten every 10 minutes: 6 an hour. */
    LIMIT_THROTTLE_FREE = 5,
    LIMIT_THROTTLE_HOLD_S = 15 * 60,
    LIMIT_THROTTLE_FORGET_S = 10 * 60,
    /* The same for an account, over all addresses. One address fails too rarely to ever use this
     * up, and the wait stays short, so that nobody can lock an owner out (throttle.h). */
    LIMIT_THROTTLE_ACCOUNT_FREE = 100,
    LIMIT_THROTTLE_ACCOUNT_HOLD_S = 5,
    LIMIT_THROTTLE_ACCOUNT_FORGET_S = 60,
    /* Different wrong passwords remembered for each address: devices that still have an old one. */
    LIMIT_THROTTLE_WRONG = 8,
    /* Pairs of address and account that once logged in. */
    LIMIT_THROTTLE_KNOWN = 1024,
};

/* --- monitor --- */
enum {
    /* Messages that wait for one ring of gate or home, because it is busy or just being restarted.
     * A thousand connections come at once when a browser farm or a benchmark starts. */
    LIMIT_OUTBOX_MESSAGES = 2048,
    LIMIT_OUTBOX_BYTES = 4 * 1024 * 1024,
    /* A ring that lets so many pile up is not read from: it gets no answers it does not fetch. */
    LIMIT_OUTBOX_PAUSE = 1024,
    /* Connections that wait for a password to be hashed. */
    LIMIT_PARKED = 2048,
    LIMIT_PARKED_BYTES = 8 * 1024 * 1024,
    /* What a client is told to wait when one of these is full. */
    LIMIT_BUSY_RETRY_S = 2,
    /* A child that dies is started again at once, then after 100 ms, doubling to this. */
    LIMIT_RESTART_FIRST_MS = 100,
    LIMIT_RESTART_MS = 5 * 1000,
    /* ... and counts as healthy after having served so long. */
    LIMIT_RESTART_HEALTHY_MS = 1000,
    /* Sessions are written this often at most; a crash costs the logins since then. */
    LIMIT_SESSIONS_SAVE_MS = 5 * 1000,
    /* Certificate chain and key together, PEM; RSA with a long chain has 15 KiB. */
    LIMIT_CERTIFICATE_BYTES = 48 * 1024,
};

/* --- the trash --- */
enum {
    /* Deletions that can be taken back, of all users. Each takes half a KiB and its path: 20 MiB
     * if all paths are as long as LIMIT_PATH_BYTES lets them be, 3 MiB as paths are. */
    LIMIT_UNDOS = 4096,
    /* ... and of one user: as many as somebody selects and deletes at once. */
    LIMIT_UNDOS_PER_USER = 1024,
    /* ... and for how long. A page that offers it may stay open while its user is at lunch. */
    LIMIT_UNDO_MS = 3600 * 1000,
};

/* --- write locks of WebDAV --- */
enum {
    /* Resources that an If field names, and lock tokens in it that count. A client shows the tokens
     * of what it changes: one, rarely two. */
    LIMIT_IF_RESOURCES = 64,
    LIMIT_IF_TOKENS = 64,
    /* A client holds a lock for each open document; a program that begins and never ends shall not
     * keep others from theirs. */
    LIMIT_LOCKS = 8 * 1024,
    LIMIT_LOCKS_PER_USER = 1024,
    LIMIT_LOCKS_PER_NAME = 32, /* shared ones */
    /* Memory of all of them; the file that keeps them is no longer than that. */
    LIMIT_LOCK_BYTES = 4 * 1024 * 1024,
    LIMIT_LOCK_BYTES_PER_USER = 512 * 1024,
    /* Who a lock is of, in the client's words: an address or a name. */
    LIMIT_LOCK_OWNER_BYTES = 1024,
    /* How long a lock lives unless it is refreshed: at most, where the client does not say, and at
     * least. A forgotten one keeps everybody else from changing the file. */
    LIMIT_LOCK_S = 3600,
    LIMIT_LOCK_DEFAULT_S = 1800,
    LIMIT_LOCK_LEAST_S = 60,
    /* How long a LOCK waits for changes that are just being made. */
    LIMIT_LOCK_WAIT_MS = 2000,
};

/* --- folders --- */
enum {
    /* Entries of one listing. More than anybody reads, and still less than a second's work. */
    LIMIT_FOLDER_ENTRIES = 1000 * 1000,
    /* Memory for one listing while it is made: 150 bytes for an ordinary entry. */
    LIMIT_FOLDER_BYTES = 256 * 1024 * 1024,
    /* Names of folders that a walk has seen and not entered yet: more than a million in one folder.
     */
    LIMIT_WALK_BYTES = 32 * 1024 * 1024,
    /* Folders in each other that are removed or copied as a whole, with a descriptor open for each:
     * as many as a path of LIMIT_PATH_BYTES can name. */
    LIMIT_TREE_DEPTH = 2048,
    /* Things in a folder that is moved to another file system, of which each is remembered until it
     * is removed: 64 MiB at most, and half of that again while the table grows. */
    LIMIT_COPIED_ENTRIES = 4 * 1024 * 1024,
    /* What an answer lists of that which could not be removed. More is only counted. */
    LIMIT_FAILURES = 100,
    /* What a zip archive's central directory is made from: a million entries at 64 bytes each. */
    LIMIT_ARCHIVE_DIRECTORY_BYTES = 64 * 1024 * 1024,
    /* The names of a selection, and the body that they come in where a request's head has no room:
     * more than anybody selects who does not take the whole folder. They are sorted in one go. */
    LIMIT_ARCHIVE_NAMES = 16 * 1024,
    LIMIT_ARCHIVE_BODY_BYTES = 1024 * 1024,
    /* What could not be put into an archive, as a text at its end. More is only counted. */
    LIMIT_ARCHIVE_NOTES_BYTES = 64 * 1024,
};

/* --- WebDAV --- */
enum {
    /* A body of XML. Clients send 200 to 2,000 bytes. */
    LIMIT_XML_BYTES = 64 * 1024,
    /* Elements in each other; attributes of one; and what the parser may allocate, as a small
     * document can make expat before 2.7.2 take a thousand times its size (CVE-2025-59375). */
    LIMIT_XML_DEPTH = 32,
    LIMIT_XML_ATTRIBUTES = 64,
    LIMIT_XML_MEMORY = 512 * 1024,
    /* Names that a PROPFIND asks for and that the server does not know. Clients ask for 20. */
    LIMIT_PROPFIND_NAMES = 64,
    /* Entries of an answer with Depth infinity: a second's work. */
    LIMIT_PROPFIND_DEEP = 50 * 1000,
    /* Properties that one PROPPATCH sets or removes. Clients change one to five. */
    LIMIT_PROPPATCH_PROPERTIES = 128,
    /* All that clients keep with a file, names and values. The kernel takes attributes of 64 KiB,
     * and ext4 with blocks of 4 KiB no more than such a block for all of a file. */
    LIMIT_DEAD_BYTES = 32 * 1024,
    /* How many that are: each that is shown takes a parser, 4 us. Programs keep ten. */
    LIMIT_DEAD_PROPERTIES = 256,
    /* Of these the namespace and the name of one. */
    LIMIT_DEAD_NAME_BYTES = 1024,
};
