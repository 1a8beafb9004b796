/* options.c - poold's command line, and where things lie when it does not say. */
#include "supervisor/keeper/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/keeper/say.h"

#define EXIT_USAGE 2

static const char usage[] =
    "usage: poold [--config FILE] [--runtime-dir DIR] [--state-dir DIR]\n"
    "             [--log syslog|journal|stderr|PATH]... [--engine-user NAME]\n"
    "       poold --check [--config FILE] | --version | --help\n"
    "Runs the application pools of FILE in the foreground; poolctl talks to it.\n"
    "  --no-launcher  start each worker's process from poold itself (for tests)\n";

static int paths_fill(struct options *out, const char *config, const char *runtime,
                      const char *state);
static int path_set(char out[PATH_MAX], const char *given, const char *system, const char *variable,
                    const char *fallback, const char *name);
static int path_absolute(char out[PATH_MAX]);

int
options_read(struct options *out, int argc, char **argv)
{
    enum { CONFIG = 1, RUNTIME, STATE, LOG, ENGINE_USER, NO_LAUNCHER, CHECK, VERSION, HELP };
    static const struct option known[] = {{"config", required_argument, NULL, CONFIG},
                                          {"runtime-dir", required_argument, NULL, RUNTIME},
                                          {"state-dir", required_argument, NULL, STATE},
                                          {"log", required_argument, NULL, LOG},
                                          {"engine-user", required_argument, NULL, ENGINE_USER},
                                          {"no-launcher", no_argument, NULL, NO_LAUNCHER},
                                          {"check", no_argument, NULL, CHECK},
                                          {"version", no_argument, NULL, VERSION},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    const char *config = NULL, *runtime = NULL, *state = NULL;
    *out = (struct options){.engine_user = "poold", .no_pidfd = getenv("POOLD_NO_PIDFD") != NULL};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case CONFIG:
            config = optarg;
            break;
        case RUNTIME:
            runtime = optarg;
            break;
        case STATE:
            state = optarg;
            break;
        case LOG:
            if (out->log_count == OPTIONS_LOGS_MAX) {
                say("--log: at most %u of them", OPTIONS_LOGS_MAX);
                return EXIT_USAGE;
            }
            out->logs[out->log_count++] = optarg;
            break;
        case ENGINE_USER:
            out->engine_user = optarg;
            break;
        case NO_LAUNCHER:
            out->no_launcher = true;
            break;
        case CHECK:
            out->check = true;
            break;
        case VERSION:
            out->version = true;
            break;
        case HELP:
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        say("what is '%s'? There are only options", argv[optind]);
        return EXIT_USAGE;
    }
    return paths_fill(out, config, runtime, state);
}

static int
paths_fill(struct options *out, const char *config, const char *runtime, const char *state)
{
    char private_tmp[32];
    snprintf(private_tmp, sizeof private_tmp, "/tmp/poold-%u", (unsigned)geteuid());
    if (path_set(out->config, config, POOLD_SYSCONFDIR "/poold/poold.json", "XDG_CONFIG_HOME",
                 ".config", "/poold/poold.json") != 0 ||
        path_set(out->state, state, "/var/lib/poold", "XDG_STATE_HOME", ".local/state", "/poold") !=
            0)
        return EXIT_USAGE;
    /* No home directory stands in for a missing runtime directory: it may be on a network. */
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    if (runtime == NULL && geteuid() != 0 && (xdg == NULL || xdg[0] != '/'))
        runtime = private_tmp;
    if (path_set(out->runtime, runtime, "/run/poold", "XDG_RUNTIME_DIR", "", "/poold") != 0)
        return EXIT_USAGE;
    if (strlen(out->runtime) > RUNTIME_PATH_MAX) {
        say("the runtime directory's path %s is longer than %u bytes: name a shorter one with "
            "--runtime-dir",
            out->runtime, RUNTIME_PATH_MAX);
        return EXIT_USAGE;
    }
    return -1;
}

/* given, else the system's place as root, else below the directory that variable names, else below
 * fallback in the home directory. */
static int
path_set(char out[PATH_MAX], const char *given, const char *system, const char *variable,
         const char *fallback, const char *name)
{
    const char *xdg = getenv(variable), *home = getenv("HOME");
    int length;
    if (given != NULL)
        length = snprintf(out, PATH_MAX, "%s", given);
    else if (geteuid() == 0)
        length = snprintf(out, PATH_MAX, "%s", system);
    else if (xdg != NULL && xdg[0] == '/')
        length = snprintf(out, PATH_MAX, "%s%s", xdg, name);
    else
        length = snprintf(out, PATH_MAX, "%s/%s%s", home != NULL ? home : "", fallback, name);
    if (length >= PATH_MAX || out[0] == '\0' || path_absolute(out) != 0) {
        say("a path is empty or too long: %.60s...", out);
        return -1;
    }
    return 0;
}

/* Workers and the engine run in other directories, and find poold's files all the same. */
static int
path_absolute(char out[PATH_MAX])
{
    char here[PATH_MAX], relative[PATH_MAX];
    if (out[0] == '/')
        return 0;
    memcpy(relative, out, PATH_MAX);
    if (getcwd(here, sizeof here) == NULL)
        return -errno;
    int length = snprintf(out, PATH_MAX, "%s/%s", here, relative);
    return length < PATH_MAX ? 0 : -ENAMETOOLONG;
}
