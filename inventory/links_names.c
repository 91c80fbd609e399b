/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which bridges are a container runtime's, by their names. */
#include "config.h"
#include "inventory/links.h"

#include <fnmatch.h>
#include <string.h>

static bool hex_tail(const char *s, size_t n)
{
	return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

bool links_runtime_bridge(const char *name)
{
	static const char *const usual[] = {"docker[0-9]*", "docker_gwbridge", "podman[0-9]*", "cni*", "cbr[0-9]*",
					    "nerdctl*", "lxcbr[0-9]*", "lxdbr[0-9]*", "incusbr[0-9]*"};

	if (strncmp(name, "br-", 3) == 0 && hex_tail(name + 3, 12)) /* Docker's own networks */
		return true;
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (fnmatch(usual[i], name, 0) == 0)
			return true;
	return false;
}
