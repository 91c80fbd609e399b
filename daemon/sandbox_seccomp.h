/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The system call filters behind sandbox.h; nobody else calls them. */
#ifndef WEIR_DAEMON_SANDBOX_SECCOMP_H
#define WEIR_DAEMON_SANDBOX_SECCOMP_H

enum sandbox_seccomp_role {
	SANDBOX_SECCOMP_CAPTURE,
	SANDBOX_SECCOMP_OFFLINE,
	SANDBOX_SECCOMP_ENGINE,
	SANDBOX_SECCOMP_PARENT,
};

/* Loads the filter of that role; 0 or negative errno. Does nothing where sandbox_filters() says no. */
int sandbox_seccomp(enum sandbox_seccomp_role role);

#endif
