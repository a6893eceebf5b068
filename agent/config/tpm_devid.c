/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of NodeAttestor "tpm_devid". */
#include "config/config.h"
#include "config/tables.h"

#include "base/mem.h"

#define AT(member) .offset = offsetof(struct writ_agent_tpm_devid, member)

static const struct writ_conf_field fields[] = {
	{ .type = WRIT_CONF_PRESENT, AT(is_on) },
	{ .key = "devid_cert_path",
		.type = WRIT_CONF_PATH,
		.flags = WRIT_CONF_REQUIRED,
		AT(devid_cert_path),
		.help = "PEM file with the DevID certificate, and after it any intermediates." },
	{ .key = "devid_priv_path",
		.type = WRIT_CONF_PATH,
		.flags = WRIT_CONF_REQUIRED,
		AT(devid_priv_path),
		.help = "File with the private part of the DevID key, which only its TPM can read, "
			"as tpm2_create -r writes it." },
	{ .key = "devid_pub_path",
		.type = WRIT_CONF_PATH,
		.flags = WRIT_CONF_REQUIRED,
		AT(devid_pub_path),
		.help = "File with its public part, as tpm2_create -u writes it." },
	{ .key = "tpm_device_path",
		.type = WRIT_CONF_PATH,
		AT(tpm_device_path),
		.help = "Device of the TPM; /dev/tpmrm0 or /dev/tpm0 when not set." },
	{ .key = "tpm_tcti",
		.type = WRIT_CONF_STRING,
		.max = 256,
		AT(tpm_tcti),
		.help = "Another way to a TPM instead of a device, in the terms of the TPM "
			"Software "
			"Stack: \"swtpm:host=127.0.0.1,port=2321\"." },
	{ .key = "devid_password",
		.type = WRIT_CONF_STRING,
		.flags = WRIT_CONF_SECRET,
		.max = 64,
		AT(devid_password),
		.help = "Password of the DevID key." },
	{ .key = "owner_hierarchy_password",
		.type = WRIT_CONF_STRING,
		.flags = WRIT_CONF_SECRET,
		.max = 64,
		AT(owner_hierarchy_password),
		.help = "Password of the TPM's owner." },
	{ .key = "endorsement_hierarchy_password",
		.type = WRIT_CONF_STRING,
		.flags = WRIT_CONF_SECRET,
		.max = 64,
		AT(endorsement_hierarchy_password),
		.help = "Password of the TPM's endorsement hierarchy." },
};
const struct writ_conf_table writ_agent_tpm_devid_table = { "NodeAttestor \"tpm_devid\"", fields,
	WRIT_COUNT(fields), sizeof(struct writ_agent_tpm_devid) };
