/* The scan of packed codes by look-up, exact by construction.

   A code is a row of bytes; a query gives every byte (or half byte) a table of what each of its
   values adds to the inner product. Each table is rounded to 8 bits, times a power of two of its
   own: a byte that matters little must not lose its detail to one that matters much. 64 or 32 rows
   are looked up at once, and only a row whose product COULD reach the k-th best so far, by the
   known error of the rounding, is summed again in float. So the answer is that of the float
   tables, and hardly any row pays for it.

   Rows are read where they lie (also from a memory map): 64 at a time are transposed in cache.
   Nothing here keeps state between calls, or writes outside its arguments.

   The layout of fast scans is that of arXiv:1704.07355 (PQ Fast Scan) and FAISS; looking four half
   bytes up at once with VPERMB and summing them with VPDPBUSD, and the float summation on demand,
   are ours. */

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define X86 1
#include <immintrin.h>
#endif

enum { ROWS = 64, MOST_BYTES = 2048, MOST_THREADS = 64, POWERS = 7 };

/* What one query asks of one codes array. `groups` tables of `cells` entries each. */
typedef struct {
    const uint8_t *codes;  /* n rows of `bytes` */
    const float *inverse;  /* of each row: 1 / norm of what it stands for; NaN: never an answer */
    int64_t n, first, bytes; /* row 0 is number `first` among all answers */
    int64_t cells;         /* 16: a table per half byte, lowest first; 256: a table per byte */
    int64_t queries, k;
    int64_t threads, level; /* `level`: what may be used, see vecpress_level */
    const uint8_t *tables; /* (queries, groups, cells), rounded; groups padded to whole 16 bytes */
    const uint8_t *weights; /* (queries, groups): what each table counts, 1 to 64; padded alike */
    const uint16_t *order; /* (queries, groups): the groups by weight, 1 first; not padded */
    const int32_t *bounds; /* (queries, POWERS + 1): where each weight begins in that order */
    const float *exact;    /* (queries, groups, cells), not rounded, without padding */
    const float *scale;    /* (queries, 3): step of the rounded tables, their base, their error */
    int64_t *rows;         /* (threads, queries, k): heaps, the worst at the root; -1: none yet */
    float *scores;         /* (threads, queries, k) */
    float *out;            /* (n), of vecpress_inverse_norms */
    const int64_t *ranges; /* (count, 2): starts and ends of the rows to look at */
    int64_t count;
} Scan;

static int64_t padded(int64_t bytes) { return (bytes + 15) & ~(int64_t)15; }

static float sum_of(const Scan *s, const float *tables, const uint8_t *code) {
    float sums[4] = {0, 0, 0, 0}; /* four chains: an addition waits for the one before it */
    for (int64_t b = 0; b < s->bytes; b++) {
        if (s->cells == 16) {
            sums[(2 * b) & 3] += tables[32 * b + (code[b] & 15)];
            sums[(2 * b + 1) & 3] += tables[32 * b + 16 + (code[b] >> 4)];
        } else {
            sums[b & 3] += tables[256 * b + code[b]];
        }
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* Whether answer a is worse than answer b: a lower score, or the same and a later row. */
static int worse(float score_a, int64_t row_a, float score_b, int64_t row_b) {
    if (row_a < 0 || row_b < 0) return row_a < 0 && row_b >= 0; /* none is worse than any */
    return score_a < score_b || (score_a == score_b && row_a > row_b);
}

static void sift(int64_t *rows, float *scores, int64_t k, int64_t row, float score) {
    int64_t hole = 0;
    for (;;) {
        int64_t child = 2 * hole + 1;
        if (child >= k) break;
        if (child + 1 < k && worse(scores[child + 1], rows[child + 1], scores[child], rows[child]))
            child++;
        if (!worse(scores[child], rows[child], score, row)) break;
        rows[hole] = rows[child];
        scores[hole] = scores[child];
        hole = child;
    }
    rows[hole] = row;
    scores[hole] = score;
}

/* Sum a row in float, and let it take the worst answer's place if it is better. */
static void offer(const Scan *s, int64_t query, int64_t row) {
    int64_t groups = s->cells == 16 ? 2 * s->bytes : s->bytes;
    int64_t *rows = s->rows + query * s->k;
    float *scores = s->scores + query * s->k;
    const float *tables = s->exact + query * groups * s->cells;
    float score = sum_of(s, tables, s->codes + row * s->bytes) * s->inverse[row];
    if (score == score && worse(scores[0], rows[0], score, s->first + row))
        sift(rows, scores, s->k, s->first + row, score);
}

/* A row of more than -infinity: what an answer must reach. */
static float threshold(const Scan *s, int64_t query) {
    return s->rows[query * s->k] < 0 ? -__builtin_inff() : s->scores[query * s->k];
}

/* Where the bytes of up to 64 rows lie: in place, or copied and padded to whole 16 bytes. */
static const uint8_t *lay_out(const Scan *s, int64_t start, int64_t count, int64_t step,
                              uint8_t *copy, int64_t *stride) {
    if (count == step && s->bytes % 16 == 0) {
        *stride = s->bytes;
        return s->codes + start * s->bytes;
    }
    *stride = padded(s->bytes);
    memset(copy, 0, step * *stride);
    for (int64_t i = 0; i < count; i++)
        memcpy(copy + i * *stride, s->codes + (start + i) * s->bytes, s->bytes);
    return copy;
}

#ifdef X86

#define WIDE __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vnni")))
#define MIDDLE __attribute__((target("avx2")))

/* Offer every row of a block that could be an answer: (up + step * sum) / norm >= threshold. */
WIDE static void offer_block(const Scan *s, int64_t query, int64_t start, int64_t count,
                             const __m512i sums[4]) {
    const float *scale = s->scale + 3 * query;
    const __m512 step = _mm512_set1_ps(scale[0]), up = _mm512_set1_ps(scale[1] + scale[2]);
    for (int part = 0; part < 4; part++) {
        int64_t first = start + 16 * part, left = count - 16 * part;
        if (left <= 0) return;
        __mmask16 there = left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
        __m512 inverse = _mm512_maskz_loadu_ps(there, s->inverse + first);
        __m512 most = _mm512_fmadd_ps(step, _mm512_cvtepi32_ps(sums[part]), up);
        most = _mm512_mul_ps(most, inverse);
        __m512 limit = _mm512_set1_ps(threshold(s, query));
        __mmask16 may = _mm512_mask_cmp_ps_mask(there, most, limit, _CMP_GE_OQ);
        for (; may; may &= may - 1) offer(s, query, first + __builtin_ctz(may));
    }
}

/* Four bytes of 16 rows to each of four registers: lane L of z[r] holds row 4 L + r. */
WIDE static inline void transpose_fours(const uint8_t *corner, int64_t stride, __m512i columns[4]) {
    __m512i z[4];
    for (int r = 0; r < 4; r++) {
        const uint8_t *row = corner + r * stride;
        z[r] = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)row));
        for (int lane = 1; lane < 4; lane++)
            z[r] = _mm512_mask_broadcast_i32x4(
                z[r], (__mmask16)(15 << (4 * lane)),
                _mm_loadu_si128((const __m128i *)(row + 4 * lane * stride)));
    }
    __m512i p = _mm512_unpacklo_epi32(z[0], z[1]), q = _mm512_unpackhi_epi32(z[0], z[1]);
    __m512i u = _mm512_unpacklo_epi32(z[2], z[3]), v = _mm512_unpackhi_epi32(z[2], z[3]);
    columns[0] = _mm512_unpacklo_epi64(p, u);
    columns[1] = _mm512_unpackhi_epi64(p, u);
    columns[2] = _mm512_unpacklo_epi64(q, v);
    columns[3] = _mm512_unpackhi_epi64(q, v);
}

/* The weights of four tables, for every row. */
WIDE static inline __m512i four_of(const uint8_t *weights) {
    int32_t four;
    memcpy(&four, weights, 4);
    return _mm512_set1_epi32(four);
}

/* Half bytes: a register holds four bytes of 16 rows, and another the tables of the four. */
WIDE static void scan_halves(const Scan *s, int64_t start, int64_t end) {
    __m512i low[MOST_BYTES], high[MOST_BYTES];
    uint8_t copy[ROWS * MOST_BYTES];
    const int64_t wide = padded(s->bytes), fours = wide / 4;
    const __m512i half = _mm512_set1_epi32(0x0f0f0f0f), place = _mm512_set1_epi32(0x30201000);
    for (int64_t at = start; at < end; at += ROWS) {
        int64_t stride, count = end - at < ROWS ? end - at : ROWS;
        const uint8_t *rows = lay_out(s, at, count, ROWS, copy, &stride);
        for (int64_t tile = 0; tile < wide / 16; tile++) {
            for (int64_t part = 0; part < 4; part++) {
                __m512i columns[4];
                transpose_fours(rows + 16 * part * stride + 16 * tile, stride, columns);
                for (int c = 0; c < 4; c++) { /* (byte & 15) | place: 0xea is a & b | c */
                    int64_t to = 4 * (4 * tile + c) + part;
                    __m512i shifted = _mm512_srli_epi32(columns[c], 4);
                    low[to] = _mm512_ternarylogic_epi32(columns[c], half, place, 0xea);
                    high[to] = _mm512_ternarylogic_epi32(shifted, half, place, 0xea);
                }
            }
        }
        for (int64_t query = 0; query < s->queries; query++) {
            const uint8_t *tables = s->tables + query * wide * 32;
            const uint8_t *weights = s->weights + query * wide * 2;
            __m512i sums[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(),
                               _mm512_setzero_si512(), _mm512_setzero_si512()};
            for (int64_t four = 0; four < fours; four++) {
                __m512i under = _mm512_loadu_si512(tables + 128 * four);
                __m512i over = _mm512_loadu_si512(tables + 128 * four + 64);
                __m512i of_under = four_of(weights + 8 * four);
                __m512i of_over = four_of(weights + 8 * four + 4);
                for (int part = 0; part < 4; part++) {
                    __m512i a = _mm512_permutexvar_epi8(low[4 * four + part], under);
                    __m512i b = _mm512_permutexvar_epi8(high[4 * four + part], over);
                    sums[part] = _mm512_dpbusd_epi32(sums[part], a, of_under);
                    sums[part] = _mm512_dpbusd_epi32(sums[part], b, of_over);
                }
            }
            offer_block(s, query, at, count, sums);
        }
    }
}

/* What 64 rows sum to for one query: nothing need be kept for the next one. */
WIDE static inline __attribute__((always_inline)) void sum_once(
    const Scan *s, const uint8_t *rows, const int64_t stride, const int64_t wide, __m512i sums[4]) {
    const __m512i half = _mm512_set1_epi32(0x0f0f0f0f), place = _mm512_set1_epi32(0x30201000);
    for (int part = 0; part < 4; part++) sums[part] = _mm512_setzero_si512();
    for (int64_t tile = 0; tile < wide / 16; tile++) {
        const uint8_t *tables = s->tables + 512 * tile, *weights = s->weights + 32 * tile;
        __m512i under[4], over[4], of_under[4], of_over[4];
        for (int c = 0; c < 4; c++) { /* in registers while 64 rows go by */
            under[c] = _mm512_loadu_si512(tables + 128 * c);
            over[c] = _mm512_loadu_si512(tables + 128 * c + 64);
            of_under[c] = four_of(weights + 8 * c);
            of_over[c] = four_of(weights + 8 * c + 4);
        }
#pragma GCC unroll 4
        for (int part = 0; part < 4; part++) {
            __m512i columns[4];
            transpose_fours(rows + 16 * part * stride + 16 * tile, stride, columns);
#pragma GCC unroll 4
            for (int c = 0; c < 4; c++) {
                __m512i shifted = _mm512_srli_epi32(columns[c], 4);
                __m512i low = _mm512_ternarylogic_epi32(columns[c], half, place, 0xea);
                __m512i high = _mm512_ternarylogic_epi32(shifted, half, place, 0xea);
                low = _mm512_permutexvar_epi8(low, under[c]);
                high = _mm512_permutexvar_epi8(high, over[c]);
                sums[part] = _mm512_dpbusd_epi32(sums[part], low, of_under[c]);
                sums[part] = _mm512_dpbusd_epi32(sums[part], high, of_over[c]);
            }
        }
    }
}

WIDE static void scan_halves_once(const Scan *s, int64_t start, int64_t end) {
    uint8_t copy[ROWS * MOST_BYTES];
    for (int64_t at = start; at < end; at += ROWS) {
        int64_t stride, count = end - at < ROWS ? end - at : ROWS;
        const uint8_t *rows = lay_out(s, at, count, ROWS, copy, &stride);
        __m512i sums[4];
        switch (stride) { /* widths known to the compiler need no arithmetic on addresses */
            case 16: sum_once(s, rows, 16, 16, sums); break;
            case 32: sum_once(s, rows, 32, 32, sums); break;
            case 64: sum_once(s, rows, 64, 64, sums); break;
            case 128: sum_once(s, rows, 128, 128, sums); break;
            default: sum_once(s, rows, stride, stride, sums);
        }
        offer_block(s, 0, at, count, sums);
    }
}

/* The float sums of half bytes' tables, 16 rows at a time, into `out`; not the last rows. */
WIDE static int64_t sum_halves(const Scan *s, const float *tables, int64_t start, int64_t end,
                               float *out) {
    if (s->bytes % 16) return start;
    for (; start + 16 <= end; start += 16) {
        const uint8_t *rows = s->codes + start * s->bytes;
        __m512 sums[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                          _mm512_setzero_ps()}; /* the four chains of sum_of */
        for (int64_t tile = 0; tile < s->bytes / 16; tile++) {
            __m512i columns[4];
            transpose_fours(rows + 16 * tile, s->bytes, columns);
            for (int c = 0; c < 4; c++) {
                const float *of = tables + 32 * (16 * tile + 4 * c);
                for (int h = 0; h < 8; h++) { /* VPERMPS reads the low four bits */
                    __m512i at = _mm512_srli_epi32(columns[c], 4 * h);
                    __m512 found = _mm512_permutexvar_ps(at, _mm512_loadu_ps(of + 16 * h));
                    sums[h & 3] = _mm512_add_ps(sums[h & 3], found);
                }
            }
        }
        __m512 sum = _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]),
                                   _mm512_add_ps(sums[2], sums[3]));
        _mm512_storeu_ps(out + start, sum);
    }
    return start;
}

/* 16 bytes of 64 rows: byte c of all of them to column c. */
WIDE static void transpose_bytes(const uint8_t *corner, int64_t stride, __m512i *columns) {
    __m512i z[16], w[16];
    for (int r = 0; r < 16; r++) { /* lane L: row 16 L + r */
        __m128i a = _mm_loadu_si128((const __m128i *)(corner + r * stride));
        __m128i b = _mm_loadu_si128((const __m128i *)(corner + (16 + r) * stride));
        __m128i c = _mm_loadu_si128((const __m128i *)(corner + (32 + r) * stride));
        __m128i d = _mm_loadu_si128((const __m128i *)(corner + (48 + r) * stride));
        __m256i ab = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
        __m256i cd = _mm256_inserti128_si256(_mm256_castsi128_si256(c), d, 1);
        z[r] = _mm512_inserti64x4(_mm512_castsi256_si512(ab), cd, 1);
    }
    for (int i = 0; i < 8; i++) { /* four perfect shuffles of 16 registers transpose 16 x 16 */
        w[2 * i] = _mm512_unpacklo_epi8(z[i], z[i + 8]);
        w[2 * i + 1] = _mm512_unpackhi_epi8(z[i], z[i + 8]);
    }
    for (int i = 0; i < 8; i++) {
        z[2 * i] = _mm512_unpacklo_epi8(w[i], w[i + 8]);
        z[2 * i + 1] = _mm512_unpackhi_epi8(w[i], w[i + 8]);
    }
    for (int i = 0; i < 8; i++) {
        w[2 * i] = _mm512_unpacklo_epi8(z[i], z[i + 8]);
        w[2 * i + 1] = _mm512_unpackhi_epi8(z[i], z[i + 8]);
    }
    for (int i = 0; i < 8; i++) {
        columns[2 * i] = _mm512_unpacklo_epi8(w[i], w[i + 8]);
        columns[2 * i + 1] = _mm512_unpackhi_epi8(w[i], w[i + 8]);
    }
}

/* Whole bytes: a register holds one byte of 64 rows, four registers its table of 256 entries. */
WIDE static void scan_bytes(const Scan *s, int64_t start, int64_t end) {
    __m512i columns[MOST_BYTES];
    uint8_t copy[ROWS * MOST_BYTES];
    const int64_t wide = padded(s->bytes);
    const __m512i even = _mm512_set1_epi16(0x00ff);
    for (int64_t at = start; at < end; at += ROWS) {
        int64_t stride, count = end - at < ROWS ? end - at : ROWS;
        const uint8_t *rows = lay_out(s, at, count, ROWS, copy, &stride);
        for (int64_t tile = 0; tile < wide / 16; tile++)
            transpose_bytes(rows + 16 * tile, stride, columns + 16 * tile);
        for (int64_t query = 0; query < s->queries; query++) {
            const uint8_t *tables = s->tables + query * wide * 256;
            const uint16_t *order = s->order + query * s->bytes;
            const int32_t *bounds = s->bounds + query * (POWERS + 1);
            __m512i sums[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(),
                               _mm512_setzero_si512(), _mm512_setzero_si512()};
            for (int64_t from = 0, power = 0, to; from < s->bytes; from = to) {
                while (bounds[power + 1] <= from) power++;
                to = from + 256 < bounds[power + 1] ? from + 256 : bounds[power + 1];
                __m512i evens = _mm512_setzero_si512(), odds = _mm512_setzero_si512();
                for (int64_t i = from; i < to; i++) { /* 16 bits hold 257 entries */
                    const uint8_t *t = tables + 256 * order[i];
                    __m512i at_byte = columns[order[i]];
                    __m512i under = _mm512_permutex2var_epi8(_mm512_loadu_si512(t), at_byte,
                                                             _mm512_loadu_si512(t + 64));
                    __m512i over = _mm512_permutex2var_epi8(_mm512_loadu_si512(t + 128), at_byte,
                                                            _mm512_loadu_si512(t + 192));
                    __m512i found =
                        _mm512_mask_blend_epi8(_mm512_movepi8_mask(at_byte), under, over);
                    evens = _mm512_add_epi16(evens, _mm512_and_si512(found, even));
                    odds = _mm512_add_epi16(odds, _mm512_srli_epi16(found, 8));
                }
                /* back into the order of the rows, 16 at a time, as 32 bits */
                __m512i lower = _mm512_unpacklo_epi16(evens, odds);  /* rows 0-7 of each 16 */
                __m512i upper = _mm512_unpackhi_epi16(evens, odds);  /* rows 8-15 */
                __m256i pieces[4] = {
                    _mm256_inserti128_si256(_mm512_castsi512_si256(lower),
                                            _mm512_castsi512_si128(upper), 1),
                    _mm256_inserti128_si256(
                        _mm256_castsi128_si256(_mm512_extracti32x4_epi32(lower, 1)),
                        _mm512_extracti32x4_epi32(upper, 1), 1),
                    _mm256_inserti128_si256(
                        _mm256_castsi128_si256(_mm512_extracti32x4_epi32(lower, 2)),
                        _mm512_extracti32x4_epi32(upper, 2), 1),
                    _mm256_inserti128_si256(
                        _mm256_castsi128_si256(_mm512_extracti32x4_epi32(lower, 3)),
                        _mm512_extracti32x4_epi32(upper, 3), 1)};
                for (int part = 0; part < 4; part++) {
                    __m512i sum = _mm512_cvtepu16_epi32(pieces[part]);
                    sum = _mm512_sll_epi32(sum, _mm_cvtsi64_si128(power));
                    sums[part] = _mm512_add_epi32(sums[part], sum);
                }
            }
            offer_block(s, query, at, count, sums);
        }
    }
}

/* Half bytes, 32 rows at a time: a register holds one byte of 32 rows. */
MIDDLE static void scan_halves_256(const Scan *s, int64_t start, int64_t end) {
    enum { STEP = 32 };
    __m256i low[MOST_BYTES], high[MOST_BYTES];
    uint8_t copy[STEP * MOST_BYTES];
    const int64_t wide = padded(s->bytes);
    const __m256i half = _mm256_set1_epi8(15), even = _mm256_set1_epi16(0x00ff);
    for (int64_t at = start; at < end; at += STEP) {
        int64_t stride, count = end - at < STEP ? end - at : STEP;
        const uint8_t *rows = lay_out(s, at, count, STEP, copy, &stride);
        for (int64_t tile = 0; tile < wide / 16; tile++) {
            __m256i z[16], w[16];
            const uint8_t *corner = rows + 16 * tile;
            for (int r = 0; r < 16; r++) {
                __m128i a = _mm_loadu_si128((const __m128i *)(corner + r * stride));
                __m128i b = _mm_loadu_si128((const __m128i *)(corner + (16 + r) * stride));
                z[r] = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
            }
            for (int turn = 0; turn < 4; turn++) {
                for (int i = 0; i < 8; i++) {
                    w[2 * i] = _mm256_unpacklo_epi8(z[i], z[i + 8]);
                    w[2 * i + 1] = _mm256_unpackhi_epi8(z[i], z[i + 8]);
                }
                memcpy(z, w, sizeof z);
            }
            for (int c = 0; c < 16; c++) {
                low[16 * tile + c] = _mm256_and_si256(z[c], half);
                high[16 * tile + c] = _mm256_and_si256(_mm256_srli_epi16(z[c], 4), half);
            }
        }
        for (int64_t query = 0; query < s->queries; query++) {
            const uint8_t *tables = s->tables + query * wide * 32;
            const uint16_t *order = s->order + query * 2 * s->bytes;
            const int32_t *bounds = s->bounds + query * (POWERS + 1);
            const float *scale = s->scale + 3 * query;
            int32_t sums[STEP] = {0};
            for (int64_t from = 0, power = 0, to; from < 2 * s->bytes; from = to) {
                while (bounds[power + 1] <= from) power++;
                to = from + 256 < bounds[power + 1] ? from + 256 : bounds[power + 1];
                __m256i evens = _mm256_setzero_si256(), odds = _mm256_setzero_si256();
                for (int64_t i = from; i < to; i++) { /* 16 bits hold 257 entries */
                    const int64_t b = order[i] / 2, high_half = order[i] % 2;
                    const uint8_t *t = tables + 128 * (b / 4) + 64 * high_half + 16 * (b % 4);
                    __m256i of = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)t));
                    __m256i found = _mm256_shuffle_epi8(of, high_half ? high[b] : low[b]);
                    evens = _mm256_add_epi16(evens, _mm256_and_si256(found, even));
                    odds = _mm256_add_epi16(odds, _mm256_srli_epi16(found, 8));
                }
                uint16_t of_even[16], of_odd[16];
                _mm256_storeu_si256((__m256i *)of_even, evens);
                _mm256_storeu_si256((__m256i *)of_odd, odds);
                for (int i = 0; i < 16; i++) {
                    sums[2 * i] += of_even[i] << power;
                    sums[2 * i + 1] += of_odd[i] << power;
                }
            }
            const float limit = threshold(s, query), up = scale[1] + scale[2];
            uint32_t may = 0;
            for (int64_t i = 0; i < count; i++)
                may |= (uint32_t)((up + scale[0] * (float)sums[i]) * s->inverse[at + i] >= limit) << i;
            for (; may; may &= may - 1) offer(s, query, at + __builtin_ctz(may));
        }
    }
}

#endif

/* What the caller must know the shape of `Scan` by; changed with it. */
int vecpress_abi(void) { return 7; }

/* How fast codes can be scanned here: 0 not at all, 1 half bytes (AVX2), 2 bytes too (AVX-512). */
int vecpress_level(void) {
#ifdef X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni"))
        return 2;
    if (__builtin_cpu_supports("avx2")) return 1;
#endif
    return 0;
}

/* Threads take the next rows as they come free, so a busy core holds nobody up; nor does a thread
   that has not begun when all is done: it finds the job closed, and goes. */
typedef struct Job Job;

typedef struct {
    Job *job;
    Scan own; /* with heaps of its own */
    int status;
} Worker;

struct Job {
    const Scan *scan;
    int (*work)(const Scan *, int64_t, int64_t);
    void (*run)(Worker *);
    int64_t range, at, step; /* what is taken next */
    pthread_mutex_t lock;
    pthread_cond_t left;
    int active, closed, holders; /* at work; nobody may begin; who still knows of it */
    Worker workers[];
};

static int take(Job *job, int64_t *start, int64_t *end) {
    const Scan *s = job->scan;
    pthread_mutex_lock(&job->lock);
    while (job->range < s->count && job->at >= s->ranges[2 * job->range + 1]) {
        job->range++;
        if (job->range < s->count) job->at = s->ranges[2 * job->range];
    }
    int found = job->range < s->count;
    if (found) {
        int64_t last = s->ranges[2 * job->range + 1];
        *start = job->at;
        *end = last - job->at < job->step ? last : job->at + job->step;
        job->at = *end;
    }
    pthread_mutex_unlock(&job->lock);
    return found;
}

static void run_rows(Worker *worker) {
    int64_t start, end;
    while (!worker->status && take(worker->job, &start, &end))
        worker->status = worker->job->work(&worker->own, start, end);
}

static int check(const Scan *s) {
    if (s->bytes < 1 || s->bytes > MOST_BYTES || s->threads < 1 || s->level > vecpress_level())
        return -1;
    for (int64_t i = 0; i < s->count; i++)
        if (s->ranges[2 * i] < 0 || s->ranges[2 * i] > s->ranges[2 * i + 1] ||
            s->ranges[2 * i + 1] > s->n)
            return -2;
    return 0;
}

/* Let go of a job that is locked. */
static void release(Job *job) {
    const int last = --job->holders == 0;
    pthread_mutex_unlock(&job->lock);
    if (!last) return;
    pthread_mutex_destroy(&job->lock);
    pthread_cond_destroy(&job->left);
    free(job);
}

static void *begin(void *given) {
    Worker *worker = given;
    Job *job = worker->job;
    pthread_mutex_lock(&job->lock);
    if (!job->closed) {
        job->active++;
        pthread_mutex_unlock(&job->lock);
        job->run(worker);
        pthread_mutex_lock(&job->lock);
        if (--job->active == 0) pthread_cond_signal(&job->left);
    }
    release(job);
    return 0;
}

/* Do the work in this thread and others; one that cannot be had is done without. */
static int dispatch(const Scan *s, int (*work)(const Scan *, int64_t, int64_t),
                    void (*run)(Worker *), int64_t step) {
    const int64_t threads = s->threads < MOST_THREADS ? s->threads : MOST_THREADS;
    Job *job = calloc(1, sizeof(Job) + threads * sizeof(Worker));
    pthread_attr_t detached;
    if (!job) return -4;
    if (pthread_attr_init(&detached)) {
        free(job);
        return -4;
    }
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    job->scan = s;
    job->work = work;
    job->run = run;
    job->step = step;
    job->at = work && s->count ? s->ranges[0] : 0;
    pthread_mutex_init(&job->lock, 0);
    pthread_cond_init(&job->left, 0);
    job->holders = 1;
    for (int64_t i = 0; i < threads; i++) {
        job->workers[i] = (Worker){.job = job, .own = *s};
        if (s->rows && work) {
            job->workers[i].own.rows += i * s->queries * s->k;
            job->workers[i].own.scores += i * s->queries * s->k;
        }
    }
    for (int64_t i = 1; i < threads; i++) {
        pthread_t thread;
        pthread_mutex_lock(&job->lock);
        job->holders++;
        pthread_mutex_unlock(&job->lock);
        if (pthread_create(&thread, &detached, begin, &job->workers[i])) {
            pthread_mutex_lock(&job->lock);
            job->holders--;
            pthread_mutex_unlock(&job->lock);
            break;
        }
    }
    pthread_attr_destroy(&detached);
    run(&job->workers[0]);
    pthread_mutex_lock(&job->lock);
    job->closed = 1;
    while (job->active) pthread_cond_wait(&job->left, &job->lock);
    int status = 0;
    for (int64_t i = 0; i < threads; i++)
        if (job->workers[i].status) status = job->workers[i].status;
    release(job);
    return status;
}

/* Deal the rows of all ranges to threads. */
static int share(const Scan *s, int (*work)(const Scan *, int64_t, int64_t), int64_t step) {
    int status = check(s);
    return status ? status : dispatch(s, work, run_rows, step);
}

static int scan_rows(const Scan *s, int64_t start, int64_t end) {
#ifdef X86
    if (s->cells == 16 && s->level == 2 && s->queries == 1) scan_halves_once(s, start, end);
    else if (s->cells == 16 && s->level == 2) scan_halves(s, start, end);
    else if (s->cells == 16 && s->level == 1) scan_halves_256(s, start, end);
    else if (s->cells == 256 && s->level == 2) scan_bytes(s, start, end);
    else return -3;
    return 0;
#else
    return -3;
#endif
}

/* Offer the rows of the ranges to every query. */
int vecpress_scan(const Scan *s) {
    if (s->k < 1) return -1;
    int64_t rows = (1 << 18) / (s->bytes < 1 ? 1 : s->bytes) / ROWS * ROWS;
    return share(s, scan_rows, rows < ROWS ? ROWS : rows);
}

/* What one of the queries asks; its heap and its ranges are its own. */
static Scan of_query(const Scan *s, int64_t query) {
    const int64_t groups = s->cells == 16 ? 2 * s->bytes : s->bytes;
    const int64_t wide = s->cells == 16 ? 2 * padded(s->bytes) : padded(s->bytes);
    Scan one = *s;
    one.queries = 1;
    one.tables += query * wide * s->cells;
    one.weights += query * wide;
    one.order += query * groups;
    one.bounds += query * (POWERS + 1);
    one.exact += query * groups * s->cells;
    one.scale += 3 * query;
    one.rows += query * s->k;
    one.scores += query * s->k;
    one.ranges += query * s->count * 2;
    return one;
}

static void run_queries(Worker *worker) {
    const Scan *s = worker->job->scan;
    for (;;) {
        int64_t query = __atomic_fetch_add(&worker->job->at, 1, __ATOMIC_RELAXED);
        if (query >= s->queries || worker->status) return;
        Scan one = of_query(s, query);
        for (int64_t i = 0; i < s->count && !worker->status; i++)
            worker->status = scan_rows(&one, one.ranges[2 * i], one.ranges[2 * i + 1]);
    }
}

/* Offer to every query the rows of its own ranges, (queries, count, 2); one heap per query. */
int vecpress_scan_each(const Scan *s) {
    if (s->k < 1) return -1;
    Scan all = *s; /* the same checks, but of every query's ranges */
    all.count *= s->queries;
    int status = check(&all);
    return status ? status : dispatch(s, 0, run_queries, 0);
}

/* Join the heaps of all threads in those of the first, and put them in order, best first. */
void vecpress_finish(const Scan *s) {
    const int64_t k = s->k;
    for (int64_t query = 0; query < s->queries; query++) {
        int64_t *rows = s->rows + query * k;
        float *scores = s->scores + query * k;
        for (int64_t thread = 1; thread < s->threads; thread++) {
            const int64_t at = (thread * s->queries + query) * k;
            for (int64_t i = 0; i < k; i++)
                if (worse(scores[0], rows[0], s->scores[at + i], s->rows[at + i]))
                    sift(rows, scores, k, s->rows[at + i], s->scores[at + i]);
        }
        for (int64_t end = k - 1; end > 0; end--) { /* the worst of what is left goes to its end */
            const int64_t row = rows[end];
            const float score = scores[end];
            rows[end] = rows[0];
            scores[end] = scores[0];
            sift(rows, scores, end, row, score);
        }
    }
}

static int norm_rows(const Scan *s, int64_t start, int64_t end) {
    int64_t row = start;
#ifdef X86
    if (s->cells == 16 && s->level == 2) row = sum_halves(s, s->exact, start, end, s->out);
#endif
    for (; row < end; row++) s->out[row] = sum_of(s, s->exact, s->codes + row * s->bytes);
    for (row = start; row < end; row++)
        s->out[row] = s->out[row] > 0 ? 1 / __builtin_sqrtf(s->out[row]) : 0;
    return 0;
}

/* Give 1 / root of the sum of each row's entries in `exact` (squares); 0 where they sum to 0. */
int vecpress_inverse_norms(const Scan *s) { return share(s, norm_rows, 8192); }

/* What `Scan` needs of queries: see there. All arrays are the caller's. */
typedef struct {
    const float *entries;  /* (bytes, 2 x 16 or 256, width): what each value stands for */
    const float *placed;   /* (queries, bytes, width): the queries */
    int64_t bytes, width, cells, queries;
    uint8_t *tables, *weights; /* zero where nothing is written */
    uint16_t *order;
    int32_t *bounds;
    float *exact, *scale;
} Ask;

/* Multiply each query with the entries, and round every group's table in steps of its own. */
void vecpress_ask(const Ask *a) {
    const int64_t per_byte = a->cells == 16 ? 32 : 256, groups = a->bytes * per_byte / a->cells;
    const int64_t wide = padded(a->bytes) * (per_byte / a->cells);
    for (int64_t query = 0; query < a->queries; query++) {
        const float *placed = a->placed + query * a->bytes * a->width;
        float *exact = a->exact + query * groups * a->cells, *scale = a->scale + 3 * query;
        uint8_t *tables = a->tables + query * wide * a->cells, *weights = a->weights + query * wide;
        uint16_t *order = a->order + query * groups;
        int32_t *bounds = a->bounds + query * (POWERS + 1), counts[POWERS + 1] = {0};
        float widest = 1e-30f, base = 0, largest = 0, error = 0;
        for (int64_t i = 0; i < a->bytes * per_byte; i++) {
            const float *entry = a->entries + i * a->width, *q = placed + i / per_byte * a->width;
            float sum = 0;
            for (int64_t j = 0; j < a->width; j++) sum += entry[j] * q[j];
            exact[i] = sum;
        }
        for (int turn = 0; turn < 2; turn++) { /* the widest range first; it sets the step */
            const float step = widest / (255 << (POWERS - 1));
            for (int64_t g = 0; g < groups; g++) {
                const float *from = exact + g * a->cells;
                float low = from[0], high = from[0], off = 0;
                for (int64_t c = 1; c < a->cells; c++) {
                    low = from[c] < low ? from[c] : low;
                    high = from[c] > high ? from[c] : high;
                }
                if (!turn) {
                    widest = high - low > widest ? high - low : widest;
                    continue;
                }
                int power = 0;
                while (power < POWERS - 1 && high - low > 255 * step * (1 << power)) power++;
                const float own = step * (1 << power);
                const int64_t b = g / 2, half = 64 * (g % 2);
                const int64_t at = a->cells == 16 ? 128 * (b / 4) + half + 16 * (b % 4) : 256 * g;
                for (int64_t c = 0; c < a->cells; c++) {
                    const float steps = (from[c] - low) / own + 0.5f;
                    const uint8_t rounded = steps < 255 ? (uint8_t)steps : 255;
                    const float gap = from[c] - low - rounded * own;
                    tables[at + c] = rounded;
                    off = gap > off ? gap : -gap > off ? -gap : off;
                }
                weights[at / a->cells] = 1 << power;
                counts[power]++;
                base += low;
                error += off;
                largest += -low > high ? -low : high;
            }
        }
        for (int power = 0, sum = 0; power <= POWERS; power++) {
            bounds[power] = sum;
            sum += counts[power];
        }
        int32_t next[POWERS];
        memcpy(next, bounds, sizeof next);
        for (int64_t g = 0; g < groups; g++) {
            const int64_t b = g / 2;
            int64_t at = a->cells == 16 ? 8 * (b / 4) + 4 * (g % 2) + b % 4 : g;
            order[next[__builtin_ctz(weights[at])]++] = (uint16_t)g;
        }
        scale[0] = widest / (255 << (POWERS - 1));
        scale[1] = base;
        scale[2] = error + 1e-5f * largest; /* and what sums of floats may be off */
    }
}

/* Rows of `groups` numbers of `bits` bits each, lowest first, to rows of numbers of `wide` bits,
   4 or 8; what is left of the last byte is 0. */
void vecpress_spread(const uint8_t *codes, int64_t n, int64_t bytes, int64_t bits, int64_t groups,
                     int64_t wide, uint8_t *out) {
    const int64_t size = (groups * wide + 7) / 8, mask = (1 << bits) - 1;
    for (int64_t row = 0; row < n; row++, codes += bytes, out += size) {
        memset(out, 0, size);
        for (int64_t g = 0; g < groups; g++) {
            const int64_t at = g * bits / 8, shift = g * bits % 8, to = g * wide;
            const int64_t next = at + 1 < bytes ? codes[at + 1] : 0;
            const int64_t number = ((codes[at] | next << 8) >> shift) & mask;
            out[to / 8] |= number << to % 8;
        }
    }
}
