/*
 * A configuration of any bytes: it is sound, or every problem is one line that says where. Reading
 * it again gives the same, and what is sound is complete.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/config.h"
#include "core/base/bytes.h"

static char dir[] = "/tmp/fuzz-config.XXXXXX";
static char path[64];

static void must(bool promise)
{
	if (!promise)
		abort();
}

static void remove_all(void)
{
	unlink(path);
	rmdir(dir);
}

static void write_file(const uint8_t *data, size_t size)
{
	FILE *f;

	if (!path[0]) {
		must(mkdtemp(dir) != NULL);
		snprintf(path, sizeof(path), "%s/config.ini", dir);
		atexit(remove_all);
	}
	f = fopen(path, "we");
	must(f != NULL);
	must(fwrite(data, 1, size, f) == size);
	must(fclose(f) == 0);
}

static void check_problems(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_problems; i++) {
		const char *text = cfg->problems[i];

		must(strncmp(text, dir, strlen(dir)) == 0);
		for (; *text; text++)
			must((unsigned char)*text >= ' ' && *text != 0x7f);
	}
}

static void check_sound(const struct config *cfg)
{
	for (size_t i = 0; i < config_jobs(cfg); i++) {
		const struct config_job *job = config_job_at(cfg, i);
		char *store;

		must(job->store && !job->account != !job->source);
		must(!job->account || (job->account->host && job->account->user));
		must(config_section(cfg, CONFIG_JOB, job->head.name) == job);
		store = config_store_path(job->store, job->whose);
		must(store && *store);
		free(store);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *cfg, *again;

	/* Other files have no place here: a pattern could name a device. */
	if (size && memmem(data, size, "include", 7))
		return 0;
	write_file(data, size);
	cfg = config_load(path, NULL);
	again = config_load(path, NULL);
	check_problems(cfg);
	must(cfg->n_problems == again->n_problems);
	for (size_t i = 0; i < cfg->n_problems; i++)
		must(strcmp(cfg->problems[i], again->problems[i]) == 0);
	if (!cfg->n_problems)
		check_sound(cfg);
	config_free(cfg);
	config_free(again);
	return 0;
}
