/* Bytes of a file into a response. */
#pragma once

#include "files/root.h"
#include "http/exchange.h"

/* Sends `length` bytes from `offset` as (part of) the body that exchange_begin() announced. The
 * last piece is still unsent when this returns, so that the caller can look at the file once more.
 * -EIO when the file is shorter than it was; then the response must not be completed. */
int file_send(struct task *t, struct exchange *x, const struct file *file, uint64_t offset,
              uint64_t length);

/* The same, and adds the bytes to `*crc` (crc32_update()) as they pass: never by the kernel alone.
 */
int file_send_summed(struct task *t, struct exchange *x, const struct file *file, uint64_t offset,
                     uint64_t length, uint32_t *crc);
