/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Orders from people, in the engine: the policy's text is read and compiled here, in the process that has no
 * privilege; the generation is recorded; then the enforcer gets the compiled ruleset, and its answer is recorded and
 * passed back. One order at a time.
 */
#include "config.h"
#include "daemon/engine_role.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/timefmt.h"
#include "common/wire.h"
#include "store/history.h"

#define CONFIRM_MAX_S (7 * 86400)

static void order_fini(struct pending_order *o)
{
	policy_free(o->policy);
	if (o->ruleset)
		ruleset_fini(o->ruleset);
	free(o->ruleset);
	json_decref(o->warnings);
	memset(o, 0, sizeof(*o));
}

void engine_orders_fini(struct engine_role *r)
{
	order_fini(&r->order);
}

static json_t *complaints(const struct policy_errors *errors, bool warnings)
{
	json_t *list = json_array();
	size_t n = errors->n < POLICY_ERRORS_MAX ? errors->n : POLICY_ERRORS_MAX;

	for (size_t i = 0; i < n; i++) {
		const struct policy_error *e = &errors->e[i];

		if (warnings && !e->warning)
			continue;
		json_array_append_new(list, json_pack("{s:I,s:I,s:b,s:s}", "line", (json_int_t)e->line, "column",
						      (json_int_t)e->column, "warning", e->warning, "text", e->text));
	}
	return list;
}

static void refuse_policy(struct engine_role *r, uint64_t client, const struct policy_errors *errors)
{
	struct buf text = BUF_INIT;
	size_t n = errors->n < POLICY_ERRORS_MAX ? errors->n : POLICY_ERRORS_MAX;

	buf_adds(&text, "the policy cannot be used");
	for (size_t i = 0; i < n; i++) {
		if (errors->e[i].warning)
			continue;
		buf_adds(&text, ": ");
		policy_error_format(&text, &errors->e[i], NULL);
		break;
	}
	buf_adds(&text, ". Nothing was changed");
	control_reply(r->control, client,
		      json_pack("{s:i,s:b,s:s?,s:o}", "schema", 1, "ok", 0, "error", buf_failed(&text) ? "" : text.data,
				"errors", complaints(errors, false)));
	buf_fini(&text);
}

/* Sends ruleset and selectors of the pending order to the enforcer. */
static int send_ruleset(struct engine_role *r, enum msg_type type, uint32_t confirm_within_s)
{
	struct pending_order *o = &r->order;
	struct buf b = BUF_INIT;
	int rc = body_apply_encode(&b, o->token, confirm_within_s, o->policy, o->ruleset);

	if (!rc)
		rc = channel_send(r->parent, type, b.data, b.len);
	buf_fini(&b);
	return rc;
}

static void send_token(struct engine_role *r, enum msg_type type)
{
	struct buf b = BUF_INIT;

	wire_put_u64(&b, r->order.token);
	engine_role_send(r, type, &b);
	buf_fini(&b);
}

static struct pending_order *order_begin(struct engine_role *r, enum order_kind kind, uint64_t client)
{
	r->order = (struct pending_order){.kind = kind, .token = ++r->last_token, .client = client};
	return &r->order;
}

static void order_failed(struct engine_role *r, int rc, const char *what)
{
	control_refuse(r->control, r->order.client, "%s failed: %s. Nothing was changed", what, strerror(-rc));
	order_fini(&r->order);
}

static void take_apply(struct engine_role *r, uint64_t client, uid_t uid, const json_t *j)
{
	const json_t *text = json_object_get(j, "policy"), *within = json_object_get(j, "confirm_within_s");
	const char *why = json_string_value(json_object_get(j, "why"));
	struct policy_errors errors;
	struct pending_order *o;
	int rc;

	if (!json_is_string(text) || (within && !json_is_integer(within)) || json_integer_value(within) < 0 ||
	    json_integer_value(within) > CONFIRM_MAX_S) {
		control_refuse(r->control, client, "apply takes \"policy\" (text) and \"confirm_within_s\" (0 to %d)",
			       CONFIRM_MAX_S);
		return;
	}
	o = order_begin(r, ORDER_APPLY, client);
	o->confirm_within_s = (uint32_t)json_integer_value(within);
	rc = policy_parse(&o->policy, json_string_value(text), json_string_length(text), &errors);
	if (rc) {
		o->policy = NULL;
		refuse_policy(r, client, &errors);
		order_fini(o);
		return;
	}
	o->warnings = complaints(&errors, true);
	o->ruleset = calloc(1, sizeof(*o->ruleset));
	rc = o->ruleset ? policy_compile(o->ruleset, o->policy) : -ENOMEM;
	if (!rc) {
		o->enforces = ruleset_enforces(o->ruleset);
		if (!o->enforces)
			o->confirm_within_s = 0; /* nothing that could need a way back */
		rc = generation_new(r, &o->generation, json_string_value(text), json_string_length(text), uid,
				    why ? why : "", o->confirm_within_s, o->ruleset);
	}
	if (!rc)
		rc = send_ruleset(r, IPC_APPLY, o->confirm_within_s);
	if (rc)
		order_failed(r, rc, "preparing the new generation");
}

static void take_confirm(struct engine_role *r, uint64_t client)
{
	if (!r->generation || r->generation_state != GENERATION_ARMED) {
		control_refuse(r->control, client, "there is nothing to confirm: %s",
			       !r->generation ? "no policy is in force"
			       : r->generation_state == GENERATION_EXPIRED
				       ? "the last generation ran out unconfirmed; apply it again"
				       : "what is in force is confirmed already");
		return;
	}
	order_begin(r, ORDER_CONFIRM, client)->generation = r->generation;
	send_token(r, IPC_CONFIRM);
}

static void rollback_to(struct engine_role *r, uint64_t client, uint64_t number)
{
	struct pending_order *o;
	struct generation g;
	struct store_txn *t;
	bool usable = false;
	int rc = store_begin(&t, r->store, false);

	if (!rc) {
		rc = store_generation_get(t, number, &g);
		usable = !rc && (g.state == GENERATION_SUPERSEDED || g.state == GENERATION_ROLLED_BACK ||
				 g.state == GENERATION_CONFIRMED) && !g.confirm_by_ns;
		store_abort(t);
	}
	if (!usable) {
		control_refuse(r->control, client,
			       rc ? "there is no generation %llu; `weir policy export` shows the one in force, 0 takes "
				    "the table away"
				  : "generation %llu was never confirmed to be good: apply its policy again",
			       (unsigned long long)number);
		return;
	}
	o = order_begin(r, ORDER_ROLLBACK, client);
	o->generation = number;
	rc = generation_load(r, number, &o->policy, &o->ruleset);
	if (!rc)
		rc = send_ruleset(r, IPC_APPLY, 0);
	if (rc)
		order_failed(r, rc, "reading that generation");
}

static void take_rollback(struct engine_role *r, uint64_t client, const json_t *j)
{
	const json_t *to = json_object_get(j, "generation");
	uint64_t number;

	if (to && (!json_is_integer(to) || json_integer_value(to) < 0)) {
		control_refuse(r->control, client, "rollback takes \"generation\", a number; 0 removes the table");
		return;
	}
	if (!to && !r->generation && !r->kernel_generation) {
		control_refuse(r->control, client, "there is nothing to roll back: no policy is in force");
		return;
	}
	number = to ? (uint64_t)json_integer_value(to) : generation_before(r, r->generation);
	if (number && number == r->generation && r->generation_state == GENERATION_CONFIRMED) {
		control_refuse(r->control, client, "generation %llu is the one in force", (unsigned long long)number);
	} else if (number) {
		rollback_to(r, client, number);
	} else {
		order_begin(r, ORDER_REMOVE, client);
		send_token(r, IPC_REMOVE);
	}
}

void engine_orders_take(void *arg, uint64_t client, uid_t uid, const json_t *j)
{
	struct engine_role *r = arg;
	const char *what = json_string_value(json_object_get(j, "order"));

	if (what && strcmp(what, "status") == 0) {
		control_reply(r->control, client, engine_status(r));
		return;
	}
	if (json_integer_value(json_object_get(j, "schema")) != 1) {
		control_refuse(r->control, client,
			       "orders of \"schema\":1 are understood; use the weir that the daemon was built with");
		return;
	}
	if (!what || (strcmp(what, "apply") && strcmp(what, "confirm") && strcmp(what, "rollback"))) {
		control_refuse(r->control, client, "\"order\" is one of apply, confirm, rollback, status");
		return;
	}
	if (r->order.kind == ORDER_ADOPT) /* may wait long for a runtime that does not answer; people come first */
		order_fini(&r->order);
	if (r->order.kind != ORDER_NONE || r->stopping) {
		control_refuse(r->control, client, "weir is %s: try again in a moment",
			       r->stopping ? "stopping" : "carrying out another order");
		return;
	}
	if (what[0] == 'a')
		take_apply(r, client, uid, j);
	else if (what[0] == 'c')
		take_confirm(r, client);
	else
		take_rollback(r, client, j);
}

static void answer(struct engine_role *r, const char *state, uint64_t generation, const char *warning)
{
	json_t *reply = json_pack("{s:i,s:b,s:I,s:s}", "schema", 1, "ok", 1, "generation", (json_int_t)generation,
				  "state", state);
	json_t *warnings = r->order.warnings ? json_incref(r->order.warnings) : json_array();
	char text[TIME_STRLEN];

	if (reply && r->generation && r->generation_state == GENERATION_ARMED)
		json_object_set_new(reply, "confirm_by", json_string(time_format_utc(r->confirm_by_ns, text)));
	if (warning && warning[0])
		json_array_append_new(warnings, json_pack("{s:b,s:s}", "warning", 1, "text", warning));
	if (reply && json_array_size(warnings))
		json_object_set(reply, "warnings", warnings);
	json_decref(warnings);
	control_reply(r->control, r->order.client, reply);
}

/* The ruleset of the pending order decides from now on. */
static void take_policy(struct engine_role *r, uint64_t since_ns)
{
	engine_policy(r->engine, r->order.policy, r->order.ruleset, r->order.lapsed, since_ns);
	r->order.policy = NULL;
	r->order.ruleset = NULL;
}

static void done_in_force(struct engine_role *r, const struct body_done *d)
{
	struct pending_order *o = &r->order;
	uint64_t before = r->generation, now = time_now_ns();
	bool armed = o->confirm_within_s && o->enforces;
	uint8_t left = o->kind == ORDER_ROLLBACK ? GENERATION_ROLLED_BACK : GENERATION_SUPERSEDED;
	int rc = 0;

	/* What ran out stays so, unless what is older comes after it: the last one would be taken for what the kernel
	 * has. */
	if (before && before != o->generation &&
	    (r->generation_state != GENERATION_EXPIRED || before > o->generation))
		rc = generation_change(r, before, left, 0, r->generation_state == GENERATION_EXPIRED
							   ? "rolled back after nobody had confirmed it" : NULL);
	if (!rc && armed)
		rc = generation_deadline(r, o->generation, time_mono_ns() + o->confirm_within_s * NS_PER_S);
	if (!rc)
		rc = generation_change(r, o->generation, armed ? GENERATION_ARMED : GENERATION_CONFIRMED,
				       armed ? now + o->confirm_within_s * NS_PER_S : 0, NULL);
	take_policy(r, now);
	generation_current(r);
	if (rc) /* in the kernel all the same: say both */
		control_refuse(r->control, o->client, "generation %llu is in the kernel, but could not be recorded: %s",
			       (unsigned long long)o->generation, strerror(-rc));
	else
		answer(r, generation_state_name(armed ? GENERATION_ARMED : GENERATION_CONFIRMED), o->generation,
		       d->error);
}

static void done_removed(struct engine_role *r)
{
	if (r->generation && r->generation_state != GENERATION_EXPIRED)
		generation_change(r, r->generation, GENERATION_ROLLED_BACK, 0, NULL);
	else if (r->generation) /* so that it is not looked for in the kernel again */
		generation_change(r, r->generation, GENERATION_ROLLED_BACK, 0, "removed after nobody had confirmed it");
	engine_policy(r->engine, NULL, NULL, false, 0);
	generation_current(r);
	answer(r, "removed", 0, NULL);
}

static void done_failed(struct engine_role *r, const struct body_done *d)
{
	struct pending_order *o = &r->order;

	if (o->kind == ORDER_APPLY)
		generation_change(r, o->generation, GENERATION_FAILED, 0, d->error);
	control_refuse(r->control, o->client, "%s%s%s. What was in force before is in force still", d->error,
		       d->error[0] ? " - " : "", strerror(d->rc < 0 && d->rc > -4096 ? -d->rc : EIO));
}

void engine_orders_done(struct engine_role *r, const struct body_done *d)
{
	struct pending_order *o = &r->order;

	if (o->kind == ORDER_NONE || d->token != o->token)
		return;
	if (o->kind == ORDER_ADOPT) {
		if (d->rc)
			log_warn("generation %llu is not in the kernel: %s", (unsigned long long)o->generation,
				 d->error);
	} else if (d->rc) {
		done_failed(r, d);
	} else if (o->kind == ORDER_CONFIRM) {
		int rc = generation_change(r, o->generation, GENERATION_CONFIRMED, 0, NULL);

		generation_current(r);
		if (rc)
			control_refuse(r->control, o->client, "confirmed in the kernel, but could not be recorded: %s",
				       strerror(-rc));
		else
			answer(r, "confirmed", o->generation, d->error);
	} else if (o->kind == ORDER_REMOVE) {
		done_removed(r);
	} else {
		done_in_force(r, d);
	}
	order_fini(o);
}

void engine_orders_expired(struct engine_role *r, uint64_t generation)
{
	struct policy *p;
	struct ruleset *rs;

	if (generation != r->generation || r->generation_state != GENERATION_ARMED)
		return;
	generation_change(r, generation, GENERATION_EXPIRED, 0, NULL);
	if (generation_load(r, generation, &p, &rs) == 0)
		engine_policy(r->engine, p, rs, true, r->applied_ns);
	generation_current(r);
}

void engine_orders_second(struct engine_role *r)
{
	/* The enforcer tells of it; this is for the case that it could not. By the clock that the kernel goes by: the
	 * other one may have been set. */
	if (r->generation && r->generation_state == GENERATION_ARMED &&
	    time_mono_ns() > r->confirm_mono_ns + 2 * NS_PER_S && r->order.kind == ORDER_NONE)
		engine_orders_expired(r, r->generation);
}

static int fail_pending(void *arg, const struct generation *g)
{
	uint64_t *number = arg;

	if (g->state == GENERATION_PENDING)
		*number = g->number;
	return 0;
}

void engine_orders_start(struct engine_role *r)
{
	uint64_t unfinished = 0;
	struct pending_order *o;
	struct store_txn *t;
	uint32_t confirm = 0;

	if (store_begin(&t, r->store, false) == 0) {
		store_generation_walk(t, fail_pending, &unfinished);
		store_abort(t);
	}
	if (unfinished)
		generation_change(r, unfinished, GENERATION_FAILED, 0, "weir ended before the kernel had answered");
	generation_current(r);
	if (!r->generation)
		return;
	if (r->generation_state == GENERATION_ARMED && !generation_left_ns(r)) {
		generation_change(r, r->generation, GENERATION_EXPIRED, 0, NULL);
		generation_current(r);
	}
	o = order_begin(r, ORDER_ADOPT, 0);
	o->generation = r->generation;
	o->lapsed = r->generation_state == GENERATION_EXPIRED;
	if (generation_load(r, r->generation, &o->policy, &o->ruleset)) {
		log_err("generation %llu cannot be read back from the store", (unsigned long long)r->generation);
		order_fini(o);
		return;
	}
	if (o->lapsed)
		confirm = UINT32_MAX;
	else if (r->generation_state == GENERATION_ARMED)
		confirm = (uint32_t)((generation_left_ns(r) + NS_PER_S - 1) / NS_PER_S);
	if (send_ruleset(r, IPC_ADOPT, confirm))
		log_err("the generation in force could not be sent to the enforcer");
	take_policy(r, r->applied_ns);
}
