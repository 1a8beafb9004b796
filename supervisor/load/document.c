/* document.c - the files of a configuration: what stands at their top, and in which order their
 * pools are compiled. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"
#include "supervisor/load/compile.h"
#include "supervisor/load/syntax.h"

struct source *
source_at(const struct load *load, size_t index)
{
    assert(index < source_count(load));
    return (struct source *)(void *)load->sources.bytes + index;
}

size_t
source_count(const struct load *load)
{
    return load->sources.len / sizeof(struct source);
}

void
sources_drop_trees(struct load *load)
{
    for (size_t i = 0; i < source_count(load); i++) {
        json_decref(source_at(load, i)->tree);
        source_at(load, i)->tree = NULL;
    }
}

void
sources_fini(struct load *load)
{
    for (size_t i = 0; i < source_count(load); i++) {
        free(source_at(load, i)->owned_path);
        free(source_at(load, i)->owned_name);
        free(source_at(load, i)->owned_text);
    }
    buffer_fini(&load->sources);
}

/* The file's object. NULL: there is none, which was reported. */
static const json_t *
object_of(struct load *load, size_t index)
{
    char found[JSON_FOUND_MAX];
    const json_t *tree = source_at(load, index)->tree;
    pointer_init(&load->pointer, (uint32_t)index);
    if (tree == NULL || json_is_object(tree))
        return tree;
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                "found %s, but an object with \"pools\" is needed", json_found(tree, found));
    return NULL;
}

static void
take_main(struct load *load, const json_t *object)
{
    struct source *source = source_at(load, 0);
    top_take_object(load, &load->top, object);
    source->defaults = load->top.defaults;
    source->pools = load->top.pools;
    inclusion_take(load, load->top.listen_addresses);
    control_take_roles(load);
}

/* One member of an included file, which load->pointer points to. */
static void
take_included_member(struct load *load, struct source *source, const char *name,
                     const json_t *value)
{
    const struct config_key *key = key_find(SCOPE_TOP, name);
    bool is_pools = strcmp(name, "pools") == 0, is_defaults = strcmp(name, "defaults") == 0;
    char escaped[TEXT_WORD_MAX + 4];
    if (is_pools) {
        value_take(load, key, value, &source->pools);
    } else if (is_defaults) {
        value_take(load, key, value, &source->defaults);
    } else if (is_comment(name)) {
        value_check_string(load, value);
    } else {
        text_escape(escaped, sizeof escaped, name, strlen(name));
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY,
                    key != NULL || key_is_group(SCOPE_TOP, name)
                        ? "\"%s\" can stand in the main file only"
                        : "unknown key \"%s\"; an included file holds \"pools\" and \"defaults\"",
                    escaped);
    }
}

static void
take_included(struct load *load, size_t index, const json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        struct pointer_mark mark = pointer_enter_member(&load->pointer, name);
        take_included_member(load, source_at(load, index), name, value);
        pointer_leave(&load->pointer, mark);
    }
}

/* --- The pools of one file */

/* What `visit` is called with for each member of "pools" that is a pool. */
typedef void visit_pool(struct load *, const struct draft *base, const char *name,
                        const json_t *pool);

static void
each_pool(struct load *load, size_t index, const struct draft *base, visit_pool *visit)
{
    const char *name;
    json_t *pool;
    pointer_init(&load->pointer, (uint32_t)index);
    struct pointer_mark top = pointer_enter_member(&load->pointer, "pools");
    json_object_foreach((json_t *)(uintptr_t)source_at(load, index)->pools, name, pool)
    {
        struct pointer_mark mark = pointer_enter_member(&load->pointer, name);
        if (!is_comment(name))
            visit(load, base, name, pool);
        pointer_leave(&load->pointer, mark);
    }
    pointer_leave(&load->pointer, top);
}

static void
give_place(struct load *load, const struct draft *base, const char *name, const json_t *pool)
{
    (void)base;
    char found[JSON_FOUND_MAX];
    uint64_t before = load->problems.count;
    if (!pool_name_is_valid(name))
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY,
                    "a pool's name is 1 to 64 of a-z A-Z 0-9 . _ -, a letter or digit first");
    if (!json_is_object(pool))
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "found %s, but a pool is an object", json_found(pool, found));
    if (load->problems.count == before)
        place_take(load, name);
}

static void
compile_pool(struct load *load, const struct draft *base, const char *name, const json_t *pool)
{
    if (json_is_object(pool) && !load->image.is_full)
        pool_compile(load, base, name, place_of(load, name), pool);
}

static void
compile_pools(struct load *load, size_t index, const struct draft *main_base)
{
    const struct source *source = source_at(load, index);
    struct draft base;
    memcpy(&base, main_base, sizeof base);
    if (index > 0 && source->defaults != NULL) {
        pointer_init(&load->pointer, (uint32_t)index);
        pointer_enter_member(&load->pointer, "defaults");
        draft_take_object(load, &base, LAYER_FILE_DEFAULTS, source->defaults);
    }
    each_pool(load, index, &base, compile_pool);
}

/* The strings in "pools" that are comments. */
static void
check_comments(struct load *load, size_t index)
{
    static const char *const names[] = {"$schema", "$comment"};
    pointer_init(&load->pointer, (uint32_t)index);
    struct pointer_mark top = pointer_enter_member(&load->pointer, "pools");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const json_t *value = json_object_get(source_at(load, index)->pools, names[i]);
        struct pointer_mark mark = pointer_enter_member(&load->pointer, names[i]);
        if (value != NULL)
            value_check_string(load, value);
        pointer_leave(&load->pointer, mark);
    }
    pointer_leave(&load->pointer, top);
}

static void
read_files(struct load *load)
{
    struct source *source = source_at(load, 0);
    source->tree = syntax_parse(load, 0, source->text, source->len);
    const json_t *object = object_of(load, 0);
    if (object != NULL)
        take_main(load, object);
    include_read(load, load->top.include);
    for (size_t i = 1; i < source_count(load); i++) {
        object = object_of(load, i);
        if (object != NULL)
            take_included(load, i, object);
    }
}

void
document_compile(struct load *load)
{
    struct draft base;
    canonical_init(load);
    if (presets_init(load) != 0 || draft_init(load, &base) != 0) {
        load->failed = true;
        return;
    }
    places_init(load);
    read_files(load);
    for (size_t i = 0; i < source_count(load); i++) {
        check_comments(load, i);
        each_pool(load, i, &base, give_place);
    }
    places_put(load);
    pointer_init(&load->pointer, 0);
    pointer_enter_member(&load->pointer, "defaults");
    draft_take_object(load, &base, LAYER_MAIN_DEFAULTS, load->top.defaults);
    for (size_t i = 0; i < source_count(load) && !load->failed; i++)
        compile_pools(load, i, &base);
    leaving_put(load);
    control_put(load);
}
