/* cgi_program_inside.h - what the files of a CGI program share: cgi_program.c and cgi_answer.c. */
#ifndef POOLWORKER_HOST_CGI_PROGRAM_INSIDE_H
#define POOLWORKER_HOST_CGI_PROGRAM_INSIDE_H

#include <sys/types.h>

#include "worker/host/cgi_head.h"
#include "worker/host/cgi_output.h"
#include "worker/host/exchange.h"

/* STARTED   its head is not complete.
 * JUDGED    the head is good and the answer not given yet, because the request's body still comes.
 * REFUSED   the exchange has a refusal in place of an answer.
 * ANSWERED  libmicrohttpd has the answer and takes its content as it comes.
 * LEFT      the exchange is over; what remains is to reap. */
enum program_state {
    PROGRAM_STARTED,
    PROGRAM_JUDGED,
    PROGRAM_REFUSED,
    PROGRAM_ANSWERED,
    PROGRAM_LEFT,
    PROGRAM_STATE_COUNT
};

struct cgi_program {
    struct server *server;
    struct exchange *exchange; /* NULL: LEFT */
    enum program_state state;
    struct cgi_program *before, *after;
    pid_t pid; /* 0: reaped */
    int exit_status;
    struct watch exit_watch, input_watch, output_watch,
        client_watch; /* fd -1: not watched any more */
    bool is_output_watched;
    struct timeout limit;
    uint64_t input_bytes, output_bytes;
    bool is_output_over; /* it has closed its standard output */
    struct cgi_output output;
    char *head_text;
    struct cgi_head head; /* from JUDGED on; its text is in head_text */
};

#define PROGRAM_OF(watch, member)                                                                  \
    ((struct cgi_program *)(void *)((char *)(watch)-offsetof(struct cgi_program, member)))

/* The one that sets the state. */
void program_enter(struct cgi_program *, enum program_state);

/* is_ours: the descriptor is closed too. */
void program_stop_watching(struct cgi_program *, struct watch *, bool is_ours);
void program_close_input(struct cgi_program *);
void program_watch_output(struct cgi_program *, bool wanted);

/* No answer can be given any more: the program is killed, the connection ends where it is. */
void program_break_exchange(struct cgi_program *);

/* In place of its answer; the program has nothing more to say and is killed. STARTED or JUDGED. */
void program_refuse(struct cgi_program *, enum refusal);

/* Kills it for breaking a rule; its client gets the refusal, or a cut connection. */
void program_give_up(struct cgi_program *, enum refusal);

/* Something has come (cgi_answer.c). */
void program_output_ready(struct watch *, uint32_t events);

/* All of the request is there and the head is good (cgi_answer.c). The program may be gone behind it. */
void program_give_answer(struct cgi_program *);

#endif
