/* fuzz_http.c - any bytes are a target, a range, a condition, a media type's name and the head of a CGI
 * program's answer: each is read within its bounds, and what is taken keeps its promises. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/host/cgi_environment.h"
#include "worker/host/cgi_head.h"
#include "worker/host/conditional.h"
#include "worker/host/range.h"
#include "worker/host/target.h"
#include "worker/host/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect(bool holds, const char *claim)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_http: %s\n", claim);
    abort();
}

static void
check_target(const char *text)
{
    struct target target;
    if (target_parse(&target, text) == REFUSAL_NONE) {
        const char *path = target.path;
        expect(*path == '/' || strcmp(path, "*") == 0, "a path does not begin with a slash");
        expect(strstr(path, "//") == NULL, "a path has an empty segment");
        expect(strstr(path, "/..") == NULL, "a path goes up, or is hidden");
        expect(strncmp(path, "/.", 2) != 0 || strncmp(path, "/.well-known/", 13) == 0,
               "a path is hidden");
        expect(strchr(target.query, '\n') == NULL || strchr(text, '\n') != NULL,
               "a query has what was not sent");
    }
    target_fini(&target);
}

static void
check_range(const char *text)
{
    for (uint64_t size = 0; size < 3000; size = size * 7 + 1) {
        struct range range;
        if (range_parse(text, size, &range) == RANGE_PART)
            expect(range.len > 0 && range.first < size && range.len <= size - range.first,
                   "a range is not inside");
    }
}

static void
check_conditions(const char *text)
{
    struct validators own;
    struct stat stat = {.st_size = 10, .st_mtim = {.tv_sec = 1000}};
    validators_make(&own, &stat, 2000);
    struct conditions asked = {.if_match = text, .if_none_match = text, .if_range = text};
    enum verdict verdict = conditions_judge(&asked, &own);
    expect(verdict != VERDICT_GO_ON, "a tag both is and is not there");
    conditions_range_holds(&asked, &own);
    asked = (struct conditions){.if_modified_since = text, .if_unmodified_since = text};
    conditions_judge(&asked, &own);
}

static void
check_head(const uint8_t *data, size_t size)
{
    static struct cgi_head head;
    const char *why = NULL;
    char variable[64];
    size_t len = cgi_head_find((const char *)data, size);
    expect(len <= size, "a head is longer than what there is");
    char *copy = malloc(len + 1);
    if (len > 0 && copy != NULL) {
        memcpy(copy, data, len);
        if (cgi_head_parse(copy, len, &head, &why)) {
            expect(head.status >= 200 && head.status <= 599, "a status is none");
            for (unsigned i = 0; i < head.header_count; i++) {
                const struct cgi_header *header = &head.headers[i];
                expect(token_is(header->name, strlen(header->name)), "a name is no token");
                expect(token_is_value(header->value, strlen(header->value)), "a value is none");
                if (cgi_variable_of(header->name, variable, sizeof variable))
                    expect(strncmp(variable, "HTTP_", 5) == 0 &&
                               strcmp(variable, "HTTP_PROXY") != 0,
                           "a variable has a name that it must not have");
            }
        } else {
            expect(why != NULL, "a refusal has no reason");
        }
    }
    free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_target(text);
    check_range(text);
    check_conditions(text);
    check_head(data, size);
    free(text);
    return 0;
}
