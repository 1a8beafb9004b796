/* test_roles.c - roles on the control socket: read from the file, and given to who asks. */
#include "test/unit/load_helper.h"
#include "test/unit/record_blob.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include "supervisor/load/keys.h"
#include "supervisor/load/roles.h"

/* Compiles as the loader does for a keeper in that runtime directory; NULL: for a check. */
static struct compiled
compile_for(const char *text, const char *runtime)
{
    struct load_options options = {.config = "c.json", .runtime = runtime};
    struct compiled out = {.errors = ""};
    struct err err;
    assert_int_equal(load_compile_text(&options, text, strlen(text), &out.result, &err), 0);
    assert_int_equal(record_open(&out.record, out.result.image, out.result.size), 0);
    if (out.record.header->errors > 0)
        out.errors = out.record.text;
    return out;
}

static const char *
path_of(const struct record *record)
{
    const struct record_socket *control = record_control(record);
    assert_non_null(control);
    const char *path = (const char *)control->sockaddr + offsetof(struct sockaddr_un, sun_path);
    assert_string_equal(record_text(record, control->address), path);
    return path;
}

static void
names_become_numbers_in_the_order_of_the_file(void **state)
{
    (void)state;
    struct compiled compiled =
        compile_for("{\"control\": {\"viewer\": [\"daemon\", \"@root\"], \"admin\": [\"root\"], "
                    "\"operator\": [\"@daemon\"]}}",
                    "/run/x");
    const struct {
        const char *name;
        enum role role;
        bool is_group;
    } expected[] = {{"root", ROLE_ADMIN, false},
                    {"@daemon", ROLE_OPERATOR, true},
                    {"daemon", ROLE_VIEWER, false},
                    {"@root", ROLE_VIEWER, true}};
    assert_string_equal(compiled.errors, "");
    assert_int_equal(compiled.record.header->role_count, ARRAY_LEN(expected));
    for (uint32_t i = 0; i < ARRAY_LEN(expected); i++) {
        struct record_role role = record_role_at(&compiled.record, i);
        const char *name = expected[i].name;
        assert_string_equal(record_text(&compiled.record, role.name), name);
        assert_int_equal(role.role, expected[i].role);
        assert_int_equal(role.is_group, expected[i].is_group);
        assert_int_equal(role.id, expected[i].is_group ? getgrnam(name + 1)->gr_gid
                                                       : getpwnam(name)->pw_uid);
    }
    compiled_fini(&compiled);
}

static void
the_socket_is_in_the_runtime_directory_unless_the_file_says_otherwise(void **state)
{
    (void)state;
    struct compiled compiled = compile_for("{}", "/run/x");
    assert_string_equal(path_of(&compiled.record), "/run/x/control");
    assert_int_equal(record_control(&compiled.record)->mode, 0600);
    assert_int_equal(record_control(&compiled.record)->uid, geteuid());
    compiled_fini(&compiled);
    compiled = compile_for("{\"control\": {\"socket\": \"/srv/p.sock\"}}", "/run/x");
    assert_string_equal(path_of(&compiled.record), "/srv/p.sock");
    compiled_fini(&compiled);
    compiled = compile_for("{}", NULL); /* where poold will run is not known */
    assert_null(record_control(&compiled.record));
    compiled_fini(&compiled);
}

static void
others_may_connect_only_when_others_have_a_role(void **state)
{
    (void)state;
    const struct passwd *own = getpwuid(geteuid());
    char text[256];
    snprintf(text, sizeof text, "{\"control\": {\"admin\": [\"root\", \"%s\"]}}",
             own == NULL ? "root" : own->pw_name);
    struct compiled compiled = compile_for(text, "/run/x");
    assert_int_equal(record_control(&compiled.record)->mode, 0600);
    compiled_fini(&compiled);
    compiled = compile_for("{\"control\": {\"viewer\": [\"@root\"]}}", "/run/x");
    assert_int_equal(record_control(&compiled.record)->mode, 0666);
    compiled_fini(&compiled);
    compiled = compile_for("{\"control\": {\"viewer\": [\"daemon\"]}}", "/run/x");
    assert_int_equal(record_control(&compiled.record)->mode, 0666);
    compiled_fini(&compiled);
}

static void
the_path_has_at_most_107_bytes(void **state)
{
    (void)state;
    for (int len = 107; len <= 108; len++) {
        char text[256];
        snprintf(text, sizeof text, "{\"control\": {\"socket\": \"/%0*d\"}}", len - 1, 7);
        struct compiled compiled = compile_for(text, "/run/x");
        if (len == 107)
            assert_int_equal(strlen(path_of(&compiled.record)), 107);
        else
            assert_non_null(strstr(compiled.errors, "found a path of 108 bytes; a socket's has at "
                                                    "most 107, the kernel's limit"));
        compiled_fini(&compiled);
    }
}

/* Each must be an error that says so at that place. */
static void
what_is_no_name_and_no_path_is_refused_where_it_stands(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } bad[] = {
        {"{\"control\": {\"admin\": \"root\"}}", "c.json:1:23: /control/admin: found the string "
                                                 "\"root\", but an array of at most 256 names"},
        {"{\"control\": {\"admin\": [\"\"]}}",
         "c.json:1:24: /control/admin/0: found the string \"\", but the name of a user"},
        {"{\"control\": {\"admin\": [\"@\"]}}",
         "c.json:1:24: /control/admin/0: found the string \"@\", but the name of a user"},
        {"{\"control\": {\"viewer\": [null]}}", "c.json:1:25: /control/viewer/0: "},
        {"{\"control\": {\"viewer\": [\"ro\\u0007ot\"]}}", "c.json:1:25: /control/viewer/0: "},
        {"{\"control\": {\"viewer\": [\"root\", \"@rooot\"]}}",
         "c.json:1:33: /control/viewer/1: there is no group \"rooot\"; did you mean \"root\"?"},
        {"{\"control\": {\"operators\": []}}",
         "c.json:1:14: /control/operators: unknown key \"operators\"; did you mean \"operator\"?"},
        {"{\"control\": {\"socket\": \"run/x\"}}",
         "/control/socket: found the string \"run/x\", but"},
        {"{\"control\": {\"socket\": \"/run/\"}}", "that does not end with /"},
        {"{\"control\": {\"socket\": 7}}", "/control/socket: found the number 7"},
        {"{\"control\": []}", "/control: found an empty array, but an object of keys is needed"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct compiled compiled = compile_for(bad[i].text, "/run/x");
        if (strstr(compiled.errors, bad[i].error) == NULL)
            fail_msg("%s: \"%s\" is not in \"%s\"", bad[i].text, bad[i].error, compiled.errors);
        assert_int_equal(compiled.record.header->role_count, 0);
        assert_null(record_control(&compiled.record));
        compiled_fini(&compiled);
    }
}

static void
a_list_has_at_most_256_names(void **state)
{
    (void)state;
    for (int count = 256; count <= 257; count++) {
        char text[8192] = "{\"control\": {\"viewer\": [\"root\"";
        for (int i = 1; i < count; i++)
            snprintf(text + strlen(text), sizeof text - strlen(text), ", \"root\"");
        snprintf(text + strlen(text), sizeof text - strlen(text), "]}}");
        struct compiled compiled = compile_for(text, "/run/x");
        assert_int_equal(compiled.record.header->role_count, count == 256 ? 256 : 0);
        assert_int_equal(compiled.errors[0] == '\0', count == 256);
        compiled_fini(&compiled);
    }
}

/* --- who has which role */

static struct blob blob;
static struct record record;

static void
record_of_roles(void)
{
    blob_init(&blob);
    blob_role(&blob, ROLE_ADMIN, false, 10, "ada");
    blob_role(&blob, ROLE_VIEWER, false, 11, "vera");
    blob_role(&blob, ROLE_VIEWER, true, 11, "@view");
    blob_role(&blob, ROLE_OPERATOR, true, 20, "@ops");
    blob_role(&blob, ROLE_VIEWER, true, 21, "@all");
    blob_finish(&blob);
    assert_int_equal(record_open(&record, blob.bytes, blob.size), 0);
}

static void
a_role_comes_by_the_name_or_by_a_group_and_the_highest_counts(void **state)
{
    (void)state;
    record_of_roles();
    static const struct {
        uint32_t uid, groups[3];
        enum role role;
    } cases[] = {
        {10, {1, 2, 3}, ROLE_ADMIN},      {11, {1, 2, 3}, ROLE_VIEWER},
        {99, {20, 2, 3}, ROLE_OPERATOR},  {99, {1, 2, 20}, ROLE_OPERATOR},
        {99, {21, 20, 3}, ROLE_OPERATOR}, {11, {20, 2, 3}, ROLE_OPERATOR},
        {10, {20, 21, 3}, ROLE_ADMIN},    {99, {1, 2, 21}, ROLE_VIEWER},
        {99, {1, 2, 3}, ROLE_NONE},       {99, {10, 2, 3}, ROLE_NONE}, /* a user's number */
        {20, {1, 2, 3}, ROLE_NONE},       {21, {1, 2, 3}, ROLE_NONE},  /* a group's number */
        {99, {11, 1, 2}, ROLE_VIEWER},    {0, {0, 0, 0}, ROLE_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(roles_of(&record, cases[i].uid, cases[i].groups, 3), cases[i].role);
    assert_int_equal(roles_of(&record, 99, NULL, 0), ROLE_NONE);
    assert_int_equal(roles_of(&record, 11, NULL, 0), ROLE_VIEWER);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_numbers_in_the_order_of_the_file),
        cmocka_unit_test(the_socket_is_in_the_runtime_directory_unless_the_file_says_otherwise),
        cmocka_unit_test(others_may_connect_only_when_others_have_a_role),
        cmocka_unit_test(the_path_has_at_most_107_bytes),
        cmocka_unit_test(what_is_no_name_and_no_path_is_refused_where_it_stands),
        cmocka_unit_test(a_list_has_at_most_256_names),
        cmocka_unit_test(a_role_comes_by_the_name_or_by_a_group_and_the_highest_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
