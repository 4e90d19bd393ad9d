#include "ui/listing_json.h"

#include "base/utf8.h"
#include "files/etag.h"
#include "http/date.h"
#include "http/escape.h"
#include "http/uri.h"

void listing_json_begin(struct buf *out, struct span path)
{
    buf_append_str(out, "{\"path\":\"/");
    escape_json(out, path);
    buf_append_str(out, path.len > 0 ? "/\",\"entries\":[" : "\",\"entries\":[");
}

void listing_json_entry(struct buf *out, const struct folder_entry *entry, bool first,
                        const struct timespec *now)
{
    char date[DATE_ISO_BYTES], etag[ETAG_BYTES];
    bool is_file = entry->type == FOLDER_ENTRY_FILE;

    buf_append_str(out, first ? "\n{\"name\":\"" : ",\n{\"name\":\"");
    escape_json(out, entry->name);
    if (!utf8_is_valid(entry->name)) {
        buf_append_str(out, "\",\"href\":\"");
        uri_encode_path(out, entry->name);
    }
    buf_append_str(out, is_file ? "\",\"type\":\"file\",\"size\":" : "\",\"type\":\"folder\"");
    if (is_file)
        buf_append_u64(out, entry->size);
    buf_append_str(out, ",\"mtime\":\"");
    buf_append(out, date_format_iso(entry->mtime_s, entry->mtime_ns, date));
    if (is_file) {
        struct stat st;
        folder_entry_stat(entry, &st);
        buf_append_str(out, "\",\"etag\":\"");
        escape_json(out, etag_format(&st, now, etag));
    }
    buf_append_str(out, "\"}");
}

void listing_json_end(struct buf *out, bool writable)
{
    buf_append_str(out, writable ? "\n],\"writable\":true}\n" : "\n],\"writable\":false}\n");
}
