/* syscall.h - raw system calls for a program without libc. A result below 0 is a negative errno. */
#ifndef POOLD_EXEC_SYSCALL_H
#define POOLD_EXEC_SYSCALL_H

#include <sys/syscall.h>

#if defined(__x86_64__)

static inline long
syscall6(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__)

static inline long
syscall6(long number, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}

#else
#error "poold-exec knows the system calls of x86_64 and aarch64"
#endif

/* Pointers and integers alike: every argument is one register. */
#define SYS6(n, a, b, c, d, e, f)                                                                  \
    syscall6((n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define SYS0(n)                SYS6(n, 0, 0, 0, 0, 0, 0)
#define SYS1(n, a)             SYS6(n, a, 0, 0, 0, 0, 0)
#define SYS2(n, a, b)          SYS6(n, a, b, 0, 0, 0, 0)
#define SYS3(n, a, b, c)       SYS6(n, a, b, c, 0, 0, 0)
#define SYS4(n, a, b, c, d)    SYS6(n, a, b, c, d, 0, 0)
#define SYS5(n, a, b, c, d, e) SYS6(n, a, b, c, d, e, 0)

_Noreturn static inline void
sys_exit(int status)
{
    for (;;)
        SYS1(SYS_exit_group, status);
}

#endif
