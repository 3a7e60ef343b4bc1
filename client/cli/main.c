/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program `redial`. See verb.c for what it can do, exit.def for how it
 * exits.
 */
#include "client/cli/cli.h"
#include "client/cli/help.h"
#include "client/cli/verb.h"
#include <redial/version.h>

#include <string.h>

static enum exit_code
print_help(const struct args *args)
{
    struct text text = {.at = NULL};

    if (args->verb != NULL) {
        help_add_verb(&text, args->verb);
    } else if (args->group != NULL) {
        help_add_group(&text, args->group);
    } else {
        help_add_overview(&text);
    }
    (void)fputs(text_string(&text), stdout);
    text_fini(&text);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_INTERNAL;
}

static enum exit_code
refuse(const struct args *args)
{
    const char *group = args->group != NULL ? args->group->name : "";
    const char *verb = args->verb != NULL ? args->verb->name : group;

    (void)fprintf(stderr, "redial: %s\n  See: redial %s%s--help\n", args->error,
                  verb, verb[0] != '\0' ? " " : "");
    return EXIT_USAGE;
}

static enum exit_code
run(const struct args *args)
{
    struct cli cli;
    enum exit_code code;

    cli_init(&cli, args);
    code = cli_run(&cli);
    cli_fini(&cli);
    return code;
}

int
main(int argc, char *argv[])
{
    struct args args;
    bool is_good = args_parse(&args, argc, argv);
    enum exit_code code;

    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)printf("redial %s\n", redial_version());
        code = EXIT_DONE;
    } else if (!is_good) {
        code = refuse(&args);
    } else if (args_has(&args, OPTION_HELP)) {
        code = print_help(&args);
    } else {
        code = run(&args);
    }
    args_fini(&args);
    return (int)code;
}
