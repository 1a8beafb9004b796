/* cgi_program.c - a CGI program from its start to its end, without ever waiting for it. */
#include "worker/host/cgi_program.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/host/cgi_head.h"
#include "worker/host/cgi_output.h"
#include "worker/host/cgi_spawn.h"
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

/* What is read ahead of the client. While the request's body still comes no answer can be given, and a
 * program that writes while it reads (a filter) must not block: so it may write as much as twice what it
 * has read, too. */
enum { AHEAD_MAX = 64 * 1024, AHEAD_OF_BODY = 256 * 1024 };

static void
program_enter(struct cgi_program *program, enum program_state state)
{
    static const bool legal[PROGRAM_STATE_COUNT][PROGRAM_STATE_COUNT] = {
        [PROGRAM_STARTED] =
            {[PROGRAM_JUDGED] = true, [PROGRAM_REFUSED] = true, [PROGRAM_LEFT] = true},
        [PROGRAM_JUDGED] =
            {[PROGRAM_ANSWERED] = true, [PROGRAM_REFUSED] = true, [PROGRAM_LEFT] = true},
        [PROGRAM_REFUSED] = {[PROGRAM_LEFT] = true},
        [PROGRAM_ANSWERED] = {[PROGRAM_LEFT] = true},
    };
    assert(legal[program->state][state]);
    program->state = state;
}

/* --- descriptors */

static void
stop_watching(struct cgi_program *program, struct watch *watch, bool is_ours)
{
    if (watch->fd < 0)
        return;
    loop_forget(&program->server->loop, watch);
    if (is_ours)
        close(watch->fd);
    watch->fd = -1;
}

static void
close_input(struct cgi_program *program)
{
    stop_watching(program, &program->input_watch, true);
}

static void
watch_output(struct cgi_program *program, bool wanted)
{
    if (wanted == program->is_output_watched || program->output_watch.fd < 0)
        return;
    program->is_output_watched = wanted;
    if (!wanted)
        loop_forget(&program->server->loop, &program->output_watch);
    else if (loop_watch(&program->server->loop, &program->output_watch, EPOLLIN) != 0)
        program->is_output_over = true; /* no memory for it */
}

/* --- its end */

static void
kill_group(const struct cgi_program *program)
{
    if (program->pid > 0)
        kill(-program->pid, SIGKILL);
}

static void
program_free(struct cgi_program *program)
{
    struct cgi *cgi = &program->server->cgi;
    assert(program->state == PROGRAM_LEFT && program->pid == 0);
    *(program->before == NULL ? &cgi->programs : &program->before->after) = program->after;
    if (program->after != NULL)
        program->after->before = program->before;
    timeout_clear(&program->limit);
    free(program);
}

/* The rest of its group goes first: as long as it is not reaped its number is nobody else's. */
static void
program_ended(struct watch *watch, uint32_t events)
{
    struct cgi_program *program = PROGRAM_OF(watch, exit_watch);
    (void)events;
    kill_group(program);
    if (waitpid(program->pid, &program->exit_status, WNOHANG) == 0)
        return;
    program->pid = 0;
    program->server->cgi.running--;
    stop_watching(program, watch, true);
    if (program->state == PROGRAM_LEFT)
        program_free(program);
}

/* --- what goes wrong */

/* The program has nothing more to say. */
static void
refuse(struct cgi_program *program, enum refusal refusal)
{
    kill_group(program);
    close_input(program);
    stop_watching(program, &program->output_watch, true);
    program_enter(program, PROGRAM_REFUSED);
    exchange_refuse(program->exchange, refusal);
    if (program->exchange->is_suspended)
        exchange_resume(program->exchange);
}

/* No answer can be given any more: the connection ends where it is. */
static void
break_exchange(struct cgi_program *program)
{
    kill_group(program);
    program->exchange->is_broken = true;
    if (program->exchange->is_suspended)
        exchange_resume(program->exchange);
}

static void
give_up(struct cgi_program *program, enum refusal refusal)
{
    if (program->state == PROGRAM_STARTED || program->state == PROGRAM_JUDGED)
        refuse(program, refusal);
    else if (program->state == PROGRAM_ANSWERED)
        break_exchange(program);
    else
        kill_group(program);
}

static void
limit_reached(struct timeout *timeout)
{
    struct cgi_program *program = PROGRAM_OF(timeout, limit);
    access_log_remark(&program->server->log,
                      "the CGI program with pid %d was killed after %" PRIu64 " ms, its time limit",
                      (int)program->pid, program->server->options.cgi_timeout);
    give_up(program, REFUSAL_CGI_TIMEOUT);
}

/* Also when it has only closed its sending side: nobody can tell whether it still listens. */
static void
client_gone(struct watch *watch, uint32_t events)
{
    struct cgi_program *program = PROGRAM_OF(watch, client_watch);
    (void)events;
    stop_watching(program, watch, false);
    break_exchange(program);
}

/* --- its answer */

/* libmicrohttpd asks for more. */
static ssize_t
take_content(void *context, uint64_t position, char *out, size_t max)
{
    struct cgi_program *program = context;
    (void)position;
    if (program->exchange->is_broken)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t len = cgi_output_take(&program->output, out, max);
    program->exchange->content_bytes += len;
    watch_output(program, true);
    if (len > 0)
        return (ssize_t)len;
    if (program->is_output_over)
        return MHD_CONTENT_READER_END_OF_STREAM;
    exchange_suspend(program->exchange);
    return 0;
}

static void
give_answer(struct cgi_program *program)
{
    struct exchange *exchange = program->exchange;
    const struct cgi_head *head = &program->head;
    uint64_t size = head->length;
    if (head->is_local) {
        exchange_redirect(exchange, head->location); /* which ends with LEFT */
        return;
    }
    if (size == UINT64_MAX)
        size = program->is_output_over ? cgi_output_len(&program->output) : MHD_SIZE_UNKNOWN;
    struct MHD_Response *response =
        MHD_create_response_from_callback(size, AHEAD_MAX / 2, take_content, program, NULL);
    /* libmicrohttpd would end an answer that has no content with an empty chunk all the same. */
    bool has_content =
        !exchange_is(exchange, MHD_HTTP_METHOD_HEAD) && head->status != MHD_HTTP_NOT_MODIFIED;
    if (response != NULL && size == MHD_SIZE_UNKNOWN && !has_content)
        MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    for (unsigned i = 0; response != NULL && i < head->header_count; i++)
        MHD_add_response_header(response, head->headers[i].name, head->headers[i].value);
    program_enter(program, PROGRAM_ANSWERED);
    exchange->content_bytes = 0;
    exchange_answer(exchange, head->status, response);
}

/* A copy of the head is parsed: the output moves as more of it comes. */
static bool
parse_head(struct cgi_program *program, size_t len, const char **why)
{
    program->head_text = malloc(len);
    *why = "there is no memory for its head";
    if (program->head_text == NULL)
        return false;
    cgi_output_take(&program->output, program->head_text, len);
    return cgi_head_parse(program->head_text, len, &program->head, why);
}

static void
judge_head(struct cgi_program *program)
{
    const char *why;
    size_t have = cgi_output_len(&program->output);
    size_t len = have == 0 ? 0 : cgi_head_find(cgi_output_bytes(&program->output), have);
    if (len == 0 && have < CGI_HEAD_MAX && !program->is_output_over)
        return;
    if (len == 0)
        why = have < CGI_HEAD_MAX ? "it ended before its head was complete" : "its head has no end";
    else if (parse_head(program, len, &why)) {
        program_enter(program, PROGRAM_JUDGED);
        return;
    }
    access_log_remark(&program->server->log, "%s: the CGI program's answer is refused: %s",
                      program->exchange->target.path, why);
    refuse(program, REFUSAL_CGI_FAILED);
}

/* Something has come, or the request is complete: what can be done now is done. */
static void
program_progress(struct cgi_program *program)
{
    struct exchange *exchange = program->exchange;
    bool is_waited_for = exchange->state == EXCHANGE_WORK || program->state == PROGRAM_ANSWERED;
    if (program->state == PROGRAM_STARTED)
        judge_head(program);
    if (program->state == PROGRAM_STARTED || !is_waited_for)
        return;
    if (exchange->is_suspended)
        exchange_resume(exchange);
    if (program->state == PROGRAM_JUDGED)
        give_answer(program);
}

static size_t
ahead_max(const struct cgi_program *program)
{
    return program->exchange->state == EXCHANGE_BODY
               ? AHEAD_OF_BODY + 2 * (size_t)program->input_bytes
               : AHEAD_MAX;
}

static void
output_ready(struct watch *watch, uint32_t events)
{
    struct cgi_program *program = PROGRAM_OF(watch, output_watch);
    (void)events;
    if (cgi_output_len(&program->output) >= ahead_max(program)) {
        watch_output(program, false); /* until somebody takes of it */
        return;
    }
    ssize_t n = cgi_output_read(&program->output, watch->fd);
    if (n == -EAGAIN)
        return;
    if (n <= 0) {
        program->is_output_over = true;
        program->is_output_watched = false;
        stop_watching(program, watch, true);
    }
    program->output_bytes += n > 0 ? (uint64_t)n : 0;
    if (program->output_bytes > program->server->options.cgi_output) {
        access_log_remark(&program->server->log,
                          "%s: the CGI program was killed: it wrote more than %" PRIu64 " bytes",
                          program->exchange->target.path, program->server->options.cgi_output);
        give_up(program, REFUSAL_CGI_FAILED);
        return;
    }
    program_progress(program);
}

/* --- its input */

/* It reads again, or never will: the body goes on either way. */
static void
input_ready(struct watch *watch, uint32_t events)
{
    struct cgi_program *program = PROGRAM_OF(watch, input_watch);
    (void)events;
    loop_forget(&program->server->loop, watch);
    if (program->exchange->is_suspended)
        exchange_resume(program->exchange);
}

size_t
cgi_program_write(struct cgi_program *program, const char *data, size_t len)
{
    if (program->input_watch.fd < 0)
        return len; /* it does not want to know */
    ssize_t n = write(program->input_watch.fd, data, len);
    if (n < 0 && errno != EAGAIN) {
        close_input(program);
        return len;
    }
    size_t taken = n < 0 ? 0 : (size_t)n;
    program->input_bytes += taken;
    watch_output(program, true); /* it may write more now */
    if (taken < len && loop_watch(&program->server->loop, &program->input_watch, EPOLLOUT) != 0)
        return len;
    if (taken < len)
        exchange_suspend(program->exchange);
    return taken;
}

void
cgi_program_end_input(struct cgi_program *program)
{
    close_input(program);
    watch_output(program, true);
    program->client_watch.fd = program->exchange->connection->fd;
    if (loop_watch(&program->server->loop, &program->client_watch, EPOLLRDHUP) != 0)
        program->client_watch.fd = -1; /* then its time limit ends it */
    if (program->state == PROGRAM_JUDGED)
        give_answer(program);
    else
        exchange_suspend(program->exchange);
}

/* --- its beginning, and the end of its exchange */

int
cgi_program_start(struct exchange *exchange, const char *path, const char *directory,
                  char *const *variables)
{
    struct server *server = exchange->server;
    struct cgi_child child;
    struct cgi_program *program = calloc(1, sizeof *program);
    if (program == NULL)
        return -ENOMEM;
    int code = cgi_spawn(&child, path, directory, variables, exchange->length > 0);
    if (code != 0) {
        free(program);
        return code;
    }
    *program = (struct cgi_program){
        .server = server,
        .exchange = exchange,
        .pid = child.pid,
        .after = server->cgi.programs,
        .exit_watch = {.fd = child.pidfd, .ready = program_ended},
        .input_watch = {.fd = child.input, .ready = input_ready},
        .output_watch = {.fd = child.output, .ready = output_ready},
        .client_watch = {.fd = -1, .ready = client_gone},
        .limit = {.ring = limit_reached},
    };
    if (program->after != NULL)
        program->after->before = program;
    server->cgi.programs = program;
    server->cgi.running++;
    exchange->work = program;
    timeout_set(&program->limit, &server->cgi.limit_queue, &server->loop);
    watch_output(program, true);
    if (loop_watch(&server->loop, &program->exit_watch, EPOLLIN) != 0)
        kill_group(program); /* its slot stays taken */
    return 0;
}

void
cgi_program_leave(struct cgi_program *program)
{
    if (program->exchange->is_broken)
        kill_group(program);
    close_input(program);
    stop_watching(program, &program->output_watch, true);
    stop_watching(program, &program->client_watch, false);
    cgi_output_fini(&program->output);
    free(program->head_text);
    program->head_text = NULL;
    program_enter(program, PROGRAM_LEFT);
    program->exchange = NULL;
    if (program->pid == 0)
        program_free(program);
}

void
cgi_programs_kill(struct server *server)
{
    for (struct cgi_program *at = server->cgi.programs; at != NULL; at = at->after) {
        if (at->exchange != NULL)
            break_exchange(at);
        else
            kill_group(at);
    }
}
