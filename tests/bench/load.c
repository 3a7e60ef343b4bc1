/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/load.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: redial-load agent --address URL [--jobs N] [--connections N]\n"
    "                   [--in-flight N] [--bytes N] [--keys] [--wait]\n"
    "       redial-load worker --address URL [--concurrency N]\n"
    "                   [--fail-every N]\n"
    "\n"
    "agent: keeps --in-flight jobs of bench.Echo/Run open on each connection\n"
    "until --jobs are final, and prints one line of JSON. --wait: instead, "
    "one\n"
    "call at a time on each connection (--in-flight 1) that waits for its\n"
    "outcome.\n"
    "worker: echoes payloads until SIGTERM; --fail-every: every n-th job "
    "fails\n"
    "its first attempt with pushback 0.\n";

static const struct option long_options[] = {
    {"address", required_argument, NULL, 'a'},
    {"jobs", required_argument, NULL, 'j'},
    {"connections", required_argument, NULL, 'c'},
    {"in-flight", required_argument, NULL, 'f'},
    {"bytes", required_argument, NULL, 'b'},
    {"concurrency", required_argument, NULL, 'n'},
    {"fail-every", required_argument, NULL, 'e'},
    {"keys", no_argument, NULL, 'k'},
    {"wait", no_argument, NULL, 'w'},
    {NULL, 0, NULL, 0},
};

static bool
take(struct load_options *options, int option)
{
    uint32_t number = optarg == NULL ? 0 : (uint32_t)strtoul(optarg, NULL, 10);

    switch (option) {
    case 'a':
        options->address = optarg;
        return true;
    case 'j':
        options->jobs = number;
        return number > 0;
    case 'c':
        options->connections = number;
        return number > 0;
    case 'f':
        options->in_flight = number;
        return number > 0;
    case 'b':
        options->bytes = number;
        return true;
    case 'n':
        options->concurrency = number;
        return number > 0;
    case 'e':
        options->fail_every = number;
        return true;
    case 'k':
        options->keys = true;
        return true;
    case 'w':
        options->wait = true;
        return true;
    default:
        return false;
    }
}

int
main(int argc, char **argv)
{
    struct load_options options = {
        .jobs = 10000,
        .connections = 1,
        .in_flight = 64,
        .bytes = 256,
        .concurrency = 1000,
    };
    bool good = argc > 1;
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        good = take(&options, option) && good;
    }
    good = good && options.address != NULL && optind == argc - 1;
    if (good && strcmp(argv[optind], "agent") == 0) {
        return load_agent(&options);
    }
    if (good && strcmp(argv[optind], "worker") == 0) {
        return load_worker(&options);
    }
    (void)fputs(usage, stderr);
    return 2;
}
