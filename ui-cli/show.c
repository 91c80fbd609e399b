/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small pieces that several verbs print alike: see show.h. */
#include "config.h"
#include "ui-cli/show.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ui-cli/verb.h"

const char *show_app(const char *app, unsigned confidence, char *out, size_t size, bool *guess)
{
	bool known = *app && strcmp(app, "Unknown") != 0;

	*guess = known && flow_confidence_is_guess(confidence);
	snprintf(out, size, *guess ? "(%s?)" : "%s", known ? app : "-");
	return out;
}

const char *show_flow_name(const struct flow_rec *f, char *out, size_t size)
{
	static const enum flow_attr order[] = {FLOW_ATTR_SNI, FLOW_ATTR_HTTP_HOST, FLOW_ATTR_DNS_QUERY,
					       FLOW_ATTR_HOSTNAME};

	*out = '\0';
	for (size_t i = 0; !*out && i < sizeof(order) / sizeof(order[0]); i++)
		flow_attr_text(f, order[i], out, size);
	if (addr_is_literal(out)) /* a Host header with an address tells nothing new */
		*out = '\0';
	return out;
}

int show_filter_parse(struct filter **out, const struct command *c, const char *text, struct filter_error *error)
{
	int rc = filter_parse(out, text, error);

	if (rc == 0)
		return VERB_DONE;
	if (rc == -ENOMEM)
		return command_failed(c, "out of memory");
	fprintf(stderr, "weir %s: filter: %s\n  %s\n  %*s^\n", c->verb, error->text, text, (int)error->column, "");
	return VERB_MISUSED;
}
