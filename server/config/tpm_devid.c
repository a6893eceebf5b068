/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of NodeAttestor "tpm_devid". */
#include "config/config.h"
#include "config/tables.h"

#include "base/mem.h"

#define AT(member) .offset = offsetof(struct writ_server_tpm_devid, member)

static const struct writ_conf_field fields[] = {
	{ .type = WRIT_CONF_PRESENT, AT(is_on) },
	{ .key = "devid_ca_path",
		.type = WRIT_CONF_PATH,
		.flags = WRIT_CONF_REQUIRED,
		AT(devid_ca_path),
		.help = "PEM file with the CAs that DevID certificates chain to." },
	{ .key = "endorsement_ca_path",
		.type = WRIT_CONF_PATH,
		.flags = WRIT_CONF_REQUIRED,
		AT(endorsement_ca_path),
		.help = "PEM file with the TPM makers' CAs, with those between them and the "
			"endorsement certificates." },
};
const struct writ_conf_table writ_server_tpm_devid_table = { "NodeAttestor \"tpm_devid\"", fields,
	WRIT_COUNT(fields), sizeof(struct writ_server_tpm_devid) };
