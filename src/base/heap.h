/* What free() keeps instead of giving it to the system.
 *
 * glibc keeps up to seven free pieces of each size below 1 KiB for the thread that freed them, and
 * never lets go of them. After a burst they are pieces from all over the heap, some hundreds in
 * each thread, and each holds its page: a MiB or two that malloc_trim(3) cannot give back.
 */
#pragma once

/* Gives back what can be given back of the calling thread's heap. Takes about as long as two
 * thousand calls of malloc(), so it is for when there is nothing else to do. */
void heap_rest(void);
