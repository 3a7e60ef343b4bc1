/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redial_assert(expr): our own bug when it does not hold. Always on, release
 * builds included: a gateway that has lost its senses must stop, because the
 * restart recovers and a wrong answer does not. What peers, files or the
 * operator can cause is never asserted: it is checked and returned.
 *
 * The expression must have no side effects. In a build that counts branches
 * (REDIAL_COVERAGE) it is compiled but not evaluated, so that the branch that
 * is never taken does not count as untested.
 */
#ifndef REDIAL_SERVER_BASE_CHECK_H
#define REDIAL_SERVER_BASE_CHECK_H

/* Prints the expression and its place on stderr, then aborts. */
_Noreturn void
redial_assert_failed(const char *expression, const char *file, int line);

#ifdef REDIAL_COVERAGE
#define redial_assert(expr) ((void)sizeof((expr) ? 1 : 0))
#else
#define redial_assert(expr) \
    ((expr) ? (void)0 : redial_assert_failed(#expr, __FILE__, __LINE__))
#endif

/* Marks what no path reaches, such as the end of a complete switch. */
#define redial_unreachable() redial_assert_failed("reached", __FILE__, __LINE__)

#endif
