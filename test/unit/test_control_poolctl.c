/* test_control_poolctl.c - poolctl against the server: what it prints and how it exits. */
#include "test/unit/fake_shell.c"
#include "test/unit/line_client.c"

#include <signal.h>
#include <sys/wait.h>

static const char *const names[] = {"web", "api"};
static char poolctl[512];

static int
setup(void **state)
{
    *state = fake_create(names, 2, 2);
    return 0;
}

static int
teardown(void **state)
{
    fake_destroy(*state);
    return 0;
}

/* --- A run of poolctl. */

struct run {
    pid_t pid;
    int out_fd, err_fd;
    char out[262144], err[4096];
    size_t out_len, err_len;
    int status; /* exit status; -1: running, or killed */
    bool ended;
    const char *expected; /* run_shows: until standard output holds it */
};

static void
take(int fd, char *text, size_t cap, size_t *len)
{
    ssize_t n;
    while ((n = read(fd, text + *len, cap - 1 - *len)) > 0)
        *len += (size_t)n;
    text[*len] = '\0';
}

static bool
run_has_ended(void *ctx)
{
    struct run *run = ctx;
    int status;
    bool ended = waitpid(run->pid, &status, WNOHANG) == run->pid;
    take(run->out_fd, run->out, sizeof run->out, &run->out_len);
    take(run->err_fd, run->err, sizeof run->err, &run->err_len);
    if (ended) {
        run->ended = true;
        run->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    return ended;
}

static bool
run_shows(void *ctx)
{
    struct run *run = ctx;
    return run_has_ended(run) || strstr(run->out, run->expected) != NULL;
}

/* terminal: standard output, or -1 for a pipe. words end with NULL. */
static void
run_begin(struct run *run, const char *path, int terminal, const char *const *words)
{
    const char *argv[16] = {poolctl, "--socket", path};
    int out[2], err[2];
    for (size_t i = 0; words[i] != NULL; i++)
        argv[3 + i] = words[i];
    memset(run, 0, sizeof *run);
    run->status = -1;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    run->pid = fork();
    assert_true(run->pid >= 0);
    if (run->pid == 0) {
        dup2(terminal >= 0 ? terminal : out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        execv(poolctl, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(out[1]);
    close(err[1]);
    run->out_fd = out[0];
    run->err_fd = err[0];
    fcntl(run->out_fd, F_SETFL, O_NONBLOCK);
    fcntl(run->err_fd, F_SETFL, O_NONBLOCK);
}

static void
run_end(struct run *run)
{
    close(run->out_fd);
    close(run->err_fd);
}

/* Runs poolctl to its end. The result is valid until the next one. */
static struct run *
run_whole(struct shell *shell, const char *const *words)
{
    static struct run run;
    run_begin(&run, shell->path, -1, words);
    assert_true(fake_until(shell, run_has_ended, &run, 20000));
    run_end(&run);
    return &run;
}

#define RUN(shell, ...) run_whole((shell), (const char *const[]){__VA_ARGS__, NULL})

#define assert_holds(text, part)                                                                   \
    do {                                                                                           \
        if (strstr((text), (part)) == NULL)                                                        \
            fail_msg("\"%s\" does not hold \"%s\"", (text), (part));                               \
    } while (0)

/* --- Looking. */

static void
status_is_a_table_and_exits_0_when_all_is_well(void **state)
{
    struct run *run = RUN(*state, "status");
    assert_int_equal(run->status, 0);
    assert_holds(run->out, "POOL  STATE    WORKERS  FOR");
    assert_holds(run->out, "web   started  2/2");
    assert_holds(run->out, "0/3       127.0.0.1:8080\n");
    assert_null(strchr(run->out, '\033'));
    assert_string_equal(run->err, "");
    assert_string_equal(RUN(*state, "status", "api")->err, "");
}

static void
status_of_a_disabled_pool_says_why_and_exits_3(void **state)
{
    struct shell *shell = *state;
    RUN(shell, "stop", "web", "--wait");
    assert_int_equal(RUN(shell, "status")->status, 0); /* it is not wanted */
    shell->exec_fails = true;
    struct run *run = RUN(shell, "start", "web", "--wait");
    assert_int_equal(run->status, 1);
    assert_holds(run->err, "poolctl: web: it was disabled: too many failures");
    assert_holds(run->err, "hint: ");
    run = RUN(shell, "status");
    assert_int_equal(run->status, 3);
    assert_holds(run->out, "web: disabled: too many failures (rapid-fail protection)");
    assert_holds(run->out, "web: 3 of 3 failures within 5m");
    assert_holds(run->out, "poolctl start web");
    assert_int_equal(RUN(shell, "status", "api")->status, 0);
}

static void
status_names_the_newest_cause_of_a_pool_that_is_down(void **state)
{
    struct shell *shell = *state;
    RUN(shell, "stop", "web", "--wait");
    shell->exec_fails = true;
    RUN(shell, "start", "web", "--wait");
    struct event_fields fields = {0};
    fields_string(&fields, "step", "make a process");
    fields_number(&fields, "errno", EAGAIN);
    events_emit(shell->events, EVENT_SPAWN_FAILED, "web", (struct worker_id){0}, &fields, "x");
    assert_holds(RUN(shell, "status")->out,
                 "web: last: cannot make a process: Resource temporarily unavailable\n");
    fields = (struct event_fields){0};
    fields_number(&fields, "code", 3);
    fields_seconds(&fields, "age", 12);
    fields_string(&fields, "last_line", "KeyError: DATABASE_URL");
    events_emit(shell->events, EVENT_WORKER_DIED, "web", (struct worker_id){0}, &fields, "died");
    struct run *run = RUN(shell, "status", "web");
    assert_holds(run->out,
                 "web: last: exit code 3 after 0.012 s; it said \"KeyError: DATABASE_URL\"\n");
    assert_null(strstr(run->out, "api: "));
    char *hint = strstr(run->out, "poolctl start web");
    assert_non_null(hint);
    assert_null(strstr(hint + 1, "poolctl start web"));
    assert_holds(RUN(shell, "events")->out, ": died; it said \"KeyError: DATABASE_URL\"\n");
    shell->exec_fails = false;
    RUN(shell, "start", "web", "--wait");
    assert_null(strstr(RUN(shell, "status")->out, "last: "));
}

static void
json_has_short_numbers_and_ends_its_last_line(void **state)
{
    static const char *const lines[][3] = {{"status"},         {"workers"}, {"events"},
                                           {"recycle", "web"}, {"version"}, {"start", "web"},
                                           {"status", "wbe"},  {"nonsense"}};
    struct shell *shell = *state;
    RUN(shell, "recycle", "api", "--wait");
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct run *run = RUN(shell, "--json", lines[i][0], lines[i][1]);
        assert_true(run->out_len > 0 && run->out[run->out_len - 1] == '\n');
        for (const char *at = run->out; (at = strchr(at, '.')) != NULL;) {
            size_t digits = strspn(++at, "0123456789");
            if (digits > 3)
                fail_msg("a number with %zu digits behind its point: %.40s", digits, at - 5);
        }
    }
}

static void
status_as_json_has_supervisor_and_pools(void **state)
{
    struct run *run = RUN(*state, "--json", "status");
    json_t *all = json_loads(run->out, 0, NULL);
    assert_string_equal(text_at(all, "supervisor.state"), "running");
    assert_int_equal(json_array_size(at(all, "pools")), 2);
    json_decref(all);
    run = RUN(*state, "status", "api", "wbe", "--json");
    json_t *one = json_loads(run->out, 0, NULL);
    assert_int_equal(run->status, 4);
    assert_string_equal(text_at(one, "pools.0.name"), "api");
    assert_string_equal(text_at(one, "errors.0.pool"), "wbe");
    assert_string_equal(text_at(one, "supervisor.state"), "running");
    json_decref(one);
}

static void
workers_are_listed_with_pid_and_state(void **state)
{
    struct run *run = RUN(*state, "workers", "api");
    assert_int_equal(run->status, 0);
    assert_holds(run->out, "WORKER   PID");
    assert_holds(run->out, "api/1.2");
    assert_holds(run->out, "ready");
    assert_null(strstr(run->out, "web/"));
}

static void
versions_of_both_sides_are_told(void **state)
{
    struct run *run = RUN(*state, "version");
    assert_string_equal(run->out, "poolctl " POOLD_VERSION "\npoold " POOLD_VERSION " (API 1)\n");
}

/* --- Changing. */

static void
recycle_that_waits_prints_one_line_a_pool(void **state)
{
    struct run *run = RUN(*state, "recycle", "web", "api", "--wait");
    assert_int_equal(run->status, 0);
    assert_holds(run->out, "web: 2 replaced in 0.");
    assert_holds(run->out, "api: 2 replaced in 0.");
    run = RUN(*state, "--json", "recycle", "web", "--wait");
    json_t *all = json_loads(run->out, 0, NULL);
    assert_int_equal(number_at(all, "results.0.replaced"), 2);
    json_decref(all);
}

static void
start_and_stop_say_what_has_begun_or_was_so_already(void **state)
{
    struct shell *shell = *state;
    assert_string_equal(RUN(shell, "start", "web")->out, "web: already started\n");
    assert_string_equal(RUN(shell, "stop", "web")->out, "web: stopping\n");
    assert_holds(RUN(shell, "stop", "web", "--wait")->out, "web: stopped in 0.");
    assert_string_equal(RUN(shell, "stop", "web")->out, "web: already stopped\n");
    assert_string_equal(RUN(shell, "start", "web")->out, "web: starting\n");
    assert_holds(RUN(shell, "start", "web", "--wait")->out, "web: started in 0.");
}

static void
each_failure_has_its_exit_status_and_a_hint(void **state)
{
    struct shell *shell = *state;
    struct run *run = RUN(shell, "recycle", "wbe", "web");
    assert_int_equal(run->status, 4);
    assert_holds(run->err, "poolctl: wbe: there is no pool \"wbe\"\nhint: did you mean \"web\"?");
    assert_string_equal(run->out, "web: recycling\n"); /* the other one is done */
    RUN(shell, "stop", "api", "--wait");
    run = RUN(shell, "recycle", "api");
    assert_int_equal(run->status, 1);
    assert_holds(run->err, "poolctl: api: it is stopped: there is nothing to recycle\nhint: ");
    shell->drain_hangs = true;
    run = RUN(shell, "stop", "web", "--wait", "--timeout", "50ms");
    assert_int_equal(run->status, 75);
    assert_holds(run->err, "poolctl: web: still stopping after 50ms; it goes on");
    run = RUN(shell, "--json", "recycle", "api");
    json_t *all = json_loads(run->out, 0, NULL);
    assert_int_equal(number_at(all, "results.0.error.code"), 1);
    json_decref(all);
}

static void
wrong_usage_exits_2_and_says_what_was_meant(void **state)
{
    static const struct {
        const char *words[5];
        const char *says;
    } cases[] = {
        {{"recyle", "web"}, "hint: did you mean \"recycle\"?"},
        {{"restart", "web"}, "hint: did you mean \"recycle\"?"},
        {{"reload"}, "hint: \"config apply\" reads the files again"},
        {{"logs"}, "hint: did you mean \"events\"?"},
        {{"ps"}, "hint: did you mean \"workers\"?"},
        {{"kill", "web"}, "hint: \"stop POOL\""},
        {{"recycle"}, "recycle POOL ...: nothing is named"},
        {{"status", "--wait"}, "--wait is not an option of this verb"},
        {{"stop", "web", "--timeout", "5s"}, "--timeout is the limit of --wait"},
        {{"stop", "web", "--wait", "--timeout=5"}, "is not a duration"},
        {{"version", "x"}, "\"x\" is too much"},
        {{"--runtime-dir", "/tmp", "status"}, "exclude each other"},
        {{"--nonsense"}, "hint: "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const *w = cases[i].words;
        struct run *run = RUN(*state, w[0], w[1], w[2], w[3], w[4]);
        assert_int_equal(run->status, 2);
        assert_holds(run->err, cases[i].says);
        assert_string_equal(run->out, "");
    }
}

static void
shutdown_stops_and_a_second_one_hurries(void **state)
{
    struct shell *shell = *state;
    shell->drain_hangs = true;
    assert_string_equal(RUN(shell, "shutdown")->out, "poold drains its pools and stops\n");
    assert_holds(RUN(shell, "status")->out, "poold is stopping\n");
    assert_int_equal(RUN(shell, "start", "web")->status, 69);
    assert_string_equal(RUN(shell, "shutdown")->out, "poold stops in a hurry\n");
}

/* --- Events. */

static void
events_prints_the_newest_and_ends(void **state)
{
    struct shell *shell = *state;
    RUN(shell, "recycle", "web", "--wait");
    struct run *run = RUN(shell, "events", "--pool", "web");
    assert_int_equal(run->status, 0);
    assert_holds(run->out, " control-command web: pool.recycle by user ");
    assert_null(strstr(run->out, "api"));
    run = RUN(shell, "events", "--json");
    char *end = strchr(run->out, '\n');
    assert_non_null(end);
    json_t *event = json_loadb(run->out, (size_t)(end - run->out), 0, NULL);
    assert_true(number_at(event, "seq") > 0);
    json_decref(event);
}

static void
events_that_are_followed_come_as_they_happen(void **state)
{
    struct shell *shell = *state;
    static struct run run;
    run_begin(&run, shell->path, -1, (const char *const[]){"events", "--follow", NULL});
    run.expected = "\n";
    assert_true(fake_until(shell, run_shows, &run, 10000));
    RUN(shell, "recycle", "api", "--wait");
    run.expected = "event 6022 of the core";
    assert_true(fake_until(shell, run_shows, &run, 10000));
    assert_false(run.ended);
    assert_holds(run.out, "control-command api: pool.recycle");
    kill(run.pid, SIGKILL);
    assert_true(fake_until(shell, run_has_ended, &run, 10000));
    run_end(&run);
}

/* --- No supervisor, or a strange one. */

static void
without_a_supervisor_it_exits_69_and_says_where_it_looked(void **state)
{
    struct shell *shell = *state;
    struct shell nobody = *shell;
    static struct run run;
    snprintf(nobody.path, sizeof nobody.path, "%s/nobody", shell->directory);
    run_begin(&run, nobody.path, -1, (const char *const[]){"status", NULL});
    assert_true(fake_until(shell, run_has_ended, &run, 10000));
    run_end(&run);
    assert_int_equal(run.status, 69);
    assert_holds(run.err, nobody.path);
    run_begin(&run, nobody.path, -1, (const char *const[]){"status", "--json", NULL});
    assert_true(fake_until(shell, run_has_ended, &run, 10000));
    run_end(&run);
    json_t *error = json_loads(run.out, 0, NULL);
    assert_int_equal(number_at(error, "error.code"), 69);
    json_decref(error);
}

/* A peer that sends bytes to each caller and closes. */
struct peer {
    struct run run;
    int fd;
    int callers;
    const char *bytes;
};

static bool
peer_has_ended(void *ctx)
{
    struct peer *peer = ctx;
    int fd = accept4(peer->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        peer->callers++;
        ssize_t sent = send(fd, peer->bytes, strlen(peer->bytes), MSG_NOSIGNAL);
        (void)sent;
        close(fd);
    }
    return run_has_ended(&peer->run);
}

static void
replies_that_end_half_way_or_are_no_json_are_no_supervisor(void **state)
{
    static const char *const replies[] = {"", "{\"jsonrpc\":\"2.0\",\"id\":1,\"resu",
                                          "HTTP/1.1 400\n", "[1]\n", "\n"};
    struct shell *shell = *state;
    static struct peer peer;
    for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
        struct shell strange = *shell;
        peer.fd = fake_listen(&strange);
        peer.bytes = replies[i];
        run_begin(&peer.run, strange.path, -1, (const char *const[]){"recycle", "web", NULL});
        assert_true(fake_until(shell, peer_has_ended, &peer, 10000));
        run_end(&peer.run);
        assert_int_equal(peer.run.status, 69);
        assert_true(peer.run.err_len > 0);
        close(peer.fd);
        unlink(strange.path);
        rmdir(strange.directory);
    }
}

static void
looking_is_tried_twice_when_an_engine_ends_and_changing_is_not(void **state)
{
    struct shell *shell = *state;
    static struct peer peer;
    for (int change = 0; change < 2; change++) {
        struct shell dying = *shell;
        peer = (struct peer){.fd = fake_listen(&dying), .bytes = ""};
        run_begin(&peer.run, dying.path, -1,
                  change ? (const char *const[]){"recycle", "web", NULL}
                         : (const char *const[]){"status", NULL});
        assert_true(fake_until(shell, peer_has_ended, &peer, 10000));
        run_end(&peer.run);
        assert_int_equal(peer.run.status, 69);
        assert_int_equal(peer.callers, change ? 1 : 2);
        close(peer.fd);
        unlink(dying.path);
        rmdir(dying.directory);
    }
}

/* The manual is read in a tree that was checked out; the tests run at its top. */
static void
every_verb_and_option_is_in_the_manual(void **state)
{
    struct run *run = RUN(*state, "help");
    static char manual[65536];
    FILE *file = fopen("man/poolctl.1", "r");
    assert_non_null(file);
    manual[fread(manual, 1, sizeof manual - 1, file)] = '\0';
    fclose(file);
    unsigned verbs = 0;
    for (char *line = run->out, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        char entry[64], verb[32];
        if (sscanf(line, "  %31[a-z]", verb) != 1 || strncmp(line, "  ", 2) != 0)
            continue;
        snprintf(entry, sizeof entry, "\n.It Cm %s", verb);
        assert_holds(manual, entry);
        verbs++;
    }
    assert_int_equal(verbs, 11);
    assert_holds(manual, "\n.It Fl Fl wait\n");
    assert_holds(manual, "\n.It Fl Fl timeout Ar duration\n");
    assert_holds(manual, "\n.It Fl Fl follow , Fl f\n");
    assert_holds(manual, "\n.It Fl Fl pool Ar pool\n");
}

/* --- Colour. */

static void
there_is_colour_on_a_terminal_only_and_not_with_no_color(void **state)
{
    struct shell *shell = *state;
    for (int without = 0; without < 2; without++) {
        static struct run run;
        int main_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
        assert_true(main_fd >= 0 && grantpt(main_fd) == 0 && unlockpt(main_fd) == 0);
        int terminal = open(ptsname(main_fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
        setenv("TERM", "xterm", 1);
        if (without)
            setenv("NO_COLOR", "1", 1);
        run_begin(&run, shell->path, terminal, (const char *const[]){"status", NULL});
        close(run.out_fd);
        run.out_fd = main_fd;
        assert_true(fake_until(shell, run_has_ended, &run, 10000));
        assert_holds(run.out, "started");
        assert_int_equal(strchr(run.out, '\033') != NULL, !without);
        close(terminal);
        run_end(&run);
    }
    unsetenv("NO_COLOR");
}

int
main(void)
{
    const char *build = getenv("POOLD_BUILD");
    snprintf(poolctl, sizeof poolctl, "%s/poolctl", build == NULL ? "build" : build);
    unsetenv("NO_COLOR");
    signal(SIGPIPE, SIG_IGN);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(status_is_a_table_and_exits_0_when_all_is_well),
        TEST(status_of_a_disabled_pool_says_why_and_exits_3),
        TEST(status_names_the_newest_cause_of_a_pool_that_is_down),
        TEST(json_has_short_numbers_and_ends_its_last_line),
        TEST(status_as_json_has_supervisor_and_pools),
        TEST(workers_are_listed_with_pid_and_state),
        TEST(versions_of_both_sides_are_told),
        TEST(recycle_that_waits_prints_one_line_a_pool),
        TEST(start_and_stop_say_what_has_begun_or_was_so_already),
        TEST(each_failure_has_its_exit_status_and_a_hint),
        TEST(wrong_usage_exits_2_and_says_what_was_meant),
        TEST(shutdown_stops_and_a_second_one_hurries),
        TEST(events_prints_the_newest_and_ends),
        TEST(events_that_are_followed_come_as_they_happen),
        TEST(without_a_supervisor_it_exits_69_and_says_where_it_looked),
        TEST(replies_that_end_half_way_or_are_no_json_are_no_supervisor),
        TEST(looking_is_tried_twice_when_an_engine_ends_and_changing_is_not),
        TEST(every_verb_and_option_is_in_the_manual),
        TEST(there_is_colour_on_a_terminal_only_and_not_with_no_color),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
