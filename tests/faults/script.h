/* What is asked of the server, and what is right: a table of conversations and the folder that they
 * are about. A new method gets lines in script.c, and what it does to the folder is beside it. */
#pragma once

#include <stdbool.h>

#include "base/span.h"

enum {
    SCRIPT_LINES_MAX = 10,
    SCRIPT_CASES_MAX = 220,
    SCRIPT_FILES_MAX = 16,
};

/* What the server takes for the machine's boot. */
#define SCRIPT_BOOT "01234567-89ab-cdef-0123-456789abcdef"

/* The token of the lock that a case begins with. */
#define SCRIPT_LOCK "opaquelocktoken:01234567-89ab-4def-8123-456789abcdef"

#define SCRIPT_TOKEN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"

/* What the monitor says when it is asked about an account. */
#define SCRIPT_APP "My \"Phone\""
#define SCRIPT_APP_PASSWORD "abcd-efgh-ijkm-npqr-stuv-wxyz-2345"

/* The token of a deletion that a case begins with. */
#define SCRIPT_UNDO "00005a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"

enum script_trait {
    SCRIPT_PIPELINED = 1 << 0, /* all requests are sent at once, not each after an answer */
    SCRIPT_SLOW = 1 << 1,      /* the client takes 16 KiB a second */
    SCRIPT_TOO_SLOW = 1 << 2,  /* the client takes 64 bytes a second; the server gives up */
    SCRIPT_ABORTS = 1 << 3,    /* the client closes when it has got `abort_after` bytes */
    SCRIPT_SILENT = 1 << 4,    /* the client waits for the server to close */
    SCRIPT_BREAKS = 1 << 5,    /* the server may break off before the last answer is complete */
    SCRIPT_ENTRIES = 1 << 6,   /* an answer shows a folder: entries that fail may be missing */
    SCRIPT_CHANGES = 1 << 8, /* the file changes: a part of it may show that, and so may the tag */
    SCRIPT_DRIPS = 1 << 7,   /* the client sends 16 bytes a second */
    SCRIPT_ACROSS = 1 << 9, /* each folder is a file system of its own where it comes to renaming */
    SCRIPT_PARTS = 1 << 11, /* an answer tells in its body of what could not be done */
    SCRIPT_LOCKS = 1 << 12, /* there is a lock afterwards */
    SCRIPT_UNLOCKS = 1 << 13, /* and here the one that there was is gone */
    SCRIPT_TRASH = 1 << 14,   /* with --trash */
    SCRIPT_BELOW = 1 << 15,   /* what is changed is on a file system of its own */
    SCRIPT_SESSION = 1 << 16, /* the connection is that of who has the session SCRIPT_TOKEN */
    SCRIPT_NOTES = 1 << 10,   /* an archive: what fails may be missing and is told in it */
};

/* A request, or NULL for the further answers to one, and what the answer has to be: the bytes of a
 * file, a text, or where both are NULL what it was in the run without faults. */
struct script_line {
    const char *request;
    int status;
    const char *file;
    size_t first, length; /* length 0: to the end of the file */
    const char *text;
};

struct script_case {
    const char *name;
    unsigned traits; /* enum script_trait */
    size_t abort_after;
    struct script_line lines[SCRIPT_LINES_MAX];
    /* When the client has got `during_after` bytes. May be NULL. */
    void (*during)(int root_fd);
    size_t during_after;
    /* Locked with all that is in it, by SCRIPT_LOCK; NULL: nothing. */
    const char *locked;
    /* What lies in the trash and can be put back here, by SCRIPT_UNDO; NULL: nothing. */
    const char *deleted;
    /* For what changes the folder: makes it as it has to be before, and says what is wrong with it
     * afterwards (NULL: nothing), where all was acknowledged or where it was not. May be NULL. */
    void (*before)(int root_fd);
    const char *(*after)(int root_fd, bool acknowledged);
};

/* The cases; the last one has no name. */
extern const struct script_case script_cases[];

/* A request that has to be answered when all is over. */
extern const struct script_case script_probe;

/* Makes the folder's contents, and the texts that are too long to be written down. Exits when it
 * cannot. */
void script_prepare(int root_fd);

/* Before each run: folders in the one that is listed have their times again, whatever has happened
 * in them. */
void script_settle(int root_fd);

/* What a file of the folder contains. */
struct span script_file(const char *name);
