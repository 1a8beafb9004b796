/* base.h - the few words that every part of poold shares. Pure: no system header beyond the
 * harmless ones, so that the core may include it. */
#ifndef POOLD_BASE_H
#define POOLD_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t msec; /* milliseconds of CLOCK_MONOTONIC, or a span of them */
#define MSEC_NEVER UINT64_MAX

#define ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)         ((a) < (b) ? (a) : (b))
#define MAX(a, b)         ((a) > (b) ? (a) : (b))
#define ATTR_PRINTF(f, a) __attribute__((format(__printf__, f, a)))
#define ATTR_NODISCARD    __attribute__((warn_unused_result))

#define NONE UINT32_MAX /* no index, no slot */

/* A worker's public name, `pool/slot.generation`: pool is the index of its record in the compiled
 * configuration. A generation is never used twice, so a late message can hit nobody else. */
struct worker_id {
    uint32_t pool;
    uint32_t slot;
    uint32_t generation; /* 0: no worker */
};

/* How a process ended, as the kernel gave it; never folded into one number. */
enum exit_kind { EXIT_UNKNOWN, EXIT_CODE, EXIT_SIGNAL, EXIT_SIGNAL_CORE };
struct exit_status {
    uint8_t kind;   /* enum exit_kind */
    uint8_t number; /* exit code or signal */
};

#endif
