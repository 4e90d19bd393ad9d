#include "script.h"

#include <stdio.h>
#include <string.h>

#include "script_dav.h"
#include "script_folder.h"
#include "script_tree.h"

enum { CHUNK = 60 * 1000 };

/* --- requests --- */

#define HEAD_END "\r\n\r\n"
#define REQUEST(method, path, fields) method " " path " HTTP/1.1\r\nHost: x" fields HEAD_END
#define GET(path) REQUEST("GET", path, "")
#define GET_WITH(path, fields) REQUEST("GET", path, "\r\n" fields)
#define HEAD(path) REQUEST("HEAD", path, "")
#define RANGE(path, ranges) GET_WITH(path, "Range: bytes=" ranges)

#define WITH_SESSION(method, path, fields) \
    REQUEST(method, path, "\r\nCookie: __Host-fastfile-8443=" SCRIPT_TOKEN fields)
#define FORM(length) \
    "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " length

#define DELETE(path) REQUEST("DELETE", path, "")
#define RESTORE                                                    \
    REQUEST("POST", "/.fastfile/restore",                          \
            "\r\nContent-Length: 42"                               \
            "\r\nContent-Type: application/x-www-form-urlencoded") \
    "token=" SCRIPT_UNDO
#define TO(method, path, to) REQUEST(method, path, "\r\nDestination: " to)
#define MOVE(path, to) TO("MOVE", path, to)
#define COPY(path, to) TO("COPY", path, to)

/* `fields` ends the head, and has the body. */
#define PROPFIND(path, depth, fields) \
    "PROPFIND " path " HTTP/1.1\r\nHost: x\r\nDepth: " depth fields
#define ALLPROP HEAD_END
#define NAMES                         \
    "\r\nContent-Length: 62" HEAD_END \
    "<propfind xmlns='DAV:'><prop><resourcetype/></prop></propfind>"

#define PROPPATCH(path, length, body) REQUEST("PROPPATCH", path, "\r\nContent-Length: " length) body
#define CHANGED                                                              \
    "<D:propertyupdate xmlns:D='DAV:'><D:set><D:prop><a xmlns='y'>after</a>" \
    "<D:lastmodified>1500000000</D:lastmodified></D:prop></D:set></D:propertyupdate>"
#define REMOVED                                                                             \
    "<D:propertyupdate xmlns:D='DAV:'><D:remove><D:prop><a xmlns='y'/></D:prop></D:remove>" \
    "</D:propertyupdate>"

#define KEPT                          \
    "\r\nContent-Length: 75" HEAD_END \
    "<propfind xmlns='DAV:'><prop><a xmlns='y'/><b xmlns='y'/></prop></propfind>"

#define NAMES_CHUNKED                                                          \
    "3E\r\n<propfind xmlns='DAV:'><prop><resourcetype/></prop></propfind>\r\n" \
    "0\r\n\r\n"

#define SHOWN(path) "\r\nIf: </" path "> (<" SCRIPT_LOCK ">)"
#define WITH_LOCK(method, path, locked) REQUEST(method, path, SHOWN(locked))
#define TO_WITH_LOCK(method, path, to, locked) TO(method, path, to SHOWN(locked))

#define LOCK(path, fields)                                                                    \
    REQUEST("LOCK", path, "\r\nContent-Length: 119" fields)                                   \
    "<lockinfo xmlns='DAV:'><lockscope><exclusive/></lockscope><locktype><write/></locktype>" \
    "<owner><a/>me</owner></lockinfo>"
#define UNLOCK(path, token) REQUEST("UNLOCK", path, "\r\nLock-Token: <" token ">")

#define PUT(name, length, body) \
    REQUEST("PUT", "/puts/sub/" name, "\r\nContent-Length: " length) body
#define PUT_CHUNKED(name, body) \
    REQUEST("PUT", "/puts/sub/" name, "\r\nTransfer-Encoding: chunked") body

#define TUS_PATH                                                                     \
    "Tus-Resumable: 1.0.0\r\nUpload-Metadata: path cHV0cy9zdWIvbmV3" /* puts/sub/new \
                                                                      */
#define TUS_PART "Tus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream"
#define IETF_PART "Upload-Draft-Interop-Version: 8\r\nContent-Type: application/partial-upload"

static char large_upload[UPLOAD_LARGE + 200], large_chunked[UPLOAD_LARGE + 1000];
static char long_head[20 * 1024];
static char big_form[40 * 1024];

static void make_texts(void)
{
    int length = snprintf(long_head, sizeof(long_head), "GET / HTTP/1.1\r\nHost: x\r\nX: ");

    memset(long_head + length, 'a', sizeof(long_head) - 1 - (size_t)length);
    length = snprintf(big_form, sizeof(big_form),
                      "POST /small.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n");
    memset(big_form + length, 'b', 30000);
}

static void make_uploads(void)
{
    size_t at = (size_t)snprintf(
        large_upload, sizeof(large_upload),
        "PUT /puts/sub/new HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", UPLOAD_LARGE);
    memcpy(large_upload + at, large_content, UPLOAD_LARGE);
    at = (size_t)snprintf(
        large_chunked, sizeof(large_chunked),
        "PUT /puts/sub/old HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t from = 0; from < UPLOAD_LARGE; from += CHUNK) {
        at += (size_t)snprintf(large_chunked + at, sizeof(large_chunked) - at, "%x\r\n", CHUNK);
        memcpy(large_chunked + at, large_content + from, CHUNK);
        at += CHUNK;
        memcpy(large_chunked + at, "\r\n", 2);
        at += 2;
    }
    memcpy(large_chunked + at, "0\r\n\r\n", 5);
}

void script_prepare(int root_fd)
{
    script_folder_prepare(root_fd);
    make_texts();
    make_uploads();
}

/* --- the table --- */

const struct script_case script_probe = {.name = "afterwards",
                                         .lines = {{GET("/small.txt"), 200, .file = "small.txt"}}};

const struct script_case script_cases[] = {
    /* whole files */
    {"small", .lines = {{GET("/small.txt"), 200, .file = "small.txt"}}},
    {"small, three times", .lines = {{GET("/small.txt"), 200, .file = "small.txt"},
                                     {GET("/small.txt"), 200, .file = "small.txt"},
                                     {GET("/small.txt"), 200, .file = "small.txt"}}},
    {"empty", .lines = {{GET("/empty"), 200, .file = "empty"}}},
    {"page", .lines = {{GET("/page.html"), 200, .file = "page.html"}}},
    {"download", .lines = {{GET("/small.txt?download"), 200, .file = "small.txt"}}},
    {"record", .lines = {{GET("/record.bin"), 200, .file = "record.bin"}}},
    {"medium", .lines = {{GET("/medium.bin"), 200, .file = "medium.bin"}}},
    {"large", .lines = {{GET("/large.bin"), 200, .file = "large.bin"}}},
    {"huge", .lines = {{GET("/huge.bin"), 200, .file = "huge.bin"}}},
    {"large, twice", .lines = {{GET("/large.bin"), 200, .file = "large.bin"},
                               {GET("/large.bin"), 200, .file = "large.bin"}}},
    {"in a folder", .lines = {{GET("/sub/deep.txt"), 200, .file = "sub/deep.txt"}}},
    {"escaped name", .lines = {{GET("/sub/name%20with%20%3Cblank%3E.txt"), 200,
                                .file = "sub/name with <blank>.txt"}}},
    {"link", .lines = {{GET("/inside"), 200, .file = "small.txt"}}},
    {"HTTP/1.0", .lines = {{"GET /medium.bin HTTP/1.0" HEAD_END, 200, .file = "medium.bin"}}},
    {"HTTP/1.0 kept", .lines = {{"GET /small.txt HTTP/1.0\r\nConnection: keep-alive" HEAD_END, 200,
                                 .file = "small.txt"},
                                {GET("/small.txt"), 200, .file = "small.txt"}}},
    {"told to close",
     .lines = {{GET_WITH("/large.bin", "Connection: close"), 200, .file = "large.bin"}}},

    /* heads only */
    {"HEAD", .lines = {{HEAD("/small.txt"), 200}, {HEAD("/large.bin"), 200}}},
    {"HEAD of a folder", .lines = {{HEAD("/"), 200}, {GET("/empty"), 200, .file = "empty"}}},
    {"HEAD of nothing", .lines = {{HEAD("/missing"), 404}}},

    /* ranges */
    {"first bytes",
     .lines = {{RANGE("/small.txt", "0-9"), 206, .file = "small.txt", .length = 10}}},
    {"last bytes",
     .lines = {{RANGE("/large.bin", "-100"), 206, .file = "large.bin", .first = 204717}}},
    {"from the middle on",
     .lines = {{RANGE("/large.bin", "100000-"), 206, .file = "large.bin", .first = 100000}}},
    {"a piece of a large one", .lines = {{RANGE("/huge.bin", "12345-212344"), 206,
                                          .file = "huge.bin", .first = 12345, .length = 200000}}},
    {"outside", .lines = {{RANGE("/small.txt", "200-"), 416}}},
    {"two parts", .lines = {{RANGE("/medium.bin", "0-3,20000-20003"), 206}}},
    {"large parts", .lines = {{RANGE("/huge.bin", "5-40004,500000-600000,-70000"), 206}}},
    {"too many ranges",
     .lines = {{RANGE("/small.txt", "0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,"
                                    "24-24,26-26,28-28,30-30,32-32"),
                200, .file = "small.txt"}}},
    {"no range", .lines = {{RANGE("/small.txt", "x-"), 200, .file = "small.txt"}}},
    {"another state",
     .lines = {{RANGE("/medium.bin", "1-2\r\nIf-Range: \"x\""), 200, .file = "medium.bin"}}},
    {"the same state",
     .lines = {{RANGE("/medium.bin", "1-2\r\nIf-Range: Sun, 13 Sep 2020 12:26:40 GMT"), 206,
                .file = "medium.bin", .first = 1, .length = 2}}},

    /* preconditions */
    {"none match", .lines = {{GET_WITH("/small.txt", "If-None-Match: *"), 304}}},
    {"none matches",
     .lines = {{GET_WITH("/small.txt", "If-None-Match: \"x\""), 200, .file = "small.txt"}}},
    {"match", .lines = {{GET_WITH("/small.txt", "If-Match: *"), 200, .file = "small.txt"}}},
    {"matches not", .lines = {{GET_WITH("/large.bin", "If-Match: \"x\""), 412}}},
    {"not modified",
     .lines = {{GET_WITH("/small.txt", "If-Modified-Since: Sun, 13 Sep 2020 12:26:40 GMT"), 304},
               {GET("/small.txt"), 200, .file = "small.txt"}}},
    {"modified",
     .lines = {{GET_WITH("/small.txt", "If-Unmodified-Since: Sun, 13 Sep 2020 12:26:39 GMT"),
                412}}},

    /* several at once */
    {"pipelined", SCRIPT_PIPELINED,
     .lines = {{GET("/small.txt"), 200, .file = "small.txt"},
               {GET("/empty"), 200, .file = "empty"},
               {GET("/page.html"), 200, .file = "page.html"}}},
    {"pipelined, large", SCRIPT_PIPELINED,
     .lines = {{GET("/small.txt"), 200, .file = "small.txt"},
               {GET("/large.bin"), 200, .file = "large.bin"},
               {GET("/missing"), 404},
               {GET("/medium.bin"), 200, .file = "medium.bin"}}},
    {"pipelined, mixed", SCRIPT_PIPELINED | SCRIPT_ENTRIES,
     .lines = {{HEAD("/large.bin"), 200},
               {GET_WITH("/small.txt", "If-None-Match: *"), 304},
               {GET("/sub/"), 200},
               {RANGE("/large.bin", "7-70006"), 206, .file = "large.bin", .first = 7,
                .length = 70000}}},

    /* folders */
    {"listing", SCRIPT_ENTRIES, .lines = {{GET("/"), 200}}},
    {"listing of many", SCRIPT_ENTRIES, .lines = {{GET("/many/"), 200}}},
    {"listing, JSON", SCRIPT_ENTRIES, .lines = {{GET_WITH("/", "Accept: application/json"), 200}}},
    {"listing of many, JSON", SCRIPT_ENTRIES,
     .lines = {{GET("/many/?format=json&sort=time&order=desc"), 200}}},
    {"listing, again", SCRIPT_ENTRIES,
     .lines = {{GET("/many/"), 200}, {GET("/many/"), 200}, {GET("/many/?sort=size"), 200}}},
    {"listing of nothing", SCRIPT_ENTRIES,
     .lines = {{GET("/none/"), 200}, {GET("/none/?format=json"), 200}}},
    {"listing, sorted", SCRIPT_ENTRIES, .lines = {{GET("/sub/?sort=size&order=desc"), 200}}},
    {"without a slash", .lines = {{GET("/sub"), 308, .text = ""}, {GET("/sub?a=b"), 308}}},

    /* properties */
    {"PROPFIND",
     .lines = {{PROPFIND("/small.txt", "0", ALLPROP), 207}, {PROPFIND("/sub", "0", NAMES), 207}}},
    {"PROPFIND of a folder", SCRIPT_ENTRIES,
     .lines = {{PROPFIND("/", "1,noroot", ALLPROP), 207}, {PROPFIND("/sub/", "1", NAMES), 207}}},
    {"PROPFIND of many", SCRIPT_ENTRIES, .lines = {{PROPFIND("/many/", "1", ALLPROP), 207}}},
    {"PROPFIND of many, again", SCRIPT_ENTRIES,
     .lines = {{PROPFIND("/many/", "1", ALLPROP), 207},
               {PROPFIND("/many/", "1", NAMES), 207},
               {PROPFIND("/many/", "1", ALLPROP), 207}}},
    {"PROPFIND, deep", SCRIPT_ENTRIES, .lines = {{PROPFIND("/pack/", "infinity", ALLPROP), 207}}},
    {"PROPFIND, chunked body",
     .lines = {{REQUEST("PROPFIND", "/none/", "\r\nTransfer-Encoding: chunked") NAMES_CHUNKED,
                207}}},
    {"PROPFIND that cannot be",
     .lines = {{PROPFIND("/none/", "2", ALLPROP), 400},
               {PROPFIND("/none/", "0", "\r\nContent-Length: 4" HEAD_END "<a/>"), 400},
               {PROPFIND("/none/", "0", "\r\nContent-Length: 70000" HEAD_END), 413}}},
    {"PROPFIND of nothing", .lines = {{PROPFIND("/missing", "0", ALLPROP), 404}}},
    {"aborted PROPFIND", SCRIPT_ABORTS | SCRIPT_ENTRIES, .abort_after = 4000,
     .lines = {{PROPFIND("/many/", "1", ALLPROP), 207}}},

    /* what is not there */
    {"missing", .lines = {{GET("/missing"), 404}, {GET("/sub/missing"), 404}}},
    {"missing, JSON", .lines = {{GET_WITH("/x/y", "Accept: application/json"), 404}}},
    {"a file is no folder", .lines = {{GET("/small.txt/"), 404}, {GET("/small.txt/x"), 404}}},
    {"links to nowhere", .lines = {{GET("/dangling"), 404}, {GET("/outside"), 403}}},
    {"FIFO", .lines = {{GET("/fifo"), 404}}},
    {"our own", .lines = {{GET("/.fastfile/health"), 200, .text = "ok\n"},
                          {GET("/.fastfile/ui/x/ui.css"), 200},
                          {GET("/.fastfile/x"), 404},
                          {GET("/.fastfile"), 404}}},

    /* methods */
    {"OPTIONS", .lines = {{REQUEST("OPTIONS", "/", ""), 200},
                          {REQUEST("OPTIONS", "*", ""), 200},
                          {REQUEST("OPTIONS", "/.fastfile/tus/", ""), 204}}},
    {"OPTIONS of what is there", SCRIPT_ENTRIES,
     .lines = {{REQUEST("OPTIONS", "/small.txt", ""), 200},
               {REQUEST("OPTIONS", "/none", ""), 200}}},
    {"not allowed", .lines = {{REQUEST("PATCH", "/small.txt", ""), 405}}},
    {"not known", .lines = {{REQUEST("FETCH", "/small.txt", ""), 501}}},
    {"a body for nobody",
     .lines = {{REQUEST("POST", "/small.txt", "\r\nContent-Length: 5") "hello", 405},
               {GET("/small.txt"), 200, .file = "small.txt"}}},
    {"a large body for nobody", .lines = {{big_form, 405}}},
    {"a chunked body for nobody",
     .lines = {{REQUEST("POST", "/x", "\r\nTransfer-Encoding: chunked") "5\r\nhello\r\n0\r\n\r\n",
                405}}},
    {"a body that is announced",
     .lines = {{REQUEST("POST", "/x", "\r\nContent-Length: 5\r\nExpect: 100-continue"), 405}}},

    /* who is there */
    {"login", .lines = {{GET("/.fastfile/login"), 303}}},
    {"logout", .lines = {{REQUEST("POST", "/.fastfile/logout", "\r\nContent-Length: 0"), 303}}},
    {"logout from elsewhere",
     .lines = {{REQUEST("POST", "/.fastfile/logout", "\r\nContent-Length: 0\r\nOrigin: https://y"),
                403}}},
    {"account", SCRIPT_SESSION,
     .lines = {{WITH_SESSION("GET", "/.fastfile/account", ""), 200,
                .text = "{\"user\":\"\",\"writable\":true,\"session\":true,\"apps\":[\n"
                        "{\"label\":\"My \\\"Phone\\\"\",\"readOnly\":true}\n]}\n"},
               {WITH_SESSION("POST", "/.fastfile/account/apps", FORM("12")) "label=tv%2F2", 201,
                .text = "{\"label\":\"tv/2\",\"password\":\"" SCRIPT_APP_PASSWORD "\"}\n"},
               {WITH_SESSION("DELETE", "/.fastfile/account/apps/tv%2F2", ""), 204},
               {WITH_SESSION("DELETE", "/.fastfile/account/apps/none", ""), 404}}},
    {"account of a program", .lines = {{GET("/.fastfile/account"), 403}}},
    {"logout everywhere", SCRIPT_SESSION,
     .lines = {{WITH_SESSION("POST", "/.fastfile/logout", FORM("12")) "everywhere=1", 303}}},
    {"logout everywhere of a program",
     .lines = {{REQUEST("POST", "/.fastfile/logout", FORM("12")) "everywhere=1", 403}}},
    {"somebody else", SCRIPT_BREAKS,
     .lines = {{GET("/small.txt"), 200, .file = "small.txt"},
               {GET_WITH("/small.txt", "Authorization: Basic YTpi"), 200}}},

    /* bad requests */
    {"garbage", .lines = {{"\x01\x02" HEAD_END, 400}}},
    {"bad version", .lines = {{"GET / HTTP/3.0" HEAD_END, 505}}},
    {"no host", .lines = {{"GET / HTTP/1.1" HEAD_END, 400}}},
    {"bad escape", .lines = {{GET("/%zz"), 400}}},
    {"NUL", .lines = {{GET("/a%00b"), 400}}},
    {"above the root", .lines = {{GET("/../../etc/passwd"), 400}}},
    {"two lengths",
     .lines = {{REQUEST("POST", "/", "\r\nContent-Length: 1\r\nContent-Length: 2"), 400}}},
    {"long head", .lines = {{long_head, 431}}},

    /* files that change */
    {"truncated meanwhile", SCRIPT_BREAKS | SCRIPT_CHANGES, .before = restore_changing,
     .during = truncate_changing, .during_after = 100000, .after = still_has_names,
     .lines = {{GET("/moving/inner/changing.bin"), 200, .file = "moving/inner/changing.bin"}}},
    {"replaced meanwhile", SCRIPT_CHANGES, .before = restore_changing, .during = replace_changing,
     .during_after = 100000, .after = still_has_names,
     .lines = {{GET("/moving/inner/changing.bin"), 200, .file = "moving/inner/changing.bin"}}},

    /* uploads */
    {"PUT", SCRIPT_CHANGES, .before = remove_uploads, .after = is_new_hello,
     .lines = {{PUT("new", "5", "hello"), 201}}},
    {"PUT, replacing", SCRIPT_CHANGES, .before = restore_uploads, .after = is_old_hello,
     .lines = {{PUT("old", "5", "hello"), 204}}},
    {"PUT, chunked", SCRIPT_CHANGES, .before = remove_uploads, .after = is_new_hello,
     .lines = {{PUT_CHUNKED("new", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), 201}}},
    {"PUT, large", SCRIPT_CHANGES, .before = remove_uploads, .after = is_new_large,
     .lines = {{large_upload, 201}}},
    {"PUT, large and chunked", SCRIPT_CHANGES, .before = restore_uploads, .after = is_old_large,
     .lines = {{large_chunked, 204}}},
    {"PUT with a digest", SCRIPT_CHANGES, .before = restore_uploads, .after = is_old_hello,
     .lines = {{PUT("old", "5\r\nX-OC-Mtime: 1234567890\r\nOC-Checksum: MD5:" HELLO_MD5, "hello"),
                204}}},
    {"PUT with a wrong digest", SCRIPT_CHANGES, .before = restore_uploads, .after = is_as_before,
     .lines = {{PUT("old", "5\r\nOC-Checksum: MD5:" HELLO_MD5, "hallo"), 400}}},
    {"PUT of another state", SCRIPT_CHANGES, .before = restore_uploads, .after = is_as_before,
     .lines = {{PUT("old", "5\r\nIf-Match: \"x\"", "hello"), 412}}},
    {"PUT where something is", SCRIPT_CHANGES, .before = restore_uploads, .after = is_as_before,
     .lines = {{PUT("old", "5\r\nIf-None-Match: *", "hello"), 412},
               {PUT("old/x", "5", "hello"), 409},
               {PUT("", "5", "hello"), 405}}},
    {"PUT, bad chunks", SCRIPT_CHANGES, .before = restore_uploads, .after = is_as_before,
     .lines = {{PUT_CHUNKED("old", "5\r\nhelloXX0\r\n\r\n"), 400}}},
    {"PUT that can be resumed", SCRIPT_CHANGES, .before = forget_uploads, .after = is_new_hello,
     .lines = {{PUT("new", "5\r\nUpload-Complete: ?1\r\n" IETF_PART, "hello"), 201}}},
    {"a part by PUT", SCRIPT_CHANGES, .before = forget_uploads,
     .lines = {{PUT("new", "2\r\nUpload-Complete: ?0\r\n" IETF_PART, "he"), 201}}},
    {"the rest by PATCH", SCRIPT_CHANGES, .before = begin_ietf, .after = is_kept,
     .lines = {{REQUEST("HEAD", "/.fastfile/upload/" TOKEN, ""), 204},
               {REQUEST("PATCH", "/.fastfile/upload/" TOKEN,
                        "\r\nContent-Length: 3\r\n" IETF_PART
                        "\r\nUpload-Offset: 2\r\nUpload-Complete: ?1") "llo",
                201}}},
    {"PATCH with wrong bytes", SCRIPT_CHANGES, .before = begin_ietf,
     .lines = {{REQUEST("PATCH", "/.fastfile/upload/" TOKEN,
                        "\r\nContent-Length: 3\r\n" IETF_PART
                        "\r\nUpload-Offset: 2\r\nUpload-Complete: ?1") "LLO",
                400}}},
    {"HEAD and PATCH of what is done", SCRIPT_CHANGES, .before = end_ietf, .after = is_new_hello,
     .lines = {{REQUEST("HEAD", "/.fastfile/upload/" TOKEN, ""), 204},
               {REQUEST("PATCH", "/.fastfile/upload/" TOKEN,
                        "\r\nContent-Length: 0\r\n" IETF_PART
                        "\r\nUpload-Offset: 5\r\nUpload-Complete: ?1"),
                400}}},
    {"DELETE of an upload", SCRIPT_CHANGES, .before = begin_ietf, .after = is_cancelled,
     .lines = {{REQUEST("DELETE", "/.fastfile/upload/" TOKEN, ""), 204}}},
    {"tus", SCRIPT_CHANGES, .before = forget_uploads, .after = is_new_hello,
     .lines = {{REQUEST("POST", "/.fastfile/tus/",
                        "\r\nContent-Length: 5\r\nUpload-Length: 5\r\n"
                        "Content-Type: application/offset+octet-stream\r\n" TUS_PATH) "hello",
                201}}},
    {"tus, the rest", SCRIPT_CHANGES, .before = begin_tus, .after = is_kept,
     .lines = {{REQUEST("HEAD", "/.fastfile/upload/" TOKEN, "\r\nTus-Resumable: 1.0.0"), 200},
               {REQUEST("PATCH", "/.fastfile/upload/" TOKEN,
                        "\r\nContent-Length: 3\r\n" TUS_PART "\r\nUpload-Offset: 2") "llo",
                204}}},
    {"tus, a wrong checksum", SCRIPT_CHANGES, .before = begin_tus, .after = is_kept,
     .lines = {{REQUEST(
                    "PATCH", "/.fastfile/upload/" TOKEN,
                    "\r\nContent-Length: 3\r\n" TUS_PART
                    "\r\nUpload-Checksum: md5 XUFAKrxLKna5cZ2REBfFkg==\r\nUpload-Offset: 2") "llo",
                460}}},
    {"PUT, half a body", SCRIPT_CHANGES | SCRIPT_SILENT, .before = restore_uploads,
     .after = is_as_before, .lines = {{PUT("old", "500", "hello"), 408}}},
    {"PUT, half a body and the end", SCRIPT_CHANGES | SCRIPT_BREAKS, .before = restore_uploads,
     .after = is_as_before, .lines = {{PUT("old", "500", "hello"), 400}}},

    /* names */
    {"MKCOL", SCRIPT_CHANGES, .before = restore_trees, .after = is_made,
     .lines = {{REQUEST("MKCOL", "/puts/trees/new/", ""), 201}}},
    {"MKCOL where it cannot be", SCRIPT_CHANGES, .before = restore_trees, .after = are_trees_same,
     .lines = {{REQUEST("MKCOL", "/puts/trees/tree", ""), 405},
               {REQUEST("MKCOL", "/puts/trees/none/new", ""), 409},
               {REQUEST("MKCOL", "/puts/trees/file/new", ""), 409}}},
    {"DELETE", SCRIPT_CHANGES, .before = restore_trees, .after = is_file_deleted,
     .lines = {{DELETE("/puts/trees/file"), 204}}},
    {"DELETE of a link", SCRIPT_CHANGES, .before = restore_trees, .after = is_link_deleted,
     .lines = {{DELETE("/puts/trees/link"), 204}}},
    {"DELETE of a folder", SCRIPT_CHANGES, .before = restore_trees, .after = is_tree_deleted,
     .lines = {{DELETE("/puts/trees/tree/"), 204}}},
    {"DELETE of nothing", SCRIPT_CHANGES, .before = restore_trees, .after = are_trees_same,
     .lines = {{DELETE("/puts/trees/new"), 404},
               {DELETE("/puts/trees/none/x"), 404},
               {DELETE("/puts/trees/file/"), 404}}},
    {"DELETE of another state", SCRIPT_CHANGES, .before = restore_trees, .after = are_trees_same,
     .lines = {{REQUEST("DELETE", "/puts/trees/file", "\r\nIf-Match: \"x\""), 412}}},
    {"DELETE to the trash", SCRIPT_CHANGES | SCRIPT_TRASH, .before = restore_trash,
     .after = is_file_in_trash, .lines = {{DELETE("/puts/trees/file"), 204}}},
    {"DELETE of a link to the trash", SCRIPT_CHANGES | SCRIPT_TRASH, .before = restore_trash,
     .after = is_link_in_trash, .lines = {{DELETE("/puts/trees/link"), 204}}},
    {"DELETE of a folder to the trash", SCRIPT_CHANGES | SCRIPT_TRASH, .before = restore_trash,
     .after = is_tree_in_trash, .lines = {{DELETE("/puts/trees/tree/"), 204}}},
    {"DELETE to the trash below", SCRIPT_CHANGES | SCRIPT_TRASH | SCRIPT_BELOW,
     .before = restore_trash, .after = is_file_in_trash_below,
     .lines = {{DELETE("/puts/trees/file"), 204}}},
    {"DELETE of a folder to the trash below", SCRIPT_CHANGES | SCRIPT_TRASH | SCRIPT_BELOW,
     .before = restore_trash, .after = is_tree_in_trash_below,
     .lines = {{DELETE("/puts/trees/tree/"), 204}}},
    {"deletion taken back", SCRIPT_CHANGES | SCRIPT_TRASH, .deleted = "puts/trees/file",
     .before = delete_file, .after = is_file_back, .lines = {{RESTORE, 201}}},
    {"deletion of a folder taken back", SCRIPT_CHANGES | SCRIPT_TRASH, .deleted = "puts/trees/tree",
     .before = delete_tree, .after = is_tree_back, .lines = {{RESTORE, 201}}},
    {"deletion below taken back", SCRIPT_CHANGES | SCRIPT_TRASH | SCRIPT_BELOW,
     .deleted = "puts/trees/file", .before = delete_file_below, .after = is_file_back_from_below,
     .lines = {{RESTORE, 201}}},
    {"deletion taken back where something is", SCRIPT_CHANGES | SCRIPT_TRASH,
     .deleted = "puts/trees/other", .before = delete_file, .after = is_file_still_in_trash,
     .lines = {{RESTORE, 409}}},
    {"deletion taken back where it is locked", SCRIPT_CHANGES | SCRIPT_TRASH,
     .deleted = "puts/trees/file", .locked = "puts/trees", .before = delete_file,
     .after = is_file_still_in_trash, .lines = {{RESTORE, 423}}},
    {"DELETE of what is in the trash", SCRIPT_CHANGES | SCRIPT_TRASH, .before = restore_trashed,
     .after = is_gone_from_trash, .lines = {{DELETE("/" SCRIPT_TRASH_FOLDER "/files/old"), 204}}},
    {"MOVE", SCRIPT_CHANGES, .before = restore_trees, .after = is_file_moved,
     .lines = {{MOVE("/puts/trees/file", "/puts/trees/new"), 201}}},
    {"MOVE, file to file", SCRIPT_CHANGES, .before = restore_trees, .after = is_file_moved_on_file,
     .lines = {{MOVE("/puts/trees/file", "/puts/trees/other"), 204}}},
    {"MOVE, file to folder", SCRIPT_CHANGES, .before = restore_trees,
     .after = is_file_moved_on_folder,
     .lines = {{MOVE("/puts/trees/file", "/puts/trees/target"), 204}}},
    {"MOVE of a link", SCRIPT_CHANGES, .before = restore_trees, .after = is_link_moved,
     .lines = {{MOVE("/puts/trees/link", "/puts/trees/new"), 201}}},
    {"MOVE of a folder", SCRIPT_CHANGES, .before = restore_trees, .after = is_tree_moved,
     .lines = {{MOVE("/puts/trees/tree/", "/puts/trees/new/"), 201}}},
    {"MOVE, folder to file", SCRIPT_CHANGES, .before = restore_trees,
     .after = is_tree_moved_on_file,
     .lines = {{MOVE("/puts/trees/tree", "/puts/trees/other"), 204}}},
    {"MOVE, folder to folder", SCRIPT_CHANGES, .before = restore_trees,
     .after = is_tree_moved_on_folder,
     .lines = {{MOVE("/puts/trees/tree", "/puts/trees/target"), 204}}},
    {"MOVE to another folder", SCRIPT_CHANGES, .before = restore_trees, .after = is_file_moved_on,
     .lines = {{MOVE("/puts/trees/file", "/puts/trees/else/new"), 201}}},
    {"MOVE of a folder to another", SCRIPT_CHANGES, .before = restore_trees,
     .after = is_tree_moved_on, .lines = {{MOVE("/puts/trees/tree", "/puts/trees/else/new"), 201}}},
    {"MOVE across", SCRIPT_CHANGES | SCRIPT_ACROSS, .before = restore_trees,
     .after = is_file_moved_across,
     .lines = {{MOVE("/puts/trees/file", "/puts/trees/else/new"), 201}}},
    {"MOVE of a link across", SCRIPT_CHANGES | SCRIPT_ACROSS, .before = restore_trees,
     .after = is_link_moved_across,
     .lines = {{MOVE("/puts/trees/link", "/puts/trees/else/new"), 201}}},
    {"MOVE of a folder across", SCRIPT_CHANGES | SCRIPT_ACROSS, .before = restore_trees,
     .after = is_tree_moved_across,
     .lines = {{MOVE("/puts/trees/tree", "/puts/trees/else/new"), 201}}},
    {"MOVE, folder to folder, across", SCRIPT_CHANGES | SCRIPT_ACROSS, .before = restore_trees,
     .after = is_tree_moved_on_folder_across,
     .lines = {{MOVE("/puts/trees/tree", "/puts/trees/else/full"), 204}}},
    {"COPY", SCRIPT_CHANGES, .before = restore_trees, .after = is_file_copied,
     .lines = {{COPY("/puts/trees/file", "/puts/trees/new"), 201}}},
    {"COPY, file to file", SCRIPT_CHANGES, .before = restore_trees, .after = is_file_copied_on_file,
     .lines = {{COPY("/puts/trees/file", "/puts/trees/other"), 204}}},
    {"COPY, file to folder", SCRIPT_CHANGES, .before = restore_trees,
     .after = is_file_copied_on_folder,
     .lines = {{COPY("/puts/trees/file", "/puts/trees/target"), 204}}},
    {"COPY by a link", SCRIPT_CHANGES, .before = restore_trees, .after = is_link_followed,
     .lines = {{COPY("/puts/trees/link", "/puts/trees/new"), 201}}},
    {"COPY with holes", SCRIPT_CHANGES, .before = restore_trees, .after = is_sparse_copied,
     .lines = {{COPY("/puts/trees/sparse", "/puts/trees/new"), 201}}},
    {"COPY of a folder", SCRIPT_CHANGES, .before = restore_trees, .after = is_tree_copied,
     .lines = {{COPY("/puts/trees/tree/", "/puts/trees/new/"), 201}}},
    {"COPY, folder to file", SCRIPT_CHANGES, .before = restore_trees,
     .after = is_tree_copied_on_file,
     .lines = {{COPY("/puts/trees/tree", "/puts/trees/other"), 204}}},
    {"COPY, folder to folder", SCRIPT_CHANGES, .before = restore_trees,
     .after = is_tree_copied_on_folder,
     .lines = {{COPY("/puts/trees/tree", "/puts/trees/target"), 204}}},
    {"COPY of a folder alone", SCRIPT_CHANGES, .before = restore_trees,
     .after = is_tree_copied_alone,
     .lines = {{COPY("/puts/trees/tree", "/puts/trees/new\r\nDepth: 0"), 201}}},
    {"MOVE and COPY that cannot be", SCRIPT_CHANGES, .before = restore_trees,
     .after = are_trees_same,
     .lines = {{MOVE("/puts/trees/file", "/puts/trees/other\r\nOverwrite: F"), 412},
               {COPY("/puts/trees/tree", "/puts/trees/target\r\nOverwrite: F"), 412},
               {MOVE("/puts/trees/tree", "/puts/trees/tree/inner/new"), 403},
               {COPY("/puts/trees/tree", "/puts/trees/tree/inner/new"), 403},
               {MOVE("/puts/trees/file", "https://elsewhere/puts/trees/new"), 502},
               {COPY("/puts/trees/file", "https://elsewhere/puts/trees/new"), 502},
               {MOVE("/puts/trees/none", "/puts/trees/new"), 404},
               {COPY("/puts/trees/file", "/puts/trees/none/new"), 409}}},
    {"PUT where a list is", SCRIPT_CHANGES, .before = restore_trees, .after = is_limited_kept,
     .lines = {{REQUEST("PUT", "/puts/trees/lists/limited", "\r\nContent-Length: 5") "hello",
                204}}},
    {"PUT where no list is", SCRIPT_CHANGES, .before = restore_trees, .after = is_plain_kept,
     .lines = {{REQUEST("PUT", "/puts/trees/lists/plain", "\r\nContent-Length: 5") "hello", 204}}},

    /* locks and conditions */
    {"PUT of what is locked", SCRIPT_CHANGES, .before = restore_uploads, .after = is_as_before,
     .locked = "puts/sub/old",
     .lines = {{PUT("old", "5", "hello"), 423},
               {PUT("old", "5\r\nIf: (<urn:x>)", "hello"), 412},
               {PUT("old", "5\r\nIf: ()", "hello"), 400},
               {PUT("old", "5\r\nExpect: 100-continue", ""), 423}}},
    {"PUT with a token", SCRIPT_CHANGES, .before = restore_uploads, .after = is_old_hello,
     .locked = "puts/sub/old", .lines = {{PUT("old", "5" SHOWN("puts/sub/old"), "hello"), 204}}},
    {"PUT with conditions on others", SCRIPT_CHANGES, .before = restore_uploads,
     .after = is_old_hello,
     .lines = {{PUT("old", "5\r\nIf: </none> ([\"x\"]) </small.txt> (Not [\"x\"])", "hello"),
                204}}},
    {"a resumable PUT with a condition", SCRIPT_CHANGES, .before = forget_uploads,
     .after = is_new_hello,
     .lines = {{PUT("new", "5\r\nIf: (Not [\"x\"])\r\nUpload-Complete: ?1\r\n" IETF_PART, "hello"),
                201}}},
    {"an upload of what is locked by now", SCRIPT_CHANGES, .before = begin_ietf, .after = is_kept,
     .locked = "puts/sub/new",
     .lines = {{REQUEST("PATCH", "/.fastfile/upload/" TOKEN,
                        "\r\nContent-Length: 3\r\n" IETF_PART
                        "\r\nUpload-Offset: 2\r\nUpload-Complete: ?1") "llo",
                423}}},
    {"an upload with a token", SCRIPT_CHANGES, .before = begin_ietf, .after = is_kept,
     .locked = "puts/sub/new",
     .lines = {{REQUEST("PATCH", "/.fastfile/upload/" TOKEN,
                        "\r\nContent-Length: 3\r\n" IETF_PART
                        "\r\nUpload-Offset: 2\r\nUpload-Complete: ?1" SHOWN("puts/sub/new")) "llo",
                201}}},
    {"changes of what is locked", SCRIPT_CHANGES, .before = restore_trees, .after = are_trees_same,
     .locked = "puts/trees/tree",
     .lines = {{DELETE("/puts/trees/tree"), 423},
               {DELETE("/puts/trees/tree/small"), 423},
               {MOVE("/puts/trees/tree", "/puts/trees/new"), 423},
               {MOVE("/puts/trees/file", "/puts/trees/tree"), 423},
               {COPY("/puts/trees/file", "/puts/trees/tree/new"), 423},
               {REQUEST("MKCOL", "/puts/trees/tree/new", ""), 423}}},
    {"changes of what is locked in it", SCRIPT_CHANGES, .before = restore_trees,
     .after = are_trees_same, .locked = "puts/trees/tree/inner",
     .lines = {{DELETE("/puts/trees/tree"), 207},
               {MOVE("/puts/trees/tree", "/puts/trees/new"), 207},
               {COPY("/puts/trees/file", "/puts/trees/tree"), 207}}},
    {"MKCOL where it is locked", SCRIPT_CHANGES, .before = restore_trees, .after = is_made,
     .locked = "puts/trees",
     .lines = {{WITH_LOCK("MKCOL", "/puts/trees/new/", "puts/trees"), 201}}},
    {"DELETE of a locked folder", SCRIPT_CHANGES, .before = restore_trees, .after = is_tree_deleted,
     .locked = "puts/trees/tree",
     .lines = {{WITH_LOCK("DELETE", "/puts/trees/tree/", "puts/trees/tree"), 204}}},
    {"DELETE of what is locked in it", SCRIPT_CHANGES, .before = restore_trees,
     .after = is_tree_deleted, .locked = "puts/trees/tree/inner",
     .lines = {{WITH_LOCK("DELETE", "/puts/trees/tree/", "puts/trees/tree/inner"), 204}}},
    {"MOVE of a locked folder", SCRIPT_CHANGES, .before = restore_trees, .after = is_tree_moved,
     .locked = "puts/trees/tree",
     .lines = {{TO_WITH_LOCK("MOVE", "/puts/trees/tree", "/puts/trees/new", "puts/trees/tree"),
                201}}},
    {"MOVE to a locked folder", SCRIPT_CHANGES, .before = restore_trees,
     .after = is_tree_moved_on_folder, .locked = "puts/trees/target/old",
     .lines = {{TO_WITH_LOCK("MOVE", "/puts/trees/tree", "/puts/trees/target",
                             "puts/trees/target/old"),
                204}}},
    {"MOVE of a locked folder across", SCRIPT_CHANGES | SCRIPT_ACROSS, .before = restore_trees,
     .after = is_tree_moved_across, .locked = "puts/trees/tree/inner",
     .lines = {{TO_WITH_LOCK("MOVE", "/puts/trees/tree", "/puts/trees/else/new",
                             "puts/trees/tree/inner"),
                201}}},
    {"COPY to a locked folder", SCRIPT_CHANGES, .before = restore_trees,
     .after = is_tree_copied_on_folder, .locked = "puts/trees/target/old",
     .lines = {{TO_WITH_LOCK("COPY", "/puts/trees/tree", "/puts/trees/target",
                             "puts/trees/target/old"),
                204}}},

    {"LOCK", SCRIPT_CHANGES | SCRIPT_LOCKS, .before = restore_uploads, .after = is_as_before,
     .lines = {{LOCK("/puts/sub/old", ""), 200}}},
    {"LOCK of a folder", SCRIPT_CHANGES | SCRIPT_LOCKS, .before = restore_uploads,
     .after = is_as_before, .lines = {{LOCK("/puts/sub", "\r\nTimeout: Second-100"), 200}}},
    {"LOCK of nothing", SCRIPT_CHANGES | SCRIPT_LOCKS, .before = remove_uploads,
     .after = is_new_empty, .lines = {{LOCK("/puts/sub/new", ""), 201}}},
    {"LOCK that cannot be", SCRIPT_CHANGES, .before = restore_uploads, .after = is_as_before,
     .locked = "puts/sub/old",
     .lines = {{LOCK("/puts/sub/old", ""), 423},
               {LOCK("/puts/sub", ""), 207},
               {LOCK("/puts/sub/none/new", ""), 409},
               {LOCK("/puts/sub/old", "\r\nDepth: 1"), 400},
               {LOCK("/puts/sub/old", "\r\nIf: (<urn:x>)"), 412},
               {REQUEST("LOCK", "/puts/sub/old", "\r\nContent-Length: 4") "<a/>", 400}}},
    {"LOCK, refresh", SCRIPT_CHANGES, .before = restore_uploads, .after = is_as_before,
     .locked = "puts/sub/old",
     .lines = {{WITH_LOCK("LOCK", "/puts/sub/old", "puts/sub/old"), 200}}},
    {"UNLOCK", SCRIPT_CHANGES | SCRIPT_UNLOCKS, .before = restore_uploads, .after = is_as_before,
     .locked = "puts/sub/old", .lines = {{UNLOCK("/puts/sub/old", SCRIPT_LOCK), 204}}},
    {"UNLOCK of another", SCRIPT_CHANGES, .before = restore_uploads, .after = is_as_before,
     .locked = "puts/sub/old",
     .lines = {{UNLOCK("/puts/sub/old", "urn:x"), 409},
               {UNLOCK("/puts/sub", SCRIPT_LOCK), 409},
               {REQUEST("UNLOCK", "/puts/sub/old", ""), 400}}},

    /* what clients keep with files */
    {"PROPPATCH", SCRIPT_CHANGES | SCRIPT_PARTS, .before = restore_marked, .after = is_patched,
     .lines = {{PROPPATCH("/puts/sub/old", "149", CHANGED), 207}}},
    {"PROPPATCH, removed", SCRIPT_CHANGES | SCRIPT_PARTS, .before = restore_marked,
     .after = is_unmarked, .lines = {{PROPPATCH("/puts/sub/old", "104", REMOVED), 207}}},
    {"PROPPATCH that cannot be", SCRIPT_CHANGES, .before = restore_marked, .after = is_marked,
     .lines = {{PROPPATCH("/puts/sub/none", "104", REMOVED), 404},
               {PROPPATCH("/puts/sub/old", "4", "<a/>"), 400},
               {REQUEST("PROPPATCH", "/puts/sub/old", "\r\nIf-Match: \"x\"\r\nContent-Length: 104")
                    REMOVED,
                412}}},
    {"PROPPATCH of what is locked", SCRIPT_CHANGES, .before = restore_marked, .after = is_marked,
     .locked = "puts/sub/old", .lines = {{PROPPATCH("/puts/sub/old", "104", REMOVED), 423}}},
    {"PROPFIND of what is kept", SCRIPT_ENTRIES | SCRIPT_CHANGES, .before = restore_marked,
     .after = is_marked,
     .lines = {{PROPFIND("/puts/sub/old", "0", KEPT), 207},
               {PROPFIND("/puts/sub/", "1", KEPT), 207}}},
    {"PUT of what is kept", SCRIPT_CHANGES, .before = restore_marked, .after = is_still_marked,
     .lines = {{PUT("old", "5", "hello"), 204}}},
    {"COPY of what is kept", SCRIPT_CHANGES, .before = restore_marked, .after = is_marked_twice,
     .lines = {{COPY("/puts/sub/old", "/puts/sub/new"), 201}}},

    /* archives */
    {"tar", SCRIPT_NOTES, .lines = {{GET("/pack/?archive=tar"), 200}}},
    {"tar of many", SCRIPT_NOTES, .lines = {{GET("/many/?archive=tar"), 200}}},
    {"zip", SCRIPT_NOTES,
     .lines = {{GET("/pack/?archive=zip"), 200}, {HEAD("/pack/?archive=zip"), 200}}},
    {"zip of some", SCRIPT_NOTES, .lines = {{GET("/pack/?archive=zip&name=link&name=inner"), 200}}},
    {"no archive",
     .lines = {{GET("/pack/?archive=rar"), 400}, {GET("/small.txt?archive=tar"), 400}}},
    {"aborted tar", SCRIPT_ABORTS | SCRIPT_NOTES, .abort_after = 20000,
     .lines = {{GET("/pack/?archive=tar"), 200}}},
    {"aborted zip", SCRIPT_ABORTS | SCRIPT_NOTES, .lines = {{GET("/pack/?archive=zip"), 200}}},

    /* peers that are slow, silent or gone */
    {"half a head", SCRIPT_SILENT, .lines = {{"GET /small.txt HTT", 408}}},
    {"half a head behind a request", SCRIPT_SILENT,
     .lines = {{GET("/small.txt") "GET /small.txt HTT", 200, .file = "small.txt"}, {NULL, 408}}},
    {"half a head and the end", SCRIPT_BREAKS, .lines = {{"GET /small", 0}}},
    {"nothing", SCRIPT_SILENT, .lines = {{"", 0}}},
    {"idle for ever", SCRIPT_SILENT, .lines = {{GET("/small.txt"), 200, .file = "small.txt"}}},
    {"dripping", SCRIPT_DRIPS, .lines = {{GET("/small.txt"), 200, .file = "small.txt"}}},
    {"slow reader", SCRIPT_SLOW, .lines = {{GET("/huge.bin"), 200, .file = "huge.bin"}}},
    {"too slow a reader", SCRIPT_TOO_SLOW | SCRIPT_BREAKS,
     .lines = {{GET("/huge.bin"), 200, .file = "huge.bin"}}},
    {"aborted at once", SCRIPT_ABORTS, .lines = {{GET("/large.bin"), 200, .file = "large.bin"}}},
    {"aborted", SCRIPT_ABORTS, .abort_after = 100000,
     .lines = {{GET("/huge.bin"), 200, .file = "huge.bin"}}},
    {"aborted listing", SCRIPT_ABORTS | SCRIPT_ENTRIES, .abort_after = 4000,
     .lines = {{GET("/many/"), 200}}},
    {0},
};
