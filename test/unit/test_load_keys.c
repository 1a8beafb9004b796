/* test_load_keys.c - claims about the table of keys, and about what is made of it. */
#include "test/unit/load_helper.h"

#include <ctype.h>
#include <pwd.h>

#include "common/json.h"
#include "common/units.h"
#include "supervisor/load/keys.h"

/* The file, with a NUL behind it; these tests run at the top of the tree. */
static char *
read_text(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        fail_msg("%s: %s", path, strerror(errno));
    char *text = calloc(1, 1 << 17);
    assert_non_null(text);
    size_t len = fread(text, 1, (1 << 17) - 1, file);
    assert_true(len > 0 && len < (1 << 17) - 1);
    fclose(file);
    return text;
}

/* The file that says this of the key: {"pools": {"p": {..., "health": {"ping": VALUE}}}} for the key
 * health.ping of a pool. */
static struct compiled
compile_with(const struct config_key *key, const char *value)
{
    char text[1024], member[512];
    const char *path = key->path, *dot = strchr(path, '.');
    if (dot == NULL)
        snprintf(member, sizeof member, "\"%s\": %s", path, value);
    else
        snprintf(member, sizeof member, "\"%.*s\": {\"%s\": %s}", (int)(dot - path), path, dot + 1,
                 value);
    if (key->scope == SCOPE_TOP)
        snprintf(text, sizeof text, "{%s%s\"pools\": {\"p\": {\"command\": [\"/x\"], %s}}}",
                 strcmp(path, "pools") == 0 ? "" : member, strcmp(path, "pools") == 0 ? "" : ", ",
                 identity());
    else if (strcmp(path, "command") == 0)
        snprintf(text, sizeof text, "{\"pools\": {\"p\": {\"command\": %s, %s}}}", value,
                 identity());
    else if (strncmp(path, "identity.", 9) == 0)
        snprintf(text, sizeof text,
                 "{\"pools\": {\"p\": {\"command\": [\"/x\"], \"identity\": {%s\"%s\": %s}}}}",
                 geteuid() == 0 && strcmp(dot, ".user") != 0 ? "\"user\": \"root\", " : "", dot + 1,
                 value);
    else
        snprintf(text, sizeof text, "{\"pools\": {\"p\": {\"command\": [\"/x\"], %s, %s}}}",
                 identity(), member);
    return compile(text);
}

static void
every_default_is_a_value_that_the_file_may_hold(void **state)
{
    (void)state;
    struct compiled without = compile_with(key_find(SCOPE_POOL, "directory"), "\"/\"");
    for (size_t i = 0; i < config_key_count; i++) {
        if (!key_has_preset(&config_keys[i]))
            continue;
        struct compiled with = compile_with(&config_keys[i], config_keys[i].preset);
        assert_string_equal(with.errors, "");
        assert_int_equal(with.result.size, without.result.size);
        assert_memory_equal(with.result.image, without.result.image, with.result.size);
        compiled_fini(&with);
    }
    compiled_fini(&without);
}

/* Whether the number, written as the key's type writes it, is taken. */
static bool
is_taken(const struct config_key *key, uint64_t number)
{
    char value[64], buf[UNIT_TEXT_MAX];
    if (key->type == VALUE_SIGNED)
        snprintf(value, sizeof value, "%lld", (long long)number);
    else if (key->type == VALUE_INTEGER)
        snprintf(value, sizeof value, "%llu", (unsigned long long)number);
    else if (key->type == VALUE_PERCENT)
        snprintf(value, sizeof value, "\"%llu%%\"", (unsigned long long)number);
    else
        snprintf(value, sizeof value, "\"%s\"", duration_format(number, buf));
    struct compiled compiled = compile_with(key, value);
    bool taken = strstr(compiled.errors, ", but a") == NULL; /* "..., but an integer is needed" */
    compiled_fini(&compiled);
    return taken;
}

static void
every_range_ends_where_the_table_says(void **state)
{
    (void)state;
    unsigned ranges = 0;
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        bool from_0 = key->type == VALUE_PERCENT || (key->type == VALUE_INTEGER && key->least == 0);
        bool is_off_at_0 = key->type == VALUE_SPAN;
        if (key->type != VALUE_INTEGER && key->type != VALUE_DURATION &&
            key->type != VALUE_SIGNED && !from_0 && !is_off_at_0)
            continue;
        assert_true(key->type == VALUE_SIGNED ? (int64_t)key->least < (int64_t)key->most
                                              : key->least >= !from_0 && key->least < key->most);
        assert_true(is_taken(key, key->least));
        assert_true(is_taken(key, key->most));
        assert_true(from_0 || !is_taken(key, key->least - 1));
        assert_false(is_taken(key, key->most + 1));
        assert_true(!is_off_at_0 || is_taken(key, 0));
        ranges++;
    }
    assert_int_equal(ranges, 16);
}

static void
no_key_comes_twice_or_is_another_ones_group(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_key_count; i++) {
        assert_ptr_equal(key_find(config_keys[i].scope, config_keys[i].path), &config_keys[i]);
        assert_false(key_is_group(config_keys[i].scope, config_keys[i].path));
        assert_false(key_comes_later(config_keys[i].scope, config_keys[i].path));
    }
    assert_true(key_is_group(SCOPE_POOL, "health"));
    assert_false(key_is_group(SCOPE_POOL, "heal"));
    assert_false(key_is_group(SCOPE_POOL, ""));
    assert_null(key_find(SCOPE_POOL, "health"));
}

/* Calls line for each line of --keys, cut at its tabs. */
static void
each_key_line(void (*line)(char *columns[8], void *arg), void *arg)
{
    char *out = NULL;
    size_t size, lines = 0;
    FILE *stream = open_memstream(&out, &size);
    assert_int_equal(load_keys(NULL, stream), 0);
    fclose(stream);
    char *rest = out, *text;
    while ((text = strsep(&rest, "\n")) != NULL && text[0] != '\0') {
        char *columns[8];
        for (int i = 0; i < 8; i++)
            assert_non_null(columns[i] = strsep(&text, "\t"));
        assert_null(text);
        line(columns, arg);
        lines++;
    }
    assert_int_equal(lines, config_key_count);
    free(out);
}

static void
check_columns(char *columns[8], void *arg)
{
    (void)arg;
    bool of_pool = strcmp(columns[7], "pool") == 0;
    assert_true(of_pool || strcmp(columns[7], "file") == 0);
    assert_non_null(key_find(of_pool ? SCOPE_POOL : SCOPE_TOP, columns[0]));
    for (int i = 0; i < 8; i++)
        assert_true(columns[i][0] != '\0');
}

static void
keys_prints_eight_columns_a_key(void **state)
{
    (void)state;
    each_key_line(check_columns, NULL);
}

static void
keys_prints_all_of_one_key(void **state)
{
    (void)state;
    char *out = NULL;
    size_t size;
    FILE *stream = open_memstream(&out, &size);
    assert_int_equal(load_keys("queue_length", stream), 0);
    fclose(stream);
    assert_string_equal(out,
                        "queue_length\n"
                        "  type          integer\n"
                        "  unit          connections\n"
                        "  range         1..65535\n"
                        "  allowed       an integer from 1 to 65535\n"
                        "  default       1000\n"
                        "  takes effect  at once\n"
                        "  stands in     a pool, or \"defaults\"\n"
                        "  meaning       connections that may wait in the accept queue of each "
                        "socket\n");
    free(out);
}

static void
keys_prints_one_key_or_one_object_when_it_is_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t lines;
    } asked[] = {{"handoff", 9},
                 {"health.startup_timeout", 9},
                 {"heal", 0},
                 {"identity", 4},
                 {"limits.starts", 9}};
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        char *out = NULL;
        size_t size, lines = 0;
        FILE *stream = open_memstream(&out, &size);
        assert_int_equal(load_keys(asked[i].name, stream), asked[i].lines == 0);
        fclose(stream);
        for (size_t at = 0; at < size; at++)
            lines += out[at] == '\n';
        assert_int_equal(lines, asked[i].lines);
        free(out);
    }
}

static void
the_committed_schema_is_the_tables(void **state)
{
    (void)state;
    char *out = NULL, *committed = read_text("etc/poold.schema.json");
    size_t size;
    FILE *stream = open_memstream(&out, &size);
    assert_int_equal(load_schema(stream), 0);
    fclose(stream);
    if (strcmp(out, committed) != 0)
        fail_msg("write it anew: poold-engine --schema >etc/poold.schema.json");
    free(out);
    free(committed);
}

/* Appends text as mdoc writes it. */
static void
append_mdoc(char *out, size_t cap, const char *text)
{
    for (; *text != '\0'; text++) {
        size_t len = strlen(out);
        snprintf(out + len, cap - len, *text == '"' ? "\\(dq" : "%c", *text);
    }
}

static void
check_page(char *columns[8], void *arg)
{
    const char *page = arg;
    char want[1024];
    bool is_required = strcmp(columns[4], CONFIG_REQUIRED) == 0;
    bool has_default = !is_required && strcmp(columns[4], CONFIG_NONE) != 0;
    bool has_unit = strcmp(columns[2], "-") != 0 && strcmp(columns[2], "time") != 0;
    bool has_range = strcmp(columns[3], "-") != 0;
    snprintf(want, sizeof want, ".It Sy %s ", columns[0]);
    append_mdoc(want, sizeof want, columns[1]);
    append_mdoc(want, sizeof want, has_range ? " " : "");
    append_mdoc(want, sizeof want, has_range ? columns[3] : "");
    size_t len = strlen(want);
    snprintf(want + len, sizeof want - len, "%s%s; %s", has_unit ? " " : "",
             has_unit ? columns[2] : "",
             has_default   ? "default "
             : is_required ? "required"
                           : "no default");
    append_mdoc(want, sizeof want, has_default ? columns[4] : "");
    append_mdoc(want, sizeof want, "; ");
    append_mdoc(want, sizeof want, columns[5]);
    append_mdoc(want, sizeof want, ". .br ");
    columns[6][0] = (char)toupper((unsigned char)columns[6][0]);
    append_mdoc(want, sizeof want, columns[6]);
    if (strstr(page, want) == NULL)
        fail_msg("man/poold.json.5 does not say: %s", want);
}

static void
the_manual_says_of_every_key_what_the_table_says_and_knows_no_other(void **state)
{
    (void)state;
    char *page = read_text("man/poold.json.5");
    for (char *c = page; *c != '\0'; c++)
        *c = *c == '\n' ? ' ' : *c;
    each_key_line(check_page, page);
    size_t items = 0;
    for (const char *at = page; (at = strstr(at, " .It Sy ")) != NULL; at++)
        items++;
    assert_int_equal(items, config_key_count);
    free(page);
}

#define PRESET(NAME, name, handoff, stop_signal, ready, word, without)                             \
    {name, {handoff, stop_signal, ready}},
static const struct {
    const char *name, *values[3];
} presets[] = {
#include "supervisor/load/preset.def"
};

static void
the_manual_says_of_every_preset_what_the_table_says(void **state)
{
    (void)state;
    char *page = read_text("man/poold.json.5");
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        char want[256], row[256] = "";
        snprintf(want, sizeof want, "\n.It %s", presets[i].name);
        for (int k = 0; k < 3; k++) {
            const char *value = presets[i].values[k]; /* words without their quotes */
            bool is_word = value[0] == '"';
            size_t len = strlen(want);
            snprintf(row, sizeof row, "%.*s", (int)strlen(value) - (is_word ? 2 : 0),
                     value + (is_word ? 1 : 0));
            snprintf(want + len, sizeof want - len, " Ta ");
            append_mdoc(want, sizeof want, row);
        }
        if (strstr(page, want) == NULL)
            fail_msg("man/poold.json.5 does not say: %s", want);
    }
    free(page);
}

static void
the_example_is_valid(void **state)
{
    (void)state;
    if (geteuid() != 0 || getpwnam("www-data") == NULL)
        skip(); /* it names that user */
    char *text = read_text("etc/poold.json");
    struct compiled compiled = compile(text);
    assert_string_equal(compiled.errors, "");
    assert_true(compiled.record.header->pools >= 2);
    compiled_fini(&compiled);
    free(text);

    text = read_text("man/poold.json.5");
    char *start = strstr(text, "indent\n{\n"), *end = strstr(start, "\n}\n");
    assert_non_null(start);
    assert_non_null(end);
    start = strchr(start, '{');
    compiled = compile_bytes(start, (size_t)(end + 2 - start));
    assert_string_equal(compiled.errors, "");
    compiled_fini(&compiled);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_a_value_that_the_file_may_hold),
        cmocka_unit_test(every_range_ends_where_the_table_says),
        cmocka_unit_test(no_key_comes_twice_or_is_another_ones_group),
        cmocka_unit_test(keys_prints_eight_columns_a_key),
        cmocka_unit_test(keys_prints_all_of_one_key),
        cmocka_unit_test(keys_prints_one_key_or_one_object_when_it_is_asked_for),
        cmocka_unit_test(the_committed_schema_is_the_tables),
        cmocka_unit_test(the_manual_says_of_every_key_what_the_table_says_and_knows_no_other),
        cmocka_unit_test(the_manual_says_of_every_preset_what_the_table_says),
        cmocka_unit_test(the_example_is_valid),
    };
    return cmocka_run_group_tests_name("load_keys", tests, NULL, NULL) != 0;
}
