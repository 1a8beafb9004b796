/* keeper_workers.h - what tests of poold run as workers, and how they look at what became of
 * them. */
#ifndef POOLD_TEST_KEEPER_WORKERS_H
#define POOLD_TEST_KEEPER_WORKERS_H

#include "test/unit/keeper_world.h"

extern char **environ;

/* --- workers --------------------------------------------------------------------------------- */

static inline void
dump_file(FILE *out, const char *path)
{
    char line[256];
    FILE *in = fopen(path, "re");
    while (in != NULL && fgets(line, sizeof line, in) != NULL)
        fputs(line, out);
    if (in != NULL)
        fclose(in);
}

/* Writes all that it can find out about itself, then waits to be ended. */
static inline int
worker_dump(const char *path)
{
    char part[256], target[256], link[64];
    snprintf(part, sizeof part, "%s.part", path);
    /* Before anything is opened: the descriptors as they came. */
    char fds[2048] = "";
    for (int fd = 0; fd < 256; fd++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (length < 0)
            continue;
        target[length] = '\0';
        size_t used = strlen(fds);
        snprintf(fds + used, sizeof fds - used, "fd %d %s flags %d mode %d\n", fd, target,
                 fcntl(fd, F_GETFD), fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
    }
    FILE *out = fopen(part, "we");
    if (out == NULL)
        return 1;
    fputs(fds, out);
    for (char **variable = environ; *variable != NULL; variable++)
        fprintf(out, "env %s\n", *variable);
    dump_file(out, "/proc/self/status");
    fprintf(out, "oom %s", "");
    dump_file(out, "/proc/self/oom_score_adj");
    fprintf(out, "cwd %s\n", getcwd(target, sizeof target));
    mode_t mask = umask(0);
    fprintf(out, "umask %o\n", mask);
    fprintf(out, "reopen %s\n", open("/dev/stderr", O_WRONLY | O_CLOEXEC) >= 0 ? "works" : "fails");
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    fprintf(out, "nofile %lu\n", (unsigned long)limit.rlim_cur);
    fprintf(out, "nice %d\n", getpriority(PRIO_PROCESS, 0));
    dump_file(out, "/proc/self/autogroup");
    dump_file(out, "/proc/self/limits");
    fprintf(out, "pid %d sid %d pgid %d ppid %d\n", getpid(), getsid(0), getpgrp(), getppid());
    if (fclose(out) != 0 || rename(part, path) != 0)
        return 1;
    for (;;)
        pause();
}

/* A child that ignores everything stays behind in the group; a grandchild leaves the session. */
static inline int
worker_with_family(const char *path)
{
    pid_t member = fork();
    if (member == 0) {
        signal(SIGTERM, SIG_IGN);
        for (;;)
            pause();
    }
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return 1;
    fprintf(out, "%d\n", member);
    fclose(out);
    for (;;)
        pause();
}

/* An orphan in its own session: it ends as poold's child. */
static inline int
worker_with_stray(const char *path)
{
    int pair[2];
    if (pipe(pair) != 0)
        return 1;
    pid_t middle = fork();
    if (middle == 0) {
        setsid();
        prctl(PR_SET_NAME, "a-stray");
        if (fork() == 0) {
            char byte;
            close(pair[1]);
            (void)!read(pair[0], &byte, 1); /* until the worker is gone */
            _exit(0);
        }
        _exit(0);
    }
    waitpid(middle, NULL, 0);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* the stray is poold's child now */
    if (fd < 0)
        return 1;
    for (;;)
        pause();
}

/* Far more than a pipe holds; path appears when all of it is written. */
static inline int
worker_flood(const char *path)
{
    static char chunk[4096];
    memset(chunk, 'x', sizeof chunk);
    for (int i = 0; i < 100; i++) {
        if (write(STDOUT_FILENO, chunk, sizeof chunk) != (ssize_t)sizeof chunk)
            return 1;
    }
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return 1;
    for (;;)
        pause();
}

/* As many servers do: a queue of its own length on the socket that everybody shares. */
static inline int
worker_listen(const char *path)
{
    if (listen(3, 0) != 0 || mkdir(path, 0700) != 0)
        return 1;
    for (;;)
        pause();
}

static inline int
worker_main(int argc, char **argv)
{
    if (argc < 2)
        return -1;
    if (strcmp(argv[1], "dump") == 0)
        return worker_dump(argv[2]);
    if (strcmp(argv[1], "family") == 0)
        return worker_with_family(argv[2]);
    if (strcmp(argv[1], "stray") == 0)
        return worker_with_stray(argv[2]);
    if (strcmp(argv[1], "exit") == 0)
        return (int)strtol(argv[2], NULL, 10);
    if (strcmp(argv[1], "say") == 0) {
        puts("a word from a worker");
        return 0;
    }
    if (strcmp(argv[1], "flood") == 0)
        return worker_flood(argv[2]);
    if (strcmp(argv[1], "listen") == 0)
        return worker_listen(argv[2]);
    if (strcmp(argv[1], "wait") == 0) {
        for (;;)
            pause();
    }
    return -1;
}

/* --- pools of them --------------------------------------------------------------------------- */

static const char *const no_env[] = {NULL};

static inline struct record_pool *
pool_of(struct world *world, const char *name, const char *what, const char *with)
{
    const char *const argv[] = {world->program, what, with, NULL};
    struct record_pool *pool = blob_pool(&world->blob, name, argv, no_env);
    pool->uid = geteuid();
    pool->gid = getegid();
    pool->drop_privileges = geteuid() == 0;
    return pool;
}

/* Another identity where we may take one: uid and gid are numbers that nobody has. */
static inline void
pool_as(struct record_pool *pool, uint32_t uid, uint32_t gid)
{
    pool->uid = uid;
    pool->gid = gid;
}

/* Ends a worker, and takes its EXITED and its place. */
static inline void
worker_end(struct world *world, struct worker_id worker)
{
    ask(world,
        (struct verb){
            .kind = VERB_SIGNAL, .worker = worker, .signo = SIGKILL, .argument = TARGET_GROUP});
    struct report exited = told_of(world, VERB_EXITED);
    assert_int_equal(exited.verb.code, CLD_KILLED);
    assert_int_equal(exited.verb.status, SIGKILL);
    ask(world, (struct verb){.kind = VERB_RELEASE, .worker = worker});
}

static inline unsigned
count_entries(const char *path)
{
    unsigned count = 0;
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL)
        count += entry->d_name[0] != '.';
    if (directory != NULL)
        closedir(directory);
    return count;
}

static inline unsigned
keeper_fds(const struct world *world)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", world->keeper);
    return count_entries(path);
}

static inline unsigned
notify_sockets(const struct world *world)
{
    char path[128];
    snprintf(path, sizeof path, "%s/w", world->runtime);
    return count_entries(path);
}

/* Those of parked children, once they are made: two a core, at most eight. */
static inline unsigned
spare_sockets(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return (unsigned)(cores < 4 ? cores * 2 : 8);
}

static inline void
needs_root(void)
{
    if (geteuid() != 0)
        skip();
}

static inline int
setup_without_pidfd(void **state)
{
    setenv("POOLD_NO_PIDFD", "1", 1);
    return world_create(state);
}

static inline int
teardown_without_pidfd(void **state)
{
    unsetenv("POOLD_NO_PIDFD");
    return world_destroy(state);
}

/* Where a filter refuses the launcher's clone, and where it refuses posix_spawn's as well. */
static inline int
setup_alone(void **state)
{
    int status = world_create(state);
    if (status == 0)
        ((struct world *)*state)->refused = CLONE_PARENT;
    return status;
}

static inline int
setup_copying(void **state)
{
    int status = world_create(state);
    if (status == 0)
        ((struct world *)*state)->refused = CLONE_PARENT | CLONE_VFORK;
    return status;
}

/* For main() of a test: plays what it was started as. -1: nothing, run the tests. */
static inline int
keeper_test_main(int argc, char **argv)
{
    int status = fake_main(argc, argv);
    return status >= 0 ? status : worker_main(argc, argv);
}

/* clang-format off */
#define CLAIM(f)          cmocka_unit_test_setup_teardown(f, world_create, world_destroy)
#define CLAIM_NO_PIDFD(f) {#f " (no pidfd)", f, setup_without_pidfd, teardown_without_pidfd, NULL}
#define CLAIM_ALONE(f)    {#f " (no launcher)", f, setup_alone, world_destroy, NULL}, \
                          {#f " (only fork)", f, setup_copying, world_destroy, NULL}
/* clang-format on */

#endif
