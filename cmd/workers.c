#include "cmd/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/progress.h"
#include "cmd/report.h"

#define LINE_MAX_BYTES ((size_t)16 << 20)
#define TICK_MS 200 /* how often it is asked what no descriptor tells */

/* One of the two that a worker writes to. */
struct stream {
	int fd; /* -1: at its end */
	struct buf line; /* as far as it has come */
};

struct worker {
	struct worker_task *task;
	pid_t pid;
	struct stream events, words;
	bool asked; /* to end */
};

struct pool {
	struct workers *w;
	struct worker *v; /* those that run, n of at_once */
	size_t n, next; /* the task that is to be started next */
	size_t ended, unwell;
	int64_t looked; /* when the last tick was */
	struct progress progress;
	enum exit_status worst;
};

/* --- in the worker --- */

static volatile int ending;

/* However often it is said: who supervises a group of processes may say it to each, and the first one passes it on. */
static void on_signal(int sig)
{
	ending = sig;
}

static void take_signals(const sigset_t *before)
{
	struct sigaction act = { .sa_handler = on_signal };

	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigprocmask(SIG_SETMASK, before, NULL);
}

/* Away from the terminal: a password cannot be asked for by several at once, and ^C is for the first process. */
static void settle(pid_t parent, int events, int words, const sigset_t *before)
{
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent) /* it is gone already, and nobody is there to say so */
		_exit(EXIT_INTERRUPTED);
	take_signals(before);
	dup2(events, STDOUT_FILENO);
	dup2(words, STDERR_FILENO);
}

/*
 * What the first process hears by, also of the others: whoever kept an end open to read from would wait for ever
 * to write more than there is room for, once the first process is gone.
 */
static void close_ears(const struct pool *p, int events, int words)
{
	close(events);
	close(words);
	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i].events.fd >= 0)
			close(p->v[i].events.fd);
		if (p->v[i].words.fd >= 0)
			close(p->v[i].words.fd);
	}
}

__attribute__((noreturn)) static void work(const struct workers *w, const struct config_job *job)
{
	struct app app = *w->app;
	enum exit_status status;

	app.stop = &ending;
	status = app_become_worker(&app, job->head.name) < 0 ? EXIT_FAILED : w->run(&app, job, w->opts);
	if (fflush(NULL) != 0)
		status = exit_worse(status, EXIT_FAILED);
	_exit((int)status);
}

/* --- starting one --- */

static int open_pipe(int fd[2])
{
	if (pipe2(fd, O_CLOEXEC) < 0)
		return -1;
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	return 0;
}

static void close_both(const int fd[2])
{
	close(fd[0]);
	close(fd[1]);
}

/* 0, or -1 with errno. */
static int start(struct pool *p, struct worker_task *t)
{
	int events[2], words[2], saved;
	pid_t parent = getpid(), pid;
	sigset_t held, before;

	if (open_pipe(events) < 0)
		return -1;
	if (open_pipe(words) < 0) {
		close_both(events);
		return -1;
	}
	progress_clear(); /* or the other process would think that its line is there, and to be cleared */
	fflush(NULL);     /* or it would be written twice */
	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigprocmask(SIG_BLOCK, &held, &before);
	pid = fork();
	if (pid == 0) {
		close_ears(p, events[0], words[0]);
		settle(parent, events[1], words[1], &before);
		work(p->w, t->job);
	}
	saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(events[1]);
	close(words[1]);
	if (pid < 0) {
		close(events[0]);
		close(words[0]);
		errno = saved;
		return -1;
	}
	t->state = WORKER_RUNNING;
	t->started = clock_ms();
	p->v[p->n++] = (struct worker){ .task = t,
					.pid = pid,
					.events = { events[0], BUF_INIT(LINE_MAX_BYTES) },
					.words = { words[0], BUF_INIT(LINE_MAX_BYTES) } };
	return 0;
}

static void note_end(struct pool *p, struct worker_task *t, enum exit_status exit)
{
	t->state = WORKER_ENDED;
	t->exit = exit;
	p->ended++;
	p->unwell += exit != EXIT_DONE;
	p->worst = exit_worse(p->worst, exit);
}

/* When there is no room for another process the running ones go on; only where there are none it is an error. */
static void start_some(struct pool *p)
{
	while (p->n < p->w->at_once && p->next < p->w->n && !*p->w->app->stop) {
		struct worker_task *t = &p->w->task[p->next];

		if (start(p, t) < 0) {
			if (p->n > 0)
				return;
			report_line(p->w->app, t->job->head.name, "no process could be started for it: %s",
				    strerror(errno));
			note_end(p, t, EXIT_TEMPORARY);
		}
		p->next++;
	}
}

/* --- what they say --- */

static void take_summary(struct worker_task *t, const json_t *event)
{
	t->new_messages = (uint64_t)json_integer_value(json_object_get(event, "new"));
	t->flags_changed = (uint64_t)json_integer_value(json_object_get(event, "flags_changed"));
	t->removed = (uint64_t)json_integer_value(json_object_get(event, "removed"));
	t->bytes = (uint64_t)json_integer_value(json_object_get(event, "bytes"));
}

static void take_event(struct pool *p, struct worker_task *t, struct bytes line)
{
	static const char summary[] = "{\"event\":\"summary\"";
	json_t *event;

	if (p->w->app->json) {
		fwrite(line.p, 1, line.n, stdout);
		putchar('\n');
		fflush(stdout);
	}
	if (line.n < strlen(summary) || memcmp(line.p, summary, strlen(summary)) != 0)
		return;
	event = json_loadb((const char *)line.p, line.n, 0, NULL);
	take_summary(t, event);
	json_decref(event);
}

static void take_words(struct bytes line)
{
	progress_clear();
	fprintf(stderr, "%.*s\n", (int)line.n, (const char *)line.p);
}

static void take_line(struct pool *p, struct worker *k, const struct stream *s, struct bytes line)
{
	if (s == &k->events)
		take_event(p, k->task, line);
	else
		take_words(line);
}

static void take_piece(struct pool *p, struct worker *k, struct stream *s, struct bytes piece)
{
	while (piece.n > 0) {
		const uint8_t *end = memchr(piece.p, '\n', piece.n);
		size_t n = end ? (size_t)(end - piece.p) : piece.n;

		buf_add(&s->line, bytes_from(piece.p, n)); /* what is longer than any line of ours is cut */
		if (end) {
			take_line(p, k, s, buf_bytes(&s->line));
			buf_clear(&s->line);
		}
		piece = bytes_skip(piece, n + (end != NULL));
	}
}

/* All that is there now. */
static void listen_to(struct pool *p, struct worker *k, struct stream *s)
{
	uint8_t piece[16384];
	ssize_t n;

	while (s->fd >= 0) {
		n = read(s->fd, piece, sizeof(piece));
		if (n > 0) {
			take_piece(p, k, s, bytes_from(piece, (size_t)n));
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		close(s->fd);
		s->fd = -1;
	}
}

/* --- their end --- */

/* What was written without a line's end: of a worker that was killed, part of a line. */
static void close_stream(struct pool *p, struct worker *k, struct stream *s)
{
	listen_to(p, k, s);
	if (s->fd >= 0)
		close(s->fd); /* a process that it started holds the other end */
	if (s->line.n > 0 && s == &k->words)
		take_words(buf_bytes(&s->line));
	buf_release(&s->line);
}

static void tell_killed(const struct pool *p, const struct worker_task *t)
{
	char *text = xasprintf("its process was killed by signal %d. Run it again: what was stored is kept", t->signal);

	report_line(p->w->app, t->job->head.name, "%s", text);
	if (p->w->app->json)
		report_event(json_pack("{s:s, s:s, s:s, s:i, s:s}", "event", "error", "job", t->job->head.name, "kind",
				       "killed", "signal", t->signal, "text", text));
	free(text);
}

static void end_worker(struct pool *p, size_t i, int status)
{
	struct worker *k = &p->v[i];
	struct worker_task *t = k->task;

	close_stream(p, k, &k->events);
	close_stream(p, k, &k->words);
	t->took_ms = clock_ms() - t->started;
	if (WIFSIGNALED(status)) {
		t->signal = WTERMSIG(status);
		tell_killed(p, t);
	}
	note_end(p, t, WIFEXITED(status) ? (enum exit_status)WEXITSTATUS(status) : EXIT_FAILED);
	p->v[i] = p->v[--p->n];
}

/* Whoever closed both is ending; the others are asked at each tick, since what they started may hold on to these. */
static void look_for_ends(struct pool *p)
{
	bool tick = clock_ms() - p->looked >= TICK_MS;

	if (tick)
		p->looked = clock_ms();
	for (size_t i = p->n; i-- > 0;) {
		bool closed = p->v[i].events.fd < 0 && p->v[i].words.fd < 0;
		pid_t pid = 0;
		int status;

		if (closed || tick)
			while ((pid = waitpid(p->v[i].pid, &status, closed ? 0 : WNOHANG)) < 0 && errno == EINTR)
				;
		if (pid > 0)
			end_worker(p, i, status);
	}
}

static void ask_to_end(struct pool *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (!p->v[i].asked) {
			kill(p->v[i].pid, SIGTERM);
			p->v[i].asked = true;
		}
}

/* --- all of them --- */

static void wait_for_words(struct pool *p)
{
	struct pollfd fd[2 * WORKERS_MAX];

	for (size_t i = 0; i < p->n; i++) {
		fd[2 * i] = (struct pollfd){ .fd = p->v[i].events.fd, .events = POLLIN };
		fd[2 * i + 1] = (struct pollfd){ .fd = p->v[i].words.fd, .events = POLLIN };
	}
	if (poll(fd, 2 * p->n, TICK_MS) <= 0)
		return;
	for (size_t i = 0; i < p->n; i++) {
		if (fd[2 * i].revents)
			listen_to(p, &p->v[i], &p->v[i].events);
		if (fd[2 * i + 1].revents)
			listen_to(p, &p->v[i], &p->v[i].words);
	}
}

static void show_progress(struct pool *p)
{
	struct buf text = BUF_INIT(4096);

	if (p->progress.on_terminal && progress_is_due(&p->progress)) {
		buf_addf(&text, "%zu/%zu jobs", p->ended, p->w->n);
		if (p->unwell)
			buf_addf(&text, ", %zu of them not well", p->unwell);
		buf_addf(&text, ", %zu at work", p->n);
		progress_draw(&text);
	}
	buf_release(&text);
}

enum exit_status workers_run(struct workers *w)
{
	struct pool p = { .w = w, .worst = EXIT_DONE };
	int64_t started = clock_ms();

	p.v = xcalloc(w->at_once, sizeof(*p.v));
	progress_begin(&p.progress, w->app, "");
	start_some(&p);
	while (p.n > 0) {
		wait_for_words(&p);
		if (*w->app->stop)
			ask_to_end(&p);
		look_for_ends(&p);
		start_some(&p);
		show_progress(&p);
	}
	progress_end(&p.progress);
	free(p.v);
	if (p.next < w->n)
		p.worst = exit_worse(p.worst, EXIT_INTERRUPTED);
	workers_report(w, p.worst, clock_ms() - started);
	return p.worst;
}
