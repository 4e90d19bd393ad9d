/* The server's certificate: the one that --cert and --key name, or a self-signed one that is made
 * at the first start and kept in the state folder.
 *
 * Loading checks that handshakes would work with it. An error leaves what was loaded before.
 */
#pragma once

#include "base/buf.h"
#include "config.h"
#include "tls/certificate.h"

struct certificates {
    struct buf chain, key; /* PEM; what gate gets */
    char fingerprint[CERTIFICATE_FINGERPRINT_SIZE];
    bool self_signed;
};

/* Loads, and makes or renews the self-signed one where that is due. Returns 0, or -errno after
 * having said what is wrong. */
int certificates_load(struct certificates *c, const struct config *config);

/* Whether the self-signed one should be renewed by now, by its age. */
bool certificates_due(const struct certificates *c);

void certificates_finish(struct certificates *c);
