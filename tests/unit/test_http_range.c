/* The field Range, and the frame of answers in several parts. */
#include "assert_span.h"

#include <stdio.h>

#include "http/multipart.h"
#include "http/range.h"

/* "first-last,first-last" */
static void print_ranges(char *out, size_t size, const struct range *ranges, size_t count)
{
    struct buf b;

    buf_init_fixed(&b, out, size);
    for (size_t i = 0; i < count; i++)
        buf_printf(&b, "%s%llu-%llu", i ? "," : "", (unsigned long long)ranges[i].first,
                   (unsigned long long)ranges[i].last);
    assert_false(buf_failed(&b));
    out[b.len] = '\0';
}

struct range_case {
    const char *field;
    int result;
    const char *ranges; /* for 206 */
};

static void assert_ranges(const struct range_case *cases, size_t count, uint64_t size)
{
    for (size_t i = 0; i < count; i++) {
        struct range ranges[LIMIT_RANGES];
        size_t range_count = 0;
        char text[1000] = "";
        int result = range_parse(span_str(cases[i].field), size, ranges, &range_count);
        print_ranges(text, sizeof(text) - 1, ranges, result == 206 ? range_count : 0);
        if (result != cases[i].result ||
            strcmp(text, cases[i].ranges ? cases[i].ranges : "") != 0) {
            print_error("\"%s\" of %llu gives %d \"%s\"\n", cases[i].field,
                        (unsigned long long)size, result, text);
            fail();
        }
    }
}

static void ranges_of_10000_bytes(void **state)
{
    (void)state;
    static const struct range_case cases[] = {
        /* one range */
        {"bytes=0-0", 206, "0-0"},
        {"bytes=0-", 206, "0-9999"},
        {"bytes=0-9999", 206, "0-9999"},
        {"bytes=0-10000", 206, "0-9999"},
        {"bytes=9999-", 206, "9999-9999"},
        {"bytes=9999-9999", 206, "9999-9999"},
        {"bytes=500-999", 206, "500-999"},
        {"bytes=-1", 206, "9999-9999"},
        {"bytes=-500", 206, "9500-9999"},
        {"bytes=-10000", 206, "0-9999"},
        {"bytes=-20000", 206, "0-9999"},
        {"bytes=007-08", 206, "7-8"},
        {"BYTES=0-1", 206, "0-1"},
        /* numbers that fit nowhere */
        {"bytes=5-18446744073709551615", 206, "5-9999"},
        {"bytes=5-99999999999999999999999", 206, "5-9999"},
        {"bytes=-99999999999999999999999", 206, "0-9999"},
        {"bytes=99999999999999999999999-", 416, NULL},
        {"bytes=18446744073709551616-18446744073709551617", 416, NULL},
        /* outside */
        {"bytes=10000-", 416, NULL},
        {"bytes=10000-10001", 416, NULL},
        {"bytes=-0", 416, NULL},
        {"bytes=-0,10000-", 416, NULL},
        {"bytes=10000-,0-0", 206, "0-0"},
        /* several: the request's order, what overlaps or touches is one */
        {"bytes=0-0,-1", 206, "0-0,9999-9999"},
        {"bytes=-1,0-0", 206, "9999-9999,0-0"},
        {"bytes=0-9,10-19", 206, "0-19"},
        {"bytes=10-19,0-9", 206, "0-19"},
        {"bytes=0-9,11-19", 206, "0-9,11-19"},
        {"bytes=0-99,50-149", 206, "0-149"},
        {"bytes=0-99,20-30", 206, "0-99"},
        {"bytes=20-30,0-99", 206, "0-99"},
        {"bytes=5-5,5-5,5-5", 206, "5-5"},
        {"bytes=500-599,100-199,300-399", 206, "500-599,100-199,300-399"},
        {"bytes=500-599,100-199,600-699", 206, "500-699,100-199"},
        {"bytes=0-9,20-29,10-19", 206, "0-29"},
        {"bytes=0-9,500-509,20-29,5-25", 206, "0-29,500-509"},
        {"bytes=5000-,-5000", 206, "5000-9999"},
        {"bytes=0-,-1", 206, "0-9999"},
        /* lists */
        {"bytes=0-0 , 5-5", 206, "0-0,5-5"},
        {"bytes=0-0\t,\t5-5", 206, "0-0,5-5"},
        {"bytes=,0-0,,5-5,", 206, "0-0,5-5"},
        {"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,28-28,30-"
         "30",
         206,
         "0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,28-28,30-30"},
        {"bytes=0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-", 206, "0-9999"},
        {"bytes=0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-", 0, NULL},
        /* malformed: as if it were not there */
        {"", 0, NULL},
        {"bytes", 0, NULL},
        {"bytes=", 0, NULL},
        {"bytes=,", 0, NULL},
        {"bytes=-", 0, NULL},
        {"bytes=--1", 0, NULL},
        {"bytes=a-b", 0, NULL},
        {"bytes=1", 0, NULL},
        {"bytes=1-2-3", 0, NULL},
        {"bytes=1-2x", 0, NULL},
        {"bytes=x1-2", 0, NULL},
        {"bytes=1 - 2", 0, NULL},
        {"bytes=+1-2", 0, NULL},
        {"bytes=1-+2", 0, NULL},
        {"bytes=0x1-2", 0, NULL},
        {"bytes=2-1", 0, NULL},
        {"bytes=0-0,2-1", 0, NULL},
        {"bytes=0-0;5-5", 0, NULL},
        {"bytes= 0-0", 0, NULL},
        {"bytes =0-0", 0, NULL},
        {" bytes=0-0", 0, NULL},
        {"bytes:0-0", 0, NULL},
        {"octets=0-0", 0, NULL},
        {"items=0-0", 0, NULL},
        {"0-0", 0, NULL},
        {"none", 0, NULL},
    };

    assert_ranges(cases, COUNT(cases), 10000);
}

static void an_empty_file_has_no_ranges(void **state)
{
    (void)state;
    static const struct range_case cases[] = {{"bytes=0-", 0, NULL},
                                              {"bytes=0-0", 0, NULL},
                                              {"bytes=-1", 0, NULL},
                                              {"bytes=-0", 0, NULL}};

    assert_ranges(cases, COUNT(cases), 0);
}

static void files_larger_than_4_gib_have_ranges(void **state)
{
    (void)state;
    static const struct range_case cases[] = {
        {"bytes=4294967296-4294967297", 206, "4294967296-4294967297"},
        {"bytes=-1", 206, "9223372036854775806-9223372036854775806"},
        {"bytes=0-0,9223372036854775806-", 206, "0-0,9223372036854775806-9223372036854775806"},
    };

    assert_ranges(cases, COUNT(cases), INT64_MAX);
}

static void parts_that_cost_more_than_they_spare_become_the_whole_file(void **state)
{
    (void)state;
    static const struct range_case small[] = {
        {"bytes=0-0", 206, "0-0"}, {"bytes=0-0,99-99", 0, NULL}, {"bytes=0-49,50-99", 206, "0-99"}};
    static const struct range_case kilobyte[] = {
        {"bytes=0-0,99-99", 206, "0-0,99-99"},
        {"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12", 0, NULL},
        {"bytes=0-498,500-", 0, NULL},
    };

    assert_ranges(small, COUNT(small), 100);
    assert_ranges(kilobyte, COUNT(kilobyte), 1100);
}

static void parts_are_framed_and_counted(void **state)
{
    (void)state;
    const struct multipart m = {SPAN("B0UNDARY"), SPAN("text/plain; charset=utf-8"), 100};
    const struct range ranges[] = {{0, 4}, {90, 99}};
    char memory[1000];
    struct buf b;

    buf_init_fixed(&b, memory, sizeof(memory));
    multipart_type(&b, &m);
    assert_span(buf_span(&b), "multipart/byteranges; boundary=B0UNDARY");

    b.len = 0;
    multipart_part(&b, &m, ranges[0]);
    buf_append(&b, SPAN("01234"));
    multipart_part(&b, &m, ranges[1]);
    buf_append(&b, SPAN("0123456789"));
    multipart_end(&b, &m);
    assert_span(buf_span(&b), "\r\n--B0UNDARY\r\n"
                              "Content-Type: text/plain; charset=utf-8\r\n"
                              "Content-Range: bytes 0-4/100\r\n"
                              "\r\n"
                              "01234"
                              "\r\n--B0UNDARY\r\n"
                              "Content-Type: text/plain; charset=utf-8\r\n"
                              "Content-Range: bytes 90-99/100\r\n"
                              "\r\n"
                              "0123456789"
                              "\r\n--B0UNDARY--\r\n");
    assert_int_equal(multipart_length(&m, ranges, 2), b.len);
}

static void the_longest_frame_can_be_counted(void **state)
{
    (void)state;
    char text[256];
    memset(text, 'x', sizeof(text));
    const struct multipart m = {span_of(text, 70), span_of(text, 255), UINT64_MAX};
    const struct range range = {UINT64_MAX - 1, UINT64_MAX - 1};

    assert_true(multipart_length(&m, &range, 1) > 2 * 70 + 255 + 3 * 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_of_10000_bytes),
        cmocka_unit_test(an_empty_file_has_no_ranges),
        cmocka_unit_test(files_larger_than_4_gib_have_ranges),
        cmocka_unit_test(parts_that_cost_more_than_they_spare_become_the_whole_file),
        cmocka_unit_test(parts_are_framed_and_counted),
        cmocka_unit_test(the_longest_frame_can_be_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
