/* main.c - poold-sim: runs seeded lives of the core and says which seed broke which rule. */
#include "test/sim/coverage.h"
#include "test/sim/life.h"
#include "test/sim/swarm.h"
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define RERUN_EVERY 50u /* seeds that are lived twice: both lives must be the same one */

struct run {
    struct life_options life;
    uint64_t from, seeds;
    const char *kept; /* file of seeds that once failed */
    bool coverage, shrink;
    uint64_t lived, steps;
    msec simulated_ms;
};

static void
usage(FILE *out)
{
    fprintf(out, "usage: poold-sim [--seeds N] [--from SEED] [--seed SEED] [--kept FILE]\n"
                 "                 [--events N] [--without FAULT,...] [--trace] [--coverage]\n"
                 "                 [--shrink]\n"
                 "faults:");
    for (uint32_t i = 0; i < FAULT_COUNT; i++)
        fprintf(out, " %s", fault_names[i]);
    fprintf(out, "\n");
}

static void
print_command(const struct life_options *life)
{
    printf("again: poold-sim --seed %" PRIu64, life->seed);
    if (life->events != 0)
        printf(" --events %u", life->events);
    const char *between = " --without ";
    for (uint32_t i = 0; i < FAULT_COUNT; i++)
        if (life->without >> i & 1) {
            printf("%s%s", between, fault_names[i]);
            between = ",";
        }
    printf(" --trace\n");
}

static bool
fails(const struct life_options *life, struct life_result *result)
{
    life_run(life, result);
    return result->failed;
}

/* Fewer kinds of faults, then a shorter life, as long as it still fails. It may then break another
 * rule than before; that one is a bug as well. */
static void
shrink(struct life_options life, uint64_t steps)
{
    struct life_result result;
    life.quiet = true;
    life.trace = false;
    for (uint32_t i = 0; i < FAULT_COUNT; i++) {
        life.without |= (uint64_t)1 << i;
        if (!fails(&life, &result))
            life.without &= ~((uint64_t)1 << i);
        else
            steps = result.steps;
    }
    for (uint32_t events = (uint32_t)steps; events > 1;) {
        struct life_options shorter = life;
        shorter.events = events / 2;
        if (!fails(&shorter, &result))
            break;
        life = shorter;
        events = (uint32_t)MIN(result.steps, shorter.events);
    }
    life.quiet = false;
    printf("shrunk: ");
    (void)fails(&life, &result);
    print_command(&life);
}

/* Lives one seed; false: it failed, and that was said. */
static bool
run_seed(struct run *run, uint64_t seed)
{
    struct life_options life = run->life;
    struct life_result result, again;
    life.seed = seed;
    bool failed = fails(&life, &result);
    run->lived++;
    run->steps += result.steps;
    run->simulated_ms += result.simulated_ms;
    if (!failed && run->lived % RERUN_EVERY == 0) {
        failed = fails(&life, &again) || again.digest != result.digest;
        run->steps += again.steps;
        if (failed)
            printf("seed %" PRIu64 ": lived twice, and not the same life\n", seed); /* W13 */
    }
    if (!failed)
        return true;
    printf("FAILED after %" PRIu64 " seeds, %" PRIu64 " events\n", run->lived, run->steps);
    print_command(&life);
    if (run->shrink)
        shrink(life, result.steps);
    return false;
}

static bool
run_kept(struct run *run)
{
    FILE *file = fopen(run->kept, "re");
    if (file == NULL) {
        fprintf(stderr, "poold-sim: cannot open %s\n", run->kept);
        return false;
    }
    char line[512];
    bool good = true;
    while (good && fgets(line, sizeof(line), file) != NULL) {
        char *end;
        uint64_t seed = strtoull(line, &end, 10);
        if (end != line)
            good = run_seed(run, seed);
    }
    fclose(file);
    return good;
}

static uint64_t
faults_parse(char *names)
{
    uint64_t bits = 0;
    for (char *rest = names, *name; (name = strtok_r(rest, ",", &rest)) != NULL;) {
        uint32_t i = 0;
        while (i < FAULT_COUNT && strcmp(name, fault_names[i]) != 0)
            i++;
        if (i == FAULT_COUNT) {
            fprintf(stderr, "poold-sim: no fault is named %s\n", name);
            exit(2);
        }
        bits |= (uint64_t)1 << i;
    }
    return bits;
}

/* A number of an option: all digits, or it ends here. */
static uint64_t
number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (end == text || *end != '\0') {
        fprintf(stderr, "poold-sim: %s is not a number\n", text);
        exit(2);
    }
    return value;
}

static void
parse(struct run *run, int argc, char **argv)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 'n'},
        {"from", required_argument, NULL, 'f'},
        {"seed", required_argument, NULL, 's'},
        {"kept", required_argument, NULL, 'k'},
        {"events", required_argument, NULL, 'e'},
        {"without", required_argument, NULL, 'w'},
        {"trace", no_argument, NULL, 't'},
        {"coverage", no_argument, NULL, 'c'},
        {"shrink", no_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    run->seeds = 200;
    run->from = (uint64_t)time(NULL) * 1000000;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'n') {
            run->seeds = number(optarg);
        } else if (c == 'f') {
            run->from = number(optarg);
        } else if (c == 's') {
            run->from = number(optarg);
            run->seeds = 1;
        } else if (c == 'k') {
            run->kept = optarg;
        } else if (c == 'e') {
            run->life.events = (uint32_t)number(optarg);
        } else if (c == 'w') {
            run->life.without = faults_parse(optarg);
        } else if (c == 't') {
            run->life.trace = true;
        } else if (c == 'c') {
            run->coverage = true;
        } else if (c == 'r') {
            run->shrink = true;
        } else {
            usage(c == 'h' ? stdout : stderr);
            exit(c == 'h' ? 0 : 2);
        }
    }
}

static double
wall_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What this process itself has used: on a machine that is shared, that is what compares. */
static double
user_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
}

static double
per_second(uint64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0.0;
}

int
main(int argc, char **argv)
{
    struct run run = {0};
    parse(&run, argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("poold-sim " POOLD_VERSION ": seeds %" PRIu64 " to %" PRIu64 "%s%s\n", run.from,
           run.from + run.seeds - 1, run.kept != NULL ? ", and those kept in " : "",
           run.kept != NULL ? run.kept : "");

    double wall = wall_seconds(), user = user_seconds();
    bool good = run.kept == NULL || run_kept(&run);
    for (uint64_t i = 0; good && i < run.seeds; i++)
        good = run_seed(&run, run.from + i);
    wall = wall_seconds() - wall;
    user = user_seconds() - user;

    printf("%" PRIu64 " lives, %" PRIu64
           " events, %.1f simulated days, %.2f s, %.0f events/s, %.0f events/s of user CPU: %s\n",
           run.lived, run.steps, (double)run.simulated_ms / 86400000.0, wall,
           per_second(run.steps, wall), per_second(run.steps, user),
           good ? "no rule broken" : "FAILED");
    if (run.coverage && coverage_print() > 0) {
        printf("cells that must be visited were not (NEVER)\n");
        good = false;
    }
    return good ? 0 : 1;
}
