/* cgi_program.h - one CGI program: its input, its answer, its end. */
#ifndef POOLWORKER_HOST_CGI_PROGRAM_H
#define POOLWORKER_HOST_CGI_PROGRAM_H

#include "common/base.h"

struct exchange;
struct server;
struct cgi_program;

/* Starts it for the exchange, whose `work` it becomes. 0, or a negative errno. */
int cgi_program_start(struct exchange *, const char *path, const char *directory,
                      char *const *variables);

/* Passes some of the body on; returns how much it took. Less than all of it: the exchange is suspended
 * until the program reads. */
size_t cgi_program_write(struct cgi_program *, const char *, size_t);

/* All of the body is there: the answer, now or, the exchange being suspended, later. */
void cgi_program_end_input(struct cgi_program *);

/* The exchange is over. When it is broken the program is killed; else it may go on to its time limit. */
void cgi_program_leave(struct cgi_program *);

/* Kills all and breaks their exchanges. */
void cgi_programs_kill(struct server *);

#endif
