/* SPDX-License-Identifier: Apache-2.0 */
/* Between the acts: nothing was left undone, and what is shown is true. */
#include "tests/unit/core/rig.h"
#include "tests/unit/core/story.h"

#include <string.h>

void
story_check_due(struct story *story)
{
    int64_t now = rig.now.mono.ms;
    bool suspects = false;

    for (int i = 0; i < story->job_count; i++) {
        suspects = suspects ||
                   (story->jobs[i].suspect && !story->jobs[i].ended);
    }
    for (int i = 0; i < story->job_count; i++) {
        const struct story_job *job = &story->jobs[i];

        if (job->ended || !job->accepted) {
            continue;
        }
        if (job->over || job->decided) {
            story_object(story, "job %d: nothing was decided", i);
        } else if (now >= job->reference.deadline_at) {
            story_object(story, "job %d is over its deadline", i);
        } else if (job->running && now >= job->timeout_at) {
            story_object(story, "job %d: its attempt is over its time", i);
        } else if (!job->running && now >= job->due_at && !suspects &&
                   (job->reference.charged == 0 || now > story->released_at)) {
            story_object(story, "job %d is due and does not start", i);
        }
    }
}

void
story_check_views(struct story *story)
{
    for (int i = 0; i < story->job_count; i++) {
        const struct story_job *job = &story->jobs[i];

        if (!job->accepted || job->ended) {
            if (rig_is_live((uint32_t)i) &&
                !job_state_is_final(rig_view((uint32_t)i).state)) {
                story_object(story, "job %d lives on", i);
            }
            continue;
        }
        struct job_view view = rig_view((uint32_t)i);

        if ((view.state == JOB_RUNNING) != job->running ||
            view.attempts_charged != job->reference.charged ||
            view.attempts_free != job->reference.free ||
            view.max_attempts !=
                reference_attempts(&story->policy->reference[job->method],
                                   &job->reference) ||
            (job->failed && ((uint32_t)view.last_code != job->last_code ||
                             view.last_reason.len != strlen(job->last_reason) ||
                             memcmp(view.last_reason.at, job->last_reason,
                                    view.last_reason.len) != 0))) {
            story_object(story, "job %d is shown in %s, %u charged, %u free", i,
                         job_state_name(view.state), view.attempts_charged,
                         view.attempts_free);
        }
    }
}
