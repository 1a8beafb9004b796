/* test_load_ipv6.c - what "every address" is on a machine without IPv6. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "test/unit/load_helper.h"

/* From now on this process lives where socket(AF_INET6) fails as in a kernel that has none. */
static bool
lose_ipv6(int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {.len = ARRAY_LEN(filter), .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* 0: one wildcard of IPv4; 1: a dual one of IPv6; else something went wrong. */
static int
wildcard_after(int error)
{
    struct sockaddr_in in;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        if (!lose_ipv6(error))
            _exit(77);
        struct compiled compiled = compile_pool("\"listen\": [\"*:8082\"]");
        const struct record_socket *socket = compiled.record.sockets;
        memcpy(&in, socket->sockaddr, sizeof in);
        if (compiled.record.header->sockets != 1)
            _exit(2);
        if (socket->family == AF_INET6 && socket->dual)
            _exit(1);
        _exit(socket->family == AF_INET && !socket->dual && socket->length == sizeof in &&
                      in.sin_addr.s_addr == htonl(INADDR_ANY) && in.sin_port == htons(8082)
                  ? 0
                  : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* no such filters here */
    return WEXITSTATUS(status);
}

static void
without_ipv6_every_address_is_one_of_ipv4(void **state)
{
    (void)state;
    assert_int_equal(wildcard_after(EAFNOSUPPORT), 0);
}

static void
a_shortage_of_descriptors_is_no_lack_of_ipv6(void **state)
{
    (void)state;
    assert_int_equal(wildcard_after(EMFILE), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_ipv6_every_address_is_one_of_ipv4),
        cmocka_unit_test(a_shortage_of_descriptors_is_no_lack_of_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
