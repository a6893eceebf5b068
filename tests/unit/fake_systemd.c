/* SPDX-License-Identifier: Apache-2.0 */
/* A fake of systemd's manager on a D-Bus of its own: owns org.freedesktop.systemd1 there and says
 * what it is told to say of units, or misbehaves. Not systemd.
 * usage: fake_systemd SOCKET MOOD [UNIT FRAGMENT CGROUP]...; prints "ready" once it has the name.
 * MOOD: answers; hangs (takes questions and says nothing); dies (at the first one); mumbles
 * (answers of other types); floods (says what nobody asked); stranger (answers, as user 65534). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define ROOT "/org/freedesktop/systemd1"
#define NAME "org.freedesktop.systemd1"

struct fake {
	const char *mood;
	char **units; /* three words each */
	int n;
};

static int get_unit(struct fake *f, sd_bus_message *m)
{
	const char *name;
	if (sd_bus_message_read(m, "s", &name) <= 0)
		return -1;
	if (strcmp(f->mood, "mumbles") == 0)
		return sd_bus_reply_method_return(m, "s", "a unit");
	for (int i = 0; i < f->n; i++) {
		char path[64];
		(void)snprintf(path, sizeof(path), ROOT "/unit/%d", i);
		if (strcmp(f->units[3 * i], name) == 0)
			return sd_bus_reply_method_return(m, "o", path);
	}
	return sd_bus_reply_method_errorf(m, NAME ".NoSuchUnit", "Unit %s not loaded.", name);
}

/* As systemd does: each property belongs to its interface, which depends on the kind of unit. */
static int get_property(struct fake *f, sd_bus_message *m)
{
	const char *interface, *property, *path = sd_bus_message_get_path(m);
	int i = path[strlen(path) - 1] - '0';
	if (sd_bus_message_read(m, "ss", &interface, &property) <= 0 || i < 0 || i >= f->n)
		return -1;
	const char *kind = strstr(f->units[3 * i], ".scope") ? NAME ".Scope" : NAME ".Service";
	if (strcmp(property, "FragmentPath") == 0 && strcmp(interface, NAME ".Unit") == 0)
		return sd_bus_reply_method_return(m, "v", "s", f->units[3 * i + 1]);
	if (strcmp(property, "ControlGroup") == 0 && strcmp(interface, kind) == 0)
		return sd_bus_reply_method_return(m, "v", "s", f->units[3 * i + 2]);
	return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_UNKNOWN_PROPERTY, "%s", property);
}

static void send_signal(sd_bus_message *m)
{
	sd_bus_message *s = NULL;
	sd_bus *bus = sd_bus_message_get_bus(m);
	if (sd_bus_message_new_signal(bus, &s, ROOT, NAME ".Manager", "Reloading") >= 0 &&
		sd_bus_message_append(s, "b", 1) >= 0 &&
		sd_bus_message_set_destination(s, sd_bus_message_get_sender(m)) >= 0)
		(void)sd_bus_send(bus, s, NULL);
	sd_bus_message_unref(s);
}

static int on_call(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct fake *f = arg;
	(void)error;
	if (strcmp(f->mood, "dies") == 0)
		_exit(0);
	if (strcmp(f->mood, "hangs") == 0)
		return 1;
	for (int i = 0; strcmp(f->mood, "floods") == 0 && i < 1000; i++)
		send_signal(m);
	if (sd_bus_message_is_method_call(m, NAME ".Manager", "GetUnit"))
		return get_unit(f, m);
	if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Get"))
		return get_property(f, m);
	return 0;
}

int main(int argc, char **argv)
{
	char address[256];
	sd_bus *bus = NULL;
	if (argc < 3 || argc % 3 != 0)
		return 2;
	/* Here and not before: that user need not reach the folder that this was built in. */
	if (strcmp(argv[2], "stranger") == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
		return 1;
	struct fake f = { .mood = argv[2], .units = argv + 3, .n = (argc - 3) / 3 };
	(void)snprintf(address, sizeof(address), "unix:path=%s", argv[1]);
	if (sd_bus_new(&bus) < 0 || sd_bus_set_address(bus, address) < 0 ||
		sd_bus_set_bus_client(bus, 1) < 0 || sd_bus_start(bus) < 0 ||
		sd_bus_add_fallback(bus, NULL, ROOT, on_call, &f) < 0 ||
		sd_bus_request_name(bus, NAME, 0) < 0)
		return 1;
	puts("ready");
	(void)fflush(stdout);
	while (sd_bus_process(bus, NULL) >= 0)
		if (sd_bus_wait(bus, UINT64_MAX) < 0)
			break;
	sd_bus_close_unref(bus);
	return 0;
}
