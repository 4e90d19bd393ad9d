#include "client.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fault.h"
#include "rt/io_sim.h"

/* Of what tells what is missing in an archive. */
#define NOTES_NAME "INCOMPLETE.txt"

enum {
    GOT_BYTES = 4 * 1024 * 1024,
    OUT_BYTES = 1024 * 1024,
    SEALED_BYTES = 256 * 1024,
    GOLDEN_BYTES = 8 * 1024 * 1024,
    RECEIVED_AT_ONCE = 64 * 1024,
    SLOW_BYTES = 16 * 1024,
    TOO_SLOW_BYTES = 64,
    DRIP_BYTES = 16,
    SLOW_MS = 1000,
    TOO_SLOW_MS = 100 * 1000, /* then it takes all that has come */
};

__attribute__((format(printf, 2, 3))) static void wrong(struct client *c, const char *format, ...)
{
    va_list args;

    if (c->wrong[0])
        return;
    va_start(args, format);
    vsnprintf(c->wrong, sizeof(c->wrong), format, args);
    va_end(args);
}

void client_prepare(struct client *clients, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        clients[i].out = malloc(OUT_BYTES);
        clients[i].sealed = malloc(SEALED_BYTES);
        clients[i].got = malloc(GOT_BYTES);
        clients[i].fd = -1;
        assert(clients[i].out && clients[i].sealed && clients[i].got);
    }
}

void client_begin(struct client *client, const struct script_case *c, struct client_golden *golden,
                  int fd, const struct tls_keys keys[2])
{
    *client = (struct client){.c = c,
                              .golden = golden,
                              .root_fd = client->root_fd,
                              .fd = fd,
                              .begin_ms = io_sim_now_ms(),
                              .is_tls = keys != NULL,
                              .shuffle = client->shuffle,
                              .random = client->random,
                              .out = client->out,
                              .sealed = client->sealed,
                              .got = client->got};
    if (keys && session_init(&client->session, &keys[0], &keys[1], 0) < 0)
        abort();
}

void client_end(struct client *client)
{
    if (client->fd < 0)
        return;
    close(client->fd);
    client->fd = -1;
    if (client->is_tls)
        session_wipe(&client->session);
}

static size_t some_of(struct client *c, size_t len)
{
    if (!c->shuffle || len < 2 || io_sim_random(&c->random) % 2 == 0)
        return len;
    return 1 + io_sim_random(&c->random) % (len - 1);
}

/* --- sending --- */

static void put_line(struct client *c, struct span text)
{
    c->out_len = c->out_sent = 0;
    if (!c->is_tls) {
        assert(text.len <= OUT_BYTES);
        memcpy(c->out, text.data, text.len);
        c->out_len = text.len;
        return;
    }
    while (text.len > 0) {
        uint8_t *at = (uint8_t *)c->out + c->out_len;
        size_t here = text.len < TLS_PLAINTEXT_MAX ? text.len : TLS_PLAINTEXT_MAX;
        assert(c->out_len + TLS_RECORD_MAX <= OUT_BYTES);
        memcpy(at + record_prefix(&c->session.tx), text.data, here);
        int r = record_seal(&c->session.tx, TLS_TYPE_APPLICATION_DATA, at, here);
        assert(r > 0);
        c->out_len += (size_t)r;
        text = span_skip(text, here);
    }
}

static bool is_answered(const struct client *c, unsigned line)
{
    return (c->c->traits & SCRIPT_PIPELINED) || c->answers >= line;
}

/* Returns whether there is something to send. */
static bool next_line(struct client *c)
{
    while (!c->line_begun && c->line < SCRIPT_LINES_MAX && c->c->lines[c->line].request &&
           is_answered(c, c->line)) {
        put_line(c, span_str(c->c->lines[c->line].request));
        c->line_begun = c->out_len > 0;
        if (!c->line_begun)
            c->line++;
    }
    if (!c->line_begun && (c->line == SCRIPT_LINES_MAX || !c->c->lines[c->line].request))
        c->sent_all = true;
    return c->line_begun;
}

static bool send_some(struct client *c, uint64_t now_ms)
{
    if (c->deaf || now_ms < c->next_send_ms || !next_line(c))
        return false;
    size_t len = some_of(c, c->out_len - c->out_sent);
    if (c->c->traits & SCRIPT_DRIPS) {
        len = len < DRIP_BYTES ? len : DRIP_BYTES;
        c->next_send_ms = now_ms + SLOW_MS;
    }
    ssize_t r = sendto(c->fd, c->out + c->out_sent, len, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
    if (r < 0 && errno != EAGAIN)
        c->deaf = true;
    if (r <= 0)
        return c->deaf;
    c->out_sent += (size_t)r;
    if (c->out_sent == c->out_len) {
        c->line_begun = false;
        c->line++;
    }
    return true;
}

/* --- comparing --- */

static bool line_is_head(const struct client *c, unsigned i)
{
    const char *request = i < SCRIPT_LINES_MAX ? c->c->lines[i].request : NULL;

    return request && strncmp(request, "HEAD ", 5) == 0;
}

/* What the body has to be; data NULL: not known. */
static struct span truth(const struct client *c, unsigned i)
{
    const struct script_line *line = &c->c->lines[i];

    if (line->text)
        return span_str(line->text);
    if (!line->file || line_is_head(c, i))
        return c->golden[i].known ? c->golden[i].body : (struct span){0};
    struct span all = script_file(line->file);
    all = span_skip(all, line->first);
    return line->length ? span_first(all, line->length) : all;
}

/* What an answer may be when something failed: ours, not the client's mistake. */
static bool is_failure(int status)
{
    const struct fault_tally *tally = fault_tally();

    /* A body that was taken for one that the peer ended early. */
    if (status == 400)
        return fault_kind_now() == FAULTS_MANY || tally->site == FAULT_RECV ||
               tally->site == FAULT_SEND;
    return status == 207 || status == 403 || status == 408 || status == 413 || status == 500 ||
           status == 503 || status == 507;
}

static struct span keep_golden(struct span s)
{
    static char memory[GOLDEN_BYTES];
    static size_t used;

    assert(used + s.len <= sizeof(memory));
    char *copy = memory + used;
    memcpy(copy, s.data, s.len);
    used += s.len;
    return span_of(copy, s.len);
}

/* Takes the next line of a head for which it matters; Date, and whether it closes, may differ, and
 * where something may be missing the length (what is short enough has one), and what may be done
 * with it. */
static struct span next_field(struct span *rest, bool lacks)
{
    for (;;) {
        const char *end = memmem(rest->data, rest->len, "\r\n", 2);
        if (!end)
            return (struct span){0};
        struct span line = span_of(rest->data, (size_t)(end - rest->data));
        *rest = span_skip(*rest, line.len + 2);
        if (!span_starts_with(line, SPAN("Date:")) &&
            !span_starts_with(line, SPAN("Connection:")) &&
            !(lacks && (span_starts_with(line, SPAN("Content-Length:")) ||
                        span_starts_with(line, SPAN("Transfer-Encoding:")) ||
                        span_starts_with(line, SPAN("Allow:")))))
            return line;
    }
}

static bool same_head(struct span a, struct span b, bool lacks)
{
    struct span x, y;

    do {
        x = next_field(&a, lacks);
        y = next_field(&b, lacks);
        if (!span_equal(x, y))
            return false;
    } while (x.data && y.data);
    return !x.data == !y.data;
}

/* Whether something may be missing in a listing; or in an archive, which tells it. */
static bool may_lack(const struct client *c, struct span body, bool complete)
{
    const struct fault_tally *tally = fault_tally();
    bool many = fault_kind_now() == FAULTS_MANY;

    if (c->c->traits & SCRIPT_ENTRIES)
        return tally->hides_entries;
    if (!(c->c->traits & SCRIPT_NOTES) || tally->injected == 0)
        return false;
    if (!complete)
        return many || tally->hides_entries || (c->c->traits & SCRIPT_ABORTS);
    return many || tally->error == ENOENT || /* it is gone */
           memmem(body.data, body.len, NOTES_NAME, sizeof(NOTES_NAME) - 1);
}

/* The members of a folder come as they are read, or sorted, if that is remembered of a listing:
 * PROPFIND promises no order. Whether all pieces of `body`, of which the last may have been cut,
 * are in `right`. */
static bool same_members(struct span body, struct span right, bool complete)
{
    const struct span start = SPAN("<D:response>"), end = SPAN("</D:multistatus>\n");

    while (body.len > 0) {
        const char *next = memmem(body.data + 1, body.len - 1, start.data, start.len);
        if (!next && !complete)
            return true;
        size_t len = next ? (size_t)(next - body.data) : body.len;
        if (!next && len > end.len) /* the last one, and the end of all */
            len -= end.len;
        if (!memmem(right.data, right.len, body.data, len))
            return false;
        body = span_skip(body, next ? len : body.len);
    }
    return true;
}

/* Whether the body is that of the golden answer as far as it came. */
static bool same_body(const struct client *c, unsigned i, struct span body, bool complete)
{
    struct span right = truth(c, i);

    if (may_lack(c, body, complete))
        return true;
    if ((c->c->traits & SCRIPT_CHANGES) && !complete)
        return true;
    if (complete ? body.len != right.len : body.len > right.len)
        return false;
    if (c->c->traits & SCRIPT_ENTRIES && c->c->lines[i].status == 207)
        return same_members(body, right, complete);
    return span_equal(body, span_first(right, body.len));
}

static bool tells_failure(const struct client *c, struct span body)
{
    static const char mark[] = "<D:status>HTTP/1.1 200";

    return c->c->traits & SCRIPT_PARTS && !memmem(body.data, body.len, mark, sizeof(mark) - 1);
}

/* An answer has come, or as much of it as will come. */
static void check(struct client *c, int status, struct span head, struct span body, bool complete)
{
    unsigned i = c->answers;
    bool faulty = fault_may_show();

    if (i >= SCRIPT_LINES_MAX || c->c->lines[i].status == 0) {
        if (!faulty || !is_failure(status))
            wrong(c, "answer %u has status %d and nothing was asked", i, status);
        return;
    }
    if (status != c->c->lines[i].status) {
        if (!faulty || !is_failure(status))
            wrong(c, "answer %u has status %d instead of %d", i, status, c->c->lines[i].status);
        c->failed_cleanly = true;
        return;
    }
    if (!c->golden[i].known && !faulty && complete) {
        const struct script_line *line = &c->c->lines[i];
        bool is_told = (line->file && !line_is_head(c, i)) || line->text;
        c->golden[i] = (struct client_golden){true, status, keep_golden(head),
                                              is_told ? (struct span){0} : keep_golden(body)};
    }
    /* How an error looks may suffer from another one. */
    if (faulty && status >= 400)
        return;
    if (faulty && tells_failure(c, body)) {
        c->failed_cleanly = true;
        return;
    }
    if (c->golden[i].known && !(c->c->traits & SCRIPT_CHANGES) &&
        !same_head(head, c->golden[i].head, may_lack(c, body, complete)))
        wrong(c, "answer %u has another head:\n%.*s", i, SPAN_ARG(head));
    if ((c->golden[i].known || c->c->lines[i].file) && !same_body(c, i, body, complete))
        wrong(c, "answer %u, status %d, %s, has a wrong body of %zu bytes", i, status,
              complete ? "complete" : "not complete", body.len);
}

/* --- parsing --- */

struct answer {
    int status;
    struct span head;
    size_t body_at; /* in `got` */
    bool chunked, has_length, no_body;
    size_t length;
};

/* Returns false where the head is not complete. */
static bool parse_head(struct client *c, struct answer *a)
{
    char *at = c->got + c->parsed;
    char *end = memmem(at, c->got_len - c->parsed, "\r\n\r\n", 4);

    if (!end)
        return false;
    *a = (struct answer){.head = span_of(at, (size_t)(end + 2 - at)),
                         .body_at = (size_t)(end + 4 - c->got)};
    if (!span_starts_with(a->head, SPAN("HTTP/1.1 ")) || a->head.len < 14) {
        wrong(c, "this is no answer: %.40s", at);
        return false;
    }
    a->status = (at[9] - '0') * 100 + (at[10] - '0') * 10 + at[11] - '0';
    struct span rest = a->head;
    for (struct span line; (line = next_field(&rest, false)).data;) {
        if (span_starts_with(line, SPAN("Content-Length: "))) {
            a->has_length = true;
            a->length = (size_t)strtoull(line.data + sizeof("Content-Length: ") - 1, NULL, 10);
        }
        a->chunked |= span_equal(line, SPAN("Transfer-Encoding: chunked"));
    }
    a->no_body =
        line_is_head(c, c->answers) || a->status < 200 || a->status == 204 || a->status == 304;
    return true;
}

/* Decodes chunks in place, from `at` on. Returns true when the last one is there; `ret_body` is
 * what there is, `ret_end` the end of it all. Nothing is changed before that. */
static bool decode_chunks(struct client *c, size_t at, struct span *ret_body, size_t *ret_end)
{
    static char body[GOT_BYTES];
    size_t len = 0;
    bool done = false;

    while (!done) {
        char *line = c->got + at, *data;
        size_t size = strtoul(line, &data, 16);
        if (at >= c->got_len || !memmem(line, c->got_len - at, "\r\n", 2))
            break;
        data += 2;
        at = (size_t)(data - c->got);
        size_t here = at + size + 2 <= c->got_len ? size : c->got_len - at;
        if (at > c->got_len || len + here > sizeof(body))
            break;
        memcpy(body + len, data, here < size ? here : size);
        len += here < size ? here : size;
        if (at + size + 2 > c->got_len)
            break;
        at += size + 2;
        done = size == 0;
    }
    *ret_body = span_of(body, len);
    *ret_end = at;
    return done;
}

/* Takes one answer. `at_end`: no more will come. Returns whether there was a complete one. */
static bool take_answer(struct client *c, bool at_end)
{
    struct answer a;
    struct span body;
    size_t end;
    bool complete;

    c->got[c->got_len] = '\0';
    if (c->parsed == c->got_len || !parse_head(c, &a))
        return false;
    if (a.no_body) {
        body = span_of(c->got + a.body_at, 0);
        end = a.body_at;
        complete = true;
    } else if (a.chunked) {
        complete = decode_chunks(c, a.body_at, &body, &end);
    } else {
        size_t there = c->got_len - a.body_at;
        complete = a.has_length && there >= a.length;
        body = span_of(c->got + a.body_at, complete ? a.length : there);
        end = a.body_at + body.len;
    }
    if (!complete && !at_end)
        return false;
    if (a.status >= 200)
        check(c, a.status, a.head, body, complete);
    if (!complete)
        return false;
    c->parsed = end;
    c->answers += a.status >= 200;
    return true;
}

/* --- receiving --- */

static void open_records(struct client *c)
{
    struct session_event event;
    size_t at = 0;
    int r;

    while ((r = session_open(&c->session, c->sealed + at, c->sealed_len - at, &event)) > 0) {
        at += (size_t)r;
        if (event.kind == SESSION_DATA) {
            assert(c->got_len + event.data.len < GOT_BYTES);
            memcpy(c->got + c->got_len, event.data.data, event.data.len);
            c->got_len += event.data.len;
        }
    }
    if (r < 0)
        wrong(c, "a record cannot be opened: alert %d", -r);
    memmove(c->sealed, c->sealed + at, c->sealed_len - at);
    c->sealed_len -= at;
}

/* The connection is over: what has come has to be right, and without faults all of it. */
static void finish(struct client *c)
{
    unsigned wanted = 0;

    take_answer(c, true);
    while (wanted < SCRIPT_LINES_MAX && c->c->lines[wanted].status != 0)
        wanted++;
    if (!fault_may_show() && c->answers < wanted &&
        !(c->c->traits & (SCRIPT_BREAKS | SCRIPT_ABORTS)))
        wrong(c, "the connection ended after %u of %u answers", c->answers, wanted);
    client_end(c);
}

static size_t received_at_once(struct client *c, uint64_t now_ms)
{
    bool too_slow = (c->c->traits & SCRIPT_TOO_SLOW) && now_ms - c->begin_ms < TOO_SLOW_MS;

    if (too_slow || (c->c->traits & SCRIPT_SLOW))
        c->next_ms = now_ms + SLOW_MS;
    return too_slow                     ? TOO_SLOW_BYTES
           : c->c->traits & SCRIPT_SLOW ? SLOW_BYTES
                                        : some_of(c, RECEIVED_AT_ONCE);
}

static bool receive_some(struct client *c, uint64_t now_ms)
{
    if (now_ms < c->next_ms)
        return false;
    size_t room = received_at_once(c, now_ms);
    char *to = c->is_tls ? (char *)c->sealed + c->sealed_len : c->got + c->got_len;
    if (room > (c->is_tls ? SEALED_BYTES - c->sealed_len : GOT_BYTES - 1 - c->got_len)) {
        wrong(c, "too much has come");
        finish(c);
        return true;
    }
    ssize_t r = recvfrom(c->fd, to, room, MSG_DONTWAIT, NULL, NULL);
    if (r < 0 && errno == EAGAIN)
        return false;
    if (r <= 0) {
        finish(c);
        return true;
    }
    if (c->is_tls) {
        c->sealed_len += (size_t)r;
        open_records(c);
    } else {
        c->got_len += (size_t)r;
    }
    while (take_answer(c, false))
        continue;
    return true;
}

/* --- */

uint64_t client_step(struct client *c, uint64_t now_ms)
{
    bool moved = false;

    if (c->fd < 0)
        return UINT64_MAX;
    moved |= send_some(c, now_ms);
    moved |= receive_some(c, now_ms);
    if (c->fd < 0)
        return now_ms;
    if (c->c->during && !c->during_done && c->got_len >= c->c->during_after) {
        c->during_done = true;
        c->c->during(c->root_fd);
    }
    if ((c->c->traits & SCRIPT_ABORTS) && c->sent_all && c->got_len >= c->c->abort_after) {
        finish(c);
        return now_ms;
    }
    /* All is said; the server closes when it has seen that. */
    if (c->sent_all && !c->deaf && !(c->c->traits & SCRIPT_SILENT) &&
        (c->answers == c->line || (c->c->traits & SCRIPT_BREAKS))) {
        shutdown(c->fd, SHUT_WR);
        c->deaf = true;
        moved = true;
    }
    if (moved)
        return now_ms;
    uint64_t next_ms = c->next_ms > now_ms ? c->next_ms : UINT64_MAX;
    if (c->next_send_ms > now_ms && !c->deaf && c->next_send_ms < next_ms)
        next_ms = c->next_send_ms;
    return next_ms;
}
