/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who is a member of which group: the selectors of the document held against a workload. Patterns are matched in time
 * linear in the text for each star, since both sides come from others.
 */
#include "config.h"
#include "segment/policy.h"

#include <stdio.h>
#include <string.h>

#include "common/workload.h"

/* Does the pattern, in which * stands for any run of characters, match len bytes of text? */
static bool glob_match(const char *pattern, const char *text, size_t len)
{
	const char *star = NULL, *end = text + len, *retry = text;

	while (text < end) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = text;
		} else if (*pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star;
			text = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* What is asked for must be there: "*" is any value, not none. */
static bool field_match(const char *pattern, const char *text)
{
	return pattern[0] == '\0' || (text[0] && glob_match(pattern, text, strlen(text)));
}

/* Docker's own registry may be left out: "docker.io/library/nginx" is "nginx". */
static const char *image_short(const char *image)
{
	if (strncmp(image, "docker.io/", 10) == 0)
		image += 10;
	if (strncmp(image, "library/", 8) == 0)
		image += 8;
	return image;
}

/* The pattern may have the tag and the digest or leave them out. */
static bool image_match(const char *pattern, const char *image)
{
	size_t whole, no_digest, no_tag;
	const char *slash, *colon;

	if (pattern[0] == '\0')
		return true;
	pattern = image_short(pattern);
	image = image_short(image);
	whole = strlen(image);
	no_digest = strcspn(image, "@");
	slash = strrchr(image, '/');
	colon = strchr(slash && slash < image + no_digest ? slash : image, ':');
	no_tag = colon && colon < image + no_digest ? (size_t)(colon - image) : no_digest;
	return image[0] && (glob_match(pattern, image, whole) || glob_match(pattern, image, no_digest) ||
			    glob_match(pattern, image, no_tag));
}

static bool label_match(const char *pattern, const char *labels)
{
	if (pattern[0] == '\0')
		return true;
	while (*labels) {
		size_t len = strcspn(labels, "\n");

		if (glob_match(pattern, labels, len))
			return true;
		labels += len;
		labels += *labels == '\n';
	}
	return false;
}

/* The owner's name: what weir named the group by, else the pod's name, which begins with its owner's. */
static bool owner_match(const char *pattern, const struct workload *w)
{
	size_t ns = strlen(w->pod_namespace), len = strlen(w->pod);

	if (pattern[0] == '\0')
		return true;
	if (w->pod[0] == '\0')
		return false;
	if (strncmp(w->group, w->pod_namespace, ns) == 0 && w->group[ns] == '/' &&
	    field_match(pattern, w->group + ns + 1))
		return true;
	if (glob_match(pattern, w->pod, len))
		return true;
	while (len > 0) {
		if (w->pod[--len] == '-' && glob_match(pattern, w->pod, len))
			return true;
	}
	return false;
}

bool policy_selector_match(const struct policy_selector *s, const struct workload *w)
{
	return field_match(s->project, w->project) && field_match(s->service, w->service) &&
	       field_match(s->pod_namespace, w->pod_namespace) && owner_match(s->pod_owner, w) &&
	       image_match(s->image, w->image) && field_match(s->name, w->name) && label_match(s->label, w->labels);
}

void policy_selector_of(struct policy_selector *out, const struct workload *w)
{
	size_t ns = strlen(w->pod_namespace);

	memset(out, 0, sizeof(*out));
	if (w->project[0] && w->service[0]) {
		snprintf(out->project, sizeof(out->project), "%s", w->project);
		snprintf(out->service, sizeof(out->service), "%s", w->service);
	} else if (w->pod[0] && ns && strncmp(w->group, w->pod_namespace, ns) == 0 && w->group[ns] == '/') {
		snprintf(out->pod_namespace, sizeof(out->pod_namespace), "%s", w->pod_namespace);
		snprintf(out->pod_owner, sizeof(out->pod_owner), "%s", w->group + ns + 1);
	} else if (w->image[0]) {
		const char *slash = strrchr(w->image, '/'), *colon;
		size_t len = strcspn(w->image, "@");

		/* Without its tag: the next release plays the same role. */
		colon = strchr(slash ? slash : w->image, ':');
		if (colon && (size_t)(colon - w->image) < len)
			len = (size_t)(colon - w->image);
		snprintf(out->image, sizeof(out->image), "%.*s", (int)len, w->image);
	} else {
		snprintf(out->name, sizeof(out->name), "%s", w->name);
	}
}

const char *policy_group_of(const struct policy *p, const struct workload *w)
{
	if (w->kind == WORKLOAD_HOST)
		return w->group;
	for (size_t i = 0; i < p->n_groups; i++) {
		for (size_t k = 0; k < p->groups[i].n_selectors; k++) {
			if (policy_selector_match(&p->groups[i].selectors[k], w))
				return p->groups[i].name;
		}
	}
	return w->group;
}
