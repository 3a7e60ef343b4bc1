/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/exit.h"

const struct exit_meaning exit_meanings[] = {
#define EXIT(name, number, meaning) {EXIT_##name, meaning},
#include "client/cli/exit.def"
};

const size_t exit_meaning_count = sizeof(exit_meanings) /
                                  sizeof(exit_meanings[0]);

enum exit_code
exit_of_status(enum redial_status status)
{
    switch (status) {
    case REDIAL_OK:
        return EXIT_DONE;
    case REDIAL_DEADLINE_EXCEEDED:
        return EXIT_PENDING;
    case REDIAL_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case REDIAL_UNAVAILABLE:
        return EXIT_UNREACHABLE;
    case REDIAL_INVALID_ARGUMENT:
    case REDIAL_ALREADY_EXISTS:
    case REDIAL_PERMISSION_DENIED:
    case REDIAL_RESOURCE_EXHAUSTED:
    case REDIAL_FAILED_PRECONDITION:
    case REDIAL_ABORTED:
    case REDIAL_OUT_OF_RANGE:
    case REDIAL_UNIMPLEMENTED:
    case REDIAL_UNAUTHENTICATED:
        return EXIT_REFUSED;
    case REDIAL_CANCELLED:
    case REDIAL_UNKNOWN:
    case REDIAL_INTERNAL:
    case REDIAL_DATA_LOSS:
        break;
    }
    return EXIT_INTERNAL;
}

enum exit_code
exit_of_state(Redial__V1__Job__State state)
{
    if (state == REDIAL__V1__JOB__STATE__SUCCEEDED) {
        return EXIT_DONE;
    }
    return state > REDIAL__V1__JOB__STATE__SUCCEEDED ? EXIT_FAILED
                                                     : EXIT_PENDING;
}

enum exit_code
exit_worse(enum exit_code one, enum exit_code other)
{
    static const enum exit_code order[] = {EXIT_PENDING, EXIT_FAILED,
                                           EXIT_NOT_FOUND};

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        if (one == order[i] || other == order[i]) {
            return order[i];
        }
    }
    return one != EXIT_DONE ? one : other;
}
