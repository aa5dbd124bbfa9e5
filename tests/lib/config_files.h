#ifndef TESTS_LIB_CONFIG_FILES_H
#define TESTS_LIB_CONFIG_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "cmd/config.h"

/* Configurations of a test, in a directory of its own. */

extern char *config_dir;

int config_dir_make(void **state);
int config_dir_free(void **state);
#define CONFIG_CASE(f) cmocka_unit_test_setup_teardown(f, config_dir_make, config_dir_free)

/* Write a file there; the caller frees its path. */
char *config_put(const char *name, const char *text, mode_t mode);
/* Load `text` as main.ini there, which only its owner can read. */
struct config *config_load_text(const char *text);
/* What is wrong with it, a line each, without the directory's name; freed by the caller. */
char *config_problems(const struct config *cfg);
/* What is wrong with `text` as main.ini is exactly that. */
void assert_config_problems(const char *text, const char *want);

#endif
