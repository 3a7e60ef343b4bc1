/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/progress.h"

#include "client/cli/line.h"
#include "client/cli/stream.h"

#include <stdlib.h>
#include <string.h>

void
progress_start(struct progress *progress)
{
    progress->cursor = stream_head(progress->cli);
}

static bool
is_end(const Redial__V1__Event *event)
{
    static const char *const ends[] = {"job.succeeded", "job.failed",
                                       "job.cancelled", "job.expired"};

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (event->type != NULL && strcmp(event->type, ends[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool
take(void *ctx, const Redial__V1__Event *event)
{
    struct progress *progress = ctx;

    line_add_job_event(&progress->cli->note, event);
    text_add(&progress->cli->note, "\n");
    cli_say(progress->cli);
    return !is_end(event);
}

void
progress_run(struct progress *progress, const char *job_id)
{
    char *ids[] = {(char *)(uintptr_t)job_id};
    Redial__V1__WatchFilter filter = REDIAL__V1__WATCH_FILTER__INIT;
    struct stream stream = {
        .cli = progress->cli,
        .filter = &filter,
        .cursor = progress->cursor,
        .take = take,
        .ctx = progress,
    };

    if (progress->cursor == NULL) {
        return;
    }
    filter.job_ids = ids;
    filter.n_job_ids = 1;
    progress->cursor = NULL; /* the stream's now */
    while (stream_turn(&stream, cli_wait_ms(progress->cli)) == REDIAL_OK &&
           !stream.is_over && !cli_is_late(progress->cli)) {
    }
    stream_fini(&stream);
}

void
progress_fini(struct progress *progress)
{
    free(progress->cursor);
    progress->cursor = NULL;
}
