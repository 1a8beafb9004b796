/* test_core_prng.c - the generator gives the published sequence, within bounds and evenly. */
#include "common/prng.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* After the headers that it wants: */
#include <cmocka.h>

/* The first values of splitmix64 from seed 1234567, as its authors' reference program gives them. */
static void
the_sequence_is_splitmix64(void **state)
{
    (void)state;
    static const uint64_t expected[] = {6457827717110365317u, 3203168211198807973u,
                                        9817491932198370423u, 4593380528125082431u,
                                        16408922859458223821u};
    struct prng prng = {.state = 1234567};
    for (uint32_t i = 0; i < ARRAY_LEN(expected); i++)
        assert_true(prng_next(&prng) == expected[i]);
}

static void
below_n_every_value_comes_about_equally_often(void **state)
{
    (void)state;
    struct prng prng = {.state = 1};
    unsigned count[10] = {0};
    for (int i = 0; i < 100000; i++)
        count[prng_below(&prng, 10)]++;
    for (uint32_t i = 0; i < 10; i++)
        assert_in_range(count[i], 9500, 10500);
}

static void
below_1_there_is_only_0(void **state)
{
    (void)state;
    struct prng prng = {.state = 99};
    for (int i = 0; i < 100; i++)
        assert_int_equal(prng_below(&prng, 1), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sequence_is_splitmix64),
        cmocka_unit_test(below_n_every_value_comes_about_equally_often),
        cmocka_unit_test(below_1_there_is_only_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
