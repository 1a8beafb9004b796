/* main.c - the command line of poold-engine. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/engine/refusal.h"
#include "supervisor/engine/shell.h"
#include "supervisor/load/load.h"
#include "supervisor/verbs.h"

#define EXIT_USAGE      2
#define LOG_OPTIONS_MAX 8

enum mode { MODE_ENGINE, MODE_CHECK, MODE_KEYS, MODE_SCHEMA, MODE_VERSION };

struct command_line {
    enum mode mode;
    const char *key; /* --keys: that alone; NULL: all */
    struct load_options load;
    struct shell_options shell;
    const char *log_targets[LOG_OPTIONS_MAX];
};

static const char usage[] =
    "usage: poold-engine --check [--config FILE] | --keys [KEY] | --schema | --version\n"
    "poold-engine is started by poold; see poold(8).\n";

static bool
read_command_line(struct command_line *line, int argc, char **argv)
{
    static const struct option options[] = {
        {"check", no_argument, NULL, 'C'},           {"keys", no_argument, NULL, 'K'},
        {"version", no_argument, NULL, 'V'},         {"schema", no_argument, NULL, 'S'},
        {"config", required_argument, NULL, 'c'},    {"engine-user", required_argument, NULL, 'u'},
        {"state-dir", required_argument, NULL, 's'}, {"runtime-dir", required_argument, NULL, 'r'},
        {"log", required_argument, NULL, 'l'},       {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'C':
            line->mode = MODE_CHECK;
            break;
        case 'K':
            line->mode = MODE_KEYS;
            break;
        case 'S':
            line->mode = MODE_SCHEMA;
            break;
        case 'V':
            line->mode = MODE_VERSION;
            break;
        case 'c':
            line->load.config = optarg;
            break;
        case 'u':
            line->load.engine_user = optarg;
            break;
        case 's':
            line->load.state_dir = optarg;
            break;
        case 'r': /* the keeper's own: every path that the engine needs comes as a descriptor */
            break;
        case 'l':
            if (line->shell.log_count == LOG_OPTIONS_MAX)
                return false;
            line->log_targets[line->shell.log_count++] = optarg;
            break;
        default:
            return false;
        }
    }
    if (line->mode == MODE_KEYS && optind < argc)
        line->key = argv[optind++];
    return optind == argc;
}

static void
on_refused(const struct load_options *options, const struct record *record)
{
    refusal_tell(options->logs, options->log_count, record);
}

int
main(int argc, char **argv)
{
    struct command_line line = {.shell.keeper_fd = ENGINE_KEEPER_FD};
    line.shell.log_targets = line.log_targets;
    /* The loader: what follows is poold's own command line. */
    if (argc > 1 && strcmp(argv[1], "--load") == 0)
        return load_main(LOAD_FIRST, argc - 2, argv + 2, on_refused);
    if (argc > 1 && strcmp(argv[1], "--reload") == 0)
        return load_main(LOAD_AGAIN, argc - 2, argv + 2, NULL);
    if (argc > 1 && strcmp(argv[1], "--keep") == 0)
        return load_main(LOAD_KEEP, argc - 2, argv + 2, NULL);
    if (!read_command_line(&line, argc, argv)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    switch (line.mode) {
    case MODE_CHECK:
        return load_check(&line.load, stdout);
    case MODE_KEYS:
        return load_keys(line.key, stdout);
    case MODE_SCHEMA:
        return load_schema(stdout);
    case MODE_VERSION:
        printf("poold %s\n", POOLD_VERSION);
        return 0;
    case MODE_ENGINE:
        break;
    }
    signal(SIGPIPE, SIG_IGN);
    return shell_main(&line.shell);
}
