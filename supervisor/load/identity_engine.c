/* identity_engine.c - who the engine runs as. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "supervisor/load/compile.h"
#include "supervisor/load/database.h"

#define NOBODY 65534u

/* The stand-in for a user that nobody named and nobody made. */
static void
engine_is_nobody(struct load *load, struct record_header *header)
{
    header->engine_uid = header->engine_gid = NOBODY;
    header->engine_user = image_string(&load->image, "nobody");
    buffer_print(&load->warnings,
                 "the engine runs as user %u, as there is no user \"" LOAD_ENGINE_USER "\"; create "
                 "it, or give --engine-user\n",
                 NOBODY);
}

void
identity_engine(struct load *load, struct record_header *header)
{
    const char *name = load->options->engine_user;
    if (name == NULL)
        name = LOAD_ENGINE_USER;
    header->engine_uid = geteuid();
    header->engine_gid = getegid();
    struct database_entry entry;
    char why[DATABASE_TEXT_MAX];
    if (!load->is_root) {
        const struct identity *own = identity_find(load, NULL, NULL, NULL);
        header->engine_user = own == NULL ? 0 : image_string(&load->image, own->user);
        return;
    }
    int r = database_find(DATABASE_USER_NAME, name, 0, &entry);
    if (r == 0) {
        header->engine_uid = entry.user.pw_uid;
        header->engine_gid = entry.user.pw_gid;
        header->engine_user = image_string(&load->image, entry.user.pw_name);
        free(entry.bytes);
    } else if (r == -ENOENT && load->options->engine_user == NULL) {
        engine_is_nobody(load, header);
    } else {
        database_explain(DATABASE_USER_NAME, name, r, why);
        problem_add(&load->problems, NULL, PROBLEM_AT_FILE, "--engine-user: %s", why);
    }
}
