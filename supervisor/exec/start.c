/* start.c - entry of poold-exec: the instructions before main, and the word that says what to
 * be. */
#include "supervisor/exec/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>

#include "supervisor/exec/syscall.h"

#define SIGNALS_MAX    64
#define AUTOGROUP_NICE "-10" /* of nice(1): nine times the weight of a worker */

/* libc's start-up costs more than everything that a child does here (43 CPUID instructions, each a
 * trap in a virtual machine), so there is none: design/spawn.md has the numbers. */
#if defined(__x86_64__)
__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call helper_main\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n"
        "_start:\n"
        "    mov x29, #0\n"
        "    mov x30, #0\n"
        "    mov x0, sp\n"
        "    bl helper_main\n");
#endif

_Noreturn static void engine_run(char **argv, char *const *envp);
static void engine_favour(void);
static void signals_reset(void);
static bool word_is(const char *word, const char *wanted);
static uint32_t number_read(const char *digits);
_Noreturn static void engine_failed(struct failure failure);

_Noreturn void
helper_main(long *stack)
{
    long argc = stack[0];
    char **argv = (char **)(stack + 1);
    SYS5(SYS_prctl, PR_SET_NAME, HELPER_NAME, 0, 0, 0);
    signals_reset();
    if (argc == 2 && word_is(argv[1], "launch"))
        launcher_run();
    if (argc == 2 && word_is(argv[1], "child"))
        child_run(HELPER_LINK_FD, heritage_make());
    if (argc >= 5 && word_is(argv[1], "engine"))
        engine_run(argv + 2, argv + argc + 1);
    sys_exit(HELPER_EXIT); /* started by hand: it has nothing to say to a person */
}

int
null_standard_fds(void)
{
    long fd = SYS4(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
    if (fd < 0)
        return (int)fd;
    for (int standard = 0; standard <= 2; standard++) {
        /* dup3 refuses equal numbers; with 0 closed at the start, open gave that very one. */
        long result =
            fd == standard ? SYS3(SYS_fcntl, fd, F_SETFD, 0) : SYS3(SYS_dup3, fd, standard, 0);
        if (result < 0)
            return (int)result;
    }
    if (fd > 2)
        SYS1(SYS_close, fd);
    return 0;
}

/* The engine: its own session, so that a terminal's signals go to the keeper only; its own user
 * where poold is root; no capability. 1 and 2 stay poold's, for --log stderr. */
_Noreturn static void
engine_run(char **argv, char *const *envp)
{
    struct failure failure = {STEP_NONE, 0};
    uint32_t uid = number_read(argv[0]), gid = number_read(argv[1]);
    SYS0(SYS_setsid);
    if (SYS0(SYS_geteuid) == 0) {
        engine_favour();
        if (!identity_lock_root(&failure) || !identity_take(uid, gid, NULL, 0, &failure))
            engine_failed(failure);
    }
    if (!identity_no_new_privs(&failure))
        engine_failed(failure);
    SYS3(SYS_fcntl, HELPER_ENGINE_FD, F_SETFD, FD_CLOEXEC);
    long result = SYS5(SYS_execveat, HELPER_ENGINE_FD, "", argv + 2, envp, AT_EMPTY_PATH);
    engine_failed((struct failure){STEP_EXEC, (int)-result});
}

/* The kernel shares the CPUs between sessions (autogroups, sched(7)), and each worker leads one: when
 * thousands start at once the engine gets one share in thousands, and whoever asks it something
 * waits. Its own session is given a larger weight; where that is not allowed or not known, nothing
 * is lost. The keeper's is not touched: it may be that of a person's shell. */
static void
engine_favour(void)
{
    long fd = SYS4(SYS_openat, AT_FDCWD, "/proc/self/autogroup", O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    SYS3(SYS_write, fd, AUTOGROUP_NICE, sizeof AUTOGROUP_NICE - 1);
    SYS1(SYS_close, fd);
}

/* Exec keeps what is ignored, and libc's posix_spawn ignores two signals that no libc call can give
 * back: so all of them, once, for everyone who comes from here. */
static void
signals_reset(void)
{
    static const unsigned long as_default[4] = {0}; /* handler, flags, restorer, mask */
    for (long signo = 1; signo <= SIGNALS_MAX; signo++)
        SYS4(SYS_rt_sigaction, signo, as_default, NULL, sizeof as_default[3]);
}

static bool
word_is(const char *word, const char *wanted)
{
    while (*word != '\0' && *word == *wanted) {
        word++;
        wanted++;
    }
    return *word == *wanted;
}

/* The keeper wrote the number, so it is one. */
static uint32_t
number_read(const char *digits)
{
    uint32_t number = 0;
    for (; *digits >= '0' && *digits <= '9'; digits++)
        number = number * 10 + (uint32_t)(*digits - '0');
    return number;
}

/* There is no link to report on: the keeper sees the exit, a person this line. */
_Noreturn static void
engine_failed(struct failure failure)
{
    /* clang-format off */
#define STEP_TEXT_(n, text) [STEP_##n] = text,
    static const char texts[][48] = {SPAWN_STEPS(STEP_TEXT_)};
    /* clang-format on */
    static const char before[] = "poold: cannot start the engine: could not ";
    static const char errno_is[] = ", errno ";
    const char *text = texts[failure.step];
    size_t length = 0;
    while (text[length] != '\0')
        length++;
    char digits[5] = {' ', ' ', ' ', ' ', '\n'};
    int error = failure.error;
    for (int at = 3; at >= 0 && error > 0; at--, error /= 10)
        digits[at] = (char)('0' + error % 10);
    SYS3(SYS_write, 2, before, sizeof before - 1);
    SYS3(SYS_write, 2, text, length);
    SYS3(SYS_write, 2, errno_is, sizeof errno_is - 1);
    SYS3(SYS_write, 2, digits, sizeof digits);
    sys_exit(HELPER_EXIT);
}
