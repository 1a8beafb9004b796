/* test_load_addresses.c - claims about what is said of addresses that cannot be, or not together. */
#include "test/unit/load_bad.h"

#define LISTEN(address)          POOL("\"listen\": [\"" address "\"]")
#define LISTEN_AT(address, what) POOL_AT("13", "/listen/0", "the address \"" address "\" " what)

static const struct bad addresses[] = {
    {LISTEN("8080"),
     LISTEN_AT(
         "8080",
         "is none of \"127.0.0.1:8080\", \"[::1]:8080\", \"*:80\" or \"unix:/run/shop.sock\"")},
    {LISTEN(""),
     LISTEN_AT(
         "", "is none of \"127.0.0.1:8080\", \"[::1]:8080\", \"*:80\" or \"unix:/run/shop.sock\"")},
    {LISTEN("[::1]"),
     LISTEN_AT(
         "[::1]",
         "is none of \"127.0.0.1:8080\", \"[::1]:8080\", \"*:80\" or \"unix:/run/shop.sock\"")},
    {LISTEN(":80"), LISTEN_AT(":80", "has no IP address; did you mean \"*:80\"?")},
    {LISTEN("localhost:80"),
     LISTEN_AT("localhost:80",
               "has no IP address (names are not looked up); did you mean \"127.0.0.1:80\"?")},
    {LISTEN("1.2.3:80"),
     LISTEN_AT("1.2.3:80", "has no IP address (names are not looked up); did you mean \"*:80\"?")},
    {LISTEN("*:0"), LISTEN_AT("*:0", "has no port from 1 to 65535 behind the last colon")},
    {LISTEN("*:65536"), LISTEN_AT("*:65536", "has no port from 1 to 65535 behind the last colon")},
    {LISTEN("*:080"), LISTEN_AT("*:080", "has no port from 1 to 65535 behind the last colon")},
    {LISTEN("*:http"), LISTEN_AT("*:http", "has no port from 1 to 65535 behind the last colon")},
    {LISTEN("::1:80"), LISTEN_AT("::1:80", "needs brackets around its IPv6 address: \"[::1]:80\"")},
    {LISTEN("fe80::a:b"),
     LISTEN_AT("fe80::a:b", "has no port from 1 to 65535 behind the last colon")},
    {LISTEN("a:b:80"),
     LISTEN_AT(
         "a:b:80",
         "is none of \"127.0.0.1:8080\", \"[::1]:8080\", \"*:80\" or \"unix:/run/shop.sock\"")},
    {LISTEN("tcp://1.2.3.4:80"),
     LISTEN_AT("tcp://1.2.3.4:80", "has a scheme, and needs none; write it as \"1.2.3.4:80\"")},
    {LISTEN("http://[::1]:80/x\\n"),
     LISTEN_AT("http://[::1]:80/x\\x0a", "has a scheme, and needs none; write it as \"[::1]:80\"")},
    {LISTEN("tcp://"),
     LISTEN_AT(
         "tcp://",
         "is none of \"127.0.0.1:8080\", \"[::1]:8080\", \"*:80\" or \"unix:/run/shop.sock\"")},
    {LISTEN("[]:80"), LISTEN_AT("[]:80", "has no IPv6 address between the brackets")},
    {LISTEN("[:80"), LISTEN_AT("[:80", "has no IPv6 address between the brackets")},
    {LISTEN("[::1%lo]:80"), LISTEN_AT("[::1%lo]:80", "has no IPv6 address between the brackets")},
    {LISTEN("[::ffff:1.2.3.4]:80"),
     LISTEN_AT("[::ffff:1.2.3.4]:80",
               "is an IPv4 address in IPv6 clothes; write it as \"1.2.3.4:80\"")},
    {LISTEN("[fe80::1]:80"),
     LISTEN_AT("[fe80::1]:80", "is link-local; it needs an interface, which cannot be named yet")},
    {LISTEN("/run/x"), LISTEN_AT("/run/x", "lacks \"unix:\" before the path")},
    {LISTEN("unix:run/x"), LISTEN_AT("unix:run/x", "needs an absolute path behind \"unix:\"")},
    {LISTEN("unix:"), LISTEN_AT("unix:", "needs an absolute path behind \"unix:\"")},
    {LISTEN("unix:@x"), LISTEN_AT("unix:@x", "needs an absolute path behind \"unix:\"")},
    {LISTEN("unix:/run/"), LISTEN_AT("unix:/run/", "ends with /; the path of a socket is needed")},
    {LISTEN("unix:/a\\tb"), LISTEN_AT("unix:/a\\x09b", "has a control or hidden character")},
};

#define CLASH(first, second) POOL("\"listen\": [\"" first "\",\n\"" second "\"]")
#define CLASH_AT(first, second)                                                                    \
    "c.json:3:1: /pools/p/listen/1: the address \"" second                                         \
    "\" cannot be bound together with \"" first "\" of the pool \"p\"\n"
#define TWICE_AT(second)                                                                           \
    "c.json:3:1: /pools/p/listen/1: the address \"" second                                         \
    "\" is there already, at /pools/p/listen/0\n"
static const struct bad clashes[] = {
    {CLASH("1.2.3.4:80", "1.2.3.4:80"), TWICE_AT("1.2.3.4:80")},
    /* What was refused counts as a place too. */
    {"{\"pools\": {\"p\":\n{\"listen\": [7, \"*:80\",\n\"*:80\"],\n\"command\": [\"/x\"], @}}}",
     POOL_AT("13", "/listen/0",
             "found the number 7, but a string is needed") "c.json:3:1: /pools/p/listen/2: the "
                                                           "address \"*:80\" is there already, at "
                                                           "/pools/p/listen/1\n"},
    {"{\"pools\": {\"a\": {\"command\": [\"/x\"], \"listen\": [\"*:80\"], @},\n\"b\": "
     "{\"listen\":\n"
     "[\"*:80\"],\n\"command\": [\"/x\"], @}}}",
     "c.json:3:2: /pools/b/listen/0: the address \"*:80\" cannot be bound together with \"*:80\" "
     "of "
     "the pool \"a\"\n"},
    {CLASH("*:80", "1.2.3.4:80"), CLASH_AT("*:80", "1.2.3.4:80")},
    {CLASH("1.2.3.4:80", "*:80"), CLASH_AT("1.2.3.4:80", "*:80")},
    {CLASH("1.2.3.4:80", "0.0.0.0:80"), CLASH_AT("1.2.3.4:80", "0.0.0.0:80")},
    {CLASH("*:80", "[::1]:80"), CLASH_AT("*:80", "[::1]:80")},
    {CLASH("[::1]:80", "[0:0::1]:80"), TWICE_AT("[0:0::1]:80")},
    {CLASH("[::1]:80", "[::]:80"), CLASH_AT("[::1]:80", "[::]:80")},
    {CLASH("unix:/a", "unix:/a"), TWICE_AT("unix:/a")},
    /* These live together. */
    {CLASH("1.2.3.4:80", "1.2.3.5:80"), ""},
    {CLASH("1.2.3.4:80", "1.2.3.4:81"), ""},
    {CLASH("[::]:80", "1.2.3.4:80"), ""},
    {CLASH("[::]:80", "0.0.0.0:80"), ""},
    {CLASH("unix:/a", "unix:/b"), ""},
};

static void
an_address_that_cannot_be_is_refused(void **state)
{
    (void)state;
    EXPECT_BAD(addresses);
}

static void
two_addresses_that_cannot_both_be_bound_are_refused(void **state)
{
    (void)state;
    EXPECT_BAD(clashes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_that_cannot_be_is_refused),
        cmocka_unit_test(two_addresses_that_cannot_both_be_bound_are_refused),
    };
    return cmocka_run_group_tests_name("load_addresses", tests, NULL, NULL) != 0;
}
