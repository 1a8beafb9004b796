/* test_holder.c - who has an address that is in use. */
#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/engine/holder.h"
#include "test/unit/record_blob.h"

static struct blob blob;
static char name[HOLDER_NAME_MAX];

static int
set_up(void **state)
{
    (void)state;
    static const char *const argv[] = {"/bin/true", NULL}, *const env[] = {NULL};
    blob_init(&blob);
    blob_pool(&blob, "web", argv, env);
    return 0;
}

static const char *
own_name(void)
{
    const struct passwd *user = getpwuid(geteuid());
    assert_non_null(user);
    return user->pw_name;
}

/* Listens on that host and any port, which it returns. */
static uint16_t
listen_on(int *fd, int family, const char *host)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr *address = family == AF_INET ? (void *)&four : (void *)&six;
    socklen_t length = family == AF_INET ? sizeof four : sizeof six;
    void *at = family == AF_INET ? (void *)&four.sin_addr : (void *)&six.sin6_addr;
    assert_int_equal(inet_pton(family, host, at), 1);
    *fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0 || bind(*fd, address, length) != 0)
        skip(); /* no IPv6 here */
    assert_int_equal(listen(*fd, 1), 0);
    assert_int_equal(getsockname(*fd, address, &length), 0);
    return ntohs(family == AF_INET ? four.sin_port : six.sin6_port);
}

static const char *
holder_of(const char *host, uint16_t port)
{
    struct record_socket *record = blob_inet(&blob, "web", port);
    struct sockaddr_in address;
    memcpy(&address, record->sockaddr, sizeof address);
    assert_int_equal(inet_pton(AF_INET, host, &address.sin_addr), 1);
    memcpy(record->sockaddr, &address, sizeof address);
    return holder_find(record, name);
}

static const char *
holder_of_six(const char *host, uint16_t port, bool dual)
{
    struct record_socket *record = blob_socket(&blob, "web");
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET6, host, &address.sin6_addr), 1);
    record->family = AF_INET6;
    record->dual = dual;
    record->length = sizeof address;
    memcpy(record->sockaddr, &address, sizeof address);
    return holder_find(record, name);
}

/* --- claims ---------------------------------------------------------------------------------- */

static void
the_user_of_the_very_address_is_found(void **state)
{
    (void)state;
    int fd;
    uint16_t port = listen_on(&fd, AF_INET, "127.0.0.1");
    assert_string_equal(holder_of("127.0.0.1", port), own_name());
    assert_string_equal(holder_of("0.0.0.0", port), own_name()); /* it is in the way of that too */
    assert_string_equal(holder_of_six("::", port, true), own_name());
    assert_string_equal(holder_of_six("::", port, false), "");
    assert_string_equal(holder_of("127.0.0.2", port), "");
    close(fd);
    assert_string_equal(holder_of("127.0.0.1", port), "");
}

static void
the_user_of_every_address_is_found(void **state)
{
    (void)state;
    int fd;
    uint16_t port = listen_on(&fd, AF_INET, "0.0.0.0");
    assert_string_equal(holder_of("127.0.0.7", port), own_name());
    close(fd);
}

static void
the_user_of_an_ipv6_address_is_found(void **state)
{
    (void)state;
    int fd;
    uint16_t port = listen_on(&fd, AF_INET6, "::1");
    assert_string_equal(holder_of_six("::1", port, false), own_name());
    assert_string_equal(holder_of_six("::2", port, false), "");
    assert_string_equal(holder_of("127.0.0.1", port), "");
    close(fd);
    port = listen_on(&fd, AF_INET6, "::");
    assert_string_equal(holder_of("127.0.0.1", port), own_name());
    close(fd);
}

static void
the_owner_of_a_path_is_found_and_a_number_does_without_a_name(void **state)
{
    (void)state;
    char path[] = "/tmp/poold-holder-XXXXXX";
    close(mkstemp(path));
    struct record_socket *record = blob_unix(&blob, "web", path, 0600);
    assert_string_equal(holder_find(record, name), own_name());
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 1234567, 0), 0);
        assert_string_equal(holder_find(record, name), "1234567");
    }
    unlink(path);
    assert_string_equal(holder_find(record, name), "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_user_of_the_very_address_is_found, set_up),
        cmocka_unit_test_setup(the_user_of_every_address_is_found, set_up),
        cmocka_unit_test_setup(the_user_of_an_ipv6_address_is_found, set_up),
        cmocka_unit_test_setup(the_owner_of_a_path_is_found_and_a_number_does_without_a_name,
                               set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
