/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conformance run FILE...        plays every row that has a script
 * conformance report IDS FILE... counts the rows, and misses those not there
 *
 * A row runs in a process of its own: what it breaks stays there.
 */
#include "tests/conformance/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COVERED_LEAST = 95, BREAKERS_LEAST = 50, IDS_MAX = 512 };

/* ---- run --------------------------------------------------------------- */

static struct world world;

static bool
row_passes(const struct section *section, const struct row *row)
{
    int status = 0;

    (void)fflush(stdout);
    pid_t pid = fork();

    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    if (pid == 0) {
        core_world(&world);
        world_play(&world, section, row);
        core_close(&world);
        exit(0);
    }
    if (waitpid(pid, &status, 0) != pid) {
        perror("waitpid");
        exit(2);
    }
    if (WIFSIGNALED(status)) {
        printf("%s:%d: %s: ended by signal %d\n", section->path, row->line,
               row->id, WTERMSIG(status));
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int
run_section(const char *path, const char *only)
{
    struct section section;
    int failed = 0;
    int passed = 0;

    section_read(path, &section);
    for (size_t i = 0; i < section.count; i++) {
        const struct row *row = &section.rows[i];

        if (row->verdict == NOT_APPLICABLE ||
            (only != NULL && strcmp(only, row->id) != 0)) {
            continue;
        }
        if (row_passes(&section, row)) {
            passed++;
            printf("ok %d - %s %s\n", passed + failed, row->id, row->title);
        } else {
            failed++;
            printf("not ok %d - %s %s\n", passed + failed, row->id, row->title);
        }
    }
    printf("%s: %d passed, %d failed\n", section.id, passed, failed);
    section_free(&section);
    return failed;
}

/* ---- report ------------------------------------------------------------ */

struct ids {
    char *text;
    const char *at[IDS_MAX];
    bool found[IDS_MAX];
    int count;
};

static void
read_ids(const char *path, struct ids *ids)
{
    ids->text = script_slurp(path);
    char *at = ids->text;

    while (*at != '\0' && ids->count < IDS_MAX) {
        at += strspn(at, " \n");
        size_t len = strcspn(at, " \n");

        if (*at == '#') {
            at += strcspn(at, "\n");
            continue;
        }
        if (len == 0) {
            return;
        }
        ids->at[ids->count++] = at;
        at += len;
        if (*at != '\0') {
            *at++ = '\0';
        }
    }
}

/* True when the id is in the list and was not seen before. */
static bool
note_id(struct ids *ids, const char *id)
{
    for (int i = 0; i < ids->count; i++) {
        if (strcmp(ids->at[i], id) == 0) {
            bool repeated = ids->found[i];

            ids->found[i] = true;
            return !repeated;
        }
    }
    return false;
}

static int
count_section(const char *path, struct ids *ids, int total[VERDICTS + 1])
{
    struct section section;
    int count[VERDICTS + 1] = {0};
    int wrong = 0;

    section_read(path, &section);
    for (size_t i = 0; i < section.count; i++) {
        const struct row *row = &section.rows[i];

        if (!note_id(ids, row->id)) {
            printf("%s:%d: %s is not in the list, or is there twice\n", path,
                   row->line, row->id);
            wrong++;
        }
        count[row->verdict]++;
        count[VERDICTS] += row->sockets;
    }
    printf("%-4s %-44s %8d %8d %8d %8d\n", section.id, section.title,
           count[COVERED], count[DIFFERENT], count[NOT_APPLICABLE],
           count[VERDICTS]);
    for (int i = 0; i <= VERDICTS; i++) {
        total[i] += count[i];
    }
    section_free(&section);
    return wrong;
}

static void
print_total(const char *of, const int total[VERDICTS + 1])
{
    printf("%-49s %8d %8d %8d %8d\n", of, total[COVERED], total[DIFFERENT],
           total[NOT_APPLICABLE], total[VERDICTS]);
}

/* "b01_corners.txt": breakers have a study of their own. */
static bool
is_of_breakers(const char *path)
{
    const char *slash = strrchr(path, '/');

    return (slash == NULL ? path : slash + 1)[0] == 'b';
}

static int
check_least(const char *of, int covered, int least)
{
    if (covered < least) {
        printf("%s: fewer than %d rows are covered\n", of, least);
        return 1;
    }
    return 0;
}

static int
report(const char *list, char *const *paths)
{
    static struct ids ids;
    int retries[VERDICTS + 1] = {0};
    int breakers[VERDICTS + 1] = {0};
    int wrong = 0;

    read_ids(list, &ids);
    printf("%-49s %8s %8s %8s %8s\n", "section", "covered", "differs",
           "not appl", "sockets");
    for (; *paths != NULL; paths++) {
        wrong += count_section(*paths, &ids,
                               is_of_breakers(*paths) ? breakers : retries);
    }
    print_total("all of retries", retries);
    print_total("all of breakers", breakers);
    for (int i = 0; i < ids.count; i++) {
        if (!ids.found[i]) {
            printf("%s is missing\n", ids.at[i]);
            wrong++;
        }
    }
    free(ids.text);
    wrong += check_least("retries", retries[COVERED], COVERED_LEAST);
    wrong += check_least("breakers", breakers[COVERED], BREAKERS_LEAST);
    return wrong;
}

int
main(int argc, char **argv)
{
    int wrong = 0;

    if (argc > 3 && strcmp(argv[1], "report") == 0) {
        return report(argv[2], argv + 3) == 0 ? 0 : 1;
    }
    if (argc == 4 && strcmp(argv[1], "row") == 0) {
        return run_section(argv[3], argv[2]) == 0 ? 0 : 1;
    }
    if (argc < 3 || strcmp(argv[1], "run") != 0) {
        (void)fprintf(stderr, "usage: conformance run FILE... | row ID FILE | "
                              "report IDS FILE...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        wrong += run_section(argv[i], NULL);
    }
    return wrong == 0 ? 0 : 1;
}
