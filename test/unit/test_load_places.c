/* test_load_places.c - claims about the places that pools keep over loads. */
#include "test/unit/load_helper.h"

/* Compiles pools of these names ("a b c") with the configuration in force (NULL: none). */
static struct compiled
load_pools(const char *names, const struct compiled *in_force)
{
    char text[1 << 16], list[1 << 14];
    size_t len = (size_t)snprintf(text, sizeof text, "{\"pools\": {");
    struct load_options options = {.config = "c.json",
                                   .in_force = in_force == NULL ? NULL : &in_force->record};
    struct compiled out = {.errors = ""};
    struct err err;
    snprintf(list, sizeof list, "%s", names);
    for (char *rest = list, *name; (name = strtok_r(rest, " ", &rest)) != NULL;)
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "%s\"%s\": {\"command\": [\"/x\"], %s, \"listen\": [\"unix:/%s\"]}",
                                text[len - 1] == '{' ? "" : ", ", name, identity(), name);
    snprintf(text + len, sizeof text - len, "}}");
    assert_int_equal(load_compile_text(&options, text, strlen(text), &out.result, &err), 0);
    assert_int_equal(record_open(&out.record, out.result.image, out.result.size), 0);
    if (out.record.header->errors > 0)
        out.errors = out.record.text;
    return out;
}

/* "a -b c": the names by place; - stands before one that is not present. */
static void
expect_places(const struct compiled *compiled, const char *want)
{
    char got[1024] = "";
    const struct record *record = &compiled->record;
    uint32_t present = 0;
    assert_string_equal(compiled->errors, "");
    for (uint32_t i = 0; i < record->header->pools; i++) {
        size_t len = strlen(got);
        snprintf(got + len, sizeof got - len, "%s%s%s", i == 0 ? "" : " ",
                 record->pools[i].present ? "" : "-", record_text(record, record->pools[i].name));
        present += record->pools[i].present;
        for (uint32_t s = 0; s < record->pools[i].socket_count; s++)
            assert_int_equal(record->sockets[record->pools[i].socket_first + s].pool, i);
    }
    assert_string_equal(got, want);
    assert_int_equal(record->header->pools_present, present);
}

static void
the_first_load_gives_places_in_the_order_of_the_file(void **state)
{
    (void)state;
    struct compiled first = load_pools("c a b", NULL);
    expect_places(&first, "c a b");
    assert_int_equal(first.record.header->pools_max, 16384);
    compiled_fini(&first);
}

static void
a_name_keeps_its_place_wherever_it_stands(void **state)
{
    (void)state;
    struct compiled first = load_pools("a b c", NULL), second = load_pools("c b a", &first);
    expect_places(&second, "a b c");
    compiled_fini(&first);
    compiled_fini(&second);
}

static void
a_name_that_went_keeps_its_place_and_comes_back_to_it(void **state)
{
    (void)state;
    struct compiled first = load_pools("a b c", NULL), second = load_pools("c a", &first);
    expect_places(&second, "a -b c");
    struct compiled third = load_pools("c", &second);
    expect_places(&third, "-a -b c");
    struct compiled fourth = load_pools("b", &third);
    expect_places(&fourth, "-a b -c");
    compiled_fini(&first);
    compiled_fini(&second);
    compiled_fini(&third);
    compiled_fini(&fourth);
}

/* The addresses of the pool's sockets at that place. */
static void
expect_sockets(const struct compiled *compiled, uint32_t place, const char *want)
{
    const struct record_pool *pool = &compiled->record.pools[place];
    char got[256] = "";
    for (uint32_t i = 0; i < pool->socket_count; i++) {
        const struct record_socket *socket = &compiled->record.sockets[pool->socket_first + i];
        size_t len = strlen(got);
        assert_int_equal(socket->pool, place);
        snprintf(got + len, sizeof got - len, "%s%s", i == 0 ? "" : " ",
                 record_text(&compiled->record, socket->address));
    }
    assert_string_equal(got, want);
}

static void
a_pool_that_went_leaves_its_sockets_however_often_the_files_are_read(void **state)
{
    (void)state;
    struct compiled first = load_pools("a b", NULL), second = load_pools("b", &first);
    expect_places(&second, "-a b");
    expect_sockets(&second, 0, "unix:/a");
    expect_sockets(&second, 1, "unix:/b");
    struct compiled third = load_pools("b", &second);
    assert_int_equal(third.result.size, second.result.size);
    assert_memory_equal(third.result.image, second.result.image, second.result.size);
    struct compiled fourth = load_pools("a b", &third);
    expect_sockets(&fourth, 0, "unix:/a");
    assert_int_equal(fourth.record.header->sockets, 2);
    compiled_fini(&first);
    compiled_fini(&second);
    compiled_fini(&third);
    compiled_fini(&fourth);
}

/* As load_pools, of one pool at one port. */
static struct compiled
load_port(const char *name, const char *address, const struct compiled *in_force)
{
    char text[512];
    struct load_options options = {.config = "c.json",
                                   .in_force = in_force == NULL ? NULL : &in_force->record};
    struct compiled out = {.errors = ""};
    struct err err;
    snprintf(text, sizeof text,
             "{\"pools\": {\"%s\": {\"command\": [\"/x\"], %s, \"listen\": [\"%s\"]}}}", name,
             identity(), address);
    assert_int_equal(load_compile_text(&options, text, strlen(text), &out.result, &err), 0);
    assert_int_equal(record_open(&out.record, out.result.image, out.result.size), 0);
    return out;
}

static void
a_pool_that_went_leaves_no_socket_that_another_pool_is_to_have(void **state)
{
    (void)state;
    struct compiled first = load_port("a", "127.0.0.1:80", NULL);
    struct compiled same = load_port("b", "127.0.0.1:80", &first);
    expect_sockets(&same, 0, "");
    expect_sockets(&same, 1, "127.0.0.1:80");
    struct compiled wider = load_port("b", "0.0.0.0:80", &first);
    expect_sockets(&wider, 0, "");
    struct compiled beside = load_port("b", "127.0.0.2:80", &first);
    expect_sockets(&beside, 0, "127.0.0.1:80");
    compiled_fini(&first);
    compiled_fini(&same);
    compiled_fini(&wider);
    compiled_fini(&beside);
}

static void
new_names_take_new_places_at_the_end(void **state)
{
    (void)state;
    struct compiled first = load_pools("b c", NULL), second = load_pools("a b d", &first);
    expect_places(&second, "b -c a d");
    compiled_fini(&first);
    compiled_fini(&second);
}

static void
a_load_that_changes_nothing_gives_the_same_configuration(void **state)
{
    (void)state;
    struct compiled first = load_pools("a b", NULL), second = load_pools("a b", &first);
    assert_int_equal(first.result.size, second.result.size);
    assert_memory_equal(first.result.image, second.result.image, first.result.size);
    compiled_fini(&first);
    compiled_fini(&second);
}

/* Of a place that another pool gets the sockets do not stay either. */
static void
without_room_new_names_take_places_of_pools_that_went_before(void **state)
{
    (void)state;
    struct compiled first = load_pools("a b c", NULL);
    struct record_header *header = (void *)first.result.image;
    header->pools_max = 4;
    header->serial = 0; /* the search begins at the first place */
    struct compiled second = load_pools("a d", &first);
    expect_places(&second, "a -b -c d");
    assert_int_equal(second.record.header->pools_max, 4);
    ((struct record_header *)(void *)second.result.image)->serial = 2;
    struct compiled third = load_pools("d e", &second); /* a goes now, and is to drain */
    expect_places(&third, "-a -b e d");
    expect_sockets(&third, 2, "unix:/e");
    struct compiled same = load_pools("d e", &third);
    assert_memory_equal(same.result.image, third.result.image, third.result.size);
    ((struct record_header *)(void *)third.result.image)->serial = 0;
    struct compiled fourth = load_pools("d e f g", &third);
    expect_places(&fourth, "g f e d");
    compiled_fini(&first);
    compiled_fini(&second);
    compiled_fini(&third);
    compiled_fini(&same);
    compiled_fini(&fourth);
}

static void
more_pools_than_there_is_room_for_are_refused_with_the_numbers(void **state)
{
    (void)state;
    struct compiled first = load_pools("a b c", NULL);
    ((struct record_header *)(void *)first.result.image)->pools_max = 4;
    struct compiled second = load_pools("a d e", &first);
    assert_string_equal(second.errors,
                        "c.json: 3 pools, with 2 that this change takes out and that drain beside "
                        "them, are 5; there is room for 4 until poold is started anew: apply once "
                        "without the new ones, or stop it and start it\n");
    compiled_fini(&first);
    compiled_fini(&second);
}

static void
a_configuration_with_errors_has_no_places(void **state)
{
    (void)state;
    struct compiled first = load_pools("a b", NULL), second = load_pools("a -b", &first);
    assert_true(second.record.header->errors > 0);
    assert_int_equal(second.record.header->pools, 0);
    assert_int_equal(second.record.header->pools_present, 0);
    compiled_fini(&first);
    compiled_fini(&second);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_load_gives_places_in_the_order_of_the_file),
        cmocka_unit_test(a_name_keeps_its_place_wherever_it_stands),
        cmocka_unit_test(a_name_that_went_keeps_its_place_and_comes_back_to_it),
        cmocka_unit_test(a_pool_that_went_leaves_its_sockets_however_often_the_files_are_read),
        cmocka_unit_test(a_pool_that_went_leaves_no_socket_that_another_pool_is_to_have),
        cmocka_unit_test(new_names_take_new_places_at_the_end),
        cmocka_unit_test(a_load_that_changes_nothing_gives_the_same_configuration),
        cmocka_unit_test(without_room_new_names_take_places_of_pools_that_went_before),
        cmocka_unit_test(more_pools_than_there_is_room_for_are_refused_with_the_numbers),
        cmocka_unit_test(a_configuration_with_errors_has_no_places),
    };
    return cmocka_run_group_tests_name("load_places", tests, NULL, NULL) != 0;
}
