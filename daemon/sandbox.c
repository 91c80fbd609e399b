/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Users and capabilities: see sandbox.h. Capabilities go through libcap; the order matters and is told where it does.
 * System call filters are in sandbox_seccomp.c.
 */
#include "config.h"
#include "daemon/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/sandbox_seccomp.h"

static void user_from(struct sandbox_user *out, const struct passwd *pw)
{
	out->uid = pw->pw_uid;
	out->gid = pw->pw_gid;
	snprintf(out->name, sizeof(out->name), "%s", pw->pw_name);
}

int sandbox_find_user(struct sandbox_user *out, const char *configured, char *error)
{
	const char *const fallback[] = {"weir", "nobody"};
	const struct passwd *pw = NULL;

	if (geteuid() != 0) {
		pw = getpwuid(geteuid());
		if (pw) {
			user_from(out, pw);
		} else {
			out->uid = geteuid();
			out->gid = getegid();
			snprintf(out->name, sizeof(out->name), "%u", (unsigned)out->uid);
		}
		return 0;
	}
	if (configured && configured[0]) {
		pw = getpwnam(configured);
		if (!pw) {
			snprintf(error, SANDBOX_ERROR_STRLEN,
				 "there is no user \"%s\" (setting \"user\"): create it, or leave the setting out",
				 configured);
			return -ENOENT;
		}
	}
	for (unsigned i = 0; !pw && i < 2; i++)
		pw = getpwnam(fallback[i]);
	if (!pw) {
		snprintf(error, SANDBOX_ERROR_STRLEN,
			 "neither user \"weir\" nor \"nobody\" exists: create one (systemd-sysusers, or "
			 "adduser --system weir)");
		return -ENOENT;
	}
	user_from(out, pw);
	return 0;
}

/* Sets all three sets at once: in permitted and effective what is listed, nothing inheritable. */
static int set_caps(const cap_value_t *permitted, int n_permitted, const cap_value_t *effective, int n_effective)
{
	cap_t caps = cap_init();
	int rc = 0;

	if (!caps)
		return -ENOMEM;
	if ((n_permitted && cap_set_flag(caps, CAP_PERMITTED, n_permitted, permitted, CAP_SET) < 0) ||
	    (n_effective && cap_set_flag(caps, CAP_EFFECTIVE, n_effective, effective, CAP_SET) < 0) ||
	    cap_set_proc(caps) < 0)
		rc = -errno;
	cap_free(caps);
	return rc;
}

static bool permitted(cap_value_t cap)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t v = CAP_CLEAR;

	if (caps) {
		cap_get_flag(caps, cap, CAP_PERMITTED, &v);
		cap_free(caps);
	}
	return v == CAP_SET;
}

/* Whatever is started from here on can never hold more than these; needs CAP_SETPCAP, which only root has. */
static void shrink_bounding(void)
{
	for (cap_value_t c = 0; c <= 63; c++) {
		if (c != CAP_NET_ADMIN && c != CAP_NET_RAW && c != CAP_NET_BROADCAST && cap_get_bound(c) == 1)
			cap_drop_bound(c);
	}
	/* A program that user 0 executes gets no capabilities for being user 0. */
	prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS, 0, 0, 0);
}

static int become(const struct sandbox_user *u, const gid_t *groups, size_t n_groups)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(n_groups, groups) < 0 ||
	    setresgid(u->gid, u->gid, u->gid) < 0 || setresuid(u->uid, u->uid, u->uid) < 0)
		return -errno;
	return 0;
}

int sandbox_parent(const struct sandbox_user *u, const gid_t *groups, size_t n_groups, bool *has_admin, bool *has_raw,
		   char *error)
{
	cap_value_t keep[3], use[3];
	int n = 0, n_use = 0, rc = 0;
	bool root = geteuid() == 0, broadcast = permitted(CAP_NET_BROADCAST);

	*has_admin = permitted(CAP_NET_ADMIN);
	*has_raw = permitted(CAP_NET_RAW);
	if (root) {
		shrink_bounding();
		rc = become(u, groups, n_groups);
		if (rc) {
			snprintf(error, SANDBOX_ERROR_STRLEN, "becoming user %s failed: %s", u->name, strerror(-rc));
			return rc;
		}
	}
	cap_reset_ambient();
	if (*has_admin)
		keep[n++] = use[n_use++] = CAP_NET_ADMIN;
	if (broadcast)
		keep[n++] = use[n_use++] = CAP_NET_BROADCAST;
	/* Usable until sandbox_parent_open: answering refused datagrams takes a packet socket (nft_open). */
	if (*has_raw)
		keep[n++] = use[n_use++] = CAP_NET_RAW;
	rc = set_caps(keep, n, use, n_use);
	if (rc == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		rc = -errno;
	if (rc)
		snprintf(error, SANDBOX_ERROR_STRLEN, "giving up capabilities failed: %s", strerror(-rc));
	return rc;
}

int sandbox_parent_open(void)
{
	const cap_value_t keep[2] = {CAP_NET_ADMIN, CAP_NET_RAW};
	bool admin = permitted(CAP_NET_ADMIN), raw = permitted(CAP_NET_RAW);

	return set_caps(admin ? keep : keep + 1, admin + raw, keep, admin);
}

int sandbox_hand_over(bool raw)
{
	const cap_value_t cap = CAP_NET_RAW;
	cap_t caps;
	int rc = 0;

	if (!raw)
		return set_caps(NULL, 0, NULL, 0);
	/* Ambient needs inheritable; ambient is what survives execve of a file without file capabilities. */
	caps = cap_init();
	if (!caps)
		return -ENOMEM;
	if (cap_set_flag(caps, CAP_PERMITTED, 1, &cap, CAP_SET) < 0 ||
	    cap_set_flag(caps, CAP_INHERITABLE, 1, &cap, CAP_SET) < 0 || cap_set_proc(caps) < 0 ||
	    cap_set_ambient(CAP_NET_RAW, CAP_SET) < 0)
		rc = -errno;
	cap_free(caps);
	return rc;
}

/* Keeps raw (or nothing) in permitted and effective, and makes sure that nothing can be gained or dumped. */
static int confine(bool raw)
{
	const cap_value_t cap = CAP_NET_RAW;
	const struct rlimit none = {0, 0};
	int rc;

	cap_reset_ambient();
	rc = set_caps(&cap, raw ? 1 : 0, &cap, raw ? 1 : 0);
	if (rc)
		return rc;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
	/* Not dumpable: no core of somebody's packets, and nobody of the same user can attach. A leak checker must. */
	if (sandbox_filters() && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

int sandbox_capture(void)
{
	int rc = confine(permitted(CAP_NET_RAW));

	return rc ? rc : sandbox_seccomp(SANDBOX_SECCOMP_CAPTURE);
}

int sandbox_capture_offline(void)
{
	int rc = confine(false);

	return rc ? rc : sandbox_seccomp(SANDBOX_SECCOMP_OFFLINE);
}

int sandbox_engine(void)
{
	int rc = confine(false);

	return rc ? rc : sandbox_seccomp(SANDBOX_SECCOMP_ENGINE);
}

int sandbox_filter_parent(void)
{
	return sandbox_seccomp(SANDBOX_SECCOMP_PARENT);
}

bool sandbox_filters(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
	return false;
#else
	return true;
#endif
#else
	return true;
#endif
}
