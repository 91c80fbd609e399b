/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which group a workload belongs to. A group is the unit of policy, so replicas of one service must fall together and
 * different services must not. People have already said which is which, in several places; the first that speaks wins:
 *
 *   1. it shares the host's network                  host
 *   2. Compose labels                                PROJECT/SERVICE
 *   3. Swarm labels                                  STACK/SERVICE, or SERVICE
 *   4. Kubernetes labels                             NAMESPACE/OWNER (the pod's name without its random suffixes)
 *   5. a name template of the configuration          what the template says
 *   6. the image, for containers                     its repository: "postgres:15" -> "postgres"
 *   7. the name without its instance number          "web-1", "web_2", "web3" -> "web"
 *
 * Rule 7 is a guess and guesses carefully: one number at the end is taken off if at least two letters are left before
 * it ("h1" and "h2" stay two), it has at most four digits, and the word is not one that belongs with its number
 * ("ipv6"). So db1 and db2 are both "db"; whoever means IBM's Db2 writes a name template.
 */
#include "config.h"
#include "inventory/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/hash.h"
#include "inventory/inventory.h"

/* The length of the valid UTF-8 character at s, or 0. Overlong forms and surrogates are not worth telling apart
 * here. */
static size_t utf8_len(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 :
		   s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

void name_copy(char *out, size_t size, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t len = 0;

	while (*s) {
		size_t n = utf8_len(s);
		/* C1 control characters, too, drive some terminals: U+0080 to U+009F. */
		bool bad = n == 0 || *s < 0x20 || *s == 0x7f || (n == 2 && *s == 0xc2 && s[1] < 0xa0);

		if (len + (bad ? 1 : n) >= size)
			break;
		if (bad)
			out[len] = '_';
		else
			memcpy(out + len, s, n);
		len += bad ? 1 : n;
		s += n ? n : 1;
	}
	out[len] = '\0';
}

bool workload_label(const struct workload *w, const char *key, char *out, size_t size)
{
	size_t key_len = strlen(key);

	for (const char *line = w->labels, *end; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		if (strncmp(line, key, key_len) != 0 || line[key_len] != '=')
			continue;
		line += key_len + 1;
		if ((size_t)(end - line) >= size)
			end = line + size - 1;
		memcpy(out, line, (size_t)(end - line));
		out[end - line] = '\0';
		return true;
	}
	return false;
}

static bool skip_prefix(const char **s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(*s, prefix, n) != 0)
		return false;
	*s += n;
	return true;
}

void image_repository(const char *image, char *out, size_t size)
{
	const char *end, *slash;

	if (!skip_prefix(&image, "docker.io/") && !skip_prefix(&image, "index.docker.io/"))
		(void)skip_prefix(&image, "localhost/"); /* Podman's name for "built here" */
	(void)skip_prefix(&image, "library/");
	end = strchrnul(image, '@');
	slash = memrchr(image, '/', (size_t)(end - image));
	/* A colon before the last slash is a registry's port. */
	for (const char *p = slash ? slash : image; p < end; p++)
		if (*p == ':')
			end = p;
	/* An id says nothing about the role: 12 hexadecimal digits or more, or "sha256:...". */
	if (strncmp(image, "sha256", 6) == 0 && end == image + 6)
		end = image;
	if (end - image >= 12 && strspn(image, "0123456789abcdef") >= (size_t)(end - image))
		end = image;
	snprintf(out, size, "%.*s", (int)(end - image), image);
}

/* Is the text from s to its end n characters (or at least n, if more is allowed) of the given set? */
static bool all_of(const char *s, size_t min, size_t max, const char *set)
{
	size_t n = strlen(s);

	return n >= min && n <= max && strspn(s, set) == n;
}

void pod_owner(const char *pod, char *out, size_t size)
{
	/* Kubernetes' safe alphabet (apimachinery's rand): no vowels, nothing that looks like another. */
	static const char safe[] = "bcdfghjklmnpqrstvwxz2456789";
	static const char digits[] = "0123456789";
	char *dash;

	snprintf(out, size, "%s", pod);
	dash = strrchr(out, '-');
	if (!dash || dash == out)
		return;
	if (all_of(dash + 1, 1, 4, digits)) { /* StatefulSet: an ordinal */
		*dash = '\0';
		return;
	}
	if (!all_of(dash + 1, 5, 5, safe))
		return;
	*dash = '\0'; /* DaemonSet, Job; or the second half of the next two */
	dash = strrchr(out, '-');
	/* Deployment: the ReplicaSet's hash, which has a digit nearly always and a word of eight such consonants never.
	 * CronJob: the minute (or second) since 1970. */
	if (dash && dash != out && (all_of(dash + 1, 8, 10, safe) || all_of(dash + 1, 8, 11, digits)))
		*dash = '\0';
}

/* Words whose number is part of them. */
static bool number_belongs(const char *name)
{
	static const char *const words[] = {"ipv4", "ipv6", "ip4", "ip6", "http2", "http3", "oauth2", "s3", "ec2", "h264",
					    "h265", "x86", "md5", "sha1", "sha256", "sha512", "base64", "utf8", "mp3", "mp4"};
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i]);

		if (len >= n && strcasecmp(name + len - n, words[i]) == 0 &&
		    (len == n || !isalnum((unsigned char)name[len - n - 1])))
			return true;
	}
	return false;
}

void instance_stem(const char *name, char *out, size_t size)
{
	size_t len, n, letters = 0;

	snprintf(out, size, "%s", name);
	len = n = strlen(out);
	while (n > 0 && isdigit((unsigned char)out[n - 1]))
		n--;
	if (n == len || len - n > 4 || number_belongs(out))
		return;
	if (n > 0 && strchr("-_.", out[n - 1]))
		n--;
	for (size_t i = 0; i < n; i++)
		letters += isalpha((unsigned char)out[i]) != 0;
	/* "10.0.0.1" has no letters and "h1" has one: each is a name of its own. */
	if (letters >= 2 && !strchr("-_.", out[n - 1]))
		out[n] = '\0';
}

struct star {
	const char *text;
	size_t len;
};

/*
 * Shortest match for each star. 1: matches; 0: not from here; -1: not at all, since a later star has already tried the
 * whole rest of the name, and an earlier star that took more could only leave it less.
 */
static int glob_match(const char *p, const char *p_end, const char *s, struct star *stars, unsigned n)
{
	while (p < p_end && *p != '*') {
		if (*p != *s)
			return 0;
		p++;
		s++;
	}
	if (p == p_end)
		return *s == '\0';
	for (const char *t = s; n < 9; t++) {
		int r;

		stars[n] = (struct star){s, (size_t)(t - s)};
		r = glob_match(p + 1, p_end, t, stars, n + 1);
		if (r != 0)
			return r;
		if (!*t)
			break;
	}
	return -1;
}

bool template_match(const char *name_template, const char *name, char *out, size_t size)
{
	const char *arrow = strstr(name_template, "->"), *p_end, *g;
	struct star stars[9] = {0};
	size_t len = 0;

	if (!arrow)
		return false;
	while (*name_template == ' ')
		name_template++;
	for (p_end = arrow; p_end > name_template && p_end[-1] == ' ';)
		p_end--;
	if (glob_match(name_template, p_end, name, stars, 0) != 1)
		return false;
	for (g = arrow + 2; *g == ' ';)
		g++;
	for (; *g; g++) {
		struct star piece = {g, 1};

		if (*g == '$' && g[1] >= '1' && g[1] <= '9')
			piece = stars[*++g - '1'];
		if (len + piece.len >= size)
			return false;
		if (piece.len)
			memcpy(out + len, piece.text, piece.len);
		len += piece.len;
	}
	while (len && out[len - 1] == ' ')
		len--;
	out[len] = '\0';
	return len > 0;
}

/*
 * A group's name goes into YAML, nftables comments and shell lines: plain ASCII only, never one of the reserved words.
 * A name too long keeps its end, which tells more than its beginning, and a hash of the whole.
 */
static void group_finish(char *out, const char *name)
{
	static const char *const reserved[] = {GROUP_WORLD, GROUP_HOST, "any", "none", "null", "true", "false", "yes", "no"};
	size_t len = strlen(name);

	if (len >= GROUP_STRLEN) {
		unsigned h = (unsigned)hash_fixed(name, len);

		snprintf(out, GROUP_STRLEN, "%08x~%s", h, name + len - (GROUP_STRLEN - 10));
	} else {
		memcpy(out, len ? name : "unnamed", len ? len + 1 : sizeof("unnamed"));
	}
	for (char *c = out; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-/:+~", *c))
			*c = '_';
	if (!isalnum((unsigned char)*out))
		*out = '_';
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (strcasecmp(out, reserved[i]) == 0)
			strncat(out, "_", GROUP_STRLEN - strlen(out) - 1);
}

/* Rules 2 to 4: what an orchestrator's labels say. */
static bool group_from_labels(const struct workload *w, char *out, size_t size)
{
	char stack[128], service[128];
	size_t n;

	if (w->project[0] && w->service[0]) {
		snprintf(out, size, "%s/%s", w->project, w->service);
		return true;
	}
	if (workload_label(w, "com.docker.swarm.service.name", service, sizeof(service)) && service[0]) {
		/* A stack's services are named STACK_SERVICE. */
		if (workload_label(w, "com.docker.stack.namespace", stack, sizeof(stack)) && (n = strlen(stack)) > 0 &&
		    strncmp(service, stack, n) == 0 && service[n] == '_' && service[n + 1])
			snprintf(out, size, "%s/%s", stack, service + n + 1);
		else
			snprintf(out, size, "%s", service);
		return true;
	}
	if (w->pod[0]) {
		pod_owner(w->pod, service, sizeof(service));
		snprintf(out, size, "%s/%s", w->pod_namespace[0] ? w->pod_namespace : "default", service);
		return true;
	}
	return false;
}

void inventory_group_name(const struct workload *w, const char *const *name_templates, char *out)
{
	char name[512] = "";

	if (w->kind == WORKLOAD_HOST) {
		snprintf(out, GROUP_STRLEN, "%s", GROUP_HOST);
		return;
	}
	if (group_from_labels(w, name, sizeof(name)))
		goto out;
	for (size_t i = 0; name_templates && name_templates[i]; i++)
		if (template_match(name_templates[i], w->name, name, sizeof(name)))
			goto out;
	if (w->kind == WORKLOAD_CONTAINER && w->image[0])
		image_repository(w->image, name, sizeof(name));
	if (!name[0])
		instance_stem(w->name, name, sizeof(name));
out:
	group_finish(out, name);
}
