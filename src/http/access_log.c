#include "http/access_log.h"

#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "http/date.h"
#include "http/escape.h"
#include "http/exchange.h"

static void write_out(struct task *t, void *arg)
{
    struct access_log *log = arg;
    struct span left = buf_span(&log->writing);

    while (left.len > 0) {
        ssize_t r = io_write(t, log->writing_fd, left.data, left.len, (uint64_t)-1);
        if (r <= 0)
            break; /* a full disk loses lines of the log, nothing else */
        left = span_skip(left, (size_t)r);
    }
    log->writing.len = 0;
    log->busy = false;
    if (log->writing_fd != log->fd)
        io_close(log->loop, log->writing_fd);
}

static void flush(struct access_log *log)
{
    if (log->busy || log->lines.len == 0)
        return;
    struct buf collected = log->lines;
    log->lines = log->writing;
    log->writing = collected;
    log->lines.failed = false;
    log->busy = true;
    log->writing_fd = log->fd;
    if (task_spawn(log->loop, write_out, log) < 0)
        log->busy = false;
}

static void flush_expired(struct timer *timer)
{
    struct access_log *log = container_of(timer, struct access_log, timer);

    flush(log);
    if (log->busy || log->lines.len > 0)
        timer_set(loop_timers(log->loop), &log->timer,
                  loop_now_ms(log->loop) + ACCESS_LOG_FLUSH_MS);
}

void access_log_init(struct access_log *log, struct loop *loop, int fd,
                     enum access_log_format format)
{
    *log = (struct access_log){.loop = loop, .fd = fd, .format = format};
    buf_init_growing(&log->lines, ACCESS_LOG_BUFFER_BYTES);
    buf_init_growing(&log->writing, ACCESS_LOG_BUFFER_BYTES);
    timer_init(&log->timer, flush_expired);
}

void access_log_reopen(struct access_log *log, int fd)
{
    if (!log->busy || log->writing_fd != log->fd)
        io_close(log->loop, log->fd);
    log->fd = fd;
}

void access_log_finish(struct access_log *log)
{
    timer_stop(loop_timers(log->loop), &log->timer);
    struct span left = buf_span(&log->lines);
    while (left.len > 0) {
        ssize_t r = write(log->fd, left.data, left.len);
        if (r <= 0)
            break;
        left = span_skip(left, (size_t)r);
    }
    buf_finish(&log->lines);
    buf_finish(&log->writing);
    io_close(log->loop, log->fd);
}

static struct span peer_text(const struct sockaddr_storage *peer, char text[INET6_ADDRSTRLEN])
{
    const void *address = NULL;
    int family = peer->ss_family;

    if (family == AF_INET) {
        address = &((const struct sockaddr_in *)peer)->sin_addr;
    } else if (family == AF_INET6) {
        const struct in6_addr *a = &((const struct sockaddr_in6 *)peer)->sin6_addr;
        address = a;
        if (IN6_IS_ADDR_V4MAPPED(a)) {
            family = AF_INET;
            address = &a->s6_addr[12];
        }
    }
    if (!address || !inet_ntop(family, address, text, INET6_ADDRSTRLEN))
        return SPAN("-");
    return span_str(text);
}

static struct span cut(struct span s)
{
    return s.len > ACCESS_LOG_TEXT_BYTES ? span_first(s, ACCESS_LOG_TEXT_BYTES) : s;
}

static void put_quoted(struct buf *out, struct span s)
{
    buf_append_char(out, '"');
    if (s.data)
        log_escape(out, cut(s));
    else
        buf_append_char(out, '-');
    buf_append_char(out, '"');
}

static void put_text(struct buf *out, const struct exchange *x, struct span peer)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const struct request *q = &x->request;
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    gmtime_r(&now.tv_sec, &tm);
    buf_append(out, peer);
    buf_append_str(out, " - ");
    if (x->user[0] != '\0')
        log_escape(out, span_str(x->user));
    else
        buf_append_char(out, '-');
    buf_printf(out, " [%02d/%.3s/%04d:%02d:%02d:%02d +0000] \"", tm.tm_mday, months + 3 * tm.tm_mon,
               tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    if (q->method_name.len > 0) {
        log_escape(out, q->method_name);
        buf_append_char(out, ' ');
        log_escape(out, cut(q->target));
        buf_printf(out, " HTTP/1.%d", q->minor_version);
    } else {
        buf_append_char(out, '-');
    }
    buf_printf(out, "\" %d %llu ", x->status,
               (unsigned long long)(x->head_only ? 0 : x->body_sent));
    put_quoted(out, q->referer);
    buf_append_char(out, ' ');
    put_quoted(out, q->user_agent);
    buf_append_char(out, '\n');
}

static void put_json_text(struct buf *out, const char *key, struct span value)
{
    buf_printf(out, ",\"%s\":\"", key);
    escape_json(out, cut(value));
    buf_append_char(out, '"');
}

static void put_json(struct buf *out, const struct exchange *x, struct span peer)
{
    const struct request *q = &x->request;
    char date[DATE_ISO_BYTES];
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    buf_append_str(out, "{\"time\":\"");
    buf_append(out, date_format_iso(now.tv_sec, (uint32_t)now.tv_nsec, date));
    buf_append_char(out, '"');
    put_json_text(out, "address", peer);
    put_json_text(out, "user", span_str(x->user));
    put_json_text(out, "method", q->method_name);
    put_json_text(out, "target", q->target);
    put_json_text(out, "referer", q->referer);
    put_json_text(out, "user_agent", q->user_agent);
    buf_printf(out, ",\"status\":%d,\"bytes\":%llu}\n", x->status,
               (unsigned long long)(x->head_only ? 0 : x->body_sent));
}

void access_log_request(const struct exchange *x)
{
    struct access_log *log = x->http->log;
    char text[INET6_ADDRSTRLEN];

    if (!log)
        return;
    struct span peer = peer_text(&x->conn->approval.peer, text);
    size_t before = log->lines.len;
    if (log->format == ACCESS_LOG_JSON)
        put_json(&log->lines, x, peer);
    else
        put_text(&log->lines, x, peer);
    if (buf_failed(&log->lines)) {
        log->lines.len = before; /* no half lines */
        log->lines.failed = false;
        log->dropped++;
    }
    if (log->lines.len >= ACCESS_LOG_FLUSH_BYTES)
        flush(log);
    else if (!log->timer.queued)
        timer_set(loop_timers(log->loop), &log->timer,
                  loop_now_ms(log->loop) + ACCESS_LOG_FLUSH_MS);
}
