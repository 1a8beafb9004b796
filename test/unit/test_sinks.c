/* test_sinks.c - claims about sinks: nothing waits, and what is not taken is counted exactly.
 *
 * The sinks' clock is ours: a second passes when a test says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/engine/sinks.h"

#define RSYSLOGD  "/usr/sbin/rsyslogd"
#define DROP_IN   "etc/rsyslog-poold.conf" /* tests run in the top of the tree */
#define WAIT_MS   10000                    /* for another process to do its part */
#define WAIT_STEP 5

static const struct worker_id nobody = {0, 0, 0};
static msec clock_ms;

msec
io_now(void)
{
    return clock_ms;
}

/* A folder, a ring and events for one test. */
struct world {
    char folder[64], path[96];
    void *ring;
    struct events *events;
    struct err err;
};

static int
world_create(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    if (world == NULL)
        return -1;
    strcpy(world->folder, "/tmp/poold-sinks-XXXXXX");
    world->ring = calloc(1, events_ring_size());
    if (mkdtemp(world->folder) == NULL || world->ring == NULL)
        return -1;
    snprintf(world->path, sizeof world->path, "%s/log", world->folder);
    clock_ms = 5000000;
    *state = world;
    return events_create(&world->events, world->ring, &world->err);
}

static int
world_destroy(void **state)
{
    struct world *world = *state;
    static const char *const names[] = {"log", "conf", "drop-in", "pid", "out", "worker-out"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", world->folder, names[i]);
        unlink(path);
    }
    int rc = rmdir(world->folder);
    events_destroy(&world->events);
    free(world->ring);
    free(world);
    return rc;
}

/* A log daemon's socket that nobody reads unless the test does. */
static int
listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof address.sun_path);
    strcpy(address.sun_path, path);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* One datagram as a string; false when there is none. */
static bool
receive(int fd, char *out, size_t cap)
{
    ssize_t n = recv(fd, out, cap - 1, MSG_DONTWAIT);
    out[MAX(n, 0)] = '\0';
    return n >= 0;
}

static unsigned
receive_all(int fd)
{
    char line[4096];
    unsigned count = 0;
    while (receive(fd, line, sizeof line))
        count++;
    return count;
}

static void
emit(struct world *world, unsigned number)
{
    struct event_fields fields = {0};
    fields_number(&fields, "pid", number);
    events_emit(world->events, EVENT_WORKER_READY, "shop", (struct worker_id){0, 2, 7}, &fields,
                "event %u", number);
}

static void
emit_many(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        emit(world, i);
}

/* How many events of the ring from number on tell drops, and what the last of them says. */
static unsigned
told(struct world *world, uint64_t from, struct event_seen *out)
{
    unsigned count = 0;
    struct event_seen seen;
    for (uint64_t seq = from; seq < events_next(world->events); seq++)
        if (events_get(world->events, seq, &seen) && seen.id == EVENT_EVENTS_DROPPED) {
            *out = seen;
            count++;
        }
    return count;
}

static unsigned long
field(const struct event_seen *seen, const char *key)
{
    struct field_pair pair;
    for (const char *at = seen->fields; fields_next(&at, &pair);)
        if (pair.key_len == strlen(key) && memcmp(pair.key, key, pair.key_len) == 0)
            return strtoul(pair.value, NULL, 10);
    fail_msg("no %s in: %s", key, seen->fields);
    return 0;
}

static struct sink *
syslog_at(struct world *world)
{
    struct sink *sink = NULL;
    assert_int_equal(sink_create(&sink, world->events, world->path, &world->err), 0);
    assert_true(sink_deadline(sink) == MSEC_NEVER);
    return sink;
}

/* --- syslog */

static void
a_line_has_priority_time_tag_number_subject_text_and_fields(void **state)
{
    struct world *world = *state;
    int fd = listen_at(world->path);
    struct sink *sink = syslog_at(world);
    struct event_fields fields = {0};
    fields_number(&fields, "pid", 4121);
    struct {
        enum event_id id;
        const char *pool;
        struct worker_id worker;
        const char *priority, *rest;
    } const cases[] = {
        {EVENT_WORKER_DIED,
         "shop",
         {0, 2, 7},
         "<28>",
         "1009 worker-died shop/2.7: t seq=1 pid=4121"},
        {EVENT_POOL_DISABLED,
         "shop",
         {0, 0, 0},
         "<27>",
         "1002 pool-disabled shop: t seq=2 pid=4121"},
        {EVENT_SUPERVISOR_STARTED,
         NULL,
         {0, 0, 0},
         "<29>",
         "6000 supervisor-started t seq=3 pid=4121"},
        {EVENT_WORKER_OUTPUT, "shop", {0, 2, 7}, "<30>", "6060 worker-output shop/2.7: t pid=4121"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char want[512], stamp[32], line[4096];
        events_emit(world->events, cases[i].id, cases[i].pool, cases[i].worker, &fields, "t");
        struct event_seen seen;
        if (events_get(world->events, i + 1, &seen)) {
            time_t seconds = seen.wall_ms / 1000;
            strftime(stamp, sizeof stamp, "%b %e %T", localtime(&seconds));
        }
        snprintf(want, sizeof want, "%s%s poold[%d]: %s", cases[i].priority, stamp, (int)getpid(),
                 cases[i].rest);
        assert_true(receive(fd, line, sizeof line));
        assert_int_equal(strlen(line), strlen(want));
        /* worker-output is not in the ring: its second may be the next one. */
        if (cases[i].id != EVENT_WORKER_OUTPUT)
            assert_string_equal(line, want);
        else
            assert_string_equal(strstr(line, " poold["), strstr(want, " poold["));
    }
    sink_destroy(&sink);
    assert_null(sink);
    close(fd);
}

static void
a_text_of_a_megabyte_is_cut_and_keeps_number_and_fields(void **state)
{
    struct world *world = *state;
    int fd = listen_at(world->path);
    struct sink *sink = syslog_at(world);
    char *large = malloc(1 << 20), line[8192];
    assert_non_null(large);
    memset(large, 'x', (1 << 20) - 1);
    large[(1 << 20) - 1] = '\0';
    struct event_fields fields = {0};
    fields_number(&fields, "pid", 4121);
    events_emit(world->events, EVENT_WORKER_DIED, "shop", nobody, &fields, "%s", large);
    assert_true(receive(fd, line, sizeof line));
    assert_true(strlen(line) < 1200);
    assert_non_null(strstr(line, ": 1009 worker-died shop: xxx"));
    assert_string_equal(strstr(line, "..."), "... seq=1 pid=4121");
    sink_destroy(&sink);
    free(large);
    close(fd);
}

static void
a_full_socket_takes_no_time_and_every_loss_is_told_once(void **state)
{
    struct world *world = *state;
    int fd = listen_at(world->path);
    struct sink *sink = syslog_at(world);
    emit_many(world, 10000); /* would never return if anything waited: nobody reads */
    assert_true(sink_deadline(sink) == clock_ms + 1000);
    clock_ms += 1000;
    sink_tick(sink, clock_ms); /* still full: nothing is told, and it is tried again */
    assert_true(sink_deadline(sink) == clock_ms + 1000);
    unsigned taken = receive_all(fd);
    assert_in_range(taken, 1, 9999);
    sink_tick(sink, clock_ms + 999); /* not due yet */
    assert_int_equal(receive_all(fd), 0);
    clock_ms += 1000;
    sink_tick(sink, clock_ms);
    char line[4096], want[160];
    assert_true(receive(fd, line, sizeof line));
    struct event_seen seen;
    assert_int_equal(told(world, 10001, &seen), 1);
    assert_int_equal(field(&seen, "dropped"), 10000 - taken);
    snprintf(want, sizeof want, ": 6061 events-dropped %u events were not taken by %s since ",
             10000 - taken, world->path);
    assert_non_null(strstr(line, want));
    assert_non_null(strstr(line, ": it was full; "));
    assert_true(sink_deadline(sink) == MSEC_NEVER);
    sink_tick(sink, clock_ms + 100000);
    assert_int_equal(receive_all(fd), 0);
    assert_int_equal(told(world, 10001, &seen), 1);
    sink_destroy(&sink);
    close(fd);
}

static void
a_missing_socket_is_found_when_it_comes_and_its_losses_are_told(void **state)
{
    struct world *world = *state;
    struct sink *sink = syslog_at(world);
    emit_many(world, 3);
    clock_ms += 1000;
    sink_tick(sink, clock_ms);
    struct event_seen seen;
    assert_int_equal(told(world, 1, &seen), 0);
    int fd = listen_at(world->path);
    clock_ms += 1000;
    sink_tick(sink, clock_ms);
    assert_int_equal(told(world, 1, &seen), 1);
    assert_int_equal(field(&seen, "dropped"), 3);
    assert_non_null(strstr(seen.text, "No such file"));
    assert_int_equal(receive_all(fd), 1);
    emit(world, 4);
    assert_int_equal(receive_all(fd), 1);
    sink_destroy(&sink);
    close(fd);
}

static void
a_missing_socket_is_looked_for_at_most_once_a_second(void **state)
{
    struct world *world = *state;
    struct sink *sink = syslog_at(world);
    emit(world, 1); /* looks */
    int fd = listen_at(world->path);
    clock_ms += 999;
    emit_many(world, 100);
    assert_int_equal(receive_all(fd), 0);
    clock_ms += 1;
    emit(world, 2); /* looks again: the next event drives it, too */
    assert_int_equal(receive_all(fd), 1);
    sink_tick(sink, clock_ms);
    struct event_seen seen;
    assert_int_equal(told(world, 1, &seen), 1);
    assert_int_equal(field(&seen, "dropped"), 101);
    sink_destroy(&sink);
    close(fd);
}

static void
a_daemon_that_was_started_anew_costs_no_event(void **state)
{
    struct world *world = *state;
    struct sink *sink = syslog_at(world);
    for (unsigned i = 0; i < 5; i++) {
        int fd = listen_at(world->path);
        emit(world, i);
        emit(world, i);
        assert_int_equal(receive_all(fd), 2);
        close(fd);
        clock_ms += 1000;
    }
    assert_true(sink_deadline(sink) == MSEC_NEVER);
    sink_destroy(&sink);
}

/* Dead, its connection is still writable: that must not be taken for a daemon. */
static void
drops_are_not_told_to_a_daemon_that_died_full(void **state)
{
    struct world *world = *state;
    int fd = listen_at(world->path);
    struct sink *sink = syslog_at(world);
    emit_many(world, 100);
    unsigned taken = receive_all(fd);
    emit_many(world, 100);
    close(fd);
    for (unsigned i = 0; i < 5; i++) {
        clock_ms += 1000;
        sink_tick(sink, clock_ms);
    }
    struct event_seen seen;
    assert_int_equal(told(world, 1, &seen), 0);
    fd = listen_at(world->path);
    clock_ms += 1000;
    sink_tick(sink, clock_ms);
    assert_int_equal(told(world, 1, &seen), 1);
    assert_int_equal(field(&seen, "dropped"), 200 - 2 * taken);
    assert_int_equal(receive_all(fd), 1);
    sink_destroy(&sink);
    close(fd);
}

/* A sink that is asked before the one under test and takes all the room when drops are told. */
struct spoiler {
    const char *path;
    bool active;
    unsigned calls;
};

static void
spoil(void *ctx, const struct event_seen *seen)
{
    struct spoiler *spoiler = ctx;
    if (!spoiler->active || seen->id != EVENT_EVENTS_DROPPED)
        return;
    spoiler->calls++;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, spoiler->path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    while (sendto(fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&address, sizeof address) == 1)
        continue;
    close(fd);
}

static void
a_count_that_could_not_be_told_is_kept(void **state)
{
    struct world *world = *state;
    struct spoiler spoiler = {.path = world->path, .active = true};
    events_sink_add(world->events, spoil, &spoiler);
    int fd = listen_at(world->path);
    struct sink *sink = syslog_at(world);
    emit_many(world, 50);
    unsigned lost = 50 - receive_all(fd);
    clock_ms += 1000;
    sink_tick(sink, clock_ms); /* room at first, none when it is told */
    assert_int_equal(spoiler.calls, 1);
    receive_all(fd);
    spoiler.active = false;
    emit_many(world, 50);
    lost += 50 - receive_all(fd);
    struct event_seen seen;
    for (unsigned i = 0; i < 30; i++) {
        clock_ms += 1000;
        sink_tick(sink, clock_ms);
    }
    assert_int_equal(told(world, 1, &seen), 1); /* it does not fill the ring with attempts */
    assert_true(sink_deadline(sink) <= clock_ms + 60000);
    clock_ms = sink_deadline(sink);
    sink_tick(sink, clock_ms);
    assert_int_equal(told(world, 1, &seen), 2);
    assert_int_equal(field(&seen, "dropped"), lost);
    assert_int_equal(receive_all(fd), 1);
    events_sink_remove(world->events, spoil, &spoiler);
    sink_destroy(&sink);
    close(fd);
}

static void
one_full_sink_takes_nothing_from_another(void **state)
{
    struct world *world = *state;
    int fd = listen_at(world->path);
    struct sink *full = syslog_at(world), *file = NULL;
    char name[96], text[2048];
    snprintf(name, sizeof name, "%s/out", world->folder);
    int out = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0600);
    assert_true(out >= 0);
    assert_int_equal(sink_stderr_create(&file, world->events, out, &world->err), 0);
    emit_many(world, 1000);
    unsigned taken = receive_all(fd);
    assert_true(taken < 1000);
    clock_ms += 1000;
    sink_tick(full, clock_ms);
    sink_tick(file, clock_ms);
    unsigned lines = 0;
    FILE *in = fopen(name, "r");
    assert_non_null(in);
    while (fgets(text, sizeof text, in) != NULL)
        lines++;
    fclose(in);
    assert_int_equal(lines, 1001);
    assert_non_null(strstr(text, " events-dropped warning: "));
    sink_destroy(&full);
    sink_destroy(&file);
    close(out);
    close(fd);
}

/* --- stderr */

/* Reads what is there now, or up to cap - 1 bytes. */
static size_t
read_some(int fd, char *out, size_t cap)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    if (poll(&poller, 1, 0) != 1 || !(poller.revents & POLLIN))
        return 0;
    ssize_t n = read(fd, out, cap - 1);
    out[MAX(n, 0)] = '\0';
    return (size_t)MAX(n, 0);
}

static void
a_line_of_stderr_has_time_name_severity_subject_text_and_fields(void **state)
{
    struct world *world = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct sink *sink = NULL;
    assert_int_equal(sink_stderr_create(&sink, world->events, ends[1], &world->err), 0);
    setenv("TZ", "IST-5:30", 1);
    tzset();
    emit(world, 3);
    events_emit(world->events, EVENT_SUPERVISOR_STOPPED, NULL, nobody, NULL, "bye");
    unsetenv("TZ");
    char text[512], want[512], stamp[2][64];
    assert_true(read_some(ends[0], text, sizeof text) > 0);
    for (unsigned i = 0; i < 2; i++) {
        struct event_seen seen;
        assert_true(events_get(world->events, i + 1, &seen));
        time_t seconds = seen.wall_ms / 1000 + 19800;
        strftime(stamp[i], sizeof stamp[i], "%Y-%m-%dT%T+05:30", gmtime(&seconds));
    }
    snprintf(want, sizeof want,
             "%s worker-ready info shop/2.7: event 3 pid=3\n%s supervisor-stopped notice: bye\n",
             stamp[0], stamp[1]);
    assert_string_equal(text, want);
    sink_destroy(&sink);
    close(ends[0]);
    close(ends[1]);
}

/* Emits far more than fits while nobody reads, then reads; every line is whole, none comes twice, and
 * those that are missing are told. */
static void
expect_exact_counts(struct world *world, int write_end, int read_end)
{
    const unsigned count = 10000;
    struct sink *sink = NULL;
    assert_int_equal(sink_stderr_create(&sink, world->events, write_end, &world->err), 0);
    int flags = fcntl(write_end, F_GETFL);
    assert_int_equal(flags & O_NONBLOCK, 0); /* a blocking one: the hard case */
    emit_many(world, count);
    char *text = NULL, some[4096];
    size_t size;
    FILE *all = open_memstream(&text, &size);
    assert_non_null(all);
    unsigned quiet = 0;
    struct event_seen seen;
    while (quiet < 3) { /* a tick may leave the rest of a line */
        quiet++;
        for (size_t n; (n = read_some(read_end, some, sizeof some)) > 0; quiet = 0)
            fwrite(some, 1, n, all);
        clock_ms += 1000;
        sink_tick(sink, clock_ms);
    }
    assert_true(sink_deadline(sink) == MSEC_NEVER);
    fclose(all);
    assert_int_equal(told(world, count, &seen), 1);
    unsigned lines = 0, last = 0, tellers = 0;
    for (char *save, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        char *at = strstr(line, "worker-ready info shop/2.7: event ");
        unsigned number = 0, pid = 0;
        int end = 0;
        if (at == NULL) {
            assert_non_null(strstr(line, "events-dropped warning: "));
            tellers++;
            continue;
        }
        assert_int_equal(
            sscanf(at, "worker-ready info shop/2.7: event %u pid=%u%n", &number, &pid, &end), 2);
        assert_int_equal(at[end], '\0');
        assert_int_equal(number, pid);
        assert_true(lines == 0 || number > last);
        last = number;
        lines++;
    }
    assert_int_equal(tellers, 1);
    assert_in_range(lines, 1, count - 1);
    assert_int_equal(field(&seen, "dropped"), count - lines);
    assert_int_equal(fcntl(write_end, F_GETFL), flags);
    free(text);
    sink_destroy(&sink);
    close(write_end);
    close(read_end);
}

static void
a_full_pipe_takes_no_time_and_every_loss_is_told(void **state)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    expect_exact_counts(*state, ends[1], ends[0]);
}

static void
a_full_socket_as_stderr_takes_no_time_and_every_loss_is_told(void **state)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    expect_exact_counts(*state, ends[1], ends[0]);
}

static void
a_terminal_that_nobody_reads_takes_no_time_and_every_loss_is_told(void **state)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(slave >= 0);
    struct termios raw;
    assert_int_equal(tcgetattr(slave, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
    expect_exact_counts(*state, slave, master);
}

static void
a_reader_that_went_away_kills_nobody(void **state)
{
    struct world *world = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct sink *sink = NULL;
    assert_int_equal(sink_stderr_create(&sink, world->events, ends[1], &world->err), 0);
    close(ends[0]);
    emit_many(world, 10);
    assert_true(sink_deadline(sink) == clock_ms + 1000);
    clock_ms += 1000;
    sink_tick(sink, clock_ms);
    sink_destroy(&sink);
    close(ends[1]);
}

static void
only_what_can_be_a_log_is_taken_for_one(void **state)
{
    struct world *world = *state;
    struct sink *sink = NULL;
    static const char *const wrong[] = {"", "journal", "log", "./log", "file.log", "SYSLOG"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(sink_create(&sink, world->events, wrong[i], &world->err), -EINVAL);
        assert_non_null(strstr(world->err.text, "syslog"));
        assert_null(sink);
    }
    char longest[200];
    memset(longest, '/', sizeof longest);
    longest[108] = '\0';
    assert_int_equal(sink_create(&sink, world->events, longest, &world->err), -ENAMETOOLONG);
    longest[107] = '\0';
    assert_int_equal(sink_create(&sink, world->events, longest, &world->err), 0);
    sink_destroy(&sink);
    assert_int_equal(sink_create(&sink, world->events, "syslog", &world->err), 0);
    sink_destroy(&sink);
    assert_int_equal(sink_create(&sink, world->events, "stderr", &world->err), 0);
    sink_destroy(&sink);
    assert_int_equal(sink_stderr_create(&sink, world->events, 1000000, &world->err), -EBADF);
}

/* --- a real log daemon */

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_create, world_destroy)

int
main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the engine does */
    const struct CMUnitTest tests[] = {
        TEST(a_line_has_priority_time_tag_number_subject_text_and_fields),
        TEST(a_text_of_a_megabyte_is_cut_and_keeps_number_and_fields),
        TEST(a_full_socket_takes_no_time_and_every_loss_is_told_once),
        TEST(a_missing_socket_is_found_when_it_comes_and_its_losses_are_told),
        TEST(a_missing_socket_is_looked_for_at_most_once_a_second),
        TEST(a_daemon_that_was_started_anew_costs_no_event),
        TEST(drops_are_not_told_to_a_daemon_that_died_full),
        TEST(a_count_that_could_not_be_told_is_kept),
        TEST(one_full_sink_takes_nothing_from_another),
        TEST(a_line_of_stderr_has_time_name_severity_subject_text_and_fields),
        TEST(a_full_pipe_takes_no_time_and_every_loss_is_told),
        TEST(a_full_socket_as_stderr_takes_no_time_and_every_loss_is_told),
        TEST(a_terminal_that_nobody_reads_takes_no_time_and_every_loss_is_told),
        TEST(a_reader_that_went_away_kills_nobody),
        TEST(only_what_can_be_a_log_is_taken_for_one),
        TEST(a_stopped_rsyslogd_holds_nobody_up_and_the_counts_are_exact),
    };
    return cmocka_run_group_tests_name("sinks", tests, NULL, NULL) != 0;
}
