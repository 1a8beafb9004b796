/* compile.h - the state of one load, which its parts share. */
#ifndef POOLD_LOAD_COMPILE_H
#define POOLD_LOAD_COMPILE_H

#include <jansson.h>
#include <sys/types.h>

#include "common/json.h"
#include "common/map.h"
#include "common/text.h"
#include "supervisor/load/buffer.h"
#include "supervisor/load/file.h"
#include "supervisor/load/image.h"
#include "supervisor/load/keys.h"
#include "supervisor/load/load.h"
#include "supervisor/load/inclusion.h"
#include "supervisor/load/places.h"
#include "supervisor/load/pool.h"
#include "supervisor/load/preset.h"
#include "supervisor/load/problem.h"

struct identity;

/* The environment that was made last (environment.c). */
struct environment_memo {
    bool is_filled, is_good;
    struct environment_draft given;
    const struct identity *identity;
    struct record_strings env;
    const char *path; /* value of PATH in it */
};

#define PRESET_KEYS 3 /* that a preset fills */

/* A file of the configuration. */
struct source {
    const char *name; /* its path, printable, for messages */
    const char *path;
    const char *text; /* NULL: it could not be read */
    size_t len;
    uint64_t device, inode; /* both 0: it is no file */
    json_t *tree;           /* NULL: it is no JSON */
    const json_t *defaults; /* NULL: none, or wrong */
    const json_t *pools;
    char *owned_path, *owned_name, *owned_text; /* what fini frees */
};

struct load {
    const struct load_options *options;
    const struct load_files *files;
    const char *source; /* path of the main file, printable, for messages */
    bool is_root;       /* pools say who they run as */
    struct problems problems;
    struct buffer warnings; /* lines */
    struct pointer pointer; /* of what is being looked at */
    struct image image;
    struct top top;
    json_t *built_in_values;                    /* array: what built-in values borrow from */
    json_t *presets[PRESET_COUNT][PRESET_KEYS]; /* the values of presets */
    char *built_in_texts[POOL_KEY_COUNT];       /* canonical; NULL: there is none */
    struct buffer sources;                      /* of struct source; the main file is first */
    struct identity *identities;                /* list of those that were looked up */
    struct map addresses;                       /* listen.c: who listens where */
    struct inclusion inclusion;
    struct places places;
    uint32_t output_files; /* that pools name */
    struct environment_memo environment;
    struct buffer roles; /* of struct record_role, in the order of the file */
    uint32_t control;    /* as in record_header */
    bool failed;         /* out of memory */
};

/* --- values.c */

/* Reads value, which was given for key, into its member; reports what is wrong with it at
 * load->pointer. Returns whether it is right; else the member is as it was. */
bool value_take(struct load *, const struct config_key *, const json_t *value, void *member);

/* One of the words that keys of that type take. */
bool value_take_word(struct load *, const struct config_key *, const json_t *value, uint8_t *);

/* An octal number of three or four digits up to 0777, such as "0660". */
bool mode_parse(const json_t *value, uint32_t *out);

/* --- value_limits.c, value_lists.c: the same of single types, into members of theirs */

bool value_take_signed(struct load *, const struct config_key *, const json_t *value,
                       struct signed_draft *);
bool value_take_limit(struct load *, const struct config_key *, const json_t *value,
                      struct limit_draft *);
bool value_take_command(struct load *, const struct config_key *, const json_t *value,
                        const json_t **);
/* "03:30" as minutes of the day; MINUTES_A_DAY: it is none. */
uint32_t minute_parse(const json_t *);
bool value_take_times(struct load *, const struct config_key *, const json_t *, const json_t **out);
bool value_take_array(struct load *, const struct config_key *, const json_t *value,
                      const json_t **);
bool value_take_object(struct load *, const struct config_key *, const json_t *value,
                       const json_t **);
bool value_take_environment(struct load *, const struct config_key *, const json_t *value,
                            struct environment_draft *);
bool value_take_ready(struct load *, const struct config_key *, const json_t *value,
                      struct ready_draft *);

/* --- output.c */

bool value_take_output(struct load *, const struct config_key *, const json_t *value,
                       struct output_draft *);

/* --- draft.c */

/* Takes the members of the main file. */
void top_take_object(struct load *, struct top *, const json_t *object);

/* --- canonical.c */

/* The value as one text that equal values share: canonical JSON. It was taken before. */
void canonical_put(struct buffer *, const struct config_key *, const json_t *value);

/* Remembers the texts of what is built in. */
void canonical_init(struct load *);

/* --- values_list.c */

/* What differs from what is built in, into the pool's record. */
void value_list_put(struct load *, struct draft *);

/* --- fingerprint.c */

/* Hash of all that a process of the pool is made of; its sockets are in the image. */
uint64_t fingerprint_of(const struct load *, const struct record_pool *);

/* --- refuse.c: reports at load->pointer. What returns bool returns false, except
 * value_check_string, which is true for a string. */

void value_refuse(struct load *, const struct config_key *, const json_t *value);
bool value_refuse_range(struct load *, const struct config_key *, const json_t *value);
bool value_refuse_near(struct load *, const struct config_key *, const json_t *value,
                       const struct text_nearest *); /* the nearest word, if any, is offered */
bool value_check_string(struct load *, const json_t *value);

/* --- rules.c */

/* Reports every rule between keys that the pool breaks: before anything is looked up, and once its
 * sockets are known. */
void rules_check(struct load *, const struct draft *);
void rules_check_sockets(struct load *, const struct draft *);

/* --- identity.c */

struct identity {
    struct identity *next;
    char *asked_user, *asked_group; /* as the pool wrote them; NULL: not given */
    char *asked_groups;             /* canonical; NULL: not given */
    char *user, *home, *shell;
    uid_t uid;
    gid_t gid;
    uint32_t groups, group_count;           /* as in record.h */
    char user_error[160], group_error[160]; /* "": it is there */
    char groups_error[160];
    size_t groups_wrong; /* element of identity.groups that groups_error is about */
};

/* The identity of these names (NULL: not given), looked up once a load. NULL: out of memory. */
struct identity *identity_find(struct load *, const char *user, const char *group,
                               const json_t *groups);

/* The identity that draft asks for, borrowed until identities_fini; NULL: errors were reported. */
const struct identity *identity_resolve(struct load *, const struct draft *);
void identities_fini(struct load *);

/* Who the engine runs as, into header; a user that was named and does not exist is a problem. */
void identity_engine(struct load *, struct record_header *header);

/* --- engine.c */

/* The runtime directory and the engine's argv into header; its engine_uid and _gid are there. */
void engine_words_put(struct load *, struct record_header *header);

/* --- environment.c */

/* Checks one member of `environment`, which load->pointer points to. */
bool environment_check(struct load *, const char *name, const json_t *value);

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

/* --- output.c */

/* Where the output of draft's pool goes, into its record; a file that cannot be one is refused. */
void output_resolve(struct load *, struct draft *);

/* --- address.c */

/* Parses an address into family, length, sockaddr, dual and mode of the socket. False: refused at
 * load->pointer. */
bool address_parse(struct load *, const char *text, struct record_socket *);

/* Reports `the address "TEXT" WHY` at load->pointer; returns false. Only text is escaped. */
bool address_refuse(struct load *, const char *text, const char *why);

/* --- listen_element.c */

/* One element of `listen`, a string or an object. */
struct listen_draft {
    const char *address;      /* as it is written */
    const char *name;         /* NULL: the pool's */
    const char *user, *group; /* NULL: the pool's */
    uint32_t mode, backlog;
    bool has_mode;
    struct record_socket socket; /* family, sockaddr and the like of the address */
};

/* Reads the element that load->pointer points to. False: refused. */
bool listen_element_take(struct load *, const json_t *element, struct listen_draft *);

/* --- owner.c */

/* The owner of a unix socket's path, where its element of `listen` names one. */
void owner_resolve(struct load *, const struct listen_draft *, struct record_socket *);

/* --- claims.c */

/* Claims the address for the socket that will be at index. Returns the one that it cannot live with;
 * NONE: it has it. */
uint32_t claim_address(struct load *, const struct record_socket *, uint32_t index);

/* --- leaving.c */

/* Puts the sockets of pools in force that are not in the files any more at their places; after all
 * others, who come first. */
void leaving_put(struct load *);

/* --- listen.c */

/* The sockets of draft's pool, whose place is given, into the image and its record. */
void listen_resolve(struct load *, struct draft *, const char *pool, uint32_t place,
                    const struct identity *);

/* Claims the address of the control socket, behind those of all pools. False: one of them has it,
 * which is a problem. */
bool listen_claim_control(struct load *, const struct record_socket *);

/* --- control.c */

/* Resolves the names of control.admin and the like, in the main file. */
void control_take_roles(struct load *);

/* The control socket into the image, behind the sockets of all pools. */
void control_put(struct load *);

/* What both came to, into header. */
void control_put_header(struct load *, struct record_header *header);

/* --- document.c */

/* Compiles the main file, whose text is the first source, and all that it includes. */
void document_compile(struct load *);
struct source *source_at(const struct load *, size_t index);
size_t source_count(const struct load *);
void sources_drop_trees(struct load *);
void sources_fini(struct load *);

/* --- include.c */

/* Reads the files that `include` names behind the main file's source. */
void include_read(struct load *, const json_t *patterns);

#endif
