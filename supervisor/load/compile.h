/* compile.h - the state of one load, which its parts share. */
#ifndef POOLD_LOAD_COMPILE_H
#define POOLD_LOAD_COMPILE_H

#include <jansson.h>
#include <sys/types.h>

#include "common/json.h"
#include "common/map.h"
#include "common/text.h"
#include "supervisor/load/buffer.h"
#include "supervisor/load/image.h"
#include "supervisor/load/keys.h"
#include "supervisor/load/load.h"
#include "supervisor/load/pool.h"
#include "supervisor/load/problem.h"

struct identity;

struct load {
    const struct load_options *options;
    const char *source; /* path of the file, printable, for messages */
    bool is_root;       /* pools say who they run as */
    struct problems problems;
    struct buffer warnings; /* lines */
    uint32_t warning_count;
    struct pointer pointer; /* of what is being looked at */
    struct image image;
    struct draft preset;
    json_t *preset_values;       /* array: what preset borrows from */
    struct identity *identities; /* list of those that were looked up */
    struct map addresses;        /* listen.c: who listens where */
    bool failed;                 /* out of memory */
};

/* --- values.c */

/* Reads value, which was given for key, into draft; reports what is wrong with it at
 * load->pointer. Returns whether it is right. */
bool value_take(struct load *, const struct config_key *, const json_t *value, struct draft *);

/* --- refuse.c: reports at load->pointer. What returns bool returns false, except
 * value_check_string, which is true for a string. */

void value_refuse(struct load *, const struct config_key *, const json_t *value);
bool value_refuse_range(struct load *, const struct config_key *, const json_t *value);
bool value_refuse_near(struct load *, const struct config_key *, const json_t *value,
                       const struct text_nearest *); /* the nearest word, if any, is offered */
bool value_check_string(struct load *, const json_t *value);

/* --- identity.c */

struct identity {
    struct identity *next;
    char *asked_user, *asked_group; /* as the pool wrote them; asked_group NULL: not given */
    char *user, *home, *shell;
    uid_t uid;
    gid_t gid;
    uint32_t groups, group_count;           /* as in record.h */
    char user_error[160], group_error[160]; /* "": it is there */
};

/* The identity that draft asks for, borrowed until identities_fini; NULL: errors were reported. */
const struct identity *identity_resolve(struct load *, const struct draft *);
void identities_fini(struct load *);

/* Who the engine runs as, into header; a user that was named and does not exist is a problem. */
void identity_engine(struct load *, struct record_header *header);

/* --- engine.c */

/* The runtime directory and the engine's argv into header; its engine_uid and _gid are there. */
void engine_words_put(struct load *, struct record_header *header);

/* --- environment.c */

/* The environment of draft's pool into its record. Returns the value of PATH in it, borrowed until
 * the next call; NULL: errors were reported. */
const char *environment_resolve(struct load *, struct draft *, const struct identity *);

/* --- program.c */

/* count strings, joined with their NULs to so many bytes, into the image. False: refused at
 * load->pointer, because no program could be executed with so much. */
bool strings_put(struct load *, const char *joined, size_t bytes, size_t count,
                 struct record_strings *);

/* The programs of the command and the ready command, found in path, into its record. */
void programs_resolve(struct load *, struct draft *, const char *path);

/* --- address.c */

/* Parses an address into family, length, sockaddr, dual and mode of the socket. False: refused at
 * load->pointer. */
bool address_parse(struct load *, const char *text, struct record_socket *);

/* Reports `the address "TEXT" WHY` at load->pointer; returns false. Only text is escaped. */
bool address_refuse(struct load *, const char *text, const char *why);

/* --- listen.c */

/* The sockets of draft's pool into the image and its record. */
void listen_resolve(struct load *, struct draft *, const char *pool, const struct identity *);

#endif
