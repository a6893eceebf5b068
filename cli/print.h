/* SPDX-License-Identifier: Apache-2.0 */
/* print: answers as JSON (proto3's JSON mapping with the field names of the .proto files, as
 * SPIRE's tools print it) or as lines of "Label : value". All text from a peer is escaped. */
#ifndef WRIT_CLI_PRINT_H
#define WRIT_CLI_PRINT_H

#include "base/buf.h"

#include <protobuf-c/protobuf-c.h>
#include <stdio.h>

struct json_t;

/* The message as one JSON object, unset fields with their defaults, 64-bit numbers as strings,
 * bytes as base64. Owned (json_decref). */
struct json_t *writ_pb_to_json(const ProtobufCMessage *m);
void writ_print_json(const ProtobufCMessage *m);
/* Prints and drops v, one line. */
void writ_print_json_value(struct json_t *v);

/* "Label                   : value" */
void writ_print_pair(FILE *f, const char *label, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* s with control bytes and backslashes escaped, in a static ring of 8 buffers: for one printf. */
const char *writ_safe(const char *s);

#endif
