#include "auth/credential.h"

#include <assert.h>
#include <errno.h>

#include "base/buf.h"

/* The value of a base64 digit (RFC 4648 section 4), or -1. */
static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(struct span s, char *out, size_t size)
{
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t len = 0;

    if (s.len > 0 && s.len % 4 == 0 && s.data[s.len - 1] == '=')
        s.len -= s.data[s.len - 2] == '=' ? 2 : 1;
    if (s.len % 4 == 1)
        return -EINVAL;
    for (size_t i = 0; i < s.len; i++) {
        int value = base64_value(s.data[i]);

        if (value < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            if (len == size)
                return -ENOBUFS;
            out[len++] = (char)(bits >> bit_count);
        }
    }
    /* What is left over must be zero, or two spellings would mean the same. */
    return (bits & ((1u << bit_count) - 1)) == 0 ? (int)len : -EINVAL;
}

/* RFC 7617 section 2: neither name nor password contains control characters. */
static bool has_control_bytes(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.data[i] < 0x20 || s.data[i] == 0x7f)
            return true;
    return false;
}

static bool is_token(struct span s)
{
    if (s.len != CREDENTIAL_TOKEN_CHARS)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] == '+' || s.data[i] == '/' ||
            (base64_value(s.data[i]) < 0 && s.data[i] != '-' && s.data[i] != '_'))
            return false;
    return true;
}

static bool is_user_and_password(struct span s)
{
    return span_find(s, ':') < s.len && !has_control_bytes(s);
}

static int parse_basic(struct span authorization, struct credential *c)
{
    size_t scheme_len = span_find(authorization, ' ');

    if (!span_equal_nocase(span_first(authorization, scheme_len), SPAN("Basic")))
        return -EINVAL;
    int len =
        base64_decode(span_trim(span_skip(authorization, scheme_len)), c->bytes, sizeof(c->bytes));
    if (len < 0 || !is_user_and_password(span_of(c->bytes, (size_t)len)))
        return -EINVAL;
    c->kind = CREDENTIAL_BASIC;
    c->len = (uint16_t)len;
    return 0;
}

static void set_session(struct credential *c, struct span token)
{
    c->kind = CREDENTIAL_SESSION;
    c->len = CREDENTIAL_TOKEN_CHARS;
    memcpy(c->bytes, token.data, CREDENTIAL_TOKEN_CHARS);
}

int credential_from_fields(struct span authorization, struct span session_token,
                           struct credential *ret_credential)
{
    *ret_credential = (struct credential){.kind = CREDENTIAL_NONE};
    if (authorization.data) {
        int r = parse_basic(authorization, ret_credential);

        if (r < 0)
            credential_wipe(ret_credential); /* of what was decoded so far */
        return r;
    }
    if (is_token(session_token))
        set_session(ret_credential, session_token);
    return 0;
}

bool credential_password_valid(struct span user, struct span password)
{
    return password.len < LIMIT_CREDENTIAL_BYTES &&
           user.len < LIMIT_CREDENTIAL_BYTES - password.len && !has_control_bytes(password);
}

int credential_from_login(struct span user, struct span password, struct span session_token,
                          struct credential *ret_credential)
{
    struct credential *c = ret_credential;
    struct buf bytes;

    *c = (struct credential){.kind = CREDENTIAL_NONE};
    if (span_find(user, ':') < user.len || has_control_bytes(user) ||
        !credential_password_valid(user, password))
        return -EINVAL;
    if (is_token(session_token)) {
        set_session(c, session_token);
        credential_digest(c, c->previous);
        explicit_bzero(c->bytes, c->len);
    }
    c->kind = CREDENTIAL_LOGIN;
    buf_init_fixed(&bytes, c->bytes, sizeof(c->bytes));
    buf_append(&bytes, user);
    buf_append_char(&bytes, ':');
    buf_append(&bytes, password);
    assert(!buf_failed(&bytes)); /* credential_password_valid() */
    c->len = (uint16_t)bytes.len;
    return 0;
}

bool credential_valid(const struct credential *c)
{
    struct span bytes = span_of(c->bytes, c->len);

    if (c->len > sizeof(c->bytes))
        return false;
    switch (c->kind) {
    case CREDENTIAL_NONE:
        return c->len == 0;
    case CREDENTIAL_BASIC:
    case CREDENTIAL_LOGIN:
        return is_user_and_password(bytes);
    case CREDENTIAL_SESSION:
        return is_token(bytes);
    default:
        return false;
    }
}

struct span credential_user(const struct credential *c)
{
    struct span bytes = span_of(c->bytes, c->len);

    return span_first(bytes, span_find(bytes, ':'));
}

struct span credential_password(const struct credential *c)
{
    struct span rest = span_of(c->bytes, c->len);

    span_split(&rest, ':');
    return rest;
}

void credential_digest(const struct credential *c, uint8_t ret_digest[DIGEST_BYTES])
{
    assert(c->kind != CREDENTIAL_LOGIN);
    if (c->kind == CREDENTIAL_NONE)
        memset(ret_digest, 0, DIGEST_BYTES);
    else
        digest_sha256(span_of(&c->kind, 1), span_of(c->bytes, c->len), ret_digest);
}

void credential_wipe(struct credential *c)
{
    explicit_bzero(c, sizeof(*c));
}
