/* The clock of a test that runs on rt/io_sim.h: CLOCK_MONOTONIC is what the simulation says. For
 * one source of a program that is linked with --wrap=clock_gettime. */
#pragma once

#include <time.h>

#include "rt/io_sim.h"

int __real_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    uint64_t now_ms = io_sim_now_ms();

    if (clock != CLOCK_MONOTONIC)
        return __real_clock_gettime(clock, ret_time);
    *ret_time = (struct timespec){(time_t)(now_ms / 1000), (long)(now_ms % 1000) * 1000000};
    return 0;
}
