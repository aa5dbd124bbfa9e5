#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/config_files.h"

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "tests/lib/support.h"

char *config_dir;

char *config_put(const char *name, const char *text, mode_t mode)
{
	char *path = path_join(config_dir, name);

	write_file(path, bytes_of(text));
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

struct config *config_load_text(const char *text)
{
	char *path = config_put("main.ini", text, 0600);
	struct config *cfg = config_load(path, NULL);

	free(path);
	return cfg;
}

char *config_problems(const struct config *cfg)
{
	struct buf out = BUF_INIT(1 << 20);
	size_t n = strlen(config_dir);

	for (size_t i = 0; i < cfg->n_problems; i++) {
		const char *p = cfg->problems[i];

		while (*p)
			if (strncmp(p, config_dir, n) == 0 && p[n] == '/')
				p += n + 1;
			else
				buf_add_byte(&out, (uint8_t)*p++);
		buf_add_str(&out, "\n");
	}
	return buf_take(&out);
}

void assert_config_problems(const char *text, const char *want)
{
	struct config *cfg = config_load_text(text);
	char *got = config_problems(cfg);

	assert_string_equal(got, want);
	free(got);
	config_free(cfg);
}

int config_dir_make(void **state)
{
	(void)state;
	config_dir = xstrdup(tmp_dir());
	unsetenv("MAILCASK_CONFIG");
	return 0;
}

int config_dir_free(void **state)
{
	(void)state;
	free(config_dir);
	return 0;
}
