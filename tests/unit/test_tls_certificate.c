/* The self-signed certificate, and what is told about certificates. */
#include <errno.h>

#include <openssl/x509v3.h>

#include "tls/certificate.h"
#include "tls_peer.h"

static const int64_t now = 1800000000;
enum { DAY = 24 * 3600 };

struct made {
    struct buf cert, key;
};

static void make(struct made *m, struct span old_key, struct span names)
{
    buf_init_growing(&m->cert, 16384);
    buf_init_growing(&m->key, 16384);
    assert_int_equal(certificate_make(old_key, names, now, &m->cert, &m->key), 0);
}

static void drop(struct made *m)
{
    buf_finish(&m->cert);
    buf_finish(&m->key);
}

static X509 *parse(const struct buf *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    assert_non_null(x);
    return x;
}

static void contents(void **state)
{
    struct made m;
    int days, seconds;
    X509 *x;

    (void)state;
    make(&m, SPAN(""), SPAN("nas\nnas.local\n\n 192.168.1.5 \n::1\n"));
    x = parse(&m.cert);
    assert_int_equal(X509_check_host(x, "nas", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(x, "nas.local", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(x, "other", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(x, "192.168.1.5", 0), 1);
    assert_int_equal(X509_check_ip_asc(x, "::1", 0), 1);
    assert_int_equal(X509_check_ip_asc(x, "192.168.1.6", 0), 0);
    assert_int_equal(X509_check_ca(x), 0);
    assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_SERVER);
    assert_int_equal(X509_get_version(x), X509_VERSION_3);
    assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
    assert_true(EVP_PKEY_is_a(X509_get0_pubkey(x), "EC"));
    assert_int_equal(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(x), X509_get0_notAfter(x)),
                     1);
    assert_in_range(days, 800, 825);
    X509_free(x);
    drop(&m);
}

/* A client that knows the certificate trusts it for its names. */
static void trusted_by_a_client(void **state)
{
    struct tls_context *context = NULL;
    const char *why;
    struct made m = {0};
    struct peer p;
    X509 *x;

    (void)state;
    buf_init_growing(&m.cert, 16384);
    buf_init_growing(&m.key, 16384);
    assert_int_equal(certificate_make(SPAN(""), SPAN("nas.local"), time(NULL), &m.cert, &m.key), 0);
    assert_int_equal(context_create(buf_span(&m.cert), buf_span(&m.key), &context, &why), 0);
    for (int right = 0; right < 2; right++) {
        peer_init(&p, context, peer_client(0, NULL));
        x = parse(&m.cert);
        X509_STORE_add_cert(SSL_CTX_get_cert_store(SSL_get_SSL_CTX(p.client)), x);
        X509_free(x);
        SSL_set_verify(p.client, SSL_VERIFY_PEER, NULL);
        SSL_set1_host(p.client, right ? "nas.local" : "evil.example");
        if (right) {
            assert_int_equal(peer_connect(&p, PEER_BUFFER), HANDSHAKE_DONE);
        } else {
            assert_int_equal(peer_connect(&p, PEER_BUFFER), -EPROTO);
            assert_true(strstr(handshake_reason(p.h), "certificate") != NULL);
        }
        peer_finish(&p);
    }
    context_unref(context);
    drop(&m);
}

static void key_kept(void **state)
{
    struct made first, second, rsa;
    X509 *a, *b;

    (void)state;
    make(&first, SPAN(""), SPAN("nas"));
    make(&second, buf_span(&first.key), SPAN("nas\nother"));
    assert_true(span_equal(buf_span(&first.key), buf_span(&second.key)));
    assert_false(span_equal(buf_span(&first.cert), buf_span(&second.cert)));
    a = parse(&first.cert);
    b = parse(&second.cert);
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(a), X509_get0_pubkey(b)), 1);
    X509_free(a);
    X509_free(b);
    make(&rsa, peer_rsa_key(), SPAN("nas"));
    drop(&rsa);
    drop(&first);
    drop(&second);
}

static void refused(void **state)
{
    static char long_name[300];
    struct buf cert, key;

    (void)state;
    memset(long_name, 'a', sizeof(long_name));
    buf_init_growing(&cert, 16384);
    buf_init_growing(&key, 16384);
    assert_int_equal(certificate_make(SPAN("no key"), SPAN("nas"), now, &cert, &key), -EINVAL);
    assert_int_equal(certificate_make(SPAN(""), SPAN(""), now, &cert, &key), -EINVAL);
    assert_int_equal(certificate_make(SPAN(""), span_of(long_name, 300), now, &cert, &key),
                     -EINVAL);
    assert_int_equal(certificate_make(SPAN(""), SPAN("a\0b"), now, &cert, &key), -EINVAL);
    assert_int_equal(cert.len + key.len, 0);
    /* Names longer than a common name may be. */
    assert_int_equal(certificate_make(SPAN(""), span_of(long_name, 100), now, &cert, &key), 0);
    buf_finish(&cert);
    buf_finish(&key);
    buf_init_growing(&cert, 100);
    buf_init_growing(&key, 16384);
    assert_int_equal(certificate_make(SPAN(""), SPAN("nas"), now, &cert, &key), -ENOBUFS);
    buf_finish(&cert);
    buf_finish(&key);
}

static void renewal(void **state)
{
    const int64_t end = now + (int64_t)CERTIFICATE_DAYS * DAY;
    struct made m;
    struct span cert;

    (void)state;
    make(&m, SPAN(""), SPAN("nas\n10.0.0.1\nfe80::1"));
    cert = buf_span(&m.cert);
    assert_false(certificate_needs_renewal(cert, SPAN("nas"), now));
    assert_false(certificate_needs_renewal(cert, SPAN("10.0.0.1\nfe80:0::1\nnas"), now));
    assert_true(certificate_needs_renewal(cert, SPAN("nas\nnas.local"), now));
    assert_true(certificate_needs_renewal(cert, SPAN("10.0.0.2"), now));
    assert_false(certificate_needs_renewal(cert, SPAN("nas"), end - 31 * DAY));
    assert_true(certificate_needs_renewal(cert, SPAN("nas"), end - 29 * DAY));
    assert_true(certificate_needs_renewal(cert, SPAN("nas"), end + DAY));
    assert_true(certificate_needs_renewal(SPAN(""), SPAN("nas"), now));
    assert_true(certificate_needs_renewal(SPAN("rubbish"), SPAN("nas"), now));
    drop(&m);
}

static void description(void **state)
{
    char fingerprint[CERTIFICATE_FINGERPRINT_SIZE], text[256];
    unsigned char digest[32];
    struct made m;
    struct buf out;
    unsigned byte;
    X509 *x;

    (void)state;
    make(&m, SPAN(""), SPAN("nas"));
    assert_int_equal(certificate_fingerprint(buf_span(&m.cert), fingerprint), 0);
    assert_int_equal(strlen(fingerprint), 95);
    x = parse(&m.cert);
    assert_int_equal(X509_digest(x, EVP_sha256(), digest, NULL), 1);
    X509_free(x);
    for (size_t i = 0; i < 32; i++) {
        assert_int_equal(sscanf(fingerprint + 3 * i, "%2X", &byte), 1);
        assert_int_equal(byte, digest[i]);
        assert_int_equal(fingerprint[3 * i + 2], i < 31 ? ':' : 0);
    }
    buf_init_fixed(&out, text, sizeof(text));
    assert_int_equal(certificate_describe(buf_span(&m.cert), &out), 0);
    assert_true(span_equal(buf_span(&out), SPAN("CN=nas, valid until 2029-04-14")));
    assert_int_equal(certificate_describe(SPAN("x"), &out), -EINVAL);
    assert_int_equal(certificate_fingerprint(SPAN("x"), fingerprint), -EINVAL);
    drop(&m);
}

static void local_names(void **state)
{
    struct made m;
    struct buf names;

    (void)state;
    buf_init_growing(&names, 16384);
    assert_int_equal(certificate_local_names(&names), 0);
    buf_append_char(&names, 0);
    assert_non_null(strstr(names.data, "localhost\n"));
    assert_non_null(strstr(names.data, "127.0.0.1\n"));
    names.len--;
    make(&m, SPAN(""), buf_span(&names));
    assert_false(certificate_needs_renewal(buf_span(&m.cert), buf_span(&names), now));
    drop(&m);
    buf_finish(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents),    cmocka_unit_test(trusted_by_a_client),
        cmocka_unit_test(key_kept),    cmocka_unit_test(refused),
        cmocka_unit_test(renewal),     cmocka_unit_test(description),
        cmocka_unit_test(local_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
