/* cgi_answer.c - makes the answer of an exchange of what a CGI program writes. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "worker/host/cgi_program_inside.h"

/* What is read ahead of the client. While the request's body still comes no answer can be given, and a
 * program that writes while it reads (a filter) must not block: so it may write as much as twice what it
 * has read, too. */
enum { AHEAD_MAX = 64 * 1024, AHEAD_OF_BODY = 256 * 1024 };

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
    program_watch_output(program, true);
    if (len > 0)
        return (ssize_t)len;
    if (program->is_output_over)
        return MHD_CONTENT_READER_END_OF_STREAM;
    exchange_suspend(program->exchange);
    return 0;
}

void
program_give_answer(struct cgi_program *program)
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
    program_refuse(program, REFUSAL_CGI_FAILED);
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
        program_give_answer(program);
}

static size_t
ahead_max(const struct cgi_program *program)
{
    return program->exchange->state == EXCHANGE_BODY
               ? AHEAD_OF_BODY + 2 * (size_t)program->input_bytes
               : AHEAD_MAX;
}

void
program_output_ready(struct watch *watch, uint32_t events)
{
    struct cgi_program *program = PROGRAM_OF(watch, output_watch);
    (void)events;
    if (cgi_output_len(&program->output) >= ahead_max(program)) {
        program_watch_output(program, false); /* until somebody takes of it */
        return;
    }
    ssize_t n = cgi_output_read(&program->output, watch->fd);
    if (n == -EAGAIN)
        return;
    if (n <= 0) {
        program->is_output_over = true;
        program->is_output_watched = false;
        program_stop_watching(program, watch, true);
    }
    program->output_bytes += n > 0 ? (uint64_t)n : 0;
    if (program->output_bytes > program->server->options.cgi_output) {
        access_log_remark(&program->server->log,
                          "%s: the CGI program was killed: it wrote more than %" PRIu64 " bytes",
                          program->exchange->target.path, program->server->options.cgi_output);
        program_give_up(program, REFUSAL_CGI_FAILED);
        return;
    }
    program_progress(program);
}
