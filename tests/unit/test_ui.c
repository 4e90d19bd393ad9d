/* Pages and JSON: what is escaped and how, sizes and times, icons, where a login may go on. */
#include "assert_span.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/utf8.h"
#include "ui/asset.h"
#include "ui/icon.h"
#include "ui/listing_html.h"
#include "ui/listing_json.h"
#include "ui/login.h"
#include "ui/text.h"

static char memory[256 * 1024];
static struct buf out;

static struct buf *fresh(void)
{
    buf_init_fixed(&out, memory, sizeof(memory) - 1);
    return &out;
}

/* What has been written, as a string. */
static const char *text(void)
{
    assert_false(buf_failed(&out));
    memory[out.len] = '\0';
    return memory;
}

static void assert_has(const char *part)
{
    if (strstr(text(), part))
        return;
    print_error("\"%s\" is not in:\n%s\n", part, text());
    fail();
}

static void assert_has_not(const char *part)
{
    if (!strstr(text(), part))
        return;
    print_error("\"%s\" is in:\n%s\n", part, text());
    fail();
}

/* --- names, numbers, times --- */

static void names_become_harmless(void **state)
{
    static const struct {
        const char *name, *expected;
    } cases[] = {
        {"plain.txt", "plain.txt"},
        {"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"},
        {"\"' onmouseover='x", "&quot;&#39; onmouseover=&#39;x"},
        {"&lt;b&gt;", "&amp;lt;b&amp;gt;"},
        {"a\nb\x7f\x01", "a\xef\xbf\xbd"
                         "b\xef\xbf\xbd\xef\xbf\xbd"},
        {"gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x90\x9f",
         "gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x90\x9f"},
        {"\xff\xfe.txt", "\xef\xbf\xbd\xef\xbf\xbd.txt"},
        {"cut \xe6\x97", "cut \xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* '<', too long */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe2\x80\xaegpj.exe", "\xef\xbf\xbdgpj.exe"}, /* U+202E */
        {"\xe2\x81\xa7x", "\xef\xbf\xbdx"},             /* U+2067 */
        {"\xc2\x85", "\xef\xbf\xbd"},                   /* a C1 control */
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        text_append_name(fresh(), span_str(cases[i].name));
        assert_string_equal(text(), cases[i].expected);
        assert_true(utf8_is_valid(buf_span(&out)));
    }
    assert_false(utf8_is_valid(SPAN("a\xff")));
}

static void sizes(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *expected;
    } cases[] = {
        {0, "0 B"},
        {1, "1 B"},
        {999, "999 B"},
        {1000, "1.0 KB"},
        {1049, "1.0 KB"},
        {1050, "1.1 KB"},
        {9949, "9.9 KB"},
        {9950, "10 KB"},
        {99499, "99 KB"},
        {999499, "999 KB"},
        {999500, "1.0 MB"},
        {1234567, "1.2 MB"},
        {43000000, "43 MB"},
        {999499999, "999 MB"},
        {999500000, "1.0 GB"},
        {5000000000, "5.0 GB"},
        {UINT64_MAX, "18 EB"},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        text_append_size(fresh(), cases[i].bytes);
        assert_string_equal(text(), cases[i].expected);
    }
}

static void counts(void **state)
{
    (void)state;
    text_append_count(fresh(), 1, "files");
    text_append_count(&out, 1234567, "bytes");
    text_append_count(&out, 0, "folders");
    text_append_number(&out, UINT64_MAX);
    assert_string_equal(text(), "1 file1,234,567 bytes0 folders18,446,744,073,709,551,615");
}

static void times(void **state)
{
    struct text_clock clock = {0};

    (void)state;
    setenv("TZ", "CET-1", 1);
    tzset();
    text_append_time(fresh(), &clock, 1600000000, 123456789);
    assert_string_equal(text(), "<time datetime=\"2020-09-13T12:26:40.123Z\" "
                                "title=\"2020-09-13 13:26:40 +0100\">2020-09-13 13:26</time>");
    text_append_time(fresh(), &clock, -1, 0);
    assert_has(">1970-01-01 00:59</time>");
    static const int64_t none[] = {INT64_MAX, INT64_MIN, INT64_C(253402300800),
                                   INT64_C(-62200000000)};
    for (size_t i = 0; i < COUNT(none); i++) {
        text_append_time(fresh(), &clock, none[i], 999999999);
        assert_has(">?</time>");
    }
}

/* A clock that has been elsewhere says what one says that is asked for the first time. */
static void assert_times_around(const char *zone, int64_t middle)
{
    struct text_clock clock = {0};
    char expected[64];
    struct tm tm;

    setenv("TZ", zone, 1);
    tzset();
    for (int64_t distance = -4000; distance <= 4000; distance += 7) {
        time_t seconds = (time_t)(middle + distance);
        assert_non_null(localtime_r(&seconds, &tm));
        strftime(expected, sizeof(expected), "\"%Y-%m-%d %H:%M:%S %z\">%Y-%m-%d %H:%M<", &tm);
        text_append_time(fresh(), &clock, seconds, 0);
        assert_has(expected);
    }
}

static void times_of_neighbours(void **state)
{
    (void)state;
    assert_times_around("UTC0", 0);
    assert_times_around("NPT-5:45", 1600000000);
    assert_times_around("CET-1CEST,M3.5.0,M10.5.0/3", 1603587600);  /* 25 October 2020, 1:00 UTC */
    assert_times_around("CET-1CEST,M3.5.0,M10.5.0/3", 1585443600);  /* 29 March 2020, 1:00 UTC */
    assert_times_around("LMT-0:53:28", 1600000000);                 /* no whole quarters */
    assert_times_around("ODD0DST,J100/1:07,J200/1:07", 1618016820); /* changes within one */
    assert_times_around("right/Europe/Berlin", 1600000200);         /* counts leap seconds */
    assert_times_around("right/UTC", 1483228826);                   /* 31 December 2016, 23:59:60 */
    unsetenv("TZ");
    tzset();
}

static void icons(void **state)
{
    (void)state;
    assert_int_equal(icon_for_file(SPAN("a.JPG")), ICON_IMAGE);
    assert_int_equal(icon_for_file(SPAN("a.b.mp4")), ICON_VIDEO);
    assert_int_equal(icon_for_file(SPAN("x.c")), ICON_CODE);
    assert_int_equal(icon_for_file(SPAN("x.h")), ICON_CODE);
    assert_int_equal(icon_for_file(SPAN("x.tar.gz")), ICON_ARCHIVE);
    assert_int_equal(icon_for_file(SPAN("x.pdf")), ICON_PDF);
    static const char *const others[] = {
        "",        ".",   "a",      "a.",        ".jpg",          "a.jp",
        "a.pg jp", "jpg", "a. jpg", "a.unknown", "a.muchtoolong", "a.\xff"};
    for (size_t i = 0; i < COUNT(others); i++)
        assert_int_equal(icon_for_file(span_str(others[i])), ICON_FILE);
}

/* --- the page --- */

static const struct listing_options alice = {
    .writable = true, .can_logout = true, .user = SPAN("a<li>ce")};

static const char *row(const char *name, enum folder_entry_type type)
{
    struct folder_entry entry = {.name = span_str(name), .type = (uint8_t)type, .size = 1234567};
    struct listing_page page = {.options = &alice};

    listing_html_row(fresh(), &page, &entry);
    return text();
}

static void rows_hold_names_safely(void **state)
{
    (void)state;
    row("\"><script>alert('x')<", FOLDER_ENTRY_FILE);
    assert_has("href=\"%22%3E%3Cscript%3Ealert(%27x%27)%3C\"");
    assert_has("<bdi>&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;</bdi>");
    row("javascript:alert(1)", FOLDER_ENTRY_FILE);
    assert_has("href=\"javascript%3Aalert(1)\"");
    row("\xff?#%.txt", FOLDER_ENTRY_FILE);
    assert_has("href=\"%FF%3F%23%25.txt\"");
    assert_has("<bdi>\xef\xbf\xbd?#%.txt</bdi>");
    assert_has("title=\"1,234,567 bytes\">1.2 MB<td>");
    assert_has("?download\"");
    row("folder", FOLDER_ENTRY_FOLDER);
    assert_has("href=\"folder/\"");
    assert_has_not("bytes");
    assert_has_not("?download\"");
    row(".hidden", FOLDER_ENTRY_FILE);
    assert_has("<tr class=\"h\">");
}

static void the_page_around_the_rows(void **state)
{
    struct folder folder = {.count = 352, .folders = 12, .files = 340, .total_bytes = 1300000000};
    struct listing_page page = {.path = SPAN("a & b/c\"d"), .folder = &folder, .options = &alice};
    (void)state;

    listing_html_begin(fresh(), &page);
    listing_html_end(&out, &page);
    assert_has("<title>c&quot;d</title>");
    assert_has("<a href=\"/\"><bdi>Files</bdi></a>");
    assert_has("<a href=\"/a%20%26%20b/\"><bdi>a &amp; b</bdi></a>");
    assert_has("<a aria-current=\"page\" href=\"/a%20%26%20b/c%22d/\">");
    assert_has("12 folders, 340 files, 1.3 GB");
    assert_has("a&lt;li&gt;ce</bdi><button>");
    assert_has("method=\"post\" action=\"/.fastfile/logout\"");
    assert_has("aria-sort=\"ascending\"><a href=\"?sort=name&amp;order=desc\">Name");
    assert_has("<th scope=\"col\"><a href=\"?sort=size&amp;order=desc\">Size");
    assert_has("href=\"../\"");
    assert_has("/.fastfile/ui/");
    assert_has("<script type=\"module\" src=\"/.fastfile/ui/");
    assert_has("<body data-user=\"a&lt;li&gt;ce\" data-writable data-session>");
    assert_has("<a href=\"?archive=zip\">.zip</a> or <a href=\"?archive=tar\">.tar</a>");
    assert_has_not("Not shown");
    assert_has_not("style=");
}

static void the_page_that_scripts_fill(void **state)
{
    struct listing_options all = {
        .user = SPAN("bob"), .writable = true, .can_logout = true, .has_trash = true};
    struct listing_page page = {.path = SPAN("a<b"), .options = &all};
    (void)state;

    listing_html_shell(fresh(), &page);
    assert_has("<link rel=\"preload\" as=\"fetch\" crossorigin href=\"/a%3Cb/?format=json\">");
    assert_has("<title>a&lt;b</title>");
    assert_has("<body class=\"app\" data-user=\"bob\" data-writable data-session data-trash>");
    assert_has(
        "<noscript><meta http-equiv=\"refresh\" content=\"0; url=?format=html\"></noscript>");
    page.sort = FOLDER_BY_TIME;
    listing_html_shell(fresh(), &page);
    assert_has("url=?format=html&amp;sort=time&amp;order=asc\"");
}

static void plain_links_lead_to_plain_pages(void **state)
{
    struct folder folder = {.count = 1, .files = 1};
    struct listing_page page = {
        .path = SPAN("a/b"), .folder = &folder, .plain = true, .options = &alice};
    struct folder_entry entry = {.name = SPAN("f"), .type = FOLDER_ENTRY_FOLDER};
    (void)state;

    listing_html_begin(fresh(), &page);
    listing_html_row(&out, &page, &entry);
    assert_has("href=\"../?format=html\"");
    assert_has("href=\"/a/?format=html\"");
    assert_has("href=\"f/?format=html\"");
    assert_has("<a href=\"?format=html&amp;sort=size&amp;order=desc\">Size");
    assert_has_not("<script");
    page.sort = FOLDER_BY_SIZE;
    listing_html_begin(fresh(), &page);
    assert_has("href=\"../?format=html&amp;sort=size&amp;order=asc\"");
}

static void the_order_is_kept_while_walking_around(void **state)
{
    struct folder folder = {.count = 1, .files = 1, .left_out = 2};
    struct listing_page page = {.path = SPAN("a/b"),
                                .folder = &folder,
                                .sort = FOLDER_BY_SIZE,
                                .descending = true,
                                .options = &(struct listing_options){0}};
    (void)state;

    listing_html_begin(fresh(), &page);
    assert_has("href=\"../?sort=size&amp;order=desc\"");
    assert_has("href=\"/a/?sort=size&amp;order=desc\"");
    assert_has("aria-sort=\"descending\"><a href=\"?sort=size&amp;order=asc\">Size");
    assert_has_not("logout");
    struct folder_entry entry = {.name = SPAN("f"), .type = FOLDER_ENTRY_FOLDER};
    listing_html_row(&out, &page, &entry);
    assert_has("href=\"f/?sort=size&amp;order=desc\"");
    listing_html_end(&out, &page);
    assert_has("Not shown: 2 entries");
}

static void the_deepest_path_makes_no_giant_page(void **state)
{
    static char path[LIMIT_PATH_BYTES - 1];
    struct folder folder = {0};
    struct listing_page page = {
        .path = span_of(path, sizeof(path)), .folder = &folder, .options = &alice};
    (void)state;

    for (size_t i = 0; i < sizeof(path); i++)
        path[i] = i % 2 ? '/' : '\x80';
    listing_html_begin(fresh(), &page);
    assert_has("<li>\xe2\x80\xa6\n"); /* … */
    assert_has("This folder is empty");
    listing_html_end(&out, &page);
    assert_has_not("?archive=");
    assert_true(out.len < 100 * 1024);
    memset(path, '"', sizeof(path));
    listing_html_begin(fresh(), &page);
    assert_false(buf_failed(&out));
}

/* --- JSON --- */

/* Skips one JSON value (RFC 8259); NULL where there is none. */
static const char *skip_value(const char *at);

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \n");
}

static const char *skip_string(const char *at)
{
    if (*at++ != '"')
        return NULL;
    for (; *at != '"'; at++) {
        if ((unsigned char)*at < ' ')
            return NULL;
        if (*at != '\\')
            continue;
        at++;
        if (*at == 'u' && strspn(at + 1, "0123456789abcdef") >= 4)
            at += 4;
        else if (!*at || !strchr("\"\\/bfnrt", *at))
            return NULL;
    }
    return at + 1;
}

static const char *skip_members(const char *at, bool object, char end)
{
    at = skip_blanks(at + 1);
    if (*at == end)
        return at + 1;
    for (;;) {
        if (object) {
            at = skip_string(skip_blanks(at));
            if (!at || *at != ':')
                return NULL;
            at++;
        }
        at = skip_value(skip_blanks(at));
        if (!at)
            return NULL;
        at = skip_blanks(at);
        if (*at == end)
            return at + 1;
        if (*at++ != ',')
            return NULL;
    }
}

static const char *skip_value(const char *at)
{
    if (*at == '{')
        return skip_members(at, true, '}');
    if (*at == '[')
        return skip_members(at, false, ']');
    if (*at == '"')
        return skip_string(at);
    if (strncmp(at, "true", 4) == 0)
        return at + 4;
    if (strncmp(at, "false", 5) == 0)
        return at + 5;
    size_t digits = strspn(at, "0123456789");
    return digits > 0 ? at + digits : NULL;
}

static void json_is_json(void **state)
{
    static const char *const names[] = {"plain",    "\"quoted\"", "back\\slash",  "line\nbreak",
                                        "\xff\xfe", "</script>",  "\xe6\x97\xa5", "\x7f\x01"};
    static const struct timespec now = {2000000000, 0};
    (void)state;

    listing_json_begin(fresh(), SPAN("a\"b"));
    for (size_t i = 0; i < COUNT(names); i++) {
        struct folder_entry entry = {.name = span_str(names[i]),
                                     .type = i % 3 ? FOLDER_ENTRY_FILE : FOLDER_ENTRY_FOLDER,
                                     .size = i};
        listing_json_entry(&out, &entry, i == 0, &now);
    }
    listing_json_end(&out, false);
    const char *end = skip_value(text());
    assert_non_null(end);
    assert_string_equal(end, "\n");
    assert_true(utf8_is_valid(buf_span(&out)));
    assert_has("{\"path\":\"/a\\\"b/\",\"entries\":[");
    assert_has("\"name\":\"\xef\xbf\xbd\xef\xbf\xbd\",\"href\":\"%FF%FE\"");
}

static void json_is_exactly_this(void **state)
{
    static const struct timespec now = {1600000003, 0};
    struct folder_entry entry = {.name = SPAN("b"),
                                 .type = FOLDER_ENTRY_FILE,
                                 .size = 17,
                                 .mtime_s = 1600000000,
                                 .ctime_s = 1600000000,
                                 .ino = 255};
    (void)state;

    listing_json_begin(fresh(), SPAN(""));
    listing_json_entry(&out, &entry, true, &now);
    entry.type = FOLDER_ENTRY_FOLDER;
    listing_json_entry(&out, &entry, false, &now);
    listing_json_end(&out, true);
    assert_string_equal(
        text(),
        "{\"path\":\"/\",\"entries\":[\n"
        "{\"name\":\"b\",\"type\":\"file\",\"size\":17,\"mtime\":\"2020-09-13T12:26:40.000Z\","
        "\"etag\":\"\\\"ff-11-16345785d8a00000-16345785d8a00000\\\"\"},\n"
        "{\"name\":\"b\",\"type\":\"folder\",\"mtime\":\"2020-09-13T12:26:40.000Z\"}\n"
        "],\"writable\":true}\n");
    listing_json_begin(fresh(), SPAN("a"));
    listing_json_end(&out, true);
    assert_string_equal(text(), "{\"path\":\"/a/\",\"entries\":[\n],\"writable\":true}\n");
}

/* --- login --- */

static void where_a_login_may_go_on(void **state)
{
    static const char *const good[] = {"/",
                                       "/a",
                                       "/a/b?c=d&e=%2F%2f",
                                       "/a//b",
                                       "/.fastfile/x",
                                       "/@x:y",
                                       "/%0d%0aX:%20y",
                                       "/?next=//evil.example"};
    static const char *const bad[] = {"",
                                      "a",
                                      "//evil.example",
                                      "///evil",
                                      "/\\evil.example",
                                      "\\\\evil.example",
                                      "https://evil.example/",
                                      "javascript:alert(1)",
                                      "/a\\b",
                                      "/\t/evil.example",
                                      "/\r\nX: y",
                                      "/a b",
                                      "/\x7f",
                                      "/\xc3\xa4",
                                      " /",
                                      "/.fastfile/login",
                                      "/.fastfile/login?next=/",
                                      "/.fastfile/logout"};
    static char longest[LIMIT_PATH_BYTES + 1];
    (void)state;

    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(login_next_valid(span_str(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (login_next_valid(span_str(bad[i])))
            print_error("%s\n", bad[i]);
        assert_false(login_next_valid(span_str(bad[i])));
        login_html(fresh(), span_str(bad[i]), SPAN(""), SPAN(""));
        assert_has("name=\"next\" value=\"/\">");
    }
    assert_false(login_next_valid(SPAN("/\0")));
    memset(longest, '/', 1);
    memset(longest + 1, 'a', sizeof(longest) - 1);
    assert_true(login_next_valid(span_of(longest, LIMIT_PATH_BYTES)));
    assert_false(login_next_valid(span_of(longest, sizeof(longest))));
}

static void the_login_page(void **state)
{
    (void)state;
    login_html(fresh(), SPAN("/a?b=\"c\"&d='<e>'"), SPAN(""), SPAN(""));
    assert_has("value=\"/a?b=&quot;c&quot;&amp;d=&#39;&lt;e&gt;&#39;\"");
    assert_has("action=\"/.fastfile/login\"");
    assert_has("autocomplete=\"current-password\"");
    assert_has("spellcheck=\"false\" autofocus>");
    assert_has_not("role=\"alert\"");
    login_html(fresh(), SPAN("/"), SPAN("\"><script>"), SPAN("Wrong <name>."));
    assert_has("value=\"&quot;&gt;&lt;script&gt;\">");
    assert_has("role=\"alert\" id=\"message\">Wrong &lt;name&gt;.</p>");
    assert_has("autocomplete=\"current-password\" autofocus aria-describedby=\"message\">");
    assert_has_not("<script");
}

/* --- assets --- */

static void assets_are_found(void **state)
{
    bool current;
    char path[64];
    (void)state;

    const struct asset *css = asset_find(SPAN("ui.css"));
    assert_non_null(css);
    assert_int_equal(strlen(css->digest), 16);
    assert_int_equal(strlen(assets_digest), 16);
    assert_non_null(css->gzip);
    assert_true(css->gzip_length < css->length);
    assert_non_null(asset_find(SPAN("icon.svg")));
    assert_null(asset_find(SPAN("")));
    assert_null(asset_find(SPAN("ui.cs")));
    assert_null(asset_find(SPAN("../page.c")));

    snprintf(path, sizeof(path), "ui/%s/ui.css", assets_digest);
    assert_ptr_equal(asset_at(span_str(path), &current), css);
    assert_true(current);
    assert_ptr_equal(asset_at(SPAN("ui/another/ui.css"), &current), css);
    assert_false(current);
    assert_null(asset_at(SPAN("ui"), &current));
    assert_null(asset_at(SPAN("ui/"), &current));
    assert_null(asset_at(SPAN("ui//"), &current));
    assert_null(asset_at(SPAN("ui/x"), &current));
    assert_null(asset_at(SPAN("ui.css"), &current));
    asset_append_url(fresh(), SPAN("ui.css"));
    assert_has("/.fastfile/ui/");
    assert_has(assets_digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_harmless),
        cmocka_unit_test(sizes),
        cmocka_unit_test(counts),
        cmocka_unit_test(times),
        cmocka_unit_test(times_of_neighbours),
        cmocka_unit_test(icons),
        cmocka_unit_test(rows_hold_names_safely),
        cmocka_unit_test(the_page_around_the_rows),
        cmocka_unit_test(the_page_that_scripts_fill),
        cmocka_unit_test(plain_links_lead_to_plain_pages),
        cmocka_unit_test(the_order_is_kept_while_walking_around),
        cmocka_unit_test(the_deepest_path_makes_no_giant_page),
        cmocka_unit_test(json_is_json),
        cmocka_unit_test(json_is_exactly_this),
        cmocka_unit_test(where_a_login_may_go_on),
        cmocka_unit_test(the_login_page),
        cmocka_unit_test(assets_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
