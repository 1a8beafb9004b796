/* main.c - poolctl: its command line, and the choice of the verb. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"
#include "common/units.h"
#include "supervisor/ctl/ctl.h"

enum { WAIT = 1, TIMEOUT = 2, FOLLOW = 4, POOL = 8, ANY = 1 << 30 };

static const struct verb {
    const char *name, *arguments;
    enum ctl_exit (*run)(struct ctl *);
    int least, most;
    unsigned options;
    const char *help;
} verbs[] = {
#define CTL_VERB(function, name, arguments, least, most, options, help)                            \
    {name, arguments, verb_##function, least, most, options, help},
#include "supervisor/ctl/verbs.def"
};

static const struct option long_options[] = {
    {"socket", required_argument, NULL, 's'},  {"runtime-dir", required_argument, NULL, 'r'},
    {"json", no_argument, NULL, 'j'},          {"wait", no_argument, NULL, 'w'},
    {"timeout", required_argument, NULL, 't'}, {"follow", no_argument, NULL, 'f'},
    {"pool", required_argument, NULL, 'p'},    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},       {NULL, 0, NULL, 0},
};

static const struct verb_option {
    char letter;
    unsigned bit;
    const char *name, *argument;
} verb_options[] = {
    {'w', WAIT, "--wait", ""},
    {'t', TIMEOUT, "--timeout", " DURATION"},
    {'f', FOLLOW, "--follow", ""},
    {'p', POOL, "--pool", " POOL"},
};

static void
print_verb(const struct verb *verb)
{
    char synopsis[96];
    int len = snprintf(synopsis, sizeof synopsis, "%s%s%s", verb->name,
                       verb->arguments[0] == '\0' ? "" : " ", verb->arguments);
    for (size_t i = 0; i < ARRAY_LEN(verb_options); i++) {
        if (verb->options & verb_options[i].bit)
            len += snprintf(synopsis + len, sizeof synopsis - (size_t)len, " [%s%s]",
                            verb_options[i].name, verb_options[i].argument);
    }
    printf("  %-48s %s\n", synopsis, verb->help);
}

static void
print_help(void)
{
    puts("usage: poolctl [--socket PATH | --runtime-dir DIR] [--json] [VERB ...]\n"
         "\n"
         "Asks a running poold, or tells it what to do. Without a verb: status.\n");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        print_verb(&verbs[i]);
    puts("\n"
         "Exit status: 0 done; 1 failed; 2 usage; 3 (status) a pool that should run does not;\n"
         "4 no such pool; 69 no supervisor; 75 the wait ran out; 77 not permitted;\n"
         "78 the configuration has errors.");
}

/* What other programs call it; nearness in letters would not find these. */
static const struct foreign {
    const char *name, *hint;
} foreigners[] = {
    {"restart", "did you mean \"recycle\"?"},
    {"reload", "\"config apply\" reads the files again, \"recycle POOL\" replaces workers"},
    {"logs", "did you mean \"events\"?"},
    {"log", "did you mean \"events\"?"},
    {"ps", "did you mean \"workers\"?"},
    {"list", "did you mean \"status\"?"},
    {"kill", "\"stop POOL\" ends a pool's workers, \"shutdown\" ends poold"},
};

/* NULL: there is no such verb, which has been said. */
static const struct verb *
find_verb(const char *name)
{
    struct text_nearest nearest;
    text_nearest_init(&nearest, name);
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
        text_nearest_offer(&nearest, verbs[i].name);
    }
    char hint[128] = "\"poolctl help\" lists the verbs";
    if (nearest.best[0] != '\0')
        snprintf(hint, sizeof hint, "did you mean \"%s\"?", nearest.best);
    for (size_t i = 0; i < ARRAY_LEN(foreigners); i++) {
        if (strcmp(foreigners[i].name, name) == 0)
            snprintf(hint, sizeof hint, "%s", foreigners[i].hint);
    }
    ctl_complain(name, hint, "there is no such verb");
    return NULL;
}

enum ctl_exit
verb_help(struct ctl *ctl)
{
    const struct verb *verb = ctl->argc == 0 ? NULL : find_verb(ctl->argv[0]);
    if (ctl->argc == 0)
        print_help();
    else if (verb == NULL)
        return CTL_USAGE;
    else
        print_verb(verb);
    return CTL_DONE;
}

/* --- Where the socket is. */

#define SYSTEM_DIRECTORY "/run/poold" /* of a poold that root started */

static enum ctl_exit
set_path(struct ctl *ctl, const char *directory)
{
    static char path[256], own[256];
    int len = snprintf(path, sizeof path, "%s/control", directory);
    if (len < 0 || (size_t)len >= sizeof path) {
        ctl_complain(directory, NULL, "the path is too long");
        return CTL_USAGE;
    }
    snprintf(own, sizeof own, "%s", directory);
    ctl->path = path;
    ctl->directory = own;
    return CTL_DONE;
}

/* Anyone may make a directory in /tmp: only one's own is believed. */
static enum ctl_exit
check_owner(const char *directory)
{
    struct stat st;
    if (lstat(directory, &st) != 0) /* connecting will tell */
        return CTL_DONE;
    if (S_ISDIR(st.st_mode) && st.st_uid == getuid())
        return CTL_DONE;
    ctl_complain(directory, "name the one that is meant with --runtime-dir",
                 "it is not a directory of your own");
    return CTL_DENIED;
}

static enum ctl_exit
set_default_path(struct ctl *ctl)
{
    char directory[200];
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    struct stat st;
    if (getuid() == 0)
        return set_path(ctl, SYSTEM_DIRECTORY);
    if (runtime != NULL && runtime[0] == '/')
        snprintf(directory, sizeof directory, "%.180s/poold", runtime);
    else
        snprintf(directory, sizeof directory, "/tmp/poold-%u", (unsigned)getuid());
    /* Who never had a poold of his own means the system's, where he may have a role. */
    if (lstat(directory, &st) != 0 && stat(SYSTEM_DIRECTORY, &st) == 0)
        return set_path(ctl, SYSTEM_DIRECTORY);
    enum ctl_exit exit_status =
        runtime != NULL && runtime[0] == '/' ? CTL_DONE : check_owner(directory);
    return exit_status == CTL_DONE ? set_path(ctl, directory) : exit_status;
}

/* --- The command line. */

static enum ctl_exit
usage(void)
{
    fputs("hint: \"poolctl help\" lists verbs and options\n", stderr);
    return CTL_USAGE;
}

/* -1: go on; else what to exit with. given: bits of the verb's options. */
static int
take_option(struct ctl *ctl, int letter, const char **directory, unsigned *given)
{
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(verb_options); i++) {
        if (verb_options[i].letter == letter)
            *given |= verb_options[i].bit;
    }
    switch (letter) {
    case 's':
        ctl->path = optarg;
        return -1;
    case 'r':
        *directory = optarg;
        return -1;
    case 'j':
        ctl->json = true;
        return -1;
    case 'w':
        ctl->wait = true;
        return -1;
    case 'f':
        ctl->follow = true;
        return -1;
    case 'p':
        ctl->pool = optarg;
        return -1;
    case 't':
        if (duration_parse(optarg, &ctl->timeout_ms, &err) == 0 && ctl->timeout_ms > 0 &&
            ctl->timeout_ms <= UINT64_C(24) * 3600 * 1000)
            return -1;
        ctl_complain("--timeout", "a duration is written like 90s, 5m or 1h30m",
                     "\"%s\" is not a duration above 0 and up to 24h", optarg);
        return CTL_USAGE;
    case 'h':
        print_help();
        return CTL_DONE;
    case 'V':
        puts("poolctl " POOLD_VERSION);
        return CTL_DONE;
    default:
        return (int)usage();
    }
}

static enum ctl_exit
check_verb(const struct ctl *ctl, const struct verb *verb, unsigned given)
{
    for (size_t i = 0; i < ARRAY_LEN(verb_options); i++) {
        if (given & ~verb->options & verb_options[i].bit) {
            ctl_complain(verb->name, NULL, "%s is not an option of this verb",
                         verb_options[i].name);
            return usage();
        }
    }
    if ((given & TIMEOUT) && !(given & WAIT)) {
        ctl_complain(verb->name, NULL, "--timeout is the limit of --wait, which is not given");
        return usage();
    }
    if (ctl->argc < verb->least) {
        ctl_complain(verb->name, NULL, "%s %s: nothing is named", verb->name, verb->arguments);
        return usage();
    }
    if (ctl->argc > verb->most) {
        ctl_complain(verb->name, NULL, "\"%s\" is too much", ctl->argv[verb->most]);
        return usage();
    }
    return CTL_DONE;
}

static bool
wants_colour(void)
{
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && (none == NULL || none[0] == '\0') &&
           (term == NULL || strcmp(term, "dumb") != 0);
}

static enum ctl_exit
run(struct ctl *ctl, int argc, char **argv)
{
    const char *directory = NULL;
    unsigned given = 0;
    int letter;
    while ((letter = getopt_long(argc, argv, "hf", long_options, NULL)) != -1) {
        int r = take_option(ctl, letter, &directory, &given);
        if (r >= 0)
            return (enum ctl_exit)r;
    }
    const struct verb *verb = find_verb(optind < argc ? argv[optind] : "status");
    if (verb == NULL)
        return CTL_USAGE;
    ctl->argc = optind < argc ? argc - optind - 1 : 0;
    ctl->argv = argv + argc - ctl->argc;
    enum ctl_exit exit_status = check_verb(ctl, verb, given);
    if (exit_status == CTL_DONE && ctl->path != NULL && directory != NULL) {
        ctl_complain(NULL, NULL, "--socket and --runtime-dir exclude each other");
        exit_status = usage();
    }
    if (exit_status == CTL_DONE && directory != NULL)
        exit_status = set_path(ctl, directory);
    if (exit_status == CTL_DONE && ctl->path == NULL)
        exit_status = set_default_path(ctl);
    return exit_status == CTL_DONE ? verb->run(ctl) : exit_status;
}

int
main(int argc, char **argv)
{
    struct ctl ctl = {.colour = wants_colour()};
    enum ctl_exit exit_status = run(&ctl, argc, argv);
    connection_close(&ctl.connection);
    if (ctl.json && exit_status != CTL_DONE)
        ctl_print_json_error(exit_status);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        ctl_complain(NULL, NULL, "standard output: %s", strerror(errno));
        exit_status = exit_status == CTL_DONE ? CTL_FAILED : exit_status;
    }
    return (int)exit_status;
}
