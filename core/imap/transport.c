#include "core/imap/transport.h"

void transport_free(struct transport *t)
{
	if (t)
		t->ops->free(t);
}
