/* options.c - poold's command line: what is the keeper's own, and what is for the engine. */
#include <getopt.h>

#include "supervisor/keeper/keeper.h"

#define EXIT_USAGE 2

static const char usage[] =
    "usage: poold [--config FILE] [--runtime-dir DIR] [--state-dir DIR]\n"
    "             [--log syslog|stderr|PATH]... [--engine-user NAME]\n"
    "       poold --check [--config FILE] | --version | --help\n"
    "Runs the application pools of FILE in the foreground; poolctl talks to it.\n";

/* Absolute, because workers run in other directories. No home directory stands in for a missing
 * runtime directory: it may be on a network. */
static int
runtime_set(struct keeper *k, const char *given)
{
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    char path[PATH_MAX], here[PATH_MAX] = "";
    if (given == NULL && k->root)
        given = "/run/poold";
    if (given != NULL && given[0] != '/' && getcwd(here, sizeof here) != NULL)
        snprintf(path, sizeof path, "%s/%s", here, given);
    else if (given != NULL)
        snprintf(path, sizeof path, "%s", given);
    else if (xdg != NULL && xdg[0] == '/')
        snprintf(path, sizeof path, "%s/poold", xdg);
    else
        snprintf(path, sizeof path, "/tmp/poold-%u", (unsigned)geteuid());
    if (snprintf(k->runtime, sizeof k->runtime, "%s", path) < (int)sizeof k->runtime)
        return -1;
    say("the runtime directory's path %s is longer than %u bytes: name a shorter one with "
        "--runtime-dir",
        path, RUNTIME_PATH_MAX);
    return EXIT_USAGE;
}

int
options_read(struct keeper *k, int argc, char **argv)
{
    /* What is passed on keeps its two dashes, in front of the name that getopt wants. */
#define PASSED_ON(name)                                                                            \
    {                                                                                              \
        &("--" name)[2], required_argument, NULL, PASS                                             \
    }
    enum { PASS, RUNTIME, CHECK, VERSION, HELP };
    static const struct option known[] = {PASSED_ON("config"),
                                          PASSED_ON("state-dir"),
                                          PASSED_ON("engine-user"),
                                          PASSED_ON("log"),
                                          {"runtime-dir", required_argument, NULL, RUNTIME},
                                          {"check", no_argument, NULL, CHECK},
                                          {"version", no_argument, NULL, VERSION},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    const char *runtime = NULL;
    int option, at = 0;
    while ((option = getopt_long(argc, argv, "", known, &at)) != -1) {
        if (option == PASS && k->passed_count + 2 <= PASSED_MAX) {
            k->passed[k->passed_count++] = known[at].name - 2;
            k->passed[k->passed_count++] = optarg;
        } else if (option == RUNTIME) {
            runtime = optarg;
        } else if (option == CHECK || option == VERSION) {
            k->ask = option == CHECK ? "--check" : "--version";
        } else {
            fputs(usage, option == HELP ? stdout : stderr);
            return option == HELP ? 0 : EXIT_USAGE;
        }
    }
    if (optind == argc)
        return runtime_set(k, runtime);
    say("what is '%s'? There are only options", argv[optind]);
    return EXIT_USAGE;
}
