#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "backends/git/deflate.h"
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "tests/lib/pack_rig.h"

static const size_t sizes[] = { 0,	 1,	    2,	       100,	   4095,	4096,	    8191,
				8192,	 8193,	    65535,     65536,	   65537,	(1 << 20) - 1,
				1 << 20, (1 << 20) + 1, 3 << 20 };
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

/* Compress handing over `feed` bytes at a time, with room for `room`. */
static void compress_in_pieces(struct deflater *d, struct bytes data, size_t feed, size_t room,
			       struct buf *out)
{
	uint8_t *piece = xmalloc(room);
	bool whole = false;

	deflater_reset(d);
	for (size_t at = 0; !whole;) {
		size_t n = data.n - at < feed ? data.n - at : feed;
		struct bytes in = bytes_from(data.p + at, n);
		bool last = at + n == data.n;
		size_t put;

		at += n;
		do {
			put = deflater_run(d, &in, last, piece, room, &whole);
			assert_true(put <= room);
			assert_true(buf_add(out, bytes_from(piece, put)));
		} while (in.n > 0 || (last && !whole));
		assert_int_equal(whole, last);
	}
	free(piece);
}

static enum inflate_step expand_in_pieces(struct inflater *i, struct bytes data, size_t feed,
					  size_t room, struct buf *out)
{
	enum inflate_step step = INFLATE_MORE;
	uint8_t *piece = xmalloc(room);
	size_t at = 0;

	inflater_reset(i);
	while (step == INFLATE_MORE) {
		size_t n = data.n - at < feed ? data.n - at : feed, put = 0;
		struct bytes in = bytes_from(data.p + at, n);

		step = inflater_run(i, &in, piece, room, &put);
		assert_true(put <= room);
		assert_true(buf_add(out, bytes_from(piece, put)));
		at += n - in.n;
		if (n == 0 && put == 0)
			break; /* cut short */
	}
	free(piece);
	return step;
}

static void assert_same(const struct buf *got, struct bytes want)
{
	assert_int_equal(got->n, want.n);
	assert_true(bytes_equal(buf_bytes(got), want));
}

static void round_trip(struct deflater *d, struct inflater *i, struct bytes data, size_t feed,
		       size_t room)
{
	struct buf packed = BUF_INIT((size_t)1 << 24), back = BUF_INIT((size_t)1 << 24);
	uLongf n = data.n + 1;
	Bytef *by_zlib = xmalloc(n);

	compress_in_pieces(d, data, feed, room, &packed);
	assert_int_equal(uncompress(by_zlib, &n, packed.p, packed.n), Z_OK);
	assert_true(bytes_equal(bytes_from(by_zlib, n), data));
	/* What follows, such as the next entry of a pack, does not matter. */
	buf_add_str(&packed, "next entry");
	assert_int_equal(expand_in_pieces(i, buf_bytes(&packed), feed, room, &back), INFLATE_END);
	assert_same(&back, data);
	free(by_zlib);
	buf_release(&packed);
	buf_release(&back);
}

static void each_pair_of_coders(void (*run)(struct deflater *d, struct inflater *i))
{
	for (size_t from = 0; coders[from]; from++)
		for (size_t to = 0; coders[to]; to++) {
			struct deflater *d = deflater_new(coders[from]);
			struct inflater *i = inflater_new(coders[to]);

			run(d, i);
			deflater_free(d);
			inflater_free(i);
		}
}

static void all_sizes(struct deflater *d, struct inflater *i)
{
	for (enum sample_shape shape = SAMPLE_TEXT; shape < SAMPLE_SHAPES; shape++)
		for (size_t k = 0; k < SIZES; k++) {
			struct bytes data = sample(shape, sizes[k], 7);

			round_trip(d, i, data, 65536, 65536);
			sample_free(data);
		}
}

static void test_every_size_and_shape_comes_back_from_either_coder(void **state)
{
	(void)state;
	each_pair_of_coders(all_sizes);
}

static void all_pieces(struct deflater *d, struct inflater *i)
{
	static const size_t steps[] = { 1, 7, 13, 8192, 16385 };
	enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

	for (enum sample_shape shape = SAMPLE_TEXT; shape < SAMPLE_SHAPES; shape++) {
		struct bytes data = sample(shape, 20000, 7);

		for (size_t feed = 0; feed < STEPS; feed++)
			for (size_t room = 0; room < STEPS; room++)
				round_trip(d, i, data, steps[feed], steps[room]);
		sample_free(data);
	}
}

static void test_any_cut_of_input_and_output_gives_the_same_bytes(void **state)
{
	(void)state;
	each_pair_of_coders(all_pieces);
}

/* Either the right bytes, or not the end: never other bytes with a good end. */
static void damaged(struct deflater *d, struct inflater *i)
{
	struct bytes data = sample(SAMPLE_TEXT, 700, 7);
	struct buf packed = BUF_INIT(1 << 16), back = BUF_INIT(1 << 16);

	compress_in_pieces(d, data, 700, 1000, &packed);
	for (size_t at = 0; at < packed.n; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			enum inflate_step step;

			packed.p[at] ^= (uint8_t)(1u << bit);
			buf_clear(&back);
			step = expand_in_pieces(i, buf_bytes(&packed), 64, 64, &back);
			if (step == INFLATE_END)
				assert_same(&back, data);
			packed.p[at] ^= (uint8_t)(1u << bit);
		}
	for (size_t n = 0; n < packed.n; n++) {
		buf_clear(&back);
		assert_int_not_equal(expand_in_pieces(i, bytes_from(packed.p, n), 64, 64, &back),
				     INFLATE_END);
	}
	/* And the coder is as good as new. */
	buf_clear(&back);
	assert_int_equal(expand_in_pieces(i, buf_bytes(&packed), 64, 64, &back),
			 INFLATE_END);
	assert_same(&back, data);
	buf_release(&packed);
	buf_release(&back);
	sample_free(data);
}

static void test_damage_and_cuts_are_found(void **state)
{
	(void)state;
	each_pair_of_coders(damaged);
}

static void test_base64_shrinks_to_three_quarters(void **state)
{
	struct bytes data = sample(SAMPLE_BASE64, 1 << 20, 7);

	(void)state;
	for (size_t c = 0; coders[c]; c++) {
		struct deflater *d = deflater_new(coders[c]);
		struct buf packed = BUF_INIT((size_t)1 << 21);

		compress_in_pieces(d, data, 65536, 65536, &packed);
		assert_in_range(packed.n, data.n * 74 / 100, data.n * 77 / 100);
		buf_release(&packed);
		deflater_free(d);
	}
	sample_free(data);
}

static void test_crc_is_that_of_zip_and_can_be_continued(void **state)
{
	struct bytes data = sample(SAMPLE_RANDOM, 5000, 7);
	uint32_t whole = (uint32_t)crc32(0, data.p, 5000);

	(void)state;
	assert_int_equal(crc32_of(0, bytes_of("123456789")), 0xcbf43926);
	assert_int_equal(crc32_of(0, bytes_from(NULL, 0)), 0);
	for (size_t cut = 0; cut <= data.n; cut += 7)
		assert_int_equal(crc32_of(crc32_of(0, bytes_from(data.p, cut)), bytes_skip(data, cut)),
				 whole);
	sample_free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_size_and_shape_comes_back_from_either_coder),
		cmocka_unit_test(test_any_cut_of_input_and_output_gives_the_same_bytes),
		cmocka_unit_test(test_damage_and_cuts_are_found),
		cmocka_unit_test(test_base64_shrinks_to_three_quarters),
		cmocka_unit_test(test_crc_is_that_of_zip_and_can_be_continued),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
