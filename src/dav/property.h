/* Properties that the server knows by itself: RFC 4918 section 15, RFC 4331, and mod_dav's
 * "executable". */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum dav_property {
    PROP_CREATIONDATE, /* not there where the file system does not know it */
    PROP_DISPLAYNAME,  /* the name; the root has none */
    PROP_GETCONTENTLENGTH,
    PROP_GETCONTENTTYPE,
    PROP_GETETAG,
    PROP_GETLASTMODIFIED,
    PROP_RESOURCETYPE,
    PROP_LOCKDISCOVERY,
    PROP_SUPPORTEDLOCK,
    PROP_QUOTA_AVAILABLE,
    PROP_QUOTA_USED,
    PROP_EXECUTABLE,
    DAV_PROPERTIES,
};

#define PROPERTY_BIT(p) (UINT32_C(1) << (p))

enum {
    PROPERTIES_ALL = PROPERTY_BIT(DAV_PROPERTIES) - 1,
    /* allprop does not bring what costs more (RFC 4331 section 2), or is not of RFC 4918. */
    PROPERTIES_ALLPROP = PROPERTY_BIT(PROP_QUOTA_AVAILABLE) - 1,
    PROPERTIES_QUOTA = PROPERTY_BIT(PROP_QUOTA_AVAILABLE) | PROPERTY_BIT(PROP_QUOTA_USED),
    PROPERTIES_OF_FILES = PROPERTY_BIT(PROP_GETCONTENTLENGTH) | PROPERTY_BIT(PROP_GETCONTENTTYPE) |
                          PROPERTY_BIT(PROP_GETETAG) | PROPERTY_BIT(PROP_EXECUTABLE),
    PROPERTIES_OF_FOLDERS = PROPERTIES_QUOTA,
};

/* What statx(2) has to be asked for these; 0: nothing, a name and its type are enough. */
unsigned property_stat_mask(uint32_t properties);

/* Which one it is, or -ENOENT. */
int property_find(struct span ns, struct span local);

/* The name of its element, with the prefix D for DAV: and A for mod_dav's namespace. */
struct span property_tag(enum dav_property p);

/* The declarations of these prefixes. */
#define PROPERTY_NAMESPACES "xmlns:D=\"DAV:\" xmlns:A=\"http://apache.org/dav/props/\""

#define PROPERTY_APACHE SPAN("http://apache.org/dav/props/")
#define PROPERTY_WIN32 SPAN("urn:schemas-microsoft-com:")

/* The element of any other property, of a name that an XML document had: its tag up to what its
 * other attributes may be, without ">"; and its end tag. */
void property_begin(struct buf *out, struct span ns, struct span local);
void property_end(struct buf *out, struct span ns, struct span local);

/* Whether quotas are not to be told. Since macOS 15.4 (Darwin 24.4) its kernel asks for the size of
 * a volume that has one before its WebDAV file system answers, and to mount it takes 90 s; without
 * quotas none has a size. By User-Agent: "WebDAVFS/3.0.0 (03008000) Darwin/24.4.0 (arm64)". */
bool property_quota_stalls(struct span user_agent);

/* Whether a property of this namespace may be kept for a client. Not where it would mean something
 * that the server does not do; and clients ask for names of these again and again, for which no
 * file is to be opened. */
bool property_may_be_dead(struct span ns);
