/* What context.c and handshake.c share: the only place where an SSL object passes between modules.
 */
#pragma once

#include <openssl/ssl.h>

struct tls_context;

/* A server's SSL object, without BIOs; NULL on failure. */
SSL *context_new_ssl(struct tls_context *c);
