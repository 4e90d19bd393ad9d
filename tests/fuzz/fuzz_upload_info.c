/* What is kept beside an unfinished upload: what is read would be written in the same bytes, and
 * its path is one that a request could have. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "files/root.h"
#include "files/upload_info.h"
#include "http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(struct span path)
{
    static char decoded[LIMIT_PATH_BYTES];
    struct span again;
    struct buf raw;
    bool is_folder;

    assert(path.data[path.len] == '\0' && !root_path_reserved(path));
    buf_init_growing(&raw, 4 * LIMIT_PATH_BYTES);
    buf_append_char(&raw, '/');
    uri_encode_path(&raw, path);
    assert(!buf_failed(&raw));
    assert(uri_decode_path(buf_span(&raw), decoded, &again, &is_folder) == 0);
    assert(span_equal(again, path) && !is_folder);
    buf_finish(&raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1);
    struct upload_info info;
    struct buf again;

    assert(text);
    if (size > 0)
        memcpy(text, data, size);
    int r = upload_info_parse(text, size, &info);
    if (r == 0) {
        check_path(info.path);
        assert(info.length <= UPLOAD_LENGTH_MAX && info.mtime >= 0);
        buf_init_growing(&again, UPLOAD_INFO_BYTES_MAX);
        upload_info_format(&again, &info);
        assert(span_equal(buf_span(&again), span_of(data, size)));
        buf_finish(&again);
    } else {
        assert(r == -EBADMSG);
    }
    free(text);
    return 0;
}
