/* preset.c - servers whose ways are known (preset.def), as values under a pool's own. */
#include "supervisor/load/preset.h"

#include <errno.h>
#include <string.h>

#include "supervisor/load/compile.h"

#define PRESET(NAME, name, handoff, stop_signal, ready, word, without) name,
const char *const preset_names[PRESET_COUNT] = {
    NULL,
#include "supervisor/load/preset.def"
};

struct preset_row {
    const char *values[PRESET_KEYS]; /* as JSON, in the order of preset_keys */
    const char *word, *without;
};

#define PRESET(NAME, name, handoff, stop_signal, ready, word, without)                             \
    {{handoff, stop_signal, ready}, word, without},
static const struct preset_row rows[PRESET_COUNT] = {
    {{NULL}, "", ""},
#include "supervisor/load/preset.def"
};

static const char *const preset_keys[PRESET_KEYS] = {"handoff", "stop_signal", "ready"};

int
presets_init(struct load *load)
{
    for (size_t i = PRESET_NONE + 1; i < PRESET_COUNT; i++) {
        for (size_t k = 0; k < PRESET_KEYS; k++) {
            json_error_t error;
            load->presets[i][k] = json_loads(rows[i].values[k], JSON_DECODE_ANY, &error);
            if (load->presets[i][k] == NULL)
                return -ENOMEM;
        }
    }
    return 0;
}

void
presets_fini(struct load *load)
{
    for (size_t i = 0; i < PRESET_COUNT; i++) {
        for (size_t k = 0; k < PRESET_KEYS; k++)
            json_decref(load->presets[i][k]);
    }
}

void
preset_take(struct load *load, enum preset preset, struct draft *draft)
{
    for (size_t k = 0; k < PRESET_KEYS && preset != PRESET_NONE; k++) {
        const struct config_key *key = key_find(SCOPE_POOL, preset_keys[k]);
        bool good = draft_take(load, draft, LAYER_PRESET, key, load->presets[preset][k]);
        assert(good);
    }
}

const char *
preset_word(enum preset preset)
{
    return rows[preset].word;
}

const char *
preset_without(enum preset preset)
{
    return rows[preset].without;
}

enum preset
preset_find(const char *name)
{
    for (unsigned i = PRESET_NONE + 1; i < PRESET_COUNT; i++) {
        if (strcmp(preset_names[i], name) == 0)
            return (enum preset)i;
    }
    return PRESET_NONE;
}
