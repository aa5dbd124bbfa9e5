#include "core/imap/transport.h"

void transport_free(struct transport *t)
{
	if (t)
		t->ops->free(t);
}

bool transport_binding(struct transport *t, struct transport_binding *out)
{
	*out = (struct transport_binding){ 0 };
	if (t->ops->binding && t->ops->binding(t, out))
		return true;
	out->type = NULL;
	return false;
}

char *transport_last_words(struct transport *t)
{
	return t->ops->last_words ? t->ops->last_words(t) : NULL;
}
