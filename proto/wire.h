/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All of the wire: the only code that client and server share. No I/O, no
 * threads, no clock; protobuf-c and the C library are its only dependencies.
 *
 *     limits.h    every number
 *     arena.h     bounded memory for decoding
 *     unpack.h    untrusted bytes to messages
 *     envelope.h  Call and Reply, read and written in place
 *     name.h      what names and texts may look like
 *     uuid.h      job ids
 *     json_out.h  messages as JSON text
 */
#ifndef REDIAL_PROTO_WIRE_H
#define REDIAL_PROTO_WIRE_H

#include "proto/arena.h"
#include "proto/envelope.h"
#include "proto/json_out.h"
#include "proto/limits.h"
#include "proto/name.h"
#include "proto/unpack.h"
#include "proto/uuid.h"

#endif
