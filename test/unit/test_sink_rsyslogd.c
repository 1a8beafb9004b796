/* test_sink_rsyslogd.c - claims about a real log daemon: it reads our lines, the drop-in sorts
 * them, and when it is stopped nothing waits for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "test/unit/sink_world.h"

#define RSYSLOGD  "/usr/sbin/rsyslogd"
#define DROP_IN   "etc/rsyslog-poold.conf" /* tests run in the top of the tree */
#define WAIT_MS   10000                    /* for another process to do its part */
#define WAIT_STEP 5

static void
wait_a_step(unsigned *waited)
{
    if ((*waited += WAIT_STEP) > WAIT_MS)
        fail_msg("nothing within %d ms", WAIT_MS);
    poll(NULL, 0, WAIT_STEP);
}

static void write_file(const struct world *world, const char *name, const char *format, ...)
    ATTR_PRINTF(3, 4);

static void
write_file(const struct world *world, const char *name, const char *format, ...)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", world->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    va_list ap;
    va_start(ap, format);
    vfprintf(file, format, ap);
    va_end(ap);
    fclose(file);
}

/* The drop-in as it is shipped, but for the folder that it writes to. */
static void
write_drop_in(const struct world *world)
{
    char text[4096], out[8192];
    FILE *in = fopen(DROP_IN, "r");
    assert_non_null(in);
    size_t len = fread(text, 1, sizeof text - 1, in);
    fclose(in);
    text[len] = '\0';
    static const char *const files[][2] = {{"/var/log/poold.log", "out"},
                                           {"/var/log/poold-output.log", "worker-out"}};
    size_t at = 0;
    unsigned replaced = 0;
    for (const char *p = text; *p != '\0';) {
        size_t i = 0;
        while (i < ARRAY_LEN(files) && strncmp(p, files[i][0], strlen(files[i][0])) != 0)
            i++;
        if (i == ARRAY_LEN(files)) {
            out[at++] = *p++;
            continue;
        }
        at += (size_t)sprintf(out + at, "%s/%s", world->folder, files[i][1]);
        p += strlen(files[i][0]);
        replaced++;
    }
    out[at] = '\0';
    assert_int_equal(replaced, 2);
    write_file(world, "drop-in", "%s", out);
}

static pid_t
rsyslogd_start(const struct world *world)
{
    write_drop_in(world);
    write_file(world, "conf",
               "global(workDirectory=\"%s\" processInternalMessages=\"on\")\n"
               "module(load=\"imuxsock\" SysSock.Use=\"off\")\n"
               "input(type=\"imuxsock\" Socket=\"%s\" UseSpecialParser=\"on\")\n"
               "module(load=\"builtin:omfile\" template=\"poold\")\n"
               "template(name=\"poold\" type=\"string\" "
               "string=\"%%pri%%|%%programname%%|%%procid%%|%%msg%%\\n\")\n"
               "include(file=\"%s/drop-in\")\n",
               world->folder, world->path, world->folder);
    char conf[128], pidfile[128];
    snprintf(conf, sizeof conf, "%s/conf", world->folder);
    snprintf(pidfile, sizeof pidfile, "%s/pid", world->folder);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing behind */
        execl(RSYSLOGD, RSYSLOGD, "-n", "-f", conf, "-i", pidfile, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void
rsyslogd_stop(pid_t pid)
{
    int status;
    kill(pid, SIGTERM);
    kill(pid, SIGCONT);
    unsigned waited = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (waited > WAIT_MS)
            kill(pid, SIGKILL);
        waited += WAIT_STEP;
        poll(NULL, 0, WAIT_STEP);
    }
}

/* Lines in the daemon's file that begin with begin (after priority, tag and pid, checked). */
static unsigned
logged(const struct world *world, const char *name, const char *begin)
{
    char path[128], line[4096];
    snprintf(path, sizeof path, "%s/%s", world->folder, name);
    FILE *in = fopen(path, "r");
    if (in == NULL)
        return 0;
    unsigned count = 0;
    while (fgets(line, sizeof line, in) != NULL) {
        unsigned priority;
        int pid, at = 0;
        if (sscanf(line, "%u|poold|%d|%n", &priority, &pid, &at) == 2 && at > 0 &&
            priority >> 3 == 3 && pid == getpid())
            count += strncmp(line + at, begin, strlen(begin)) == 0;
    }
    fclose(in);
    return count;
}

static bool
is_stopped(pid_t pid)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    bool got = fgets(text, sizeof text, in) != NULL;
    fclose(in);
    assert_true(got);
    const char *end = strrchr(text, ')');
    assert_non_null(end);
    return end[2] == 'T';
}

static void
a_stopped_rsyslogd_holds_nobody_up_and_the_counts_are_exact(void **state)
{
    struct world *world = *state;
    if (access(RSYSLOGD, X_OK) != 0) {
        print_message("SKIP: %s is not installed\n", RSYSLOGD);
        skip();
    }
    pid_t pid = rsyslogd_start(world);
    struct sink *sink = syslog_at(world);
    unsigned waited = 0;
    while (logged(world, "out", " 6010 pool-started") == 0) { /* it runs and reads */
        clock_ms += 1000;
        events_emit(world->events, EVENT_POOL_STARTED, "shop", nobody, NULL, "hello");
        wait_a_step(&waited);
    }
    clock_ms += 1000;
    sink_tick(sink, clock_ms); /* tells what was emitted before the daemon was there */
    struct event_seen seen;
    unsigned told_before = told(world, 1, &seen);
    uint64_t start = events_next(world->events);
    events_emit(world->events, EVENT_WORKER_OUTPUT, "shop", nobody, NULL, "a worker's line");
    for (waited = 0; logged(world, "worker-out", " 6060 worker-output shop: a worker's line") != 1;)
        wait_a_step(&waited);

    assert_int_equal(kill(pid, SIGSTOP), 0);
    for (waited = 0; !is_stopped(pid);)
        wait_a_step(&waited);
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    emit_many(world, 10000);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    assert_true(is_stopped(pid));
    clock_ms += 1000;
    sink_tick(sink, clock_ms);
    assert_int_equal(told(world, start, &seen), 0);

    assert_int_equal(kill(pid, SIGCONT), 0);
    for (waited = 0; told(world, start, &seen) == 0;) {
        wait_a_step(&waited);
        clock_ms += 1000;
        sink_tick(sink, clock_ms);
    }
    for (waited = 0; logged(world, "out", " 6061 events-dropped") != told_before + 1;)
        wait_a_step(&waited);
    unsigned written = logged(world, "out", " 6021 worker-ready shop/2.7: event ");
    assert_int_equal(told(world, start, &seen), 1);
    assert_in_range(written, 1, 9999);
    assert_int_equal(written + field(&seen, "dropped"), 10000);
    assert_int_equal(logged(world, "out", " 6060 "), 0);
    print_message(
        "10000 events while rsyslogd is stopped: %u written, %lu dropped and told, %.3f ms\n",
        written, field(&seen, "dropped"),
        (double)(ended.tv_sec - began.tv_sec) * 1e3 +
            (double)(ended.tv_nsec - began.tv_nsec) / 1e6);
    sink_destroy(&sink);
    rsyslogd_stop(pid);
}

int
main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the engine does */
    alarm(ALL_LIMIT_S);
    const struct CMUnitTest tests[] = {
        TEST(a_stopped_rsyslogd_holds_nobody_up_and_the_counts_are_exact),
    };
    return cmocka_run_group_tests_name("sink_rsyslogd", tests, NULL, NULL) != 0;
}
