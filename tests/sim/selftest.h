/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REDIAL_TESTS_SIM_SELFTEST_H
#define REDIAL_TESTS_SIM_SELFTEST_H

/*
 * Plants each fault of enum plant and expects the promise that it breaks to
 * notice it; runs a seed twice and expects the same story. Prints TAP; returns
 * the exit code.
 */
int
selftest_run(void);

#endif
