/* preset.h - servers whose ways are known (preset.def). */
#ifndef POOLD_LOAD_PRESET_H
#define POOLD_LOAD_PRESET_H

#include "common/base.h"

#define PRESET(NAME, name, handoff, stop_signal, ready, word, without) PRESET_##NAME,
enum preset {
    PRESET_NONE,
#include "supervisor/load/preset.def"
    PRESET_COUNT
};

extern const char *const preset_names[PRESET_COUNT]; /* that of PRESET_NONE is NULL */

struct load;
struct draft;

/* Reads what the presets say. Returns 0 or -ENOMEM. */
int presets_init(struct load *);
void presets_fini(struct load *);

/* Puts what the preset says over what the draft holds. */
void preset_take(struct load *, enum preset, struct draft *);

/* What a command with the preset has to hold, and what happens without; "": nothing. */
const char *preset_word(enum preset);
const char *preset_without(enum preset);

/* The preset's number by its name; PRESET_NONE: there is none. */
enum preset preset_find(const char *name);

#endif
