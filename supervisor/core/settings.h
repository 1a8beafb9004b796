/* settings.h - what the core must know of a pool's configuration. Fixed size, no pointers: it lies
 * in the compiled configuration as it is. All spans are milliseconds. */
#ifndef POOLD_CORE_SETTINGS_H
#define POOLD_CORE_SETTINGS_H

#include "common/base.h"

/* When a starting worker counts as ready (config key `ready`). */
enum ready_rule {
    READY_EXEC,    /* once exec succeeded */
    READY_NOTIFY,  /* at READY=1 */
    READY_AFTER,   /* ready_after_ms after exec */
    READY_COMMAND, /* when the pool's ready command exits 0; it is run again until it does */
    READY_RULE_COUNT
};

struct pool_settings {
    uint32_t workers_min;  /* 1..WORKERS_A_POOL_MAX in this version */
    uint32_t workers_max;  /* == workers_min until gardens grow */
    uint32_t surge;        /* 1.. successors of one roll at one time */
    uint32_t max_failures; /* 1..FAILURES_MAX */
    uint8_t ready;         /* enum ready_rule */
    uint8_t overlap;       /* bool */
    uint8_t rapid_fail;    /* bool */
    uint8_t has_sockets;   /* bool: workers start only after BOUND */
    uint32_t ready_after_ms;
    uint64_t startup_timeout_ms;
    uint64_t shutdown_timeout_ms;
    uint64_t failure_interval_ms;
    uint64_t failure_delay_ms;
    uint64_t failure_delay_max_ms;
    uint64_t fingerprint;     /* of all that takes new processes to take effect: workers that were
                                 started with another one have drifted */
    uint64_t recycle_time_ms; /* age at which a worker is replaced; 0: never */
    uint8_t on_config_change; /* bool: workers that have drifted are replaced */
    uint8_t refused;          /* bool: as it is configured it may not run, whoever wants it */
    uint8_t recycle_jitter;   /* 0..RECYCLE_JITTER_MAX: each worker's own limits are the settings'
                                 limits +/- up to so many percent */
    uint8_t reserved[1];
    uint32_t recycle_requests; /* requests after which a worker is replaced; 0: never */
};

#define FAILURES_MAX       64u   /* most failures that a window can be asked to count */
#define WORKERS_A_POOL_MAX 1024u /* most of workers.min and workers.max */
#define SCHEDULE_MAX       24u   /* clock times of a pool */
#define MINUTES_A_DAY      1440u
#define RECYCLE_JITTER_MAX 50u /* percent: no limit is nearer to nothing than half of it */

#endif
