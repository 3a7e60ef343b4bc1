/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/verb.h"

#include <string.h>

#define SUBMIT_OPTIONS                                                      \
    (OPTION_BIT(DATA) | OPTION_BIT(FILE) | OPTION_BIT(JSON_DATA) |          \
     OPTION_BIT(CONTENT_TYPE) | OPTION_BIT(META) | OPTION_BIT(KEY) |        \
     OPTION_BIT(CORRELATION_ID) | OPTION_BIT(ID) | OPTION_BIT(TENANT) |     \
     OPTION_BIT(PRIORITY) | OPTION_BIT(DEADLINE) | OPTION_BIT(NOT_BEFORE) | \
     OPTION_BIT(TTL) | OPTION_BIT(MAX_ATTEMPTS) |                           \
     OPTION_BIT(ATTEMPT_TIMEOUT) | OPTION_BIT(IDEMPOTENT))

const struct verb verbs[] = {
    {
        .name = "submit",
        .words = "SERVICE/METHOD [-]",
        .words_min = 1,
        .words_max = 2,
        .options = SUBMIT_OPTIONS | OPTION_BIT(WAIT),
        .summary = "hand a job to the gateway, print its id",
        .details =
            "Returns as soon as the gateway has the job on disk. The payload "
            "comes from\n--data, --json-data, --file, or standard input "
            "(-); without one it is empty.\nWith --key a repeat joins the "
            "first job instead of making a second one.\n",
        .examples =
            "redial submit image.ImageGen/Generate -d 'a red fox' -c story-42\n"
            "redial submit voice.Tts/Speak --file line.txt --key line-7 "
            "--deadline 5m\n"
            "generate | redial submit video.Render/Cut - --priority 9\n",
        .run = verb_submit,
    },
    {
        .name = "call",
        .words = "SERVICE/METHOD [-]",
        .words_min = 1,
        .words_max = 2,
        .options = SUBMIT_OPTIONS,
        .summary = "submit a job, wait for it, print its result",
        .details =
            "The result goes to standard output as it is. Attempts and "
            "decisions go to\nstandard error while they happen, if that is a "
            "terminal or with --verbose.\nAt --timeout the job is not "
            "cancelled: it goes on. Use --deadline for that.\n",
        .examples =
            "redial call image.ImageGen/Generate -d 'a red fox' > fox.png\n"
            "redial call story.Finder/Find --json-data '{\"topic\":\"fox\"}' "
            "--timeout 2m\n",
        .run = verb_call,
    },
    {
        .name = "await",
        .words = "[ID]...",
        .words_min = 0,
        .words_max = 1000,
        .options = OPTION_BIT(KEYS) | OPTION_BIT(CORRELATION_ID) |
                   OPTION_BIT(TENANT) | OPTION_BIT(RESULT),
        .summary = "wait until jobs are final, print a line for each",
        .details =
            "Names the jobs by ids, by --key (several), or by one "
            "--correlation-id: that is\nhow an agent that has crashed finds "
            "its jobs again. Without --timeout it waits\nas long as it "
            "takes, also while the gateway restarts.\n",
        .examples = "redial await --correlation-id story-42 --timeout 10m\n"
                    "redial await --key line-7 --result > line.ogg\n",
        .run = verb_await,
    },
    {
        .name = "show",
        .words = "[ID]",
        .words_min = 0,
        .words_max = 1,
        .options = OPTION_BIT(KEY) | OPTION_BIT(TENANT) | OPTION_BIT(WHY),
        .summary = "show the attempts of one job, and what was decided",
        .details = "One line for each attempt: how it ended, and what the "
                   "gateway decided then.\n",
        .examples = "redial show 01890a5d-ac96-774b-bcce-b302099a8057 --why\n"
                    "redial show --key line-7\n",
        .run = verb_show,
    },
    {
        .name = "list",
        .words = "",
        .options = OPTION_BIT(STATE) | OPTION_BIT(SERVICE) |
                   OPTION_BIT(METHOD) | OPTION_BIT(CORRELATION_ID) |
                   OPTION_BIT(TENANT) | OPTION_BIT(MAX),
        .summary = "list jobs; without --state those that are not final",
        .details = "",
        .examples = "redial list --service image.ImageGen --state BACKOFF\n"
                    "redial list --state FAILED --max 1000 --json\n",
        .run = verb_list,
    },
    {
        .name = "cancel",
        .words = "[ID]",
        .words_min = 0,
        .words_max = 1,
        .options = OPTION_BIT(KEY) | OPTION_BIT(TENANT) | OPTION_BIT(REASON),
        .summary = "cancel one job, in whatever state it is",
        .details = "A running attempt is told to stop, but may have done its "
                   "work already.\n",
        .examples = "redial cancel --key line-7 --reason 'wrong voice'\n",
        .run = verb_cancel,
    },
    {
        .name = "events",
        .words = "",
        .options = OPTION_BIT(FROM) | OPTION_BIT(SINCE) |
                   OPTION_BIT(NO_FOLLOW) | OPTION_BIT(CORRELATION_ID) |
                   OPTION_BIT(JOB) | OPTION_BIT(KEY) | OPTION_BIT(TENANT) |
                   OPTION_BIT(SERVICE) | OPTION_BIT(METHOD) | OPTION_BIT(TYPE),
        .summary = "follow what happens, from now or from any point before",
        .details =
            "Prints one line for each event, or with --json one object. A "
            "cursor is\nepoch:seq of the last event that was seen. What is "
            "not kept any more is shown\nas a gap; nothing is left out in "
            "silence. Goes on when the gateway restarts.\n",
        .examples =
            "redial events --correlation-id story-42\n"
            "redial events --type attempt.failed --since 10m --no-follow\n"
            "redial events --from start --json\n",
        .run = verb_events,
    },
    {
        .name = "watch",
        .words = "CORRELATION-ID",
        .words_min = 1,
        .words_max = 1,
        .options = OPTION_BIT(UNTIL_DONE) | OPTION_BIT(TENANT),
        .summary = "show the jobs of a correlation id and their attempts, live",
        .details =
            "On a terminal the picture is drawn again as things change; "
            "elsewhere lines are\nadded. Jobs that are submitted later show "
            "up as well.\n",
        .examples = "redial watch story-42 --until-done\n",
        .run = verb_watch,
    },
    {
        .name = "health",
        .words = "",
        .summary = "is the gateway there and ready? Exits with 0 if so",
        .details = "For HEALTHCHECK lines of containers and for probes.\n",
        .examples = "redial health --timeout 2s\n",
        .run = verb_health,
    },
    {
        .name = "stats",
        .words = "",
        .summary = "what to alert on: queue age, failures, lag; what was "
                   "decided",
        .details = "With --verbose also every counter of the gateway.\n",
        .examples = "redial stats\nredial stats --json\n",
        .run = verb_stats,
    },
    {
        .name = "budget",
        .words = "[TARGET]",
        .words_min = 0,
        .words_max = 1,
        .options = OPTION_BIT(WATCH),
        .summary = "show what is left of each target's throttle and budget",
        .details =
            "One line for each target: tokens of the throttle, retries that "
            "the budget would\nlet through now, retries that wait, those let "
            "through and refused since the\ngateway's start, and until when "
            "a worker holds all of them.\n",
        .examples = "redial budget\nredial budget image.ImageGen --watch\n",
        .run = verb_budget,
    },
    {
        .name = "policy check",
        .words = "[FILE]",
        .words_min = 0,
        .words_max = 1,
        .summary = "check a configuration; needs no running gateway",
        .details =
            "Tells what is wrong, what each policy amounts to, and what is "
            "allowed but\nhardly meant. Runs redial-gateway --check, which is "
            "looked for at\nREDIAL_GATEWAY, beside this tool, and in PATH. "
            "Without FILE it checks what the\ngateway would read. Prints and "
            "exits as that does: 0 if it is good, 3 if not.\n",
        .examples = "redial policy check redial.json\n",
        .run = verb_policy_check,
    },
    {
        .name = "policy explain",
        .words = "[SERVICE/METHOD]",
        .words_min = 0,
        .words_max = 1,
        .options = OPTION_BIT(CODE) | OPTION_BIT(FAILURE_REASON) |
                   OPTION_BIT(PUSHBACK) | OPTION_BIT(FOR_TARGET) |
                   OPTION_BIT(OVERLOADED) | OPTION_BIT(ATTEMPT) |
                   OPTION_BIT(TIME_LEFT) | OPTION_BIT(IDEMPOTENT) |
                   OPTION_BIT(UNCERTAIN) | OPTION_BIT(FOR_JOB),
        .summary = "what would follow if an attempt failed like this now?",
        .details =
            "Asks the gateway, which changes nothing. Shows the decision, and "
            "each step on\nthe way to it (with --verbose those behind it as "
            "well). Names SERVICE/METHOD,\nor with --for-job a job: then its "
            "own attempts and deadline count.\n",
        .examples =
            "redial policy explain image.ImageGen/Generate --code UNAVAILABLE\n"
            "redial policy explain voice.Tts/Speak --code ABORTED "
            "--pushback 5s\n",
        .run = verb_policy_explain,
    },
    {
        .name = "policy simulate",
        .words = "",
        .options = OPTION_BIT(POLICY) | OPTION_BIT(FROM),
        .summary = "what would another policy have done with what happened?",
        .details =
            "Reads the events that the gateway keeps, all or --from a cursor, "
            "up to the\nnewest one, and hands them to redial-gateway "
            "--simulate-policy, which is looked\nfor as by policy check. "
            "Prints and exits as that does. The gateway that runs\nis not "
            "changed.\n",
        .examples = "redial policy simulate --policy new.json\n",
        .run = verb_policy_simulate,
    },
    {
        .name = "reload",
        .words = "",
        .summary = "read the configuration again; all of it or nothing",
        .details = "Prints what changed, or what is wrong: then the old one "
                   "stays and the exit code\nis 5.\n",
        .examples = "redial reload\n",
        .run = verb_reload,
    },
    {
        .name = "version",
        .words = "",
        .summary = "print the version of this tool",
        .details = "The gateway's is shown by redial health.\n",
        .examples = "redial version\n",
        .run = verb_version,
    },
    {
        .name = "completion",
        .words = "bash",
        .words_min = 1,
        .words_max = 1,
        .summary = "print the completion of a shell",
        .details = "",
        .examples = "source <(redial completion bash)\n",
        .run = verb_completion,
    },
    {
        .name = "help",
        .words = "[VERB]",
        .words_min = 0,
        .words_max = 2,
        .summary = "explain a verb, or list them",
        .details = "",
        .examples = "redial help events\n",
        .run = verb_help,
    },
};

const size_t verb_count = sizeof(verbs) / sizeof(verbs[0]);

const struct verb_group verb_groups[] = {
    {"policy", "check a policy, explain a decision, try another policy"},
};

const size_t verb_group_count = sizeof(verb_groups) / sizeof(verb_groups[0]);

const struct verb *
verb_find(const char *name)
{
    for (size_t i = 0; i < verb_count; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

const struct verb_group *
verb_find_group(const char *name)
{
    for (size_t i = 0; i < verb_group_count; i++) {
        if (strcmp(verb_groups[i].name, name) == 0) {
            return &verb_groups[i];
        }
    }
    return NULL;
}

const char *
verb_second_word(const struct verb *verb, const struct verb_group *group)
{
    size_t len = strlen(group->name);

    return strncmp(verb->name, group->name, len) == 0 && verb->name[len] == ' '
               ? verb->name + len + 1
               : NULL;
}
