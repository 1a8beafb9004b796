/* keeper_world.h - a real poold with a fake engine and a fake loader, played by the test itself.
 *
 * The test program is copied beside a copy of poold as `poold-engine`. Started as the loader it reads
 * the command line and makes the runtime directory as the real one does, and hands over the
 * configuration that the test has built; started as the engine it sends its end of the link to the
 * test and waits, so that the test speaks the verbs. */
#ifndef POOLD_TEST_KEEPER_WORLD_H
#define POOLD_TEST_KEEPER_WORLD_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/load/capacity.h"
#include "supervisor/load/options.h"
#include "supervisor/load/runtime.h"
#include "supervisor/verbs.h"
#include "test/unit/keeper_filter.h"
#include "test/unit/record_blob.h"

#define WAIT_MS 10000 /* for anything that must happen; a machine under load is slow, not wrong */

struct engine_link {
    int fd;
    pid_t pid;
    int state_fd, config_fd, control_fd;
    int leash; /* closed, or written a status to: the fake engine ends */
    struct verb hello;
};

struct report {
    struct verb verb;
    int fds[3];
    uint32_t fd_count;
};

struct world {
    char directory[64]; /* programs, runtime directory, outputs of workers */
    char runtime[80], config[80], program[80], rendezvous[80];
    int listener; /* where fake engines come to */
    struct blob blob;
    pid_t keeper;
    struct engine_link engine;
    uint64_t request;
    const int *given; /* what poold is started with from 3 on, ends with -1; NULL: nothing */
    pid_t given_to;   /* what LISTEN_PID says of them; 0: poold itself */
    unsigned refused; /* with one of these flags poold's clone is refused */
};

/* --- the fake programs ----------------------------------------------------------------------- */

static inline bool
send_with_fd(int to, const void *bytes, size_t size, int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {(void *)(uintptr_t)bytes, size};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    return sendmsg(to, &message, MSG_NOSIGNAL) == (ssize_t)size;
}

/* Returns the size, 0 at the end, -1 for an error; waits. */
static inline ssize_t
receive_with_fds(int from, void *out, size_t size, int *fds, uint32_t max, uint32_t *count)
{
    char control[CMSG_SPACE(8 * sizeof(int))] __attribute__((aligned(8)));
    struct iovec iov = {out, size};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
    *count = 0;
    struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header != NULL && header->cmsg_type == SCM_RIGHTS) {
        *count = (uint32_t)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        assert_true(*count <= max);
        memcpy(fds, CMSG_DATA(header), *count * sizeof(int));
    }
    return got;
}

/* A configuration that is a FIFO keeps it where it is until it is killed. */
static inline int
fake_loader(int argc, char **argv)
{
    _Alignas(8) static char bytes[65536];
    static struct options options;
    struct err err;
    int status = options_read(&options, argc - 2, argv + 2);
    if (status >= 0)
        return status;
    if (runtime_open(options.runtime, getppid(), &err) != 0) {
        fprintf(stderr, "poold: %s\n", err.text);
        return 1;
    }
    int fd = open(options.load.config, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    if (size < 0)
        return 3;
    struct load_result result = {bytes, (size_t)size};
    return load_give(LOAD_FIRST, &options.load, &result, NULL);
}

/* Hands its link over and lives until somebody ends it. The test finds the rendezvous in the place
 * of the state directory, which no fake needs. */
static inline int
fake_engine(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pid_t pid = getpid();
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--state-dir") == 0)
            snprintf(address.sun_path, sizeof address.sun_path, "%s", argv[i + 1]);
    }
    int to = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connect(to, (struct sockaddr *)&address, sizeof address) != 0 ||
        !send_with_fd(to, &pid, sizeof pid, ENGINE_KEEPER_FD))
        return 9;
    char byte;
    /* The test says how to end; poold's end ends it too. */
    if (recv(to, &byte, 1, 0) == 1)
        return byte;
    return 0;
}

/* For main() of a test: plays the fake program that it was started as. -1: none, run the tests. */
static inline int
fake_main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    if (strcmp(slash != NULL ? slash + 1 : argv[0], "poold-engine") != 0)
        return -1;
    if (argc > 1 && strcmp(argv[1], "--load") == 0)
        return fake_loader(argc, argv);
    return fake_engine(argc, argv);
}

/* --- the world ------------------------------------------------------------------------------- */

static inline msec
world_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (msec)now.tv_sec * 1000 + (msec)now.tv_nsec / 1000000;
}

/* A breath between two looks at a condition; the condition decides, not the time. */
static inline void
world_breathe(void)
{
    poll(NULL, 0, 2);
}

#define WORLD_WAIT(condition)                                                                      \
    do {                                                                                           \
        msec world_limit = world_clock() + WAIT_MS;                                                \
        while (!(condition)) {                                                                     \
            if (world_clock() > world_limit)                                                       \
                fail_msg("never became true: %s", #condition);                                     \
            world_breathe();                                                                       \
        }                                                                                          \
    } while (0)

static inline void
world_copy(const char *from, const char *to)
{
    char chunk[65536];
    ssize_t size;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    if (in < 0 || out < 0)
        fail_msg("cannot copy %s to %s: %s (are the programs built?)", from, to, strerror(errno));
    while ((size = read(in, chunk, sizeof chunk)) > 0)
        assert_int_equal(write(out, chunk, (size_t)size), size);
    assert_int_equal(fchmod(out, 0755), 0);
    close(in);
    close(out);
}

static inline void
world_copy_programs(struct world *world)
{
    char self[512], from[600], to[128];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(length > 0);
    self[length] = '\0';
    world_copy(self, world->program);
    snprintf(to, sizeof to, "%s/poold-engine", world->directory);
    world_copy(self, to);
    *strrchr(self, '/') = '\0'; /* build/test */
    snprintf(from, sizeof from, "%s/../poold", self);
    snprintf(to, sizeof to, "%s/poold", world->directory);
    world_copy(from, to);
    snprintf(from, sizeof from, "%s/../poold-exec", self);
    snprintf(to, sizeof to, "%s/poold-exec", world->directory);
    world_copy(from, to);
}

/* The keeper finds its directory and the engine its words where the loader puts them. */
static inline void
world_write_words(struct world *world)
{
    struct record_header *header = &world->blob.header;
    char uid[16], gid[16];
    snprintf(uid, sizeof uid, "%u", header->engine_uid);
    snprintf(gid, sizeof gid, "%u", header->engine_gid);
    const char *const words[] = {"poold-exec",  "engine",          uid, gid, "poold-engine",
                                 "--state-dir", world->rendezvous, NULL};
    header->runtime = blob_text(&world->blob, world->runtime);
    header->engine = blob_strings(&world->blob, words);
}

/* An empty world, in which the blob waits to be filled. */
static inline int
world_create(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    if (world == NULL)
        return -1;
    strcpy(world->directory, "/tmp/poold-keeper-XXXXXX");
    if (mkdtemp(world->directory) == NULL || chmod(world->directory, 0755) != 0)
        return -1;
    snprintf(world->runtime, sizeof world->runtime, "%s/run", world->directory);
    snprintf(world->config, sizeof world->config, "%s/config", world->directory);
    snprintf(world->program, sizeof world->program, "%s/program", world->directory);
    snprintf(world->rendezvous, sizeof world->rendezvous, "%s/engine", world->directory);
    world_copy_programs(world);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", world->rendezvous);
    world->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (bind(world->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(world->rendezvous, 0666) != 0 || listen(world->listener, 16) != 0)
        return -1;
    world->engine = (struct engine_link){-1, 0, -1, -1, -1, -1, {0}};
    /* Whatever poold leaves behind comes to us, and is counted. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    blob_init(&world->blob);
    world->blob.header.engine_uid = geteuid() == 0 ? 65534 : geteuid();
    world->blob.header.engine_gid = getegid() == 0 ? 65534 : getegid();
    world_write_words(world);
    *state = world;
    return 0;
}

static inline void
engine_close(struct engine_link *engine)
{
    const int fds[] = {engine->fd, engine->state_fd, engine->config_fd, engine->control_fd,
                       engine->leash};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    *engine = (struct engine_link){-1, 0, -1, -1, -1, -1, {0}};
}

static inline void
world_remove_files(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char child[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (snprintf(child, sizeof child, "%s/%s", path, entry->d_name) >= (int)sizeof child)
            continue;
        if (unlink(child) != 0)
            world_remove_files(child);
    }
    if (directory != NULL)
        closedir(directory);
    rmdir(path);
}

/* Ends what is left, also after a failed test. */
static inline int
world_destroy(void **state)
{
    struct world *world = *state;
    if (world->keeper > 0) {
        kill(world->keeper, SIGKILL);
        waitpid(world->keeper, NULL, 0);
    }
    /* Orphans of a killed poold are ours now; our own children are nobody else's. */
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        char path[300], stat[256] = "";
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        int ppid = 0;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        int fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        ssize_t got = read(fd, stat, sizeof stat - 1);
        close(fd);
        const char *after = got > 0 ? strrchr(stat, ')') : NULL;
        if (after != NULL && sscanf(after + 1, " %*c %d", &ppid) == 1 && ppid == getpid())
            kill(pid, SIGKILL);
    }
    if (proc != NULL)
        closedir(proc);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    engine_close(&world->engine);
    close(world->listener);
    world_remove_files(world->directory);
    free(world);
    return 0;
}

static inline void
world_write_config(struct world *world)
{
    uint64_t workers = 0;
    if (world->blob.header.engine.count > 0 && world->blob.header.control == 0) {
        char control[96];
        snprintf(control, sizeof control, "%s/control", world->runtime);
        blob_control(&world->blob, control, 0600);
    }
    for (uint32_t i = 0; i < world->blob.header.pools; i++)
        workers += world->blob.pools[i].settings.workers_max;
    capacity_set(&world->blob.header, world->blob.header.sockets, workers);
    blob_finish(&world->blob);
    int fd = open(world->config, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, world->blob.bytes, world->blob.size), world->blob.size);
    close(fd);
}

/* As who has sockets for a program starts it: sd_listen_fds(3). */
static inline void
world_give(const struct world *world)
{
    enum { ASIDE = 300 }; /* so that no number is overwritten before it is copied */
    char pid[16], count_text[16];
    int count = 0;
    for (; world->given[count] >= 0; count++)
        dup2(world->given[count], ASIDE + count);
    for (int i = 0; i < count; i++)
        dup2(ASIDE + i, 3 + i);
    snprintf(pid, sizeof pid, "%d", world->given_to != 0 ? world->given_to : getpid());
    snprintf(count_text, sizeof count_text, "%d", count);
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", count_text, 1);
    setenv("LISTEN_FDNAMES", "somebody:elses", 1);
}

/* Runs poold; stderr goes to err_fd where that is not -1. */
static inline pid_t
world_poold(struct world *world, int err_fd)
{
    char poold[128];
    snprintf(poold, sizeof poold, "%s/poold", world->directory);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (err_fd >= 0)
            dup2(err_fd, STDERR_FILENO);
        if (world->given != NULL)
            world_give(world);
        if (world->refused != 0 && !clone_refuse(world->refused))
            _exit(125);
        execl(poold, "poold", "--runtime-dir", world->runtime, "--config", world->config, NULL);
        _exit(126);
    }
    return pid;
}

/* The engine that poold starts now, with its HELLO. */
static inline void
world_engine(struct world *world)
{
    struct engine_link *engine = &world->engine;
    struct pollfd waiting = {.fd = world->listener, .events = POLLIN};
    int fds[3];
    uint32_t count = 0;
    engine_close(engine);
    if (poll(&waiting, 1, WAIT_MS) != 1)
        fail_msg("no engine was started");
    engine->leash = accept4(world->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_int_equal(
        receive_with_fds(engine->leash, &engine->pid, sizeof engine->pid, fds, 1, &count),
        sizeof engine->pid);
    assert_int_equal(count, 1);
    engine->fd = fds[0];
    struct pollfd hello = {.fd = engine->fd, .events = POLLIN};
    assert_int_equal(poll(&hello, 1, WAIT_MS), 1);
    assert_int_equal(
        receive_with_fds(engine->fd, &engine->hello, sizeof engine->hello, fds, 3, &count),
        sizeof engine->hello);
    assert_int_equal(engine->hello.kind, VERB_HELLO);
    assert_int_equal(engine->hello.version, VERB_VERSION);
    assert_int_equal(count, 3);
    engine->state_fd = fds[0];
    engine->config_fd = fds[1];
    engine->control_fd = fds[2];
}

static inline void
world_start(struct world *world)
{
    world_write_config(world);
    world->keeper = world_poold(world, -1);
    world_engine(world);
}

/* --- speaking the verbs ---------------------------------------------------------------------- */

static inline uint64_t
ask(struct world *world, struct verb verb)
{
    verb.version = VERB_VERSION;
    verb.request = ++world->request;
    assert_int_equal(send(world->engine.fd, &verb, sizeof verb, MSG_NOSIGNAL), sizeof verb);
    return verb.request;
}

/* The next message; its descriptors are the caller's. */
static inline struct report
told(struct world *world)
{
    struct report report;
    struct pollfd waiting = {.fd = world->engine.fd, .events = POLLIN};
    if (poll(&waiting, 1, WAIT_MS) != 1)
        fail_msg("the keeper says nothing");
    ssize_t size = receive_with_fds(world->engine.fd, &report.verb, sizeof report.verb, report.fds,
                                    3, &report.fd_count);
    assert_int_equal(size, sizeof report.verb);
    return report;
}

static inline void
report_close(struct report *report)
{
    for (uint32_t i = 0; i < report->fd_count; i++)
        close(report->fds[i]);
    report->fd_count = 0;
}

static inline struct report
told_of(struct world *world, enum verb_kind kind)
{
    struct report report = told(world);
    if (report.verb.kind != kind)
        fail_msg("told kind %u (step %u, error %d, status %d) in place of %u", report.verb.kind,
                 report.verb.step, report.verb.error, report.verb.status, (unsigned)kind);
    return report;
}

static inline bool
told_nothing(struct world *world, int for_ms)
{
    struct pollfd waiting = {.fd = world->engine.fd, .events = POLLIN};
    return poll(&waiting, 1, for_ms) == 0;
}

static inline struct worker_id
worker_of(uint32_t pool, uint32_t slot, uint32_t generation)
{
    return (struct worker_id){pool, slot, generation};
}

static inline void
bind_all(struct world *world)
{
    for (uint32_t i = 0; i < world->blob.header.sockets; i++) {
        ask(world, (struct verb){.kind = VERB_BIND, .index = i});
        assert_int_equal(told_of(world, VERB_BIND_RESULT).verb.error, 0);
    }
}

/* SPAWN of a worker that must succeed up to its exec. Returns SPAWNED. */
static inline struct report
spawn(struct world *world, struct worker_id worker)
{
    ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker, .spawn = SPAWN_WORKER});
    struct report spawned = told_of(world, VERB_SPAWNED);
    assert_int_equal(spawned.fd_count, 2);
    struct report executed = told_of(world, VERB_EXECUTED);
    assert_memory_equal(&executed.verb.worker, &worker, sizeof worker);
    return spawned;
}

/* Says LEAVE, ends the engine, and returns poold's exit status. */
static inline int
world_leave(struct world *world, int exit_status)
{
    int status;
    ask(world, (struct verb){.kind = VERB_LEAVE, .argument = (uint32_t)exit_status});
    kill(world->engine.pid, SIGKILL);
    pid_t keeper = world->keeper;
    WORLD_WAIT(waitpid(keeper, &status, WNOHANG) == keeper);
    world->keeper = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* A file that a worker wrote, whole; the caller knows when it is complete. */
static inline void
file_read(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, out, size - 1);
    if (fd >= 0)
        close(fd);
    out[got > 0 ? got : 0] = '\0';
}

#endif
