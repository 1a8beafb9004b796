/* bench_worker.c - the worker of the benchmark: says when it came to life, then sleeps.
 *
 * It appends 16 bytes {nanoseconds of CLOCK_MONOTONIC, pid} to the file or FIFO that BENCH_RECORD
 * names. One static page without libc: libc's start-up costs more than all that is measured. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "common/base.h"
#include "supervisor/exec/syscall.h"

#if defined(__x86_64__)
__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call worker_main\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n"
        "_start:\n"
        "    mov x29, #0\n"
        "    mov x30, #0\n"
        "    mov x0, sp\n"
        "    bl worker_main\n");
#endif

struct record {
    uint64_t nanoseconds;
    uint64_t pid;
};

_Noreturn void worker_main(long *stack);
static const char *value_of(char *const *environment, const char *name);

_Noreturn void
worker_main(long *stack)
{
    struct timespec now;
    SYS2(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    char **arguments = (char **)(stack + 1);
    const char *path = value_of(arguments + stack[0] + 1, "BENCH_RECORD=");
    if (path == NULL)
        sys_exit(2);
    /* Non-blocking: with a FIFO that nobody reads any more it ends instead of hanging. */
    long fd = SYS4(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0)
        sys_exit(3);
    struct record record = {(uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
                            (uint64_t)SYS0(SYS_getpid)};
    if (SYS3(SYS_write, fd, &record, sizeof record) != (long)sizeof record)
        sys_exit(4);
    SYS1(SYS_close, fd);
    for (;;)
        SYS5(SYS_ppoll, 0, 0, 0, 0, 0);
}

/* name ends with '='. */
static const char *
value_of(char *const *environment, const char *name)
{
    for (; *environment != NULL; environment++) {
        size_t at = 0;
        while (name[at] != '\0' && (*environment)[at] == name[at])
            at++;
        if (name[at] == '\0')
            return *environment + at;
    }
    return NULL;
}
