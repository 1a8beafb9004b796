/* load.h - the loader: from a configuration file to a compiled configuration (record.h).
 *
 * It runs once with the rights that poold was started with, for one load, and is gone. */
#ifndef POOLD_LOAD_H
#define POOLD_LOAD_H

#include <stdio.h>

#include "common/base.h"
#include "common/err.h"

#define LOAD_LOGS_MAX 8 /* --log: as many sinks as the engine has */

/* record: with its errors, borrowed for the call. */
struct record;
struct load_options;
typedef void load_refused_fn(const struct load_options *, const struct record *);

struct load_files;
struct load_options {
    const struct record *in_force;   /* NULL: this is the first load; else pools keep its places */
    const struct load_files *files;  /* NULL: those of the file system */
    const char *config;              /* path; NULL: /etc/poold/poold.json, or the user's own */
    const char *engine_user;         /* NULL: LOAD_ENGINE_USER, for which 65534 stands in */
    const char *state_dir;           /* where the last good configuration is kept; NULL: nowhere */
    const char *runtime;             /* the keeper's directory, absolute; NULL: not for a keeper */
    const char *logs[LOAD_LOGS_MAX]; /* for the engine, as they were given */
    uint32_t log_count;
    bool advise; /* put advice_text into the configuration */
};

#define LOAD_ENGINE_USER "poold"
#define LOAD_FILE_MAX    (4u << 20)  /* bytes of a file; 5,000 pools need under 3 MiB */
#define LOAD_FILES_MAX   1000u       /* files of one configuration */
#define LOAD_BYTES_MAX   (16u << 20) /* of all files together */
#define LOAD_ERRORS_MAX  1000u       /* errors that are listed; further ones are counted */

/* A compiled configuration, or the errors that kept it from being one, as record.h lays it out. */
struct load_result {
    void *image;
    size_t size;
};

/* Compiles the file that options name. Returns 0 - also when the configuration has errors, which
 * are in the image then - or -ENOMEM. The caller ends with load_result_fini. */
int load_compile(const struct load_options *, struct load_result *, struct err *);

/* The same from len bytes at text; options->config is the name that messages use. */
int load_compile_text(const struct load_options *, const char *text, size_t len,
                      struct load_result *, struct err *);
void load_result_fini(struct load_result *);

/* Makes last_good, which was kept at that time, fit for this start of poold, and puts the errors of
 * refused with it (record.h, errors_kept). Returns 0 or a negative errno. */
int load_renew(const struct load_options *, const struct record *last_good, int64_t kept_at,
               const struct record *refused, struct load_result *, struct err *);

/* FIRST: poold starts. AGAIN: it runs, and keeps its directory, its lock and its control socket.
 * KEEP: it runs, and the configuration in force becomes the last good one. */
enum load_mode { LOAD_FIRST, LOAD_AGAIN, LOAD_KEEP };

/* `poold-engine --load`, `--reload` and `--keep`, with poold's own argv behind it: does what that
 * asks for. To run means to make the runtime directory (FIRST only), to compile the configuration,
 * and to give everything to the keeper (verbs.h); when the files have errors, at FIRST, the last good
 * configuration is given, if there is one. KEEP gives the configuration in force back once it is
 * stored. Returns the exit status, which at the start is poold's: 0 given or answered; 1 not given,
 * 2 a wrong command line, 78 (EX_CONFIG, FIRST only: at AGAIN it is for the keeper to tell) a
 * configuration with errors; the reason is on stderr. refused is told of such a configuration too,
 * before the end; NULL: nobody is. */
int load_main(enum load_mode, int argc, char **argv, load_refused_fn *refused);

/* The last step of it: result, in a sealed memfd. */
int load_give(enum load_mode, const struct load_options *, const struct load_result *,
              load_refused_fn *refused);

/* `poold --check`: errors, or a summary, and warnings, to out. Returns the exit status: 0, 78
 * (EX_CONFIG) when there are errors, 1 when the check itself failed. */
int load_check(const struct load_options *, FILE *out);

/* `poold-engine --keys [KEY]`: a line per key: key, type, unit, range, default, takes effect,
 * documentation, and where it stands - "pool" or "file" -, with a tab between. name: that key alone, in
 * full, or all of that object ("health"); NULL: every key. Returns the exit status: 1 when there is no
 * such key, which is said on stderr with the nearest one. */
int load_keys(const char *name, FILE *out);

/* `poold-engine --schema`: the same as a JSON Schema (draft-07). Returns the exit status. */
int load_schema(FILE *out);

#endif
