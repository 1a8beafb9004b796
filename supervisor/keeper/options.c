/* options.c - poold's command line, and where things lie when it does not say. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/keeper/keeper.h"

#define EXIT_USAGE 2

static const char usage[] =
    "usage: poold [--config FILE] [--runtime-dir DIR] [--state-dir DIR]\n"
    "             [--log syslog|journal|stderr|PATH]... [--engine-user NAME]\n"
    "       poold --check [--config FILE] | --version | --help\n"
    "Runs the application pools of FILE in the foreground; poolctl talks to it.\n";

/* given, else the system's place as root, else name below the directory that variable names, else
 * below fallback; absolute, because workers and engine run in other directories. */
static int
path_set(char out[PATH_MAX], const char *given, const char *system, const char *variable,
         const char *fallback, const char *name)
{
    const char *xdg = getenv(variable);
    char here[PATH_MAX] = "";
    int length;
    if (given == NULL && geteuid() == 0)
        given = system;
    if (given != NULL && given[0] != '/' && getcwd(here, sizeof here) == NULL)
        given = "";
    if (given != NULL)
        length = snprintf(out, PATH_MAX, "%s%s%s", here, here[0] != '\0' ? "/" : "", given);
    else
        length = snprintf(out, PATH_MAX, "%s%s",
                          xdg != NULL && xdg[0] == '/' ? xdg : fallback, name);
    if (length < PATH_MAX && out[0] == '/' && (given == NULL || given[0] != '\0'))
        return 0;
    say("a path is empty or too long: %.60s...", out);
    return EXIT_USAGE;
}

static int
paths_set(struct options *out, const char *config, const char *runtime, const char *state)
{
    const char *home = getenv("HOME");
    char below_home[2][PATH_MAX], below_tmp[32];
    snprintf(below_home[0], PATH_MAX, "%s/.config", home != NULL ? home : "");
    snprintf(below_home[1], PATH_MAX, "%s/.local/state", home != NULL ? home : "");
    /* No home directory stands in for a missing runtime directory: it may be on a network. */
    snprintf(below_tmp, sizeof below_tmp, "/tmp/poold-%u", (unsigned)geteuid());
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    if (runtime == NULL && geteuid() != 0 && (xdg == NULL || xdg[0] != '/'))
        runtime = below_tmp;
    if (path_set(out->config, config, POOLD_SYSCONFDIR "/poold/poold.json", "XDG_CONFIG_HOME",
                 below_home[0], "/poold/poold.json") != 0 ||
        path_set(out->state, state, "/var/lib/poold", "XDG_STATE_HOME", below_home[1],
                 "/poold") != 0 ||
        path_set(out->runtime, runtime, "/run/poold", "XDG_RUNTIME_DIR", "", "/poold") != 0)
        return EXIT_USAGE;
    if (strlen(out->runtime) <= RUNTIME_PATH_MAX)
        return -1;
    say("the runtime directory's path %s is longer than %u bytes: name a shorter one with "
        "--runtime-dir",
        out->runtime, RUNTIME_PATH_MAX);
    return EXIT_USAGE;
}

int
options_read(struct options *out, int argc, char **argv)
{
    enum { CONFIG, RUNTIME, STATE, ENGINE_USER, LOG, CHECK, VERSION, HELP, COUNT };
    static const struct option known[] = {{"config", required_argument, NULL, CONFIG},
                                          {"runtime-dir", required_argument, NULL, RUNTIME},
                                          {"state-dir", required_argument, NULL, STATE},
                                          {"engine-user", required_argument, NULL, ENGINE_USER},
                                          {"log", required_argument, NULL, LOG},
                                          {"check", no_argument, NULL, CHECK},
                                          {"version", no_argument, NULL, VERSION},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    const char *given[COUNT] = {[ENGINE_USER] = "poold"};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option < 0 || option >= COUNT) {
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
        given[option] = optarg != NULL ? optarg : "";
        if (option == LOG && out->log_count == LOGS_MAX) {
            say("--log: at most %u of them", LOGS_MAX);
            return EXIT_USAGE;
        }
        if (option == LOG)
            out->logs[out->log_count++] = optarg;
    }
    if (given[HELP] != NULL) {
        fputs(usage, stdout);
        return 0;
    }
    if (optind < argc) {
        say("what is '%s'? There are only options", argv[optind]);
        return EXIT_USAGE;
    }
    out->engine_user = given[ENGINE_USER];
    out->check = given[CHECK] != NULL;
    out->version = given[VERSION] != NULL;
    return paths_set(out, given[CONFIG], given[RUNTIME], given[STATE]);
}
