/* pure.h - forced in front of every file of this folder: after it, the names of clocks, processes,
 * memory, files and floating point are compile errors. The headers that the core may use come
 * first, so that including one again is harmless and including another one trips over a name. */
#ifndef POOLD_CORE_PURE_H
#define POOLD_CORE_PURE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#pragma GCC poison time clock gettimeofday clock_gettime timerfd_create nanosleep usleep sleep alarm
#pragma GCC poison fork vfork clone execve execv execvp execl posix_spawn system popen
#pragma GCC poison kill tgkill raise sigaction signal waitpid waitid wait
#pragma GCC poison malloc calloc realloc reallocarray free alloca mmap munmap brk sbrk strdup
#pragma GCC poison printf fprintf sprintf snprintf vsnprintf dprintf puts fputs perror syslog
#pragma GCC poison fopen open openat read write close ioctl fcntl socket send recv poll epoll_wait
#pragma GCC poison getenv setenv errno rand random srand srandom getrandom exit abort
#pragma GCC poison pthread_create pthread_mutex_lock setjmp longjmp
#pragma GCC poison float double

#endif
