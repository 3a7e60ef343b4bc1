/* SPDX-License-Identifier: Apache-2.0 */
/* The headers are C++, too. */
#include <redial/client.h>
#include <redial/version.h>
#include <redial/worker.h>

int
main()
{
    redial_client_close(nullptr);
    redial_worker_close(nullptr);
    return redial_version()[0] == '0' ? 0 : 1;
}
