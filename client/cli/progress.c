/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/progress.h"

#include "client/cli/event.h"
#include "client/cli/stream.h"

#include <stdlib.h>
#include <string.h>

void
progress_start(struct progress *progress)
{
    progress->cursor = stream_head(progress->cli);
}

static bool
take(void *ctx, const Redial__V1__Event *event)
{
    struct progress *progress = ctx;

    event_add_brief(&progress->cli->note, event);
    text_add(&progress->cli->note, "\n");
    cli_say(progress->cli);
    return !event_is_end(event);
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
