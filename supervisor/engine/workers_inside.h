/* workers_inside.h - the table of workers' descriptors, shared by workers.c (who is attached),
 * worker_messages.c (what they say), worker_output.c (what they write) and worker_file.c (the same into
 * a file). Nobody else includes it. */
#ifndef POOLD_ENGINE_WORKERS_INSIDE_H
#define POOLD_ENGINE_WORKERS_INSIDE_H

#include <sys/epoll.h>

#include "common/message.h"
#include "supervisor/engine/malformed.h"
#include "supervisor/engine/output_file.h"
#include "supervisor/engine/workers.h"

#define TURN_MESSAGES 16u    /* a worker and turn: one worker cannot hold up the others */
#define OUTPUT_BYTES  65536u /* of output at most a read: what a pipe holds */
#define SEEN_MAX      32u    /* descriptors asked for at a time */
#define STATUS_MAX    200u   /* of STATUS= and of the last line, escaped */
#define ASKS_MAX      100u   /* of a wish to be replaced, escaped */

struct sockaddr_un;

struct entry {
    struct worker_id id; /* generation 0: free */
    int32_t pid;
    int notify_fd, output_fd; /* -1: none */
    uint32_t uid;
    struct sockaddr_un *address; /* where the worker's own process sent from; NULL: nowhere */
    uint16_t address_len;
    uint32_t line_len, line_cap;
    char *line;          /* an unfinished line of output; NULL: none */
    char *status, *last; /* escaped; NULL: none */
    uint32_t second;     /* that messages and lines are counted in */
    uint16_t messages, lines;
    uint32_t lines_dropped;
    struct worker_counts counts;
    struct malformed *malformed; /* NULL: it has sent none */
    uint32_t foreign; /* datagrams of other users: dropped, and never held against the worker */
    struct output_file *waits;        /* its output is not read until there is room; NULL: it is */
    uint32_t wait_before, wait_after; /* in the list of those that wait for it: handle + 1 */
    bool paused;
    bool command_ended;         /* at least once */
    struct exit_status command; /* how its ready command ended last */
};

struct workers {
    struct shell *shell;
    struct io_watch *watch;
    int epoll_fd;
    uint32_t handles_max;
    struct entry *entries; /* a mapping: pages of handles that are never used are never touched */
    uint32_t *paused;      /* handles, handles_max of them at most */
    uint32_t paused_len;
    msec paused_until;
    size_t line_bytes;              /* line_cap of all */
    char datagram[MESSAGE_MAX + 1]; /* one byte more than allowed, to see what is too long */
    char output[OUTPUT_BYTES];
    const struct entry *asks; /* whose wish to be replaced is being told; NULL: nobody's */
    char asks_text[ASKS_MAX + 1];
    struct epoll_event seen[SEEN_MAX]; /* [seen_at..seen_len) are still to be read */
    uint32_t seen_at, seen_len;
};

/* --- workers.c */
struct entry *entry_of(const struct workers *, uint32_t handle);
const char *entry_pool(const struct workers *, const struct entry *);
/* Takes the descriptor out of the epoll set, closes it and sets it to -1; -1 is ignored. */
void entry_close_fd(struct workers *, int *fd);
int entry_watch_output(struct workers *, struct entry *); /* 0 or a negative errno */
void entry_unwatch_output(struct workers *, struct entry *);
int entry_watch_messages(struct workers *, uint32_t handle); /* 0 or a negative errno */
void entry_unwatch_messages(struct workers *, uint32_t handle);
/* Messages and lines are counted anew in each second of the clock. */
void entry_second(struct workers *, struct entry *);
/* Keeps text escaped and cut at STATUS_MAX; out of memory, the older text stays. */
void entry_keep_text(char **at, const char *text, size_t len);

/* --- worker_messages.c. entry_know_address: what the engine before knew of where the worker is.
 * entry_receive: one datagram; false when there is none. */
void entry_know_address(struct workers *, struct entry *);
void entry_read_messages(struct workers *, uint32_t handle, const struct portion *);
bool entry_receive(struct workers *, struct entry *);

/* --- worker_output.c. entry_read_output: one read of at most so many bytes; false when there is nothing
 * (more). entry_read_outputs: some reads, as long as the portion lasts. */
bool entry_read_output(struct workers *, struct entry *, size_t most);
void entry_read_outputs(struct workers *, struct entry *, const struct portion *);
void entry_end_line(struct workers *, struct entry *); /* tells an unfinished line */
void entry_tell_dropped_lines(struct workers *, struct entry *);
/* Bytes without a newline, behind those that are kept. False: so much is not kept. */
bool entry_keep_part(struct workers *, struct entry *, const char *bytes, size_t len, size_t most);
void entry_drop_line(struct workers *, struct entry *); /* frees it */

/* --- worker_file.c */
void entry_write(struct workers *, struct entry *, struct output_file *, const char *bytes,
                 size_t len);
void entry_write_end(struct workers *, struct entry *, struct output_file *);
/* Whether output for the file can be read; if not, it is not until there is room. */
bool entry_may_write(struct workers *, struct entry *, struct output_file *);
void entry_wait_end(struct workers *, struct entry *); /* if it waits */

#endif
