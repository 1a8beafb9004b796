/* cgi_program.c - a CGI program from its start to its end, without ever waiting for it. */
#include "worker/host/cgi_program.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/host/cgi_program_inside.h"
#include "worker/host/cgi_spawn.h"

void
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

void
program_stop_watching(struct cgi_program *program, struct watch *watch, bool is_ours)
{
    if (watch->fd < 0)
        return;
    loop_forget(&program->server->loop, watch);
    if (is_ours)
        close(watch->fd);
    watch->fd = -1;
}

void
program_close_input(struct cgi_program *program)
{
    program_stop_watching(program, &program->input_watch, true);
}

void
program_watch_output(struct cgi_program *program, bool wanted)
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
    program_stop_watching(program, watch, true);
    if (program->state == PROGRAM_LEFT)
        program_free(program);
}

/* --- what goes wrong */

/* The program has nothing more to say. */
void
program_refuse(struct cgi_program *program, enum refusal refusal)
{
    kill_group(program);
    program_close_input(program);
    program_stop_watching(program, &program->output_watch, true);
    program_enter(program, PROGRAM_REFUSED);
    exchange_refuse(program->exchange, refusal);
    if (program->exchange->is_suspended)
        exchange_resume(program->exchange);
}

/* No answer can be given any more: the connection ends where it is. */
void
program_break_exchange(struct cgi_program *program)
{
    kill_group(program);
    program->exchange->is_broken = true;
    if (program->exchange->is_suspended)
        exchange_resume(program->exchange);
}

void
program_give_up(struct cgi_program *program, enum refusal refusal)
{
    if (program->state == PROGRAM_STARTED || program->state == PROGRAM_JUDGED)
        program_refuse(program, refusal);
    else if (program->state == PROGRAM_ANSWERED)
        program_break_exchange(program);
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
    program_give_up(program, REFUSAL_CGI_TIMEOUT);
}

/* Also when it has only closed its sending side: nobody can tell whether it still listens. */
static void
client_gone(struct watch *watch, uint32_t events)
{
    struct cgi_program *program = PROGRAM_OF(watch, client_watch);
    (void)events;
    program_stop_watching(program, watch, false);
    program_break_exchange(program);
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
        program_close_input(program);
        return len;
    }
    size_t taken = n < 0 ? 0 : (size_t)n;
    program->input_bytes += taken;
    program_watch_output(program, true); /* it may write more now */
    if (taken < len && loop_watch(&program->server->loop, &program->input_watch, EPOLLOUT) != 0)
        return len;
    if (taken < len)
        exchange_suspend(program->exchange);
    return taken;
}

void
cgi_program_end_input(struct cgi_program *program)
{
    program_close_input(program);
    program_watch_output(program, true);
    program->client_watch.fd = program->exchange->connection->fd;
    if (loop_watch(&program->server->loop, &program->client_watch, EPOLLRDHUP) != 0)
        program->client_watch.fd = -1; /* then its time limit ends it */
    if (program->state == PROGRAM_JUDGED)
        program_give_answer(program);
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
        .output_watch = {.fd = child.output, .ready = program_output_ready},
        .client_watch = {.fd = -1, .ready = client_gone},
        .limit = {.ring = limit_reached},
    };
    if (program->after != NULL)
        program->after->before = program;
    server->cgi.programs = program;
    server->cgi.running++;
    exchange->work = program;
    timeout_set(&program->limit, &server->cgi.limit_queue, &server->loop);
    program_watch_output(program, true);
    if (loop_watch(&server->loop, &program->exit_watch, EPOLLIN) != 0)
        kill_group(program); /* its slot stays taken */
    return 0;
}

void
cgi_program_leave(struct cgi_program *program)
{
    if (program->exchange->is_broken)
        kill_group(program);
    program_close_input(program);
    program_stop_watching(program, &program->output_watch, true);
    program_stop_watching(program, &program->client_watch, false);
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
            program_break_exchange(at);
        else
            kill_group(at);
    }
}
