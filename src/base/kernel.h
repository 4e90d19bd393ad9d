/* Which kernel this is. */
#pragma once

/* Its version as a number: 6.12.104 is 6012104; 0 when it cannot be told. */
unsigned kernel_version(void);
