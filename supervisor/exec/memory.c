/* memory.c - the functions that a compiler may call unasked, for a program without libc. */
#include <stddef.h>

#include "supervisor/exec/syscall.h"

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int byte, size_t size);
_Noreturn void __assert_fail(const char *expression, const char *file, unsigned int line,
                             const char *function);

/* The empty statement keeps the compiler from making each loop a call of the function it is in. */
void *
memcpy(void *restrict to, const void *restrict from, size_t size)
{
    char *t = to;
    const char *f = from;
    for (size_t i = 0; i < size; i++) {
        t[i] = f[i];
        __asm__ volatile("" ::: "memory");
    }
    return to;
}

void *
memset(void *to, int byte, size_t size)
{
    char *t = to;
    for (size_t i = 0; i < size; i++) {
        t[i] = (char)byte;
        __asm__ volatile("" ::: "memory");
    }
    return to;
}

/* What assert() of record.h ends in: a process that was never let loose, so no message. */
_Noreturn void
__assert_fail(const char *expression, const char *file, unsigned int line, const char *function)
{
    (void)expression, (void)file, (void)line, (void)function;
    sys_exit(126);
}
