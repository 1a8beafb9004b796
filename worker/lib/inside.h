/* inside.h - the object behind poolworker.h, shared by the files of the library. Nobody else includes it. */
#ifndef POOLWORKER_INSIDE_H
#define POOLWORKER_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "common/base.h"
#include "common/message.h"
#include "worker/lib/poolworker.h"

#define API __attribute__((visibility("default")))

#define SHARDS        32u /* of counters: threads on different CPUs meet in none */
#define LISTENERS_MAX 64u /* poold gives no pool more */
#define WATCHES_MAX                                                                                \
    1024u /* listeners x epoll descriptors; a bound against a loop that never unwatches */

#define COUNTS_SOON_MS  20u  /* the first report after a rest, ... */
#define COUNTS_EVERY_MS 500u /* ... and the least between two */
#define RETRY_MS        20u  /* after a message that was not taken, doubling to ... */
#define RETRY_MAX_MS    1000u
#define REST_MS         100u /* of listeners, when there are no descriptors */
#define TURN_MESSAGES   16u  /* read a dispatch: poold asks one thing at a time */

struct shard {
    _Alignas(64) _Atomic uint64_t begun, ended;
};

/* Shared with the worker's children. */
struct shared {
    struct shard shards[SHARDS];
    _Alignas(64) _Atomic unsigned armed; /* the counts' timer is running */
    _Atomic uint64_t reported_ms;        /* when counts were sent last */
    _Atomic bool draining;
};

struct counts {
    uint64_t requests, active;
};

struct watch {
    int epoll_fd, listener;
    uint64_t data;
    bool rests; /* it is not in its epoll descriptor until dispatch puts it back */
};

struct poolworker {
    /* set once, by create */
    pid_t pid; /* whose object it is: a child speaks not */
    enum poolworker_level level;
    unsigned flags;
    struct sockaddr_un address; /* NOTIFY_SOCKET */
    socklen_t address_len;
    msec watchdog_ms; /* 0: none is asked for */
    int epoll_fd;     /* what the caller polls: all below */
    int notify_fd;    /* -1: ALONE */
    int counts_fd;    /* timer, set by whoever counts */
    int timer_fd;     /* timer, set under lock */
    int leave_fd;     /* eventfd, readable for ever when the worker is to leave */
    unsigned listener_count;
    int listeners[LISTENERS_MAX];
    char *names; /* LISTEN_FDNAMES, each ended by NUL; NULL: none */
    struct shared *shared;

    /* of the loop's thread */
    poolworker_drain_fn *drain_call;
    poolworker_ping_fn *ping_call;
    void *drain_context, *ping_context;

    pthread_mutex_t lock; /* of all below; held over no call back and nothing that blocks */
    struct message said;  /* what is still to be said */
    bool counts_due;      /* the counts' timer has fired */
    char status[POOLWORKER_TEXT_MAX], reason[POOLWORKER_TEXT_MAX];
    struct counts sent;                    /* as poold knows them */
    msec retry_ms;                         /* 0: the last message was taken */
    msec retry_at, watchdog_at, resume_at; /* MSEC_NEVER: not */
    int wait_fd; /* epoll of poolworker_accept_wait; -1: nobody has waited yet */
    struct watch *watches;
    uint32_t watch_count, watch_cap;
};

/* --- poolworker.c */
msec pw_now(void);
/* Whether this process may speak: it is the worker, and there is somebody to talk to. */
bool pw_speaks(const struct poolworker *);
/* Sets the timer to what is due first. With the lock. */
void pw_timer(struct poolworker *);

/* --- environment.c: fills what the environment decides. 0 or a negative errno. */
int environment_read(struct poolworker *);
void environment_clean(void);

/* --- channel.c */
int channel_open(struct poolworker *);
struct heard {
    bool pinged, drained;
    uint64_t ping, limit_ms;
};
/* Takes what poold has sent, some of it. */
void channel_hear(struct poolworker *, struct heard *);
/* Sends all that is to be said as one datagram; what cannot be sent stays, and the timer is set. With the
 * lock. */
void channel_say(struct poolworker *);

/* --- count.c */
struct counts counts_now(const struct poolworker *);

/* --- listen.c. With the lock. */
void watches_stop(struct poolworker *);   /* for good */
void watches_resume(struct poolworker *); /* those that rest */

#endif
