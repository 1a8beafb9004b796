/* bench_probe.c - how long does a loop keep its clients waiting?
 *
 *   bench_probe CONTROL_SOCKET MILLISECONDS
 *
 * Each millisecond one round trip of server.version over the control socket, and one to a bare
 * echo process of its own: what the second suffers is the machine's doing, what the first suffers
 * beyond that is the loop's. It waits for the socket to appear and for a first answer, which is not
 * counted: a start is no hold. Prints the round trips in microseconds, one `control N` or `echo N` a
 * line; ends after MILLISECONDS or when its standard input ends. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "common/base.h"

#define APPEAR_MS   20000u
#define ANSWER_MS   20000
#define SAMPLES_MAX 200000u

static const char question[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.version\"}\n";
static uint32_t samples[SAMPLES_MAX][2];

static int control_connect(const char *path);
static int echo_start(void);
_Noreturn static void echo_run(int fd);
static uint32_t round_trip(int fd);
static bool input_ended(void);
static uint64_t now_us(void);
static void sleep_ms(void);
_Noreturn static void fail(const char *what);

int
main(int argc, char **argv)
{
    unsigned long limit_ms = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    if (limit_ms == 0) {
        fprintf(stderr, "usage: bench_probe CONTROL_SOCKET MILLISECONDS\n");
        return 2;
    }
    int echo = echo_start(), control = control_connect(argv[1]);
    round_trip(control);
    round_trip(echo);
    uint64_t end_us = now_us() + limit_ms * 1000u;
    uint32_t count = 0;
    while (count < SAMPLES_MAX && now_us() < end_us && !input_ended()) {
        samples[count][0] = round_trip(control);
        samples[count][1] = round_trip(echo);
        count++;
        sleep_ms();
    }
    for (uint32_t i = 0; i < count; i++)
        printf("control %u\necho %u\n", samples[i][0], samples[i][1]);
    return 0;
}

static int
control_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    for (uint32_t tries = 0; tries < APPEAR_MS; tries++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            fail("socket");
        if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
            return fd;
        close(fd);
        sleep_ms();
    }
    fail(path);
}

static int
echo_start(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        fail("socketpair");
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        close(ends[0]);
        echo_run(ends[1]);
    }
    close(ends[1]);
    return ends[0];
}

/* Ends with its parent: by the signal, or at the end of the stream. */
_Noreturn static void
echo_run(int fd)
{
    char buffer[4096];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        ssize_t size = read(fd, buffer, sizeof buffer);
        if (size <= 0 || write(fd, buffer, (size_t)size) != size)
            _exit(0);
    }
}

/* Sends the question and reads up to the end of the line. Returns microseconds. */
static uint32_t
round_trip(int fd)
{
    char answer[8192];
    uint64_t start = now_us();
    if (write(fd, question, sizeof question - 1) != (ssize_t)sizeof question - 1)
        fail("ask");
    for (;;) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        int ready = poll(&readable, 1, ANSWER_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready == 0)
            errno = ETIMEDOUT;
        ssize_t size = ready == 1 ? read(fd, answer, sizeof answer) : -1;
        if (size <= 0)
            fail("read the answer");
        if (answer[size - 1] == '\n')
            return (uint32_t)(now_us() - start);
    }
}

static bool
input_ended(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) == 1;
}

static uint64_t
now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static void
sleep_ms(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

_Noreturn static void
fail(const char *what)
{
    fprintf(stderr, "bench_probe: %s: %s\n", what, strerror(errno));
    exit(1);
}
