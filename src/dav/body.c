#include "dav/body.h"

#include <errno.h>

#include "base/limits.h"

int dav_read_body(struct task *t, struct exchange *x, struct buf *ret_body)
{
    return body_read(t, x, LIMIT_XML_BYTES, ret_body);
}

int dav_refuse_body(struct task *t, struct exchange *x, int error)
{
    if (error == -EINVAL)
        return exchange_error(t, x, 400, SPAN("The body is not the XML that it should be."));
    return body_refuse(t, x, error);
}
