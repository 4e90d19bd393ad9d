#include "tls/certificate.h"

#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/cleanup.h"

enum {
    NAME_MAX_BYTES = 253, /* of a DNS name */
    DAY_S = 24 * 3600,
};

static void cleanup_x509(X509 **x)
{
    X509_free(*x);
}

static void cleanup_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void cleanup_bio(BIO **bio)
{
    BIO_free(*bio);
}

static void cleanup_general_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

/* --- this machine's names --- */

static void append_name(struct buf *names, const char *name)
{
    buf_printf(names, "%s\n", name);
}

/* IPv4 addresses of the interfaces. IPv6 addresses other than ::1 are left out: privacy addresses
 * change daily, and each change would make a new certificate that everybody has to accept again. */
static void append_addresses(struct buf *names)
{
    struct ifaddrs *all = NULL;
    char text[INET_ADDRSTRLEN];

    if (getifaddrs(&all) < 0)
        return;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || (i->ifa_flags & IFF_LOOPBACK))
            continue;
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)i->ifa_addr;
        if (inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)))
            append_name(names, text);
    }
    freeifaddrs(all);
}

int certificate_local_names(struct buf *names)
{
    char host[NAME_MAX_BYTES + 1] = "";
    size_t first_len;

    if (gethostname(host, sizeof(host) - 1) == 0 && host[0] && strcmp(host, "localhost") != 0) {
        first_len = strcspn(host, ".");
        append_name(names, host);
        if (host[first_len])
            buf_printf(names, "%.*s\n", (int)first_len, host);
        if (strcmp(host + first_len, ".local") != 0)
            buf_printf(names, "%.*s.local\n", (int)first_len, host);
    }
    append_name(names, "localhost");
    append_name(names, "127.0.0.1");
    append_name(names, "::1");
    append_addresses(names);
    return buf_failed(names) ? -ENOBUFS : 0;
}

/* --- making one --- */

/* The next name of a list as a string; false at the end. Empty lines are skipped. */
static bool next_name(struct span *names, char ret[NAME_MAX_BYTES + 1], int *ret_error)
{
    *ret_error = 0;
    while (names->len > 0) {
        struct span name = span_trim(span_split(names, '\n'));

        if (name.len == 0)
            continue;
        if (name.len > NAME_MAX_BYTES || memchr(name.data, 0, name.len)) {
            *ret_error = -EINVAL;
            return false;
        }
        memcpy(ret, name.data, name.len);
        ret[name.len] = 0;
        return true;
    }
    return false;
}

static GENERAL_NAME *general_name(const char *text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(text);
    ASN1_IA5STRING *dns = address ? NULL : ASN1_IA5STRING_new();

    if (name && address) {
        GENERAL_NAME_set0_value(name, GEN_IPADD, address);
        return name;
    }
    if (name && dns && ASN1_STRING_set(dns, text, -1) == 1) {
        GENERAL_NAME_set0_value(name, GEN_DNS, dns);
        return name;
    }
    ASN1_OCTET_STRING_free(address);
    ASN1_IA5STRING_free(dns);
    GENERAL_NAME_free(name);
    return NULL;
}

static int add_alternative_names(X509 *x, struct span names)
{
    _cleanup_(cleanup_general_names) GENERAL_NAMES *list = GENERAL_NAMES_new();
    char text[NAME_MAX_BYTES + 1];
    int error;

    if (!list)
        return -ENOMEM;
    while (next_name(&names, text, &error)) {
        GENERAL_NAME *name = general_name(text);

        if (!name || sk_GENERAL_NAME_push(list, name) <= 0) {
            GENERAL_NAME_free(name);
            return -ENOMEM;
        }
    }
    if (error < 0)
        return error;
    if (sk_GENERAL_NAME_num(list) == 0)
        return -EINVAL;
    return X509_add1_ext_i2d(x, NID_subject_alt_name, list, 0, 0) == 1 ? 0 : -ENOMEM;
}

static bool add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    bool ok;

    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = extension && X509_add_ext(x, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

/* 159 random bits: positive, and unique without keeping count (RFC 5280 section 4.1.2.2). */
static bool set_serial(X509 *x)
{
    unsigned char bytes[20];
    BIGNUM *number = NULL;
    bool ok;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
    BN_free(number);
    return ok;
}

static bool set_subject(X509 *x, struct span names)
{
    X509_NAME *subject = X509_get_subject_name(x);
    char text[NAME_MAX_BYTES + 1];
    int error;

    /* A common name has 64 bytes at most; clients look at the alternative names anyway. */
    if (!next_name(&names, text, &error) || strlen(text) > 64)
        strcpy(text, "fastfile");
    return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (unsigned char *)text, -1, -1,
                                      0) == 1 &&
           X509_set_issuer_name(x, subject) == 1;
}

static int build(X509 *x, EVP_PKEY *key, struct span names, int64_t now_s)
{
    int r;

    /* It begins a day ago, for clients whose clocks are behind. */
    if (X509_set_version(x, X509_VERSION_3) != 1 || !set_serial(x) ||
        !ASN1_TIME_set(X509_getm_notBefore(x), (time_t)now_s - DAY_S) ||
        !ASN1_TIME_set(X509_getm_notAfter(x), (time_t)now_s + CERTIFICATE_DAYS * DAY_S) ||
        !set_subject(x, names) || X509_set_pubkey(x, key) != 1)
        return -EINVAL;
    r = add_alternative_names(x, names);
    if (r < 0)
        return r;
    if (!add_extension(x, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(x, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(x, NID_ext_key_usage, "serverAuth") ||
        !add_extension(x, NID_subject_key_identifier, "hash") ||
        X509_sign(x, key, EVP_sha256()) <= 0)
        return -ENOMEM;
    return 0;
}

static int append_bio(struct buf *out, BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);

    buf_append(out, span_of(data, (size_t)len));
    return buf_failed(out) ? -ENOBUFS : 0;
}

/* An encrypted key must not make OpenSSL ask on the terminal. */
static int no_password(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

static EVP_PKEY *key_read(struct span pem)
{
    _cleanup_(cleanup_bio) BIO *bio =
        pem.len < INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;

    return bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
}

static X509 *certificate_read(struct span pem)
{
    _cleanup_(cleanup_bio) BIO *bio =
        pem.len < INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
    X509 *x = bio ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;

    ERR_clear_error();
    return x;
}

int certificate_make(struct span old_key_pem, struct span names, int64_t now_s,
                     struct buf *cert_pem, struct buf *key_pem)
{
    _cleanup_(cleanup_key) EVP_PKEY *key =
        old_key_pem.len ? key_read(old_key_pem) : EVP_EC_gen("P-256");
    _cleanup_(cleanup_x509) X509 *x = X509_new();
    _cleanup_(cleanup_bio) BIO *cert_bio = BIO_new(BIO_s_mem());
    _cleanup_(cleanup_bio) BIO *key_bio = BIO_new(BIO_s_secmem()); /* wiped when freed */
    int r;

    if (!key)
        r = old_key_pem.len ? -EINVAL : -EIO;
    else if (!x || !cert_bio || !key_bio)
        r = -ENOMEM;
    else
        r = build(x, key, names, now_s);
    if (r == 0 && (PEM_write_bio_X509(cert_bio, x) != 1 ||
                   PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) != 1))
        r = -ENOMEM;
    if (r == 0)
        r = append_bio(cert_pem, cert_bio);
    if (r == 0)
        r = append_bio(key_pem, key_bio);
    ERR_clear_error();
    return r;
}

/* --- looking at one --- */

/* Whether the alternative names have exactly this one; no wildcards, since ours have none. */
static bool has_name(const GENERAL_NAMES *list, const char *text)
{
    GENERAL_NAME *wanted = general_name(text);
    bool found = false;

    for (int i = 0; wanted && i < sk_GENERAL_NAME_num(list) && !found; i++)
        found = GENERAL_NAME_cmp(wanted, sk_GENERAL_NAME_value(list, i)) == 0;
    GENERAL_NAME_free(wanted);
    return found;
}

bool certificate_needs_renewal(struct span cert_pem, struct span names, int64_t now_s)
{
    _cleanup_(cleanup_x509) X509 *x = certificate_read(cert_pem);
    _cleanup_(cleanup_general_names) GENERAL_NAMES *list = NULL;
    time_t limit = (time_t)now_s + CERTIFICATE_RENEW_DAYS * DAY_S;
    char text[NAME_MAX_BYTES + 1];
    int error;

    if (!x || X509_cmp_time(X509_get0_notAfter(x), &limit) < 0)
        return true;
    list = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    if (!list)
        return true;
    while (next_name(&names, text, &error))
        if (!has_name(list, text))
            return true;
    return false;
}

int certificate_fingerprint(struct span cert_pem, char ret[CERTIFICATE_FINGERPRINT_SIZE])
{
    _cleanup_(cleanup_x509) X509 *x = certificate_read(cert_pem);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len;

    if (!x || X509_digest(x, EVP_sha256(), digest, &len) != 1)
        return -EINVAL;
    for (unsigned i = 0; i < len; i++)
        snprintf(ret + 3 * (size_t)i, 4, i + 1 < len ? "%02X:" : "%02X", digest[i]);
    return 0;
}

int certificate_describe(struct span cert_pem, struct buf *out)
{
    _cleanup_(cleanup_x509) X509 *x = certificate_read(cert_pem);
    _cleanup_(cleanup_bio) BIO *bio = BIO_new(BIO_s_mem());
    struct tm end;

    if (!x)
        return -EINVAL;
    if (!bio)
        return -ENOMEM;
    /* RFC 2253 form escapes whatever could disturb a terminal. */
    if (X509_NAME_print_ex(bio, X509_get_subject_name(x), 0, XN_FLAG_RFC2253) < 0 ||
        ASN1_TIME_to_tm(X509_get0_notAfter(x), &end) != 1)
        return -EINVAL;
    append_bio(out, bio);
    buf_printf(out, ", valid until %04d-%02d-%02d", end.tm_year + 1900, end.tm_mon + 1,
               end.tm_mday);
    return buf_failed(out) ? -ENOBUFS : 0;
}
