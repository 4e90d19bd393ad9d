/* Fields, forms and messages of other processes into credentials; and the rule against foreign
 * pages.
 *
 * The input: Authorization, cookie value, user, password, Origin and Host, one a line.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "auth/credential.h"
#include "auth/csrf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever was accepted must be accepted again by the monitor, and mean the same. */
static void check_credential(const struct credential *c)
{
    uint8_t digest[DIGEST_BYTES], zero[DIGEST_BYTES] = {0};

    assert(credential_valid(c));
    assert(c->len <= LIMIT_CREDENTIAL_BYTES);
    if (c->kind == CREDENTIAL_BASIC || c->kind == CREDENTIAL_LOGIN) {
        assert(credential_user(c).len + 1 + credential_password(c).len == c->len);
        assert(span_find(credential_user(c), ':') == credential_user(c).len);
    }
    if (c->kind != CREDENTIAL_LOGIN) {
        credential_digest(c, digest);
        assert(digest_equal(digest, zero) == (c->kind == CREDENTIAL_NONE));
    }
}

static void check_base64(struct span s)
{
    char *out = malloc(s.len + 1);
    int n = base64_decode(s, out, s.len);

    assert(n != -ENOBUFS && n <= (int)(s.len / 4 * 3 + 2));
    if (n > 0)
        assert(base64_decode(s, out, (size_t)n - 1) < 0);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size), field[6];
    struct credential c;

    for (size_t i = 0; i < 6; i++)
        field[i] = span_split(&text, '\n');
    if (credential_from_fields(field[0], field[1], &c) == 0)
        check_credential(&c);
    else
        assert(c.kind == CREDENTIAL_NONE && c.len == 0 && c.bytes[0] == 0);
    if (credential_from_login(field[2], field[3], field[1], &c) == 0) {
        check_credential(&c);
        assert(span_equal(credential_user(&c), field[2]));
        assert(span_equal(credential_password(&c), field[3]));
    }
    check_base64(field[0]);

    bool with_origin = csrf_allowed(true, true, (struct span){0}, field[4], field[5]);
    assert(csrf_allowed(false, true, (struct span){0}, field[4], field[5]));
    assert(!csrf_allowed(true, true, SPAN("cross-site"), field[4], field[5]));
    if (with_origin && field[4].data) /* without TLS the rule is weaker, never stronger */
        assert(csrf_allowed(true, false, (struct span){0}, field[4], field[5]));

    /* A message from another process. */
    if (size >= sizeof(c)) {
        memcpy(&c, data, sizeof(c));
        if (credential_valid(&c))
            check_credential(&c);
    }
    return 0;
}
