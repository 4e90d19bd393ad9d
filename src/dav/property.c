#include "dav/property.h"

#include <errno.h>
#include <sys/stat.h>

#include "http/escape.h"

#define DAV(name) SPAN("DAV:"), SPAN(name), SPAN("D:" name)
#define APACHE(name) SPAN("http://apache.org/dav/props/"), SPAN(name), SPAN("A:" name)

static const struct property {
    struct span ns, local, tag;
    unsigned stat_mask;
} properties[DAV_PROPERTIES] = {
    [PROP_CREATIONDATE] = {DAV("creationdate"), STATX_BTIME},
    [PROP_DISPLAYNAME] = {DAV("displayname"), 0},
    [PROP_GETCONTENTLENGTH] = {DAV("getcontentlength"), STATX_SIZE},
    [PROP_GETCONTENTTYPE] = {DAV("getcontenttype"), 0},
    [PROP_GETETAG] = {DAV("getetag"), STATX_INO | STATX_SIZE | STATX_MTIME | STATX_CTIME},
    [PROP_GETLASTMODIFIED] = {DAV("getlastmodified"), STATX_MTIME},
    [PROP_RESOURCETYPE] = {DAV("resourcetype"), 0},
    [PROP_LOCKDISCOVERY] = {DAV("lockdiscovery"), 0},
    [PROP_SUPPORTEDLOCK] = {DAV("supportedlock"), 0},
    /* Of another file system than its folder it is another one. */
    [PROP_QUOTA_AVAILABLE] = {DAV("quota-available-bytes"), STATX_TYPE},
    [PROP_QUOTA_USED] = {DAV("quota-used-bytes"), STATX_TYPE},
    [PROP_EXECUTABLE] = {APACHE("executable"), STATX_MODE},
};

unsigned property_stat_mask(uint32_t wanted)
{
    unsigned mask = 0;

    for (unsigned p = 0; p < DAV_PROPERTIES; p++)
        if (wanted & PROPERTY_BIT(p))
            mask |= properties[p].stat_mask;
    return mask;
}

int property_find(struct span ns, struct span local)
{
    for (unsigned p = 0; p < DAV_PROPERTIES; p++)
        if (span_equal(properties[p].local, local) && span_equal(properties[p].ns, ns))
            return (int)p;
    return -ENOENT;
}

struct span property_tag(enum dav_property p)
{
    return properties[p].tag;
}

/* --- for whom --- */

bool property_quota_stalls(struct span user_agent)
{
    struct span rest = user_agent;
    uint64_t major, minor;

    if (!span_starts_with(user_agent, SPAN("WebDAVFS/")))
        return false;
    while (rest.len > 0 && !span_starts_with(rest, SPAN("Darwin/")))
        rest = span_skip(rest, 1);
    (void)span_split(&rest, '/');
    if (span_to_u64(span_split(&rest, '.'), &major) < 0 ||
        span_to_u64(span_split(&rest, '.'), &minor) < 0)
        return false;
    return major > 24 || (major == 24 && minor >= 4);
}

/* --- those of clients --- */

/* It has its prefix, and no other one may be declared for it. */
#define XML_OWN SPAN("http://www.w3.org/XML/1998/namespace")

static void put_name(struct buf *out, struct span ns, struct span local)
{
    if (span_equal(ns, XML_OWN))
        buf_append(out, SPAN("xml:"));
    else if (ns.len > 0)
        buf_append(out, SPAN("x:"));
    buf_append(out, local);
}

void property_begin(struct buf *out, struct span ns, struct span local)
{
    buf_append_char(out, '<');
    put_name(out, ns, local);
    if (ns.len == 0 || span_equal(ns, XML_OWN))
        return;
    buf_append(out, SPAN(" xmlns:x=\""));
    escape_xml(out, ns);
    buf_append_char(out, '"');
}

void property_end(struct buf *out, struct span ns, struct span local)
{
    buf_append(out, SPAN("</"));
    put_name(out, ns, local);
    buf_append_char(out, '>');
}

bool property_may_be_dead(struct span ns)
{
    static const struct span known[] = {
        SPAN("DAV:"),
        PROPERTY_APACHE,
        PROPERTY_WIN32,
        SPAN("http://owncloud.org/ns"),
        SPAN("http://nextcloud.org/ns"),
        SPAN("http://www.apple.com/webdav_fs/props/"),
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (span_equal(ns, known[i]))
            return false;
    return true;
}
