#include "base/kernel.h"

#include <stdlib.h>
#include <sys/utsname.h>

unsigned kernel_version(void)
{
    struct utsname names;
    unsigned long part[3] = {0};

    if (uname(&names) < 0)
        return 0;
    char *at = names.release;
    for (size_t i = 0; i < 3; i++) {
        part[i] = strtoul(at, &at, 10);
        part[i] = part[i] < 999 ? part[i] : 999;
        if (*at++ != '.')
            break;
    }
    return (unsigned)(part[0] * 1000000 + part[1] * 1000 + part[2]);
}
