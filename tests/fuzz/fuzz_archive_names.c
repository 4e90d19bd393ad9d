/* Names of a selection: whatever was given, each can stand in a path, and is there once. */
#include <assert.h>
#include <errno.h>

#include "base/limits.h"
#include "files/archive_names.h"
#include "files/root.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct archive_names n;

    if (size > LIMIT_ARCHIVE_BODY_BYTES)
        return 0;
    archive_names_init(&n);
    int r = archive_names_read(&n, span_of(data, size));
    assert(r == 0 || r == 400 || r == 404 || r == 413);
    archive_names_settle(&n);
    for (size_t i = 0; i < n.count; i++) {
        const struct span name = n.list[i];
        assert(name.len > 0 && name.len == strlen(name.data) && !strchr(name.data, '/'));
        assert(strcmp(name.data, ".") != 0 && strcmp(name.data, "..") != 0);
        assert(!root_path_reserved(name));
        assert(i == 0 || strcmp(n.list[i - 1].data, name.data) < 0);
    }
    archive_names_finish(&n);
    return 0;
}
