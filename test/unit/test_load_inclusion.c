/* test_load_inclusion.c - claims about the addresses that may be listened on (`listen_addresses`). */
#include "test/unit/load_helper.h"

#include <netinet/in.h>

static struct compiled
compile_listening(const char *addresses, const char *listen)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"listen_addresses\": [%s],\n\"pools\": {\"p\": {\"command\": [\"/x\"], %s, "
             "\"listen\": [%s]}}}",
             addresses, identity(), listen);
    return compile(text);
}

/* The addresses of all sockets, with a blank between. */
static void
expect_sockets(const char *addresses, const char *listen, const char *want)
{
    struct compiled compiled = compile_listening(addresses, listen);
    char got[512] = "";
    assert_string_equal(compiled.errors, "");
    assert_string_equal(record_text(&compiled.record, compiled.record.pools[0].refused), "");
    for (uint32_t i = 0; i < compiled.record.header->sockets; i++) {
        size_t len = strlen(got);
        snprintf(got + len, sizeof got - len, "%s%s", i == 0 ? "" : " ",
                 record_text(&compiled.record, compiled.record.sockets[i].address));
        assert_int_equal(compiled.record.sockets[i].dual, 0);
    }
    assert_string_equal(got, want);
    compiled_fini(&compiled);
}

static void
a_wildcard_binds_exactly_the_addresses_of_the_list(void **state)
{
    (void)state;
    const char *list = "\"127.0.0.1\", \"::1\", \"127.0.0.2\"";
    expect_sockets(list, "\"*:80\"", "127.0.0.1:80 [::1]:80 127.0.0.2:80");
    expect_sockets(list, "\"0.0.0.0:80\"", "127.0.0.1:80 127.0.0.2:80");
    expect_sockets(list, "\"[::]:80\"", "[::1]:80");
    expect_sockets(list, "\"127.0.0.2:80\", \"unix:/x\"", "127.0.0.2:80 unix:/x");
    expect_sockets("\"::1\"", "{\"address\": \"*:80\", \"name\": \"n\"}", "[::1]:80");

    struct compiled compiled = compile_listening("\"127.0.0.1\"", "\"*:8080\"");
    struct sockaddr_in in;
    memcpy(&in, compiled.record.sockets[0].sockaddr, sizeof in);
    assert_int_equal(compiled.record.sockets[0].length, sizeof in);
    assert_int_equal(in.sin_port, htons(8080));
    assert_int_equal(in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    compiled_fini(&compiled);
}

static void
a_pool_that_names_an_address_outside_the_list_is_refused_alone(void **state)
{
    (void)state;
    static const struct {
        const char *list, *listen, *why;
    } outside[] = {
        {"\"127.0.0.1\"", "\"127.0.0.1:80\", \"127.0.0.2:80\"",
         "\"127.0.0.2:80\" is outside listen_addresses (127.0.0.1)"},
        {"\"127.0.0.1\", \"127.0.0.3\"", "\"[::1]:80\"",
         "\"[::1]:80\" is outside listen_addresses (127.0.0.1, 127.0.0.3)"},
        {"\"127.0.0.1\"", "\"[::]:80\"",
         "\"[::]:80\" stands for none of listen_addresses (127.0.0.1)"},
    };
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        struct compiled compiled = compile_listening(outside[i].list, outside[i].listen);
        const struct record_pool *pool = good_pool(&compiled);
        assert_string_equal(record_text(&compiled.record, pool->refused), outside[i].why);
        assert_int_equal(pool->socket_count, 0);
        assert_int_equal(compiled.record.header->sockets, 0);
        compiled_fini(&compiled);
    }
}

static void
a_bad_entry_of_the_list_is_an_error(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "1",
        "\"\"",
        "\"localhost\"",
        "\"127.0.0.1:80\"",
        "\"[::1]\"",
        "\"0.0.0.0\"",
        "\"::\"",
        "\"::ffff:127.0.0.1\"",
        "\"fe80::1\"",
        "\"*\"",
        "null",
        "\"::1%lo\"",
        "\"127.0.0.1\", \"127.0.0.1\"",
        "\"127.0.0.0/8\"",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct compiled compiled = compile_listening(bad[i], "\"*:80\"");
        assert_int_equal(compiled.record.header->errors, 1);
        assert_non_null(strstr(compiled.errors, ": /listen_addresses/"));
        compiled_fini(&compiled);
    }
}

static void
a_wildcard_that_comes_to_too_many_sockets_is_an_error(void **state)
{
    (void)state;
    char list[2048] = "", listen[256] = "";
    for (int i = 1; i <= 40; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s\"10.0.0.%d\"",
                 i == 1 ? "" : ",", i);
    snprintf(listen, sizeof listen, "\"*:80\", \"*:81\"");
    char text[4096];
    snprintf(text, sizeof text,
             "{\"listen_addresses\": [%s], \"pools\": {\"p\": {\"command\": [\"/x\"], %s, "
             "\"listen\": [%s]}}}",
             list, identity(), listen);
    struct compiled compiled = compile(text);
    assert_int_equal(compiled.record.header->errors, 1);
    assert_non_null(strstr(compiled.errors,
                           "/pools/p/listen/1: with listen_addresses the pool comes "
                           "to more than 64 sockets"));
    compiled_fini(&compiled);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wildcard_binds_exactly_the_addresses_of_the_list),
        cmocka_unit_test(a_pool_that_names_an_address_outside_the_list_is_refused_alone),
        cmocka_unit_test(a_bad_entry_of_the_list_is_an_error),
        cmocka_unit_test(a_wildcard_that_comes_to_too_many_sockets_is_an_error),
    };
    return cmocka_run_group_tests_name("load_inclusion", tests, NULL, NULL) != 0;
}
