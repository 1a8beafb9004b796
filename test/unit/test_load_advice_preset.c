/* test_load_advice_preset.c - claims about what is said of servers that have a preset. */
#include "test/unit/load_helper.h"

#include <sys/stat.h>

#include "supervisor/load/advice.h"

struct place {
    char directory[64], file[96], included[96];
};

static void
write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* The advice about the preset's server alone; free. */
static char *
advice_on(const struct place *place, const char *preset, const char *command, const char *members)
{
    char pool[1024], *out = NULL;
    size_t size;
    snprintf(pool, sizeof pool,
             "{\"pools\": {\"p\": {\"command\": [\"/bin/%s\"%s%s], %s, \"directory\": \"%s\", "
             "\"preset\": \"%s\", \"listen\": [\"127.0.0.1:8080\"]%s%s}}}",
             preset, command[0] == '\0' ? "" : ", ", command, identity(), place->directory, preset,
             members[0] == '\0' ? "" : ", ", members);
    struct compiled compiled = compile(pool);
    assert_string_equal(compiled.errors, "");
    FILE *stream = open_memstream(&out, &size);
    advice_print_preset(&compiled.record, &compiled.record.pools[0], stream);
    fclose(stream);
    compiled_fini(&compiled);
    return out;
}

struct advice_case {
    const char *preset, *command, *members;
    const char *file; /* of the server, "c" in its directory; NULL: there is none */
    const char *want; /* a part of the only line; "": nothing is said */
};

static void
expect(const struct place *place, const struct advice_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct advice_case *one = &cases[i];
        unlink(place->file);
        if (one->file != NULL)
            write_file(place->file, one->file);
        char *advice = advice_on(place, one->preset, one->command, one->members);
        const char *end = strchr(advice, '\n');
        bool good = one->want[0] == '\0' ? advice[0] == '\0'
                                         : strstr(advice, one->want) != NULL && end[1] == '\0';
        if (!good)
            fail_msg("%s %s: \"%s\" in place of \"%s\"", one->preset, one->command, advice,
                     one->want);
        free(advice);
    }
}

#define EXPECT(cases) expect(*state, cases, ARRAY_LEN(cases))
#define FD            "\"handoff\": \"fd\""

static void
a_server_that_would_listen_by_itself_is_named(void **state)
{
    static const struct advice_case cases[] = {
        {"gunicorn", "\"--preload\", \"-b\", \"fd://3\"", "", NULL, "takes the socket twice"},
        {"gunicorn", "\"--preload\", \"--bind=:80\"", FD, NULL,
         "with \"--bind\" \":80\" gunicorn listens there by itself"},
        {"gunicorn", "\"--preload\"", FD, NULL, "listens on 127.0.0.1:8000"},
        {"uvicorn", "\"--fd\", \"4\"", "", NULL, "\"4\" is none of its sockets"},
        {"uwsgi", "\"--http-socket\", \":8080\", \"gracefully_kill_them_all\"", "", NULL,
         "with \"--http-socket\" \":8080\" uwsgi listens there"},
        {"uwsgi", "\"--ini\", \"c\", \"gracefully_kill_them_all\"", "",
         "[uwsgi]\nhttp-socket = :8080\n; socket = :1\n", "with \"http-socket\" \":8080\""},
        {"puma", "\"-p\", \"9292\"", "", NULL, "with \"-p\" \"9292\" puma listens there by itself"},
        {"puma", "\"-b\", \"unix:///run/x\"", "", NULL, "\"unix:///run/x\" puma"},
        {"nginx", "\"-c\", \"c\"", "",
         "daemon off;\nserver {\n    listen [::]:8080;\n    listen 81 default_server;\n}\n",
         "with \"listen\" \"81\" nginx listens there"},
        {"php-fpm", "\"-F\", \"-y\", \"c\"", "",
         "process_control_timeout=9\nlisten = /run/x.sock\n",
         "with \"listen\" \"/run/x.sock\" php-fpm"},
        {"php-cgi", "\"-b\", \"9000\"", "", NULL, "with \"-b\" \"9000\" php-cgi"},
        {"lighttpd", "\"-D\", \"-f\", \"c\"", "", "server.port = 8080\n",
         "does not take the socket"},
        {"haproxy", "\"-f\", \"c\"", "", "frontend x\n  bind :8080\n", "write \"bind fd@3\""},
    };
    EXPECT(cases);
}

static void
a_server_that_would_cut_requests_or_leave_for_the_background_is_named(void **state)
{
    static const struct advice_case cases[] = {
        {"php-fpm", "\"-F\", \"-y\", \"c\"", "", "[global]\n;process_control_timeout = 9\n",
         "php-fpm cuts the requests"},
        {"php-fpm", "\"-F\", \"-y\", \"c\"", "", "process_control_timeout = 0\n",
         "php-fpm cuts the requests"},
        {"php-fpm", "\"-y\", \"c\"", "", "process_control_timeout = 9\n", "without \"-F\""},
        {"uwsgi", "\"--http-socket\", \"fd://3\", \"--die-on-term\", \"gracefully_kill_them_all\"",
         "", NULL, "uwsgi cuts the requests"},
        {"nginx", "\"-c\", \"c\"", "", "events {}\n", "without \"daemon off;\""},
        {"haproxy", "\"-D\", \"-f\", \"c\"", "", "bind fd@3\n", "with \"-D\" it leaves"},
    };
    EXPECT(cases);
}

static void
what_is_right_or_cannot_be_known_is_not(void **state)
{
    static const struct advice_case cases[] = {
        {"gunicorn", "\"--preload\", \"-b\", \":80\"", "", NULL,
         ""}, /* ignored: LISTEN_FDS counts */
        {"gunicorn", "\"-c\", \"c\"", "", "preload_app = True\n", ""},
        {"gunicorn", "\"-c\", \"none\"", "", NULL, ""},
        {"gunicorn", "\"x:y\"", "\"environment\": {\"GUNICORN_CMD_ARGS\": \"--preload\"}", NULL,
         ""},
        {"gunicorn", "\"--preload\", \"--bind\", \"fd://3\"", FD, NULL, ""},
        {"uvicorn", "\"--fd=3\"", "", NULL, ""},
        {"uwsgi", "\"app.ini\"", "", NULL, ""},
        {"uwsgi", "\"--ini\", \"c\"", "",
         "http-socket = fd://3\nhook-master-start = unix_signal:15 gracefully_kill_them_all\n", ""},
        {"puma", "\"-b\", \"tcp://127.0.0.1:8080\"", "", NULL, ""},
        {"puma", "\"-p\", \"9292\", \"--bind-to-activated-sockets=only\"", "", NULL, ""},
        {"nginx", "\"-g\", \"daemon  off;\", \"-c\", \"c\"", "", "listen 127.0.0.1:8080;\n", ""},
        {"nginx", "", "", NULL, ""},
        {"php-fpm", "\"-y\", \"c\"", "",
         "daemonize = no\nprocess_control_timeout = 60s\nlisten = 127.0.0.1:8080\n", ""},
        {"php-fpm", "\"-F\"", "", NULL, ""},
        {"lighttpd", "\"-Df\", \"c\"", "", NULL, ""},
        {"lighttpd", "\"-D\", \"-f\", \"c\"", "", "server.systemd-socket-activation= \"enable\"\n",
         ""},
        {"lighttpd", "\"-D\", \"-f\", \"c\"", "", "include \"x\"\n", ""},
        {"haproxy", "\"-f\", \"c\"", "", "bind  fd@3\nbind :81\n", ""},
        {"node", "\"x\"", "", NULL, ""},
    };
    EXPECT(cases);
}

static void
a_file_that_php_fpm_includes_may_say_it(void **state)
{
    struct place *place = *state;
    char text[256];
    snprintf(text, sizeof text, "include=%s/*.conf\n", place->directory);
    const struct advice_case without = {"php-fpm", "\"-F\", \"-y\", \"c\"", "", text,
                                        "php-fpm cuts the requests"};
    const struct advice_case with = {"php-fpm", "\"-F\", \"-y\", \"c\"", "", text, ""};
    expect(place, &without, 1);
    write_file(place->included, "[global]\nprocess_control_timeout = 5\n");
    expect(place, &with, 1);
}

static int
setup(void **state)
{
    static struct place place;
    place = (struct place){.directory = "/tmp/poold-advice-XXXXXX"};
    if (mkdtemp(place.directory) == NULL)
        return -1;
    snprintf(place.file, sizeof place.file, "%s/c", place.directory);
    snprintf(place.included, sizeof place.included, "%s/i.conf", place.directory);
    *state = &place;
    return 0;
}

static int
teardown(void **state)
{
    const struct place *place = *state;
    unlink(place->file);
    unlink(place->included);
    return rmdir(place->directory);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_server_that_would_listen_by_itself_is_named),
        CLAIM(a_server_that_would_cut_requests_or_leave_for_the_background_is_named),
        CLAIM(what_is_right_or_cannot_be_known_is_not),
        CLAIM(a_file_that_php_fpm_includes_may_say_it),
    };
    return cmocka_run_group_tests_name("load_advice_preset", tests, NULL, NULL) != 0;
}
