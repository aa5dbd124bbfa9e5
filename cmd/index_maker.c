#include "cmd/index_maker.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "core/base/mem.h"

#include "cmd/index_text.h"

#define PLACES 16u /* of one message each, 1 MiB of it and what is made of that at most */

struct place {
	void *tag;
	struct buf message;
	struct index_text text;
};

/* Places are used in a circle: put at `put`, made at `made`, taken at `taken`, which only ever grow. */
struct index_maker {
	struct place place[PLACES];
	size_t put, made, taken;
	bool words, ended, threaded;
	pthread_mutex_t mutex; /* of the counters and `ended`; a place is one side's at a time */
	pthread_cond_t changed;
	pthread_t thread;
};

static void make(struct index_maker *mk, struct place *p)
{
	(mk->words ? index_text_read : index_text_read_header)(&p->text, buf_bytes(&p->message));
}

static void *work(void *arg)
{
	struct index_maker *mk = arg;

	pthread_mutex_lock(&mk->mutex);
	for (;;) {
		while (!mk->ended && mk->made == mk->put)
			pthread_cond_wait(&mk->changed, &mk->mutex);
		if (mk->ended)
			break;
		pthread_mutex_unlock(&mk->mutex);
		make(mk, &mk->place[mk->made % PLACES]);
		pthread_mutex_lock(&mk->mutex);
		mk->made++;
		pthread_cond_signal(&mk->changed);
	}
	pthread_mutex_unlock(&mk->mutex);
	return NULL;
}

/* Signals stay with who can be interrupted. Where no thread can be had, taking makes the text. */
static void start(struct index_maker *mk)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	mk->threaded = pthread_create(&mk->thread, NULL, work, mk) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct index_maker *index_maker_new(bool words)
{
	struct index_maker *mk = xcalloc(1, sizeof(*mk));

	mk->words = words;
	pthread_mutex_init(&mk->mutex, NULL);
	pthread_cond_init(&mk->changed, NULL);
	for (size_t i = 0; i < PLACES; i++)
		buf_init(&mk->place[i].message, INDEX_MESSAGE_MAX);
	start(mk);
	return mk;
}

void index_maker_free(struct index_maker *mk)
{
	if (!mk)
		return;
	if (mk->threaded) {
		pthread_mutex_lock(&mk->mutex);
		mk->ended = true;
		pthread_cond_signal(&mk->changed);
		pthread_mutex_unlock(&mk->mutex);
		pthread_join(mk->thread, NULL);
	}
	for (; mk->taken < mk->made; mk->taken++)
		index_text_release(&mk->place[mk->taken % PLACES].text);
	for (size_t i = 0; i < PLACES; i++)
		buf_release(&mk->place[i].message);
	pthread_cond_destroy(&mk->changed);
	pthread_mutex_destroy(&mk->mutex);
	free(mk);
}

bool index_maker_is_full(const struct index_maker *mk)
{
	return mk->put - mk->taken == PLACES;
}

void index_maker_put(struct index_maker *mk, void *tag, struct buf *message)
{
	struct place *p = &mk->place[mk->put % PLACES];
	struct buf empty = p->message;

	buf_clear(&empty);
	p->message = *message;
	*message = empty;
	p->tag = tag;
	pthread_mutex_lock(&mk->mutex);
	mk->put++;
	pthread_cond_signal(&mk->changed);
	pthread_mutex_unlock(&mk->mutex);
}

void *index_maker_take(struct index_maker *mk, struct index_text *out)
{
	struct place *p = &mk->place[mk->taken % PLACES];

	if (mk->taken == mk->put)
		return NULL;
	if (!mk->threaded) {
		make(mk, p);
		mk->made++;
	}
	pthread_mutex_lock(&mk->mutex);
	while (mk->made == mk->taken)
		pthread_cond_wait(&mk->changed, &mk->mutex);
	pthread_mutex_unlock(&mk->mutex);
	*out = p->text;
	mk->taken++;
	return p->tag;
}
