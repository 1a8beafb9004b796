/* test_load_identity.c - claims about who the workers of a pool run as. */
#include "test/unit/load_helper.h"

#include <pwd.h>
#include <sys/wait.h>

static void
as_root_the_identity_is_looked_up(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct compiled compiled =
        compile("{\"pools\": {\"a\": {\"command\": [\"/x\"], \"identity\": {\"user\": \"daemon\"}},"
                "\"b\": {\"command\": [\"/x\"], \"identity\": {\"user\": \"daemon\", \"group\": "
                "\"bin\"}}}}");
    assert_string_equal(compiled.errors, "");
    const struct record_pool *pool = compiled.record.pools;
    struct passwd *daemon = getpwnam("daemon");
    assert_int_equal(pool[0].uid, daemon->pw_uid);
    assert_int_equal(pool[0].gid, daemon->pw_gid);
    assert_int_equal(pool[0].drop_privileges, 1);
    assert_string_equal(record_text(&compiled.record, pool[0].user), "daemon");
    assert_string_equal(variable(&compiled.record, &pool[0], "HOME"), daemon->pw_dir);
    assert_true(pool[0].group_count >= 1);
    uint32_t first;
    memcpy(&first, compiled.record.text + pool[0].groups, sizeof first);
    assert_int_equal(first, daemon->pw_gid);
    assert_int_equal(pool[1].uid, daemon->pw_uid);
    assert_int_not_equal(pool[1].gid, daemon->pw_gid);
    compiled_fini(&compiled);
}

/* Runs body as user 65534 in a child; its exit status is the verdict. No assertion of cmocka in
 * there: it would carry on with the other tests in the child. */
static int
as_nobody(int (*body)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        bool dropped = geteuid() != 0 ||
                       (setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
        _exit(dropped ? body() : 99);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Whether the pool with this identity compiles to errors that hold want ("": to none). */
static bool
identity_gives(const char *user, const char *want)
{
    char text[256];
    struct load_options options = {.config = "c.json"};
    struct load_result result;
    struct record record;
    struct err err;
    snprintf(text, sizeof text, "{\"pools\": {\"p\": {\"command\": [\"/x\"], \"identity\": {%s}}}}",
             user);
    if (load_compile_text(&options, text, strlen(text), &result, &err) != 0 ||
        record_open(&record, result.image, result.size) != 0)
        return false;
    bool good = want[0] == '\0' ? record.header->errors == 0 && record.pools[0].uid == geteuid() &&
                                      record.pools[0].drop_privileges == 0 &&
                                      record.header->engine_uid == geteuid()
                                : record.header->errors == 1 && strstr(record.text, want) != NULL;
    load_result_fini(&result);
    return good;
}

static int
ordinary_identities(void)
{
    struct passwd *own = getpwuid(geteuid());
    char named[64];
    snprintf(named, sizeof named, "\"user\": \"%s\"", own == NULL ? "65534" : own->pw_name);
    return (identity_gives("", "") ? 0 : 1) | (identity_gives(named, "") ? 0 : 2) |
           (identity_gives("\"user\": \"root\"", "poold does not run as root") ? 0 : 4) |
           (identity_gives("\"group\": \"tty\"", "poold does not run as root") ? 0 : 8);
}

static void
an_ordinary_user_can_only_be_himself(void **state)
{
    (void)state;
    assert_int_equal(as_nobody(ordinary_identities), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_root_the_identity_is_looked_up),
        cmocka_unit_test(an_ordinary_user_can_only_be_himself),
    };
    return cmocka_run_group_tests_name("load_identity", tests, NULL, NULL) != 0;
}
