/* test_plan.c - what a change of configuration will do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record_blob.h"
#include "supervisor/engine/plan.h"

static struct blob old_blob, new_blob;
static struct record before, after;

static const char *const argv[] = {"/bin/true", NULL}, *const env[] = {NULL};

static uint32_t
key_of(const char *path)
{
    const struct config_key *key = key_find(SCOPE_POOL, path);
    assert_non_null(key);
    return (uint32_t)(key - config_keys);
}

/* The values of the blob's newest pool, in order of key. */
static void
values(struct blob *blob, uint32_t count, const struct record_value *list)
{
    struct record_pool *pool = &blob->pools[blob->header.pools - 1];
    while (blob->text_size % 4 != 0)
        blob->text[blob->text_size++] = '\0';
    pool->values = blob_bytes(blob, list, count * sizeof *list);
    pool->value_count = count;
}

static struct record_value
value(struct blob *blob, const char *path, const char *text)
{
    return (struct record_value){.key = key_of(path), .text = blob_text(blob, text)};
}

static struct record_pool *
web(struct blob *blob)
{
    return blob_pool(blob, "web", argv, env);
}

static void
done(void)
{
    blob_finish(&old_blob);
    blob_finish(&new_blob);
    assert_int_equal(record_open(&before, old_blob.bytes, old_blob.size), 0);
    assert_int_equal(record_open(&after, new_blob.bytes, new_blob.size), 0);
}

static struct plan_pool
plan_of(uint32_t place)
{
    struct plan_pool out;
    plan_pool(&before, &after, place, &out);
    return out;
}

static int
set_up(void **state)
{
    (void)state;
    blob_init(&old_blob);
    blob_init(&new_blob);
    return 0;
}

static void
equal_configurations_change_nothing(void **state)
{
    (void)state;
    web(&old_blob);
    blob_inet(&old_blob, "one", 8080);
    web(&new_blob);
    blob_inet(&new_blob, "one", 8080);
    done();
    assert_int_equal(plan_of(0).change, PLAN_SAME);
    assert_int_equal(plan_places(&before, &after), 1);
}

static void
a_pool_is_added_at_a_place_that_was_not_there(void **state)
{
    (void)state;
    web(&old_blob);
    web(&new_blob);
    blob_pool(&new_blob, "fresh", argv, env);
    blob_inet(&new_blob, "one", 8080);
    done();
    assert_int_equal(plan_of(1).change, PLAN_ADDED);
    assert_int_equal(plan_of(1).opened, 1);
    assert_int_equal(plan_of(0).change, PLAN_SAME);
}

static void
a_place_that_is_only_kept_is_a_pool_removed(void **state)
{
    (void)state;
    web(&old_blob);
    blob_inet(&old_blob, "one", 8080);
    new_blob.pools[new_blob.header.pools++] =
        (struct record_pool){.name = blob_text(&new_blob, "web")};
    done();
    struct plan_pool plan = plan_of(0);
    assert_int_equal(plan.change, PLAN_REMOVED);
    assert_int_equal(plan.closed, 1);
    assert_false(plan.recycles);
}

static void
each_key_that_differs_is_named_with_both_values(void **state)
{
    (void)state;
    struct plan_cursor cursor = {0};
    struct plan_key key;
    web(&old_blob);
    values(&old_blob, 2,
           (struct record_value[]){value(&old_blob, "directory", "\"/srv\""),
                                   value(&old_blob, "workers.min", "2")});
    web(&new_blob)->settings.workers_min = 1;
    values(&new_blob, 2,
           (struct record_value[]){value(&new_blob, "stop_signal", "\"QUIT\""),
                                   value(&new_blob, "workers.min", "3")});
    done();
    assert_true(plan_next_key(&before, &after, 0, &cursor, &key));
    assert_int_equal(key.key, key_of("directory"));
    assert_string_equal(key.from, "\"/srv\"");
    assert_null(key.to); /* the default again */
    assert_true(plan_next_key(&before, &after, 0, &cursor, &key));
    assert_int_equal(key.key, key_of("stop_signal"));
    assert_null(key.from);
    assert_string_equal(key.to, "\"QUIT\"");
    assert_true(plan_next_key(&before, &after, 0, &cursor, &key));
    assert_string_equal(key.from, "2");
    assert_string_equal(key.to, "3");
    assert_false(plan_next_key(&before, &after, 0, &cursor, &key));
    assert_int_equal(plan_of(0).keys[EFFECT_LIVE], 2);
    assert_int_equal(plan_of(0).keys[EFFECT_RECYCLE], 1);
}

static void
variables_of_the_environment_are_compared_one_by_one(void **state)
{
    (void)state;
    struct plan_cursor cursor = {0};
    struct plan_key key;
    web(&old_blob);
    values(&old_blob, 2,
           (struct record_value[]){value(&old_blob, "environment", "A=1111"),
                                   value(&old_blob, "environment", "AB=2222")});
    web(&new_blob);
    values(&new_blob, 2,
           (struct record_value[]){value(&new_blob, "environment", "A=3333"),
                                   value(&new_blob, "environment", "B=2222")});
    done();
    assert_true(plan_next_key(&before, &after, 0, &cursor, &key));
    assert_string_equal(key.from, "A=1111");
    assert_string_equal(key.to, "A=3333");
    assert_true(plan_next_key(&before, &after, 0, &cursor, &key));
    assert_string_equal(key.from, "AB=2222");
    assert_null(key.to);
    assert_true(plan_next_key(&before, &after, 0, &cursor, &key));
    assert_null(key.from);
    assert_string_equal(key.to, "B=2222");
    assert_false(plan_next_key(&before, &after, 0, &cursor, &key));
}

/* "A" stands before "AB", although its value may be greater than what follows in the other's name. */
static void
a_variable_that_is_the_begin_of_another_is_another_one(void **state)
{
    (void)state;
    struct plan_cursor cursor = {0};
    struct plan_key key;
    web(&old_blob);
    values(&old_blob, 2,
           (struct record_value[]){value(&old_blob, "environment", "A=9999"),
                                   value(&old_blob, "environment", "AB=2222")});
    web(&new_blob);
    values(&new_blob, 1, (struct record_value[]){value(&new_blob, "environment", "AB=2222")});
    done();
    assert_true(plan_next_key(&before, &after, 0, &cursor, &key));
    assert_string_equal(key.from, "A=9999");
    assert_null(key.to);
    assert_false(plan_next_key(&before, &after, 0, &cursor, &key));
    cursor = (struct plan_cursor){0};
    assert_true(plan_next_key(&after, &before, 0, &cursor, &key));
    assert_null(key.from);
    assert_string_equal(key.to, "A=9999");
    assert_false(plan_next_key(&after, &before, 0, &cursor, &key));
}

static void
all_pools_together_are_counted(void **state)
{
    (void)state;
    struct plan_totals totals = {0};
    web(&old_blob);
    blob_inet(&old_blob, "one", 8080);
    blob_inet(&old_blob, "two", 8081);
    blob_pool(&old_blob, "same", argv, env);
    new_blob.pools[new_blob.header.pools++] =
        (struct record_pool){.name = blob_text(&new_blob, "web")};
    blob_pool(&new_blob, "same", argv, env);
    for (uint32_t i = 0; i < 3; i++) {
        blob_pool(&new_blob, "fresh", argv, env);
        blob_inet(&new_blob, "three", (uint16_t)(8082 + i));
    }
    done();
    for (uint32_t place = 0; place < plan_places(&before, &after); place++) {
        struct plan_pool pool = plan_of(place);
        plan_add(&totals, &pool);
    }
    assert_int_equal(totals.added, 3);
    assert_int_equal(totals.removed, 1);
    assert_int_equal(totals.changed, 0);
    assert_int_equal(totals.opened, 3);
    assert_int_equal(totals.closed, 2);
}

static struct record_socket *
blob_any(struct blob *blob, const char *name, uint16_t port)
{
    struct record_socket *socket = blob_socket(blob, name);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    socket->family = AF_INET6;
    socket->length = sizeof address;
    memcpy(socket->sockaddr, &address, sizeof address);
    return socket;
}

/* [::]:80 alone, and with IPv4. */
static void
a_socket_for_both_families_is_not_the_one_for_one(void **state)
{
    (void)state;
    web(&old_blob);
    blob_any(&old_blob, "any", 8080);
    web(&new_blob);
    blob_any(&new_blob, "any", 8080)->dual = 1;
    done();
    assert_int_equal(plan_socket_before(&before, &after, 0), NONE);
    assert_int_equal(plan_of(0).opened, 1);
    assert_int_equal(plan_of(0).change, PLAN_CHANGED); /* whatever else is the same */
}

static void
a_new_fingerprint_recycles_or_drifts_as_the_pool_says(void **state)
{
    (void)state;
    web(&old_blob);
    blob_pool(&old_blob, "calm", argv, env);
    web(&new_blob)->settings.fingerprint = 1;
    new_blob.pools[0].settings.on_config_change = 1;
    old_blob.pools[0].settings.on_config_change = 1;
    blob_pool(&new_blob, "calm", argv, env)->settings.fingerprint = 1;
    done();
    struct plan_totals totals = {0};
    for (uint32_t place = 0; place < 2; place++) {
        struct plan_pool plan = plan_of(place);
        assert_int_equal(plan.change, PLAN_CHANGED);
        assert_int_equal(plan.recycles, place == 0);
        assert_int_equal(plan.drifts, place == 1);
        plan_add(&totals, &plan);
    }
    assert_int_equal(totals.changed, 2);
    assert_int_equal(totals.recycles, 1);
    assert_int_equal(totals.drifts, 1);
}

static void
a_socket_is_new_by_its_address_and_not_by_its_name(void **state)
{
    (void)state;
    uint32_t at = 0;
    web(&old_blob);
    blob_inet(&old_blob, "one", 8080);
    blob_inet(&old_blob, "gone", 8081);
    web(&new_blob);
    blob_inet(&new_blob, "fresh", 8082);
    blob_inet(&new_blob, "renamed", 8080);
    done();
    assert_int_equal(plan_socket_before(&before, &after, 0), NONE);
    assert_int_equal(plan_socket_before(&before, &after, 1), 0);
    assert_string_equal(plan_next_socket(&before, &after, 0, &at), "fresh");
    assert_null(plan_next_socket(&before, &after, 0, &at));
    at = 0;
    assert_string_equal(plan_next_socket(&after, &before, 0, &at), "gone");
    assert_int_equal(plan_of(0).opened, 1);
    assert_int_equal(plan_of(0).closed, 1);
}

static void
a_queue_of_another_length_is_no_other_socket(void **state)
{
    (void)state;
    web(&old_blob);
    blob_inet(&old_blob, "one", 8080);
    web(&new_blob);
    blob_inet(&new_blob, "one", 8080)->backlog = 7;
    done();
    assert_true(plan_queues_differ(&before, &after, 0));
    assert_false(plan_queues_differ(&before, &before, 0));
    assert_int_equal(plan_socket_before(&before, &after, 0), 0);
}

/* A removal that is taken back: the plan adds the pool with its sockets, which are held all the same. */
static void
a_socket_that_was_left_is_held_and_opens_all_the_same(void **state)
{
    (void)state;
    web(&old_blob);
    blob_inet(&old_blob, "one", 8080);
    old_blob.pools[0] = (struct record_pool){.name = old_blob.pools[0].name, .socket_count = 1};
    web(&new_blob);
    blob_inet(&new_blob, "fresh", 8081);
    blob_inet(&new_blob, "one", 8080);
    done();
    assert_int_equal(plan_of(0).change, PLAN_ADDED);
    assert_int_equal(plan_of(0).opened, 2);
    assert_int_equal(plan_socket_before(&before, &after, 1), NONE);
    assert_int_equal(plan_socket_held(&before, &after, 1), 0);
    assert_int_equal(plan_socket_held(&before, &after, 0), NONE);
}

static void
workers_that_stay_keep_the_sockets_that_change(void **state)
{
    (void)state;
    web(&old_blob)->settings.on_config_change = 1;
    blob_inet(&old_blob, "one", 8080);
    blob_pool(&old_blob, "calm", argv, env);
    blob_inet(&old_blob, "two", 8081);
    blob_pool(&old_blob, "same", argv, env);
    for (uint32_t i = 0; i < 3; i++)
        old_blob.pools[i].settings.fingerprint = 1;
    web(&new_blob)->settings.on_config_change = 1;
    blob_pool(&new_blob, "calm", argv, env);
    blob_pool(&new_blob, "same", argv, env);
    for (uint32_t i = 0; i < 3; i++)
        new_blob.pools[i].settings.fingerprint = 2;
    done();
    assert_false(plan_of(0).keeps_sockets); /* they are replaced */
    assert_true(plan_of(1).keeps_sockets);
    assert_true(plan_of(2).drifts);
    assert_false(plan_of(2).keeps_sockets); /* they have none */
}

static void
a_pool_that_is_refused_is_neither_replaced_nor_left_alone(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        blob_pool(&old_blob, i == 0 ? "a" : "b", argv, env)->settings.on_config_change = i == 0;
        struct record_pool *pool = blob_pool(&new_blob, i == 0 ? "a" : "b", argv, env);
        pool->settings.on_config_change = i == 0;
        pool->settings.fingerprint = 1;
        pool->settings.refused = 1;
        pool->refused = blob_text(&new_blob, "outside");
    }
    done();
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(plan_of(i).change, PLAN_CHANGED);
        assert_false(plan_of(i).recycles || plan_of(i).drifts);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(equal_configurations_change_nothing, set_up),
        cmocka_unit_test_setup(a_pool_is_added_at_a_place_that_was_not_there, set_up),
        cmocka_unit_test_setup(a_place_that_is_only_kept_is_a_pool_removed, set_up),
        cmocka_unit_test_setup(each_key_that_differs_is_named_with_both_values, set_up),
        cmocka_unit_test_setup(variables_of_the_environment_are_compared_one_by_one, set_up),
        cmocka_unit_test_setup(a_new_fingerprint_recycles_or_drifts_as_the_pool_says, set_up),
        cmocka_unit_test_setup(a_socket_that_was_left_is_held_and_opens_all_the_same, set_up),
        cmocka_unit_test_setup(workers_that_stay_keep_the_sockets_that_change, set_up),
        cmocka_unit_test_setup(a_pool_that_is_refused_is_neither_replaced_nor_left_alone, set_up),
        cmocka_unit_test_setup(a_variable_that_is_the_begin_of_another_is_another_one, set_up),
        cmocka_unit_test_setup(all_pools_together_are_counted, set_up),
        cmocka_unit_test_setup(a_socket_for_both_families_is_not_the_one_for_one, set_up),
        cmocka_unit_test_setup(a_queue_of_another_length_is_no_other_socket, set_up),
        cmocka_unit_test_setup(a_socket_is_new_by_its_address_and_not_by_its_name, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
