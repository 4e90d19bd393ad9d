/* Which icon a file gets, by the extension of its name. */
#pragma once

#include "base/span.h"

enum icon {
    ICON_FOLDER,
    ICON_FILE, /* anything else */
    ICON_IMAGE,
    ICON_VIDEO,
    ICON_AUDIO,
    ICON_ARCHIVE,
    ICON_CODE,
    ICON_TEXT,
    ICON_PDF,
};

enum icon icon_for_file(struct span name);

/* The class in ui.css. */
char icon_class(enum icon icon);
