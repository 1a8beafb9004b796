/* options.c - poold's command line. */
#include "supervisor/load/options.h"

#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE 2

static const char usage[] =
    "usage: poold [--config FILE] [--runtime-dir DIR] [--state-dir DIR]\n"
    "             [--log syslog|stderr|PATH]... [--engine-user NAME]\n"
    "       poold --check [--config FILE] | --version | --help\n"
    "Runs the application pools of FILE in the foreground; poolctl talks to it.\n";

/* Absolute, because workers run in other directories. No home directory stands in for a missing
 * runtime directory: it may be on a network. */
static int
runtime_set(struct options *options, const char *given)
{
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    char path[2 * PATH_MAX], here[PATH_MAX] = "";
    if (given == NULL && geteuid() == 0)
        given = "/run/poold";
    if (given != NULL && given[0] != '/' && getcwd(here, sizeof here) != NULL)
        snprintf(path, sizeof path, "%s/%s", here, given);
    else if (given != NULL)
        snprintf(path, sizeof path, "%s", given);
    else if (xdg != NULL && xdg[0] == '/')
        snprintf(path, sizeof path, "%s/poold", xdg);
    else
        snprintf(path, sizeof path, "/tmp/poold-%u", (unsigned)geteuid());
    if (strlen(path) <= RECORD_RUNTIME_MAX) {
        memcpy(options->runtime, path, strlen(path) + 1);
        options->load.runtime = options->runtime;
        return -1;
    }
    fprintf(stderr,
            "poold: the runtime directory's path %s is longer than %u bytes: name a shorter one "
            "with --runtime-dir\n",
            path, RECORD_RUNTIME_MAX);
    return EXIT_USAGE;
}

/* Absolute too: it is what the last good configuration is known by, and a relative one would mean another
 * file in another directory. What is too long for that stays as it is, and cannot be opened anyhow. */
static void
config_set(struct options *options)
{
    const char *given = options->load.config;
    char here[PATH_MAX];
    if (given == NULL || given[0] == '\0' || given[0] == '/' || getcwd(here, sizeof here) == NULL ||
        strlen(here) + 1 + strlen(given) >= sizeof options->config)
        return;
    memcpy(options->config, here, strlen(here));
    options->config[strlen(here)] = '/';
    memcpy(options->config + strlen(here) + 1, given, strlen(given) + 1);
    options->load.config = options->config;
}

/* Without a home there is none: then nothing is kept, and that is said when something should be. */
static void
state_set(struct options *options)
{
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int len = 0;
    if (options->load.state_dir != NULL)
        return;
    if (geteuid() == 0)
        len = snprintf(options->state, sizeof options->state, "/var/lib/poold");
    else if (xdg != NULL && xdg[0] == '/')
        len = snprintf(options->state, sizeof options->state, "%s/poold", xdg);
    else if (home != NULL && home[0] == '/')
        len = snprintf(options->state, sizeof options->state, "%s/.local/state/poold", home);
    if (len > 0 && (size_t)len < sizeof options->state)
        options->load.state_dir = options->state;
}

int
options_read(struct options *out, int argc, char **argv)
{
    enum { CONFIG, RUNTIME, STATE, USER, LOG, CHECK, VERSION, HELP };
    static const struct option known[] = {{"config", required_argument, NULL, CONFIG},
                                          {"runtime-dir", required_argument, NULL, RUNTIME},
                                          {"state-dir", required_argument, NULL, STATE},
                                          {"engine-user", required_argument, NULL, USER},
                                          {"log", required_argument, NULL, LOG},
                                          {"check", no_argument, NULL, CHECK},
                                          {"version", no_argument, NULL, VERSION},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    const char *runtime = NULL;
    *out = (struct options){.asked = ASKED_TO_RUN};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == CONFIG) {
            out->load.config = optarg;
        } else if (option == RUNTIME) {
            runtime = optarg;
        } else if (option == STATE) {
            out->load.state_dir = optarg;
        } else if (option == USER) {
            out->load.engine_user = optarg;
        } else if (option == LOG && out->load.log_count < LOAD_LOGS_MAX) {
            out->load.logs[out->load.log_count++] = optarg;
        } else if (option == CHECK || option == VERSION) {
            out->asked = option == CHECK ? ASKED_TO_CHECK : ASKED_FOR_VERSION;
        } else {
            fputs(usage, option == HELP ? stdout : stderr);
            return option == HELP ? 0 : EXIT_USAGE;
        }
    }
    state_set(out);
    if (out->asked == ASKED_TO_RUN)
        config_set(out);
    if (optind >= argc)
        return out->asked == ASKED_TO_RUN ? runtime_set(out, runtime) : -1;
    fprintf(stderr, "poold: what is '%s'? There are only options\n", argv[optind]);
    return EXIT_USAGE;
}
