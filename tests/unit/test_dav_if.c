/* The field If: what is well-formed, and whether it holds for resources whose states are known. */
#include "assert_span.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "http/dav_if.h"

#define TOKEN "<opaquelocktoken:e71d4fae-5dec-11d6-fea5-00a0c91e6be4>"
#define URN "<urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2>"

static const char *const well_formed[] = {
    "(" TOKEN ")",
    "(" URN ")",
    "([\"A\"])",
    "([W/\"A\"])",
    "([\"\"])",
    "([ \"A\"\t])",
    "([\"I am an ETag\"])",
    "([\"a]b)c>d\"])",
    "([\"\xc3\xa4\"])",
    "(Not <DAV:no-lock>)",
    "(not<DAV:no-lock>)",
    "(NOT\t<DAV:no-lock>)",
    "(nOt[\"A\"])",
    "(Not [W/\"A\"])",
    "( " URN " )",
    " \t(\t" URN "\t)\t ",
    "(" URN TOKEN ")",
    "(" URN "[\"A\"])",
    "([\"A\"]" URN ")",
    "([\"A\"][\"B\"])",
    "([\"A\"]Not[\"B\"])",
    "(" URN ")(" TOKEN ")",
    "(" URN ") (" TOKEN ") ([\"A\"])",
    "(" URN " [\"I am an ETag\"]) ([\"I am another ETag\"])", /* RFC 4918 section 10.4.6 */
    "(Not " URN " <urn:uuid:58f202ac-22cf-11d1-b12d-002035b29092>)",
    "(" URN ") (Not <DAV:no-lock>)",
    "</resource1> (" URN " [W/\"A weak ETag\"]) ([\"strong ETag\"])",
    "<http://www.example.com/specs/> (" URN ")",
    "</specs/rfc2518.doc> ([\"4217\"])",
    "</specs/rfc2518.doc> (Not [\"4217\"])",
    "</>([\"A\"])",
    "</a>([\"A\"])</b>([\"B\"])",
    "</a> (" URN ") ([\"A\"]) </b> ([\"B\"]) (" TOKEN ")",
    "</a?b=c> (" URN ")",
    "</a%20b> (" URN ")",
    "</\xc3\xa4> (" URN ")",
    "<https://[::1]:8443/a> (" URN ")",
    "<HTTPS://host> (" URN ")",
    "<x+y-1.z:0> (" URN ")",
    "(<a:b>)",
};

static const char *const malformed[] = {
    "",
    " ",
    "\t",
    "(",
    ")",
    "()",
    "( )",
    "(Not)",
    "(Not )",
    "(Not Not <a:b>)",
    "(NotNot<a:b>)",
    "(No <a:b>)",
    "(Nota:b)",
    "Not (<a:b>)",
    "(<a:b>",
    "(<a:b)",
    "(<a:b> ",
    "<a:b>)",
    "(a:b)",
    "a:b",
    "*",
    "(*)",
    "(<>)",
    "(< >)",
    "(<a>)",
    "(<:b>)",
    "(<a:>)",
    "(<1a:b>)",
    "(<a/b:c>)",
    "(</path>)",
    "(<a b:c>)",
    "(<a: b>)",
    "( <a:b >)",
    "(<a:b<c>)",
    "(<a:b\"c>)",
    "(<a:b#c>)",
    "(<a:b\x01>)",
    "(<a:b\x7f>)",
    "(<<a:b>>)",
    "((<a:b>))",
    "(<a:b>)) ",
    "(<a:b>),(<c:d>)",
    "(<a:b>), ",
    "(<a:b>,<c:d>)",
    "(<a:b>) x",
    "x (<a:b>)",
    "([])",
    "([A])",
    "([\"A])",
    "([\"A\")",
    "([A\"])",
    "([\"A\"\"B\"])",
    "([w/\"A\"])",
    "([W/ \"A\"])",
    "([W/])",
    "([W\"A\"])",
    "([*])",
    "([\"A\x01\"])",
    "([[\"A\"]])",
    "([\"A\"] ",
    "([\"A\"]",
    "</a>",
    "</a> ",
    "</a> </b> (<a:b>)",
    "</a> (<a:b>) </b>",
    "</a> ()",
    "</a (<a:b>)",
    "/a (<a:b>)",
    "<a> (<a:b>)",
    "<> (<a:b>)",
    "<//host/a> (<a:b>)",
    "</a#b> (<a:b>)",
    "</a b> (<a:b>)",
    "<../a> (<a:b>)",
    "(<a:b>) </a> (<a:b>)", /* lists without and with a resource */
    "Not </a> (<a:b>)",
    "</a> Not (<a:b>)",
    "</a> [\"A\"]",
};

static void grammar(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(well_formed); i++)
        if (dav_if_check(span_str(well_formed[i])) != 0)
            fail_msg("%s: refused", well_formed[i]);
    for (size_t i = 0; i < COUNT(malformed); i++)
        if (dav_if_check(span_str(malformed[i])) != -EINVAL)
            fail_msg("%s: accepted", malformed[i]);
    assert_int_equal(dav_if_check((struct span){0}), 0); /* no such field */
    assert_int_equal(dav_if_check(span_of("(<a:b>)\0", 8)), -EINVAL);
}

/* Every beginning of a field is malformed, but for where a list ends. */
static void cut_off(void **state)
{
    struct span field = SPAN("</a> (" URN " [W/\"A\"]) (Not [\"B\"]) <http://host/b>(<a:b>)");

    (void)state;
    assert_int_equal(dav_if_check(field), 0);
    for (size_t len = 0; len < field.len; len++) {
        struct span part = span_first(field, len), trimmed = span_trim(part);
        bool complete = trimmed.len > 0 && trimmed.data[trimmed.len - 1] == ')';
        assert_int_equal(dav_if_check(part), complete ? 0 : -EINVAL);
    }
}

static void too_many_resources(void **state)
{
    char field[LIMIT_IF_RESOURCES * 16 + 32];
    size_t len = 0;

    (void)state;
    for (unsigned i = 0; i < LIMIT_IF_RESOURCES; i++)
        len += (size_t)sprintf(field + len, "</%u>(<a:b>)", i);
    assert_int_equal(dav_if_check(span_of(field, len)), 0);
    len += (size_t)sprintf(field + len, "</x>(<a:b>)");
    assert_int_equal(dav_if_check(span_of(field, len)), -EINVAL);
}

static void expect(struct dav_if *at, enum dav_if_kind kind, bool negated, const char *value)
{
    struct dav_if_item item;

    assert_int_equal(dav_if_next(at, &item), 0);
    assert_int_equal(item.kind, kind);
    assert_int_equal(item.negated, negated);
    assert_span(item.value, value);
}

static void items(void **state)
{
    struct dav_if_item item = {.kind = DAV_IF_LIST};
    struct dav_if at;

    (void)state;
    dav_if_init(&at, SPAN("</r> (<a:b>not[W/\"A\"]) ([\"B \"]) <c:d>(Not <e:f>)"));
    expect(&at, DAV_IF_RESOURCE, false, "/r");
    expect(&at, DAV_IF_LIST, false, "");
    expect(&at, DAV_IF_TOKEN, false, "a:b");
    expect(&at, DAV_IF_ETAG, true, "W/\"A\"");
    expect(&at, DAV_IF_LIST, false, "");
    expect(&at, DAV_IF_ETAG, false, "\"B \"");
    expect(&at, DAV_IF_RESOURCE, false, "c:d");
    expect(&at, DAV_IF_LIST, false, "");
    expect(&at, DAV_IF_TOKEN, true, "e:f");
    expect(&at, DAV_IF_END, false, "");
    expect(&at, DAV_IF_END, false, "");

    dav_if_init(&at, SPAN("(<a:b> x)"));
    expect(&at, DAV_IF_LIST, false, "");
    expect(&at, DAV_IF_TOKEN, false, "a:b");
    assert_int_equal(dav_if_next(&at, &item), -EINVAL);
    assert_int_equal(item.kind, DAV_IF_LIST); /* untouched */
}

/* Resources "/a", "/b", … and the request's, "": the first letter of each of their tokens and tags,
 * as "a:X" and "X". Looking at "/err" fails. What is asked is written down. */
struct world {
    struct {
        const char *name, *tokens, *etags;
    } resources[4];
    const char *tokens, *etags; /* of what is being looked at */
    char asked[128];
};

static void note(struct world *w, const char *what, struct span s)
{
    size_t len = strlen(w->asked);

    snprintf(w->asked + len, sizeof(w->asked) - len, "%s%.*s ", what, SPAN_ARG(s));
}

static int look(void *context, struct span resource)
{
    struct world *w = context;

    note(w, "look:", resource.data ? resource : SPAN("-"));
    w->tokens = w->etags = "";
    if (span_equal(resource, SPAN("/err")))
        return -EIO;
    for (size_t i = 0; i < COUNT(w->resources); i++)
        if (w->resources[i].name && span_equal(resource, span_str(w->resources[i].name))) {
            w->tokens = w->resources[i].tokens;
            w->etags = w->resources[i].etags;
        }
    return 0;
}

static bool has_token(void *context, struct span token)
{
    struct world *w = context;

    note(w, "token:", token);
    return token.len == 3 && strchr(w->tokens, token.data[2]);
}

static bool has_etag(void *context, struct span etag)
{
    struct world *w = context;

    note(w, "tag:", etag);
    return etag.len == 3 && strchr(w->etags, etag.data[1]);
}

static void evaluates(const char *field, int expected, const char *asked)
{
    struct world w = {.resources = {{"", "XY", "T"}, {"/a", "A", "1"}, {"/b", "", "2"}}};
    const struct dav_if_state state = {&w, look, has_token, has_etag};

    int r = dav_if_evaluate(field ? span_str(field) : (struct span){0}, &state);
    if (r != expected)
        fail_msg("%s: %d, not %d", field, r, expected);
    if (asked)
        assert_string_equal(w.asked, asked);
}

static void evaluation(void **state)
{
    (void)state;
    evaluates(NULL, 1, "");
    evaluates("(<a:X>)", 1, "look:- token:a:X ");
    evaluates("(<a:N>)", 0, "look:- token:a:N ");
    evaluates("(Not <a:X>)", 0, NULL);
    evaluates("(Not <a:N>)", 1, NULL);
    evaluates("([\"T\"])", 1, "look:- tag:\"T\" ");
    evaluates("([\"U\"])", 0, NULL);
    evaluates("(Not [\"U\"])", 1, NULL);
    /* all of a list */
    evaluates("(<a:X> <a:Y>)", 1, "look:- token:a:X token:a:Y ");
    evaluates("(<a:X> <a:N>)", 0, NULL);
    evaluates("(<a:N> <a:X>)", 0, "look:- token:a:N "); /* the rest does not matter */
    evaluates("(<a:X> [\"T\"] Not <a:N>)", 1, NULL);
    /* any list */
    evaluates("(<a:N>) (<a:X>)", 1, "look:- token:a:N token:a:X ");
    evaluates("(<a:X>) (<a:N>)", 1, "look:- token:a:X ");
    evaluates("(<a:N>) (<a:M>)", 0, NULL);
    evaluates("(<a:N>) (Not <DAV:no-lock>)", 1, NULL);
    /* of any resource */
    evaluates("</a> (<a:A>)", 1, "look:/a token:a:A ");
    evaluates("</a> (<a:X>)", 0, NULL);
    evaluates("</a> (<a:N>) ([\"1\"])", 1, "look:/a token:a:N tag:\"1\" ");
    evaluates("</a> (<a:N>) </b> ([\"2\"])", 1, "look:/a token:a:N look:/b tag:\"2\" ");
    evaluates("</a> (<a:A>) </b> ([\"2\"])", 1, "look:/a token:a:A ");
    evaluates("</a> ([\"2\"]) </b> ([\"1\"])", 0, NULL);
    evaluates("</nothing> (<a:A>)", 0, NULL);
    evaluates("</nothing> (Not <a:A> Not [\"1\"])", 1, NULL);
    /* errors */
    evaluates("</err> (<a:A>)", -EIO, NULL);
    evaluates("</a> (<a:A>) </err> (<a:A>)", 1, "look:/a token:a:A ");
    evaluates("(<a:X>) (", -EINVAL, "");
    evaluates("", -EINVAL, "");
    for (size_t i = 0; i < COUNT(malformed); i++)
        evaluates(malformed[i], -EINVAL, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar),
        cmocka_unit_test(cut_off),
        cmocka_unit_test(too_many_resources),
        cmocka_unit_test(items),
        cmocka_unit_test(evaluation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
