/* test_host_cgi.c - claims about the heads of CGI answers, and about a program's variables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "worker/host/cgi_environment.h"
#include "worker/host/cgi_head.h"
#include "worker/host/cgi_output.h"

static char text[CGI_HEAD_MAX];
static struct cgi_head head;
static const char *why;

/* Parses the head in front of the text; what follows it is not looked at. */
static bool
parse(const char *bytes)
{
    size_t len = cgi_head_find(bytes, strlen(bytes));
    assert_true(len > 0);
    memcpy(text, bytes, len);
    return cgi_head_parse(text, len, &head, &why);
}

static void
a_head_ends_with_an_empty_line(void **state)
{
    (void)state;
    assert_int_equal(cgi_head_find("A: b\n\nrest", 10), 6);
    assert_int_equal(cgi_head_find("A: b\r\n\r\nrest", 12), 8);
    assert_int_equal(cgi_head_find("A: b\r\n\nrest", 11), 7);
    assert_int_equal(cgi_head_find("\nrest", 5), 1);
    assert_int_equal(cgi_head_find("A: b\n", 5), 0);
    assert_int_equal(cgi_head_find("A: b\n\r", 6), 0);
    assert_int_equal(cgi_head_find("A: b\n\r \n", 8), 0);
    assert_int_equal(cgi_head_find("", 0), 0);
}

static void
a_document_has_a_type_and_the_status_200(void **state)
{
    (void)state;
    assert_true(parse("Content-Type:text/plain \r\nX-Own:  a b\n\nbody"));
    assert_int_equal(head.status, 200);
    assert_true(head.length == UINT64_MAX);
    assert_null(head.location);
    assert_int_equal(head.header_count, 2);
    assert_string_equal(head.headers[0].name, "Content-Type");
    assert_string_equal(head.headers[0].value, "text/plain");
    assert_string_equal(head.headers[1].value, "a b");
    assert_false(parse("X: 1\n\n"));
    assert_string_equal(why, "it has no Content-Type");
    assert_false(parse("\n"));
    assert_true(parse("Status: 204\n\n"));
}

static void
status_and_length_are_numbers_given_once(void **state)
{
    (void)state;
    assert_true(parse("Status: 404 Not here\nContent-Type: a/b\nContent-Length: 12\n\n"));
    assert_int_equal(head.status, 404);
    assert_true(head.length == 12);
    assert_int_equal(head.header_count, 1);
    static const char *const bad[] = {"Status: 99\n",
                                      "Status: 1000\n",
                                      "Status: 600\n",
                                      "Status: 100\n",
                                      "Status: x\n",
                                      "Status:\n",
                                      "Status: 200x\n",
                                      "Status: 200\nStatus: 200\n",
                                      "Content-Length: -1\n",
                                      "Content-Length: 1 2\n",
                                      "Content-Length: 1\nContent-Length: 1\n",
                                      "Content-Length: 9999999999999999999\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char all[128];
        snprintf(all, sizeof all, "Content-Type: a/b\n%s\n", bad[i]);
        assert_false(parse(all));
    }
}

static void
a_path_alone_as_location_is_answered_in_place(void **state)
{
    (void)state;
    assert_true(parse("Location: /a\n\n"));
    assert_true(head.is_local);
    assert_string_equal(head.location, "/a");
    assert_true(parse("Location: http://b/\n\n"));
    assert_false(head.is_local);
    assert_int_equal(head.status, 302);
    assert_true(parse("Location: /a\nStatus: 301\n\n"));
    assert_false(head.is_local);
    assert_int_equal(head.status, 301);
    assert_false(parse("Location:\n\n"));
    assert_false(parse("Location: /a\nLocation: /b\n\n"));
}

static void
what_speaks_of_the_connection_is_left_out(void **state)
{
    (void)state;
    assert_true(parse("Content-Type: a/b\nConnection: x\ntransfer-encoding: chunked\nDate: now\n"
                      "Keep-Alive: 1\nUpgrade: x\n\n"));
    assert_int_equal(head.header_count, 1);
}

static void
what_is_no_header_is_refused(void **state)
{
    (void)state;
    assert_false(parse("Content-Type: a/b\nno colon\n\n"));
    assert_false(parse("Content-Type : a/b\n\n"));
    assert_false(parse("Content-Type: a/b\n folded: x\n\n"));
    assert_false(parse("Content-Type: a/b\n: x\n\n"));
    assert_false(parse("Content-Type: a\rb\n\n"));
    assert_false(parse("Content-Type: a\x01\n\n"));
    assert_false(parse("HTTP/1.1 200 OK\nContent-Type: a/b\n\n"));
    assert_non_null(strstr(why, "not supported"));
    char many[CGI_HEAD_MAX] = "Content-Type: a/b\n";
    for (int i = 1; i < CGI_HEADERS_MAX; i++)
        strncat(many, "X: 1\n", sizeof many - strlen(many) - 1);
    strncat(many, "\n", 2);
    assert_true(parse(many));
    many[strlen(many) - 1] = '\0';
    strncat(many, "X: 1\n\n", 8);
    assert_false(parse(many));
}

static void
headers_become_variables_but_for_dangerous_ones(void **state)
{
    (void)state;
    char out[32];
    assert_true(cgi_variable_of("User-Agent", out, sizeof out));
    assert_string_equal(out, "HTTP_USER_AGENT");
    assert_true(cgi_variable_of("x-2", out, sizeof out));
    assert_string_equal(out, "HTTP_X_2");
    static const char *const without[] = {
        "Proxy",      "pROXY", "X_Y",           "Content-Length",
        "Connection", "A.b",   "Authorization", "A-name-that-is-longer-than-its-room"};
    for (size_t i = 0; i < ARRAY_LEN(without); i++)
        assert_false(cgi_variable_of(without[i], out, sizeof out));
}

static void
output_is_taken_in_the_order_in_which_it_came(void **state)
{
    (void)state;
    struct cgi_output output = {0};
    int ends[2];
    char out[8];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "abcdef", 6), 6);
    assert_int_equal(cgi_output_read(&output, ends[0]), 6);
    assert_int_equal(cgi_output_take(&output, out, 2), 2);
    assert_int_equal(write(ends[1], "gh", 2), 2);
    assert_int_equal(cgi_output_read(&output, ends[0]), 2);
    assert_int_equal(cgi_output_len(&output), 6);
    assert_int_equal(cgi_output_take(&output, out, sizeof out), 6);
    assert_memory_equal(out, "cdefgh", 6);
    assert_int_equal(cgi_output_take(&output, out, sizeof out), 0);
    close(ends[1]);
    assert_int_equal(cgi_output_read(&output, ends[0]), 0);
    close(ends[0]);
    cgi_output_fini(&output);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_ends_with_an_empty_line),
        cmocka_unit_test(a_document_has_a_type_and_the_status_200),
        cmocka_unit_test(status_and_length_are_numbers_given_once),
        cmocka_unit_test(a_path_alone_as_location_is_answered_in_place),
        cmocka_unit_test(what_speaks_of_the_connection_is_left_out),
        cmocka_unit_test(what_is_no_header_is_refused),
        cmocka_unit_test(headers_become_variables_but_for_dangerous_ones),
        cmocka_unit_test(output_is_taken_in_the_order_in_which_it_came),
    };
    return cmocka_run_group_tests_name("host_cgi", tests, NULL, NULL) != 0;
}
