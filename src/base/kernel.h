/* Which kernel this is. */
#pragma once

/* Its version as a number: 6.12.104 is 6012104; 0 when it cannot be told. */
unsigned kernel_version(void);

/* The same of a release as uname -r has it. Parts above 999 are 999, those that are missing 0;
 * whatever does not begin like a number ends it. */
unsigned kernel_version_parse(const char *release);
