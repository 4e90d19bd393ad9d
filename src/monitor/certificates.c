#include "monitor/certificates.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "auth/statefile.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"
#include "tls/context.h"

static void wipe(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->capacity);
    buf_finish(b);
}

void certificates_finish(struct certificates *c)
{
    wipe(&c->chain);
    wipe(&c->key);
    *c = (struct certificates){0};
}

static int read_file(const char *path, const char *what, struct buf *out)
{
    int r = statefile_read(path, out, NULL);

    if (r == -EFBIG)
        log_error("The %s %s is too large for one; name the PEM file with --cert and --key.", what,
                  path);
    else if (r < 0)
        log_error("The %s %s cannot be read: %s.", what, path, strerror(-r));
    return r;
}

/* Whether gate could use it. Says what is wrong, naming `path`. */
static int check(const struct certificates *c, const char *path)
{
    struct tls_context *context;
    const char *why = "unknown";

    if (c->chain.len + c->key.len > LIMIT_CERTIFICATE_BYTES) {
        log_error("The certificate %s and its key are too large (%d KiB are possible).", path,
                  LIMIT_CERTIFICATE_BYTES / 1024);
        return -EFBIG;
    }
    int r = context_create(buf_span(&c->chain), buf_span(&c->key), &context, &why);
    if (r < 0) {
        log_error("The certificate %s cannot be used: %s.", path, why);
        return r;
    }
    context_unref(context);
    return 0;
}

static int load_given(struct certificates *c, const struct config *config)
{
    int r = read_file(config->cert_path, "certificate", &c->chain);

    if (r == 0)
        r = read_file(config->key_path, "key", &c->key);
    return r < 0 ? r : check(c, config->cert_path);
}

/* Appends a new certificate and its key to `made` and stores both; the key of `old` lives on. */
static int make(struct certificates *made, const struct certificates *old, struct span names,
                const char *cert_path, const char *key_path)
{
    int64_t now_s = time(NULL);
    int r = certificate_make(buf_span(&old->key), names, now_s, &made->chain, &made->key);

    if (r == -EINVAL && old->key.len > 0) {
        log_warning("%s is no usable key; a new one is made.", key_path);
        made->chain.len = made->key.len = 0;
        r = certificate_make(span_of(NULL, 0), names, now_s, &made->chain, &made->key);
    }
    if (r < 0) {
        log_error("A certificate could not be made: %s.", strerror(-r));
        return r;
    }
    /* The key first: without its certificate it is kept, the other way round it would be replaced.
     */
    r = statefile_replace(key_path, buf_span(&made->key), NULL);
    if (r == 0)
        r = statefile_replace(cert_path, buf_span(&made->chain), NULL);
    if (r < 0)
        log_error("The certificate cannot be stored as %s: %s. Make that folder writable, or set "
                  "XDG_STATE_HOME.",
                  cert_path, strerror(-r));
    return r;
}

/* Missing files are as good as empty ones: a certificate is made. */
static int read_own(struct certificates *old, const char *cert_path, const char *key_path)
{
    int r = statefile_read(cert_path, &old->chain, NULL);

    if (r == 0 || r == -ENOENT)
        r = statefile_read(key_path, &old->key, NULL);
    if (r < 0 && r != -ENOENT)
        log_error("The server's own key %s cannot be read: %s.", key_path, strerror(-r));
    return r == -ENOENT ? 0 : r;
}

static int load_own(struct certificates *c, const struct config *config)
{
    _cleanup_free_ char *cert_path = NULL;
    _cleanup_free_ char *key_path = NULL;
    _cleanup_(certificates_finish) struct certificates old = {0};
    _cleanup_(buf_finish) struct buf names = {0};

    if (asprintf(&cert_path, "%s/certificate.pem", config->state_dir) < 0 ||
        asprintf(&key_path, "%s/key.pem", config->state_dir) < 0)
        return -ENOMEM;
    buf_init_growing(&old.chain, LIMIT_CERTIFICATE_BYTES);
    buf_init_growing(&old.key, LIMIT_CERTIFICATE_BYTES);
    buf_init_growing(&names, LIMIT_CERTIFICATE_BYTES);
    int r = certificate_local_names(&names);
    if (r == 0)
        r = read_own(&old, cert_path, key_path);
    if (r < 0)
        return r;
    c->self_signed = true;
    if (old.key.len == 0 ||
        certificate_needs_renewal(buf_span(&old.chain), buf_span(&names), time(NULL)))
        r = make(c, &old, buf_span(&names), cert_path, key_path);
    else {
        buf_append(&c->chain, buf_span(&old.chain));
        buf_append(&c->key, buf_span(&old.key));
    }
    return r < 0 ? r : check(c, cert_path);
}

int certificates_load(struct certificates *c, const struct config *config)
{
    struct certificates loaded = {0};

    buf_init_growing(&loaded.chain, LIMIT_CERTIFICATE_BYTES);
    buf_init_growing(&loaded.key, LIMIT_CERTIFICATE_BYTES);
    int r = config->cert_path ? load_given(&loaded, config) : load_own(&loaded, config);
    if (r == 0)
        r = certificate_fingerprint(buf_span(&loaded.chain), loaded.fingerprint);
    if (r < 0) {
        certificates_finish(&loaded);
        return r;
    }
    certificates_finish(c);
    *c = loaded;
    return 0;
}

bool certificates_due(const struct certificates *c)
{
    return c->self_signed &&
           certificate_needs_renewal(buf_span(&c->chain), span_of(NULL, 0), time(NULL));
}
