/* test_load.c - claims about what a good configuration compiles to. */
#include "test/unit/load_helper.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "supervisor/fds.h"
#include "supervisor/verbs.h"

static void
a_pool_without_settings_gets_the_defaults(void **state)
{
    (void)state;
    struct compiled compiled = compile_pool("");
    const struct record_pool *pool = good_pool(&compiled);
    const struct pool_settings *settings = &pool->settings;
    assert_string_equal(record_text(&compiled.record, pool->name), "p");
    assert_string_equal(record_text(&compiled.record, pool->program), "/bin/true");
    assert_string_equal(record_text(&compiled.record, pool->directory), "/");
    assert_int_equal(pool->argv.count, 1);
    assert_int_equal(pool->ready.count, 0);
    assert_int_equal(pool->umask, 0022);
    assert_int_equal(pool->handoff, HANDOFF_LISTEN_FDS);
    assert_int_equal(pool->stop_signal, SIGTERM);
    assert_int_equal(pool->no_new_privs, 1);
    assert_int_equal(pool->drop_privileges, geteuid() == 0);
    assert_int_equal(pool->socket_count, 0);
    assert_int_equal(settings->has_sockets, 0);
    assert_int_equal(settings->workers_min, 1);
    assert_int_equal(settings->workers_max, 1);
    assert_int_equal(settings->surge, 1);
    assert_int_equal(settings->ready, READY_EXEC);
    assert_int_equal(settings->overlap, 1);
    assert_int_equal(settings->rapid_fail, 1);
    assert_int_equal(settings->max_failures, 5);
    assert_int_equal(settings->startup_timeout_ms, 90000);
    assert_int_equal(settings->shutdown_timeout_ms, 90000);
    assert_int_equal(settings->failure_interval_ms, 300000);
    assert_int_equal(settings->failure_delay_ms, 200);
    assert_int_equal(settings->failure_delay_max_ms, 30000);
    compiled_fini(&compiled);
}

static void
every_setting_reaches_its_place(void **state)
{
    (void)state;
    struct compiled compiled = compile_pool(
        "\"directory\": \"/srv/x\", \"ready\": {\"after\": \"1500ms\", \"$comment\": \"c\"},"
        "\"stop_signal\": \"SIGQUIT\", \"handoff\": \"fd\", \"workers\": {\"min\": 4},"
        "\"recycling\": {\"overlap\": false, \"surge\": 2, \"$comment\": \"why\"},"
        "\"health\": {\"startup_timeout\": \"1h30m\", \"shutdown_timeout\": \"200ms\"},"
        "\"failure\": {\"rapid_fail\": false, \"max_failures\": 64, \"interval\": \"24h\","
        "\"delay\": \"3s\", \"delay_max\": \"3s\"}, \"$schema\": \"s\"");
    const struct record_pool *pool = good_pool(&compiled);
    const struct pool_settings *settings = &pool->settings;
    assert_string_equal(record_text(&compiled.record, pool->directory), "/srv/x");
    assert_int_equal(settings->ready, READY_AFTER);
    assert_int_equal(settings->ready_after_ms, 1500);
    assert_int_equal(pool->stop_signal, SIGQUIT);
    assert_int_equal(pool->handoff, HANDOFF_FD);
    assert_int_equal(settings->workers_min, 4);
    assert_int_equal(settings->workers_max, 4);
    assert_int_equal(settings->overlap, 0);
    assert_int_equal(settings->surge, 2);
    assert_int_equal(settings->startup_timeout_ms, 5400000);
    assert_int_equal(settings->shutdown_timeout_ms, 200);
    assert_int_equal(settings->rapid_fail, 0);
    assert_int_equal(settings->max_failures, 64);
    assert_int_equal(settings->failure_interval_ms, 86400000);
    assert_int_equal(settings->failure_delay_ms, 3000);
    assert_int_equal(settings->failure_delay_max_ms, 3000);
    compiled_fini(&compiled);
}

static void
a_surge_above_the_pool_is_all_its_workers(void **state)
{
    (void)state;
    struct compiled compiled =
        compile_pool("\"workers\": {\"min\": 2}, \"recycling\": {\"surge\": 9}");
    assert_int_equal(good_pool(&compiled)->settings.surge, 2);
    compiled_fini(&compiled);
}

static void
a_program_is_found_in_the_path_of_its_own_pool(void **state)
{
    (void)state;
    char dir[] = "/tmp/poold-test-XXXXXX", program[64], members[256];
    assert_non_null(mkdtemp(dir));
    snprintf(program, sizeof program, "%s/only-here", dir);
    int fd = open(program, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    close(fd);
    snprintf(members, sizeof members,
             "\"ready\": {\"command\": [\"only-here\", \"-q\"]}, \"environment\": {\"PATH\": "
             "\"relative::%s:/bin\"}",
             dir);
    struct compiled compiled = compile_pool(members);
    const struct record_pool *pool = good_pool(&compiled);
    assert_int_equal(pool->settings.ready, READY_COMMAND);
    assert_int_equal(pool->ready.count, 2);
    assert_string_equal(string_at(&compiled.record, &pool->ready, 0), program);
    assert_string_equal(string_at(&compiled.record, &pool->ready, 1), "-q");
    compiled_fini(&compiled);

    compiled = compile_pool("\"ready\": {\"command\": [\"only-here\"]}");
    assert_non_null(strstr(compiled.errors,
                           "/ready/command/0: there is no program \"only-here\" in "
                           "the pool's PATH (/usr/local/sbin:"));
    compiled_fini(&compiled);
    unlink(program);
    rmdir(dir);
}

static void
only_absolute_directories_and_executable_files_count_in_a_path(void **state)
{
    (void)state;
    char dir[] = "/tmp/poold-test-XXXXXX", file[64], members[256];
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/data", dir);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
    snprintf(members, sizeof members,
             "\"ready\": {\"command\": [\"data\"]}, \"environment\": {\"PATH\": \"%s\"}", dir);
    struct compiled compiled = compile_pool(members);
    assert_non_null(strstr(compiled.errors, "there is no program \"data\""));
    compiled_fini(&compiled);
    unlink(file);
    rmdir(dir);

    char *here = getcwd(NULL, 0);
    assert_int_equal(chdir("/"), 0); /* where bin/sh is */
    compiled = compile_pool(
        "\"ready\": {\"command\": [\"sh\"]}, \"environment\": {\"PATH\": \"bin:/nowhere\"}");
    assert_int_equal(chdir(here), 0);
    free(here);
    assert_non_null(strstr(compiled.errors, "there is no program \"sh\""));
    compiled_fini(&compiled);
}

static void
argv0_stays_as_written_and_the_program_is_absolute(void **state)
{
    (void)state;
    char text[256];
    snprintf(text, sizeof text, "{\"pools\": {\"p\": {\"command\": [\"sh\", \"\", \"a b\"], %s}}}",
             identity());
    struct compiled compiled = compile(text);
    const struct record_pool *pool = good_pool(&compiled);
    assert_int_equal(record_text(&compiled.record, pool->program)[0], '/');
    assert_int_equal(pool->argv.count, 3);
    assert_string_equal(string_at(&compiled.record, &pool->argv, 0), "sh");
    assert_string_equal(string_at(&compiled.record, &pool->argv, 1), "");
    assert_string_equal(string_at(&compiled.record, &pool->argv, 2), "a b");
    compiled_fini(&compiled);
}

static void
an_absolute_program_need_not_exist_yet(void **state)
{
    (void)state;
    struct compiled compiled = compile_pool("\"ready\": {\"command\": [\"/no/such/program\"]}");
    good_pool(&compiled);
    compiled_fini(&compiled);
}

static void
the_environment_is_clean_and_the_pools_own_comes_on_top(void **state)
{
    (void)state;
    setenv("TZ", "Europe/Berlin", 1);
    setenv("POOLD_TEST_SECRET", "x", 1);
    setenv("NOTIFY_SOCKET", "/x", 1);
    struct compiled compiled = compile_pool("\"environment\": {\"HOME\": \"/h\", \"LD_PRELOAD\": "
                                            "\"l\", \"_a1\": \"\", \"$comment\": \"c\"}");
    const struct record_pool *pool = good_pool(&compiled);
    const struct record *record = &compiled.record;
    struct passwd *own = getpwuid(geteuid());
    assert_int_equal(pool->env.count, 9);
    assert_string_equal(variable(record, pool, "PATH"),
                        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    assert_string_equal(variable(record, pool, "HOME"), "/h");
    assert_string_equal(variable(record, pool, "USER"), own->pw_name);
    assert_string_equal(variable(record, pool, "LOGNAME"), own->pw_name);
    assert_string_equal(variable(record, pool, "SHELL"), own->pw_shell);
    assert_string_equal(variable(record, pool, "LANG"), "C.UTF-8");
    assert_string_equal(variable(record, pool, "TZ"), "Europe/Berlin");
    assert_string_equal(variable(record, pool, "LD_PRELOAD"), "l");
    assert_string_equal(variable(record, pool, "_a1"), "");
    compiled_fini(&compiled);
    unsetenv("TZ");
    unsetenv("NOTIFY_SOCKET");
    compiled = compile_pool("");
    assert_null(variable(&compiled.record, good_pool(&compiled), "TZ"));
    compiled_fini(&compiled);
}

static void
addresses_become_socket_addresses(void **state)
{
    (void)state;
    struct compiled compiled =
        compile_pool("\"listen\": [\"127.0.0.1:8080\", \"[::1]:8081\", \"*:82\", "
                     "\"unix:/run/p.sock\", \"[::]:65535\"]");
    const struct record_pool *pool = good_pool(&compiled);
    const struct record_socket *sockets = compiled.record.sockets;
    assert_int_equal(pool->socket_first, 0);
    assert_int_equal(pool->socket_count, 5);
    assert_int_equal(pool->settings.has_sockets, 1);

    struct sockaddr_in in;
    memcpy(&in, sockets[0].sockaddr, sizeof in);
    assert_int_equal(sockets[0].family, AF_INET);
    assert_int_equal(sockets[0].length, sizeof in);
    assert_int_equal(in.sin_family, AF_INET);
    assert_int_equal(in.sin_port, htons(8080));
    assert_int_equal(in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    assert_int_equal(sockets[0].dual, 0);
    assert_int_equal(sockets[0].backlog, 1000);
    assert_string_equal(record_text(&compiled.record, sockets[0].address), "127.0.0.1:8080");
    assert_string_equal(record_text(&compiled.record, sockets[0].name), "p");

    struct sockaddr_in6 in6;
    memcpy(&in6, sockets[1].sockaddr, sizeof in6);
    assert_int_equal(sockets[1].family, AF_INET6);
    assert_int_equal(in6.sin6_port, htons(8081));
    assert_memory_equal(&in6.sin6_addr, &in6addr_loopback, sizeof in6addr_loopback);
    assert_int_equal(sockets[1].dual, 0);

    memcpy(&in6, sockets[2].sockaddr, sizeof in6);
    assert_int_equal(in6.sin6_port, htons(82));
    assert_memory_equal(&in6.sin6_addr, &in6addr_any, sizeof in6addr_any);
    assert_int_equal(sockets[2].dual, 1);

    struct sockaddr_un un;
    memcpy(&un, sockets[3].sockaddr, sizeof un);
    assert_int_equal(sockets[3].family, AF_UNIX);
    assert_string_equal(un.sun_path, "/run/p.sock");
    assert_int_equal(sockets[3].length, offsetof(struct sockaddr_un, sun_path) + 12);
    assert_int_equal(sockets[3].uid, geteuid());
    assert_int_equal(sockets[4].dual, 0);
    compiled_fini(&compiled);
}

static void
a_unix_path_may_have_107_bytes(void **state)
{
    (void)state;
    char path[109] = "/", members[256];
    memset(path + 1, 'x', 106);
    snprintf(members, sizeof members, "\"listen\": [\"unix:%s\"]", path);
    struct compiled compiled = compile_pool(members);
    assert_int_equal(good_pool(&compiled)->socket_count, 1);
    compiled_fini(&compiled);
    path[107] = 'x';
    snprintf(members, sizeof members, "\"listen\": [\"unix:%s\"]", path);
    compiled = compile_pool(members);
    assert_non_null(strstr(compiled.errors, "more than 107 bytes"));
    compiled_fini(&compiled);
}

static void
no_pools_are_a_valid_configuration(void **state)
{
    (void)state;
    struct compiled compiled = compile("{}");
    assert_string_equal(compiled.errors, "");
    assert_int_equal(compiled.record.header->pools, 0);
    cpu_set_t cpus;
    assert_int_equal(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    assert_int_equal(compiled.record.header->starts_max, 2 * CPU_COUNT(&cpus));
    assert_string_equal(record_text(&compiled.record, compiled.record.header->source), "c.json");
    compiled_fini(&compiled);
}

static void
the_serial_names_the_content(void **state)
{
    (void)state;
    struct compiled a = compile_pool("\"workers\": {\"min\": 2}");
    struct compiled same = compile_pool("\"$comment\": \"other text\", \"workers\": {\"min\": 2}");
    struct compiled other = compile_pool("\"workers\": {\"min\": 3}");
    assert_true(a.record.header->serial != 0);
    assert_true(a.record.header->serial == same.record.header->serial);
    assert_true(a.record.header->serial != other.record.header->serial);
    compiled_fini(&a);
    compiled_fini(&same);
    compiled_fini(&other);
}

/* Calls load_main in a child, with a link where the keeper puts it. Returns what that gave as the
 * first and only thing, -1: nothing. */
static int
loaded_by(enum load_mode mode, const char *path, const char *runtime, int in_force, int *status)
{
    const char *argv[] = {"poold", "--config", path, "--runtime-dir", runtime, NULL};
    int pair[2], fd = -1;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    uint32_t which = LOADED_CONFIG;
    if (in_force >= 0)
        assert_int_equal(fds_send(pair[0], &which, sizeof which, &in_force, 1), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (dup2(pair[1], LOADER_LINK_FD) != LOADER_LINK_FD)
            _exit(126);
        optind = 0;
        _exit(load_main(mode, 5, (char **)(uintptr_t)argv, NULL));
    }
    close(pair[1]);
    assert_int_equal(waitpid(pid, status, 0), pid);
    char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec iov = {&which, sizeof which};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(pair[0], &message, MSG_CMSG_CLOEXEC) > 0) {
        assert_int_equal(which, LOADED_CONFIG);
        const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header == NULL)
            abort(); /* what the compiler understands better than an assertion of cmocka's */
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
        assert_int_equal(recv(pair[0], &which, sizeof which, 0), 0);
    }
    close(pair[0]);
    return fd;
}

static void
a_load_while_poold_runs_gives_a_sealed_record_and_makes_no_directory(void **state)
{
    (void)state;
    int status;
    struct compiled compiled = compile("{\"pools\": {}}");
    int in_force = memfd_create("in force", MFD_CLOEXEC);
    assert_int_equal(write(in_force, compiled.result.image, compiled.result.size),
                     (ssize_t)compiled.result.size);
    int fd = loaded_by(LOAD_AGAIN, "/no/such/file.json", "/no/such/runtime", in_force, &status);
    close(in_force);
    compiled_fini(&compiled);
    assert_int_equal(status, 0);
    assert_true(fd >= 0);
    assert_int_not_equal(access("/no/such/runtime", F_OK), 0);
    assert_int_equal(fcntl(fd, F_GET_SEALS),
                     F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    struct record record;
    assert_int_equal(record_open(&record, map, (size_t)st.st_size), 0);
    assert_int_equal(record.header->errors, 1);
    assert_string_equal(record.text,
                        "/no/such/file.json: cannot open it: No such file or directory\n");
    munmap(map, (size_t)st.st_size);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_without_settings_gets_the_defaults),
        cmocka_unit_test(every_setting_reaches_its_place),
        cmocka_unit_test(a_surge_above_the_pool_is_all_its_workers),
        cmocka_unit_test(a_program_is_found_in_the_path_of_its_own_pool),
        cmocka_unit_test(only_absolute_directories_and_executable_files_count_in_a_path),
        cmocka_unit_test(argv0_stays_as_written_and_the_program_is_absolute),
        cmocka_unit_test(an_absolute_program_need_not_exist_yet),
        cmocka_unit_test(the_environment_is_clean_and_the_pools_own_comes_on_top),
        cmocka_unit_test(addresses_become_socket_addresses),
        cmocka_unit_test(a_unix_path_may_have_107_bytes),
        cmocka_unit_test(no_pools_are_a_valid_configuration),
        cmocka_unit_test(the_serial_names_the_content),
        cmocka_unit_test(a_load_while_poold_runs_gives_a_sealed_record_and_makes_no_directory),
    };
    return cmocka_run_group_tests_name("load", tests, NULL, NULL) != 0;
}
