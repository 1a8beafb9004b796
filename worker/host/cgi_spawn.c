/* cgi_spawn.c - vfork and exec, with a group of its own and pipes for input and output. */
#include "worker/host/cgi_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct recipe {
    const char *path, *directory;
    char *const *variables;
    int input, output; /* the child's ends */
    pid_t parent;
    volatile int code; /* the child's errno: it runs in our memory until it executes */
};

/* In the child, in our memory: system calls only. */
static _Noreturn void
become(struct recipe *recipe)
{
    char *const arguments[] = {(char *)(uintptr_t)recipe->path, NULL};
    sigset_t none;
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* A worker that crashes must leave nobody behind. */
    if (setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
        getppid() == recipe->parent && dup2(recipe->input, STDIN_FILENO) >= 0 &&
        dup2(recipe->output, STDOUT_FILENO) >= 0 && chdir(recipe->directory) == 0)
        execve(recipe->path, arguments, recipe->variables);
    recipe->code = errno;
    _exit(127);
}

static void
close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
}

/* With all signals blocked: none may be handled in the child while it is in our memory. */
static pid_t
start(struct recipe *recipe)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = vfork();
    if (pid == 0)
        become(recipe);
    int code = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = code;
    return pid;
}

static int
run(struct cgi_child *out, struct recipe *recipe)
{
    pid_t pid = start(recipe);
    if (pid < 0)
        return -errno;
    int pidfd = recipe->code == 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (pidfd < 0) {
        int code = recipe->code != 0 ? -recipe->code : -errno;
        kill(-pid, SIGKILL);
        waitpid(pid, NULL, 0); /* it has ended, or is killed before it did anything */
        return code;
    }
    out->pid = pid;
    out->pidfd = pidfd;
    return 0;
}

int
cgi_spawn(struct cgi_child *out, const char *path, const char *directory, char *const *variables,
          bool has_input)
{
    int input[2] = {-1, -1}, output[2] = {-1, -1}, code = 0;
    struct recipe recipe = {
        .path = path, .directory = directory, .variables = variables, .parent = getpid()};
    *out = (struct cgi_child){.pid = -1, .pidfd = -1, .input = -1, .output = -1};
    if (has_input ? pipe2(input, O_CLOEXEC) != 0
                  : (input[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
        code = -errno;
    else if (pipe2(output, O_CLOEXEC) != 0)
        code = -errno;
    recipe.input = input[0];
    recipe.output = output[1];
    if (code == 0 && ((has_input && fcntl(input[1], F_SETFL, O_NONBLOCK) != 0) ||
                      fcntl(output[0], F_SETFL, O_NONBLOCK) != 0))
        code = -errno;
    if (code == 0)
        code = run(out, &recipe);
    if (code != 0) {
        close_pair(input);
        close_pair(output);
        return code;
    }
    close(input[0]);
    close(output[1]);
    out->input = input[1];
    out->output = output[0];
    return 0;
}
