#include "auth/password.h"

#include <assert.h>
#include <crypt.h>
#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"

_Static_assert((int)PASSWORD_HASH_BYTES == (int)CRYPT_OUTPUT_SIZE, "libxcrypt's hashes");
_Static_assert((int)LIMIT_CREDENTIAL_BYTES <= (int)CRYPT_MAX_PASSPHRASE_SIZE, "all can be hashed");

/* 32 KiB: too much for a stack, and full of traces of the password. */
static void free_crypt_data(struct crypt_data **data)
{
    if (*data)
        explicit_bzero(*data, sizeof(**data));
    free(*data);
}

int password_hash(struct span password, char ret_hash[PASSWORD_HASH_BYTES])
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], phrase[LIMIT_CREDENTIAL_BYTES];

    if (password.len >= sizeof(phrase) || span_find(password, '\0') < password.len)
        return -EINVAL;
    _cleanup_(free_crypt_data) struct crypt_data *data = calloc(1, sizeof(*data));
    if (!data)
        return -ENOMEM;
    if (!crypt_gensalt_rn(NULL, 0, NULL, 0, setting, sizeof(setting)))
        return -errno;
    memcpy(phrase, password.data, password.len);
    phrase[password.len] = '\0';
    const char *hash = crypt_rn(phrase, setting, data, sizeof(*data));
    int r = hash ? 0 : -errno;
    explicit_bzero(phrase, sizeof(phrase));
    if (hash)
        memcpy(ret_hash, hash, strlen(hash) + 1);
    return r;
}

int password_verify(const char *password, const char *hash)
{
    _cleanup_(free_crypt_data) struct crypt_data *data = calloc(1, sizeof(*data));

    if (!data)
        return -ENOMEM;
    const char *computed = crypt_rn(password, hash, data, sizeof(*data));
    if (!computed)
        return -errno;
    return digest_equal_bytes(span_str(computed), span_str(hash));
}

bool password_hash_supported(struct span hash)
{
    char setting[PASSWORD_HASH_BYTES];

    if (hash.len >= sizeof(setting) || hash.len == 0 || hash.data[0] != '$')
        return false;
    memcpy(setting, hash.data, hash.len);
    setting[hash.len] = '\0';
    int r = crypt_checksalt(setting);
    return r == CRYPT_SALT_OK || r == CRYPT_SALT_METHOD_LEGACY || r == CRYPT_SALT_TOO_CHEAP;
}

int password_dummy_setting(char ret_setting[PASSWORD_HASH_BYTES])
{
    return crypt_gensalt_rn(NULL, 0, NULL, 0, ret_setting, PASSWORD_HASH_BYTES) ? 0 : -errno;
}

/* Random characters of an alphabet of 32, with a dash after each `group`, and a NUL. */
static int random_text(const char *alphabet, size_t group, char *ret_text, size_t size)
{
    uint8_t random[PASSWORD_APP_BYTES];

    assert(size % (group + 1) == 0 && size <= sizeof(random) && strlen(alphabet) == 32);
    if (getentropy(random, size) < 0)
        return -errno;
    for (size_t i = 0; i < size; i++)
        ret_text[i] = (i + 1) % (group + 1) == 0 ? '-' : alphabet[random[i] & 31];
    ret_text[size - 1] = '\0';
    explicit_bzero(random, sizeof(random));
    return 0;
}

int password_random(char ret_password[PASSWORD_RANDOM_BYTES])
{
    return random_text("abcdefghijkmnpqrstuvwxyz23456789", 5, ret_password, PASSWORD_RANDOM_BYTES);
}

int password_app_random(char ret_password[PASSWORD_APP_BYTES])
{
    return random_text("abcdefghijklmnopqrstuvwxyz234567", 4, ret_password, PASSWORD_APP_BYTES);
}

/* The character as an app password has it, or -1. */
static int app_character(char c)
{
    if (c >= 'A' && c <= 'Z')
        c = (char)(c - 'A' + 'a');
    return (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7') ? c : -1;
}

bool password_app_digest(struct span password, uint8_t ret_digest[DIGEST_BYTES])
{
    enum { CHARS = PASSWORD_APP_BYTES / 5 * 4 };
    char canonical[CHARS];
    size_t len = 0;
    bool is_one = true;

    for (size_t i = 0; i < password.len && is_one; i++) {
        int c = app_character(password.data[i]);

        if (password.data[i] == '-')
            continue;
        is_one = c >= 0 && len < CHARS;
        if (is_one)
            canonical[len++] = (char)c;
    }
    is_one = is_one && len == CHARS;
    if (is_one)
        digest_sha256(span_of(canonical, len), (struct span){0}, ret_digest);
    explicit_bzero(canonical, sizeof(canonical));
    return is_one;
}
