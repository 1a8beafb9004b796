/* test_completion.c - claims about etc/bash-completion/poolctl: it offers what poolctl takes.
 *
 * The real bash runs the real file, with a poolctl that prints a status as poolctl does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base.h"

#define COMPLETION "etc/bash-completion/poolctl" /* tests run in the top of the tree */
#define EVERYWHERE "--socket --runtime-dir --json --help --version"

enum { WAIT = 1, TIMEOUT = 2, FOLLOW = 4, POOL = 8, ANY = 0 };
static const struct {
    const char *name;
    unsigned options;
} verbs[] = {
#define CTL_VERB(function, name, arguments, least, most, options, help) {name, options},
#include "supervisor/ctl/verbs.def"
};
static const struct {
    unsigned bit;
    const char *name;
} options[] = {
    {WAIT, " --wait"}, {TIMEOUT, " --timeout"}, {FOLLOW, " --follow"}, {POOL, " --pool"}};

static const char fake[] = "#!/bin/sh\n"
                           "test \"$*\" = \"${WANT-status}\" || exit 2\n"
                           "cat <<'END'\n"
                           "POOL    STATE     WORKERS  FOR  FAILURES  LISTEN\n"
                           "shop    started   2/2      3h   0/5       127.0.0.1:8080\n"
                           "shipper disabled  0/1      1m   5/5       -\n"
                           "mail    stopping  1/1      1s   0/5       -\n"
                           "shipper: disabled: too many failures (rapid-fail protection)\n"
                           "shipper: 12:00:01 ended unasked with exit code 1\n"
                           "END\n";
static char folder[] = "/tmp/poold-completion-XXXXXX";

static int
folder_create(void **state)
{
    (void)state;
    char path[64];
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/poolctl", folder);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return -1;
    fputs(fake, file);
    return fclose(file) == 0 ? chmod(path, 0700) : -1;
}

static int
folder_destroy(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "%s/poolctl", folder);
    unlink(path);
    return rmdir(folder);
}

/* What bash offers for the last of words, which are `poolctl` and what follows: "a b c". */
static void
offered(const char *environment, const char *words, char *out, size_t cap)
{
    char command[1024];
    snprintf(command, sizeof command,
             "PATH=%s:$PATH %s bash -c 'source " COMPLETION " && COMP_WORDS=(%s) && "
             "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) && _poolctl; echo -n \"${COMPREPLY[*]}\"' 2>&1",
             folder, environment, words);
    FILE *in = popen(command, "r");
    assert_non_null(in);
    size_t len = fread(out, 1, cap - 1, in);
    out[len] = '\0';
    assert_int_equal(pclose(in), 0);
}

static void
expect_offered(const char *words, const char *want)
{
    char got[1024];
    offered("", words, got, sizeof got);
    assert_string_equal(got, want);
}

static void
every_verb_is_offered_and_no_other(void **state)
{
    (void)state;
    char want[512] = "";
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        snprintf(want + strlen(want), sizeof want - strlen(want), "%s%s", i > 0 ? " " : "",
                 verbs[i].name);
    expect_offered("poolctl \"\"", want);
    expect_offered("poolctl help \"\"", want);
    expect_offered("poolctl --json \"\"", want);
    expect_offered("poolctl --socket /run/x \"\"", want);
    expect_offered("poolctl sta", "status start");
    expect_offered("poolctl help status \"\"", "");
}

static void
a_verb_is_offered_its_own_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        char words[64], want[256] = EVERYWHERE;
        snprintf(words, sizeof words, "poolctl %s --", verbs[i].name);
        for (size_t j = 0; j < ARRAY_LEN(options); j++)
            if (verbs[i].options & options[j].bit)
                strcat(want, options[j].name);
        expect_offered(words, want);
    }
}

static void
names_of_pools_are_those_of_the_table(void **state)
{
    (void)state;
    expect_offered("poolctl recycle \"\"", "shop shipper mail");
    expect_offered("poolctl status sh", "shop shipper");
    expect_offered("poolctl stop shop m", "mail");
    expect_offered("poolctl start --timeout 5s --wait m", "mail");
    expect_offered("poolctl events --pool shi", "shipper");
    expect_offered("poolctl workers m", "mail");
    expect_offered("poolctl workers shop \"\"", "");
    expect_offered("poolctl events \"\"", "");
    expect_offered("poolctl shutdown \"\"", "");
    expect_offered("poolctl recycle --timeout \"\"", "");
}

static void
names_are_asked_of_the_supervisor_that_is_meant(void **state)
{
    (void)state;
    char got[256];
    offered("WANT=\"--socket /run/other status\"", "poolctl --socket /run/other stop m", got,
            sizeof got);
    assert_string_equal(got, "mail");
    expect_offered("poolctl --runtime-dir /run/other stop m", ""); /* the fake one refuses */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verb_is_offered_and_no_other),
        cmocka_unit_test(a_verb_is_offered_its_own_options),
        cmocka_unit_test(names_of_pools_are_those_of_the_table),
        cmocka_unit_test(names_are_asked_of_the_supervisor_that_is_meant),
    };
    return cmocka_run_group_tests_name("completion", tests, folder_create, folder_destroy) != 0;
}
