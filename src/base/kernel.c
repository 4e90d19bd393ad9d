#include "base/kernel.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/utsname.h>

unsigned kernel_version_parse(const char *release)
{
    unsigned long part[3] = {0};

    for (size_t i = 0; i < 3 && isdigit((unsigned char)*release); i++) {
        char *end;
        part[i] = strtoul(release, &end, 10);
        part[i] = part[i] < 999 ? part[i] : 999;
        if (*end != '.')
            break;
        release = end + 1;
    }
    return (unsigned)(part[0] * 1000000 + part[1] * 1000 + part[2]);
}

unsigned kernel_version(void)
{
    struct utsname names;

    return uname(&names) < 0 ? 0 : kernel_version_parse(names.release);
}
