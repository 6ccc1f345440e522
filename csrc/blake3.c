#include "blake3_internal.h"

const uint8_t apr_key_leaf[32] = "aprover v2 merkle leaf";
const uint8_t apr_key_node[32] = "aprover v2 merkle node";
const uint8_t apr_key_air[32] = "aprover v2 air";
const uint8_t apr_key_transcript[32] = "aprover v2 transcript";
const uint8_t apr_key_trace[32] = "aprover v2 trace backend";

static void compress(const void *cv, const void *block, uint32_t length, uint64_t counter, uint32_t flags, void *out) {
#if APR_HAVE_AVX2_BUILD
    if (apr_use_avx512(APR_PATH_AUTO)) {
        apr_blake3_compress_avx512(cv, block, length, counter, flags, out);
        return;
    }
    if (apr_use_avx2(APR_PATH_AUTO)) {
        apr_blake3_compress_avx2(cv, block, length, counter, flags, out);
        return;
    }
#endif
    apr_blake3_compress_portable(cv, block, length, counter, flags, out);
}

static void expand(const void *cv, const void *block, uint32_t length, uint64_t counter, uint32_t flags, void *out) {
#if APR_HAVE_AVX2_BUILD
    if (apr_use_avx512(APR_PATH_AUTO)) {
        apr_blake3_expand_avx512(cv, block, length, counter, flags, out);
        return;
    }
    if (apr_use_avx2(APR_PATH_AUTO)) {
        apr_blake3_expand_avx2(cv, block, length, counter, flags, out);
        return;
    }
#endif
    apr_blake3_expand_portable(cv, block, length, counter, flags, out);
}

static void chunks8(const uint32_t key[8], const uint8_t *data, uint64_t first_chunk, uint32_t cvs[8][8]) {
#if APR_HAVE_AVX2_BUILD
    if (apr_use_avx512(APR_PATH_AUTO)) {
        apr_blake3_chunks8_avx512(key, data, first_chunk, cvs);
        return;
    }
    if (apr_use_avx2(APR_PATH_AUTO)) {
        apr_blake3_chunks8_avx2(key, data, first_chunk, cvs);
        return;
    }
#endif
    apr_blake3_chunks8_portable(key, data, first_chunk, cvs);
}

const apr_hash_kernels *apr_hash_kernels_for(enum apr_path path) {
#if APR_HAVE_AVX2_BUILD
    if (apr_use_avx512(path)) return &apr_hash_kernels_avx512;
    if (apr_use_avx2(path)) return &apr_hash_kernels_avx2;
#endif
    (void)path;
    return &apr_hash_kernels_portable;
}

/* left becomes the chaining value of the parent of left and right. */
static void merge(const uint32_t key[8], uint32_t left[8], const uint32_t right[8]) {
    uint8_t block[APR_B3_BLOCK];
    memcpy(block, left, 32);
    memcpy(block + 32, right, 32);
    compress(key, block, APR_B3_BLOCK, 0, APR_B3_PARENT | APR_B3_KEYED, left);
}

/* Another chunk is finished and more input follows: subtrees that are complete merge, one for each trailing zero bit
 * of the number of chunks (section 5.1.2). */
static void push(apr_blake3 *state, const uint32_t cv[8]) {
    memcpy(state->stack[state->stack_length++], cv, 32);
    state->chunks++;
    for (uint64_t n = state->chunks; (n & 1) == 0; n >>= 1) {
        merge(state->key, state->stack[state->stack_length - 2], state->stack[state->stack_length - 1]);
        state->stack_length--;
    }
}

static uint32_t start_flag(uint32_t blocks_in_chunk) { return blocks_in_chunk == 0 ? APR_B3_CHUNK_START : 0; }

/* More input follows the full block kept back. */
static void flush_block(apr_blake3 *state) {
    uint32_t flags = APR_B3_KEYED | start_flag(state->blocks_in_chunk);
    int last = state->blocks_in_chunk + 1 == APR_B3_BLOCKS_IN_CHUNK;
    if (last) flags |= APR_B3_CHUNK_END;
    compress(state->cv, state->block, APR_B3_BLOCK, state->chunks, flags, state->cv);
    memset(state->block, 0, sizeof state->block);
    state->block_length = 0;
    state->blocks_in_chunk++;
    if (last) {
        push(state, state->cv);
        memcpy(state->cv, state->key, 32);
        state->blocks_in_chunk = 0;
    }
}

void apr_blake3_init(apr_blake3 *state, const uint8_t key[32]) {
    memcpy(state->key, key, 32);
    memcpy(state->cv, key, 32);
    memset(state->block, 0, sizeof state->block);
    state->chunks = 0;
    state->block_length = 0;
    state->blocks_in_chunk = 0;
    state->stack_length = 0;
}

void apr_blake3_update(apr_blake3 *state, const void *data, size_t length) {
    const uint8_t *p = data;
    while (length > 0) {
        if (state->block_length == APR_B3_BLOCK) flush_block(state);
        int aligned = state->block_length == 0 && state->blocks_in_chunk == 0 && state->chunks % 8 == 0;
        if (aligned && length > 8 * APR_BLAKE3_CHUNK) {
            uint32_t cvs[8][8];
            chunks8(state->key, p, state->chunks, cvs); /* more input follows: none of them is the root */
            for (int i = 0; i < 8; i++) push(state, cvs[i]);
            p += 8 * APR_BLAKE3_CHUNK;
            length -= 8 * APR_BLAKE3_CHUNK;
            continue;
        }
        size_t take = APR_B3_BLOCK - state->block_length;
        if (take > length) take = length;
        memcpy(state->block + state->block_length, p, take);
        state->block_length += (uint32_t)take;
        p += take;
        length -= take;
    }
}

void apr_blake3_finish(const apr_blake3 *state, apr_blake3_root *root) {
    memcpy(root->cv, state->cv, 32);
    memcpy(root->block, state->block, sizeof root->block);
    root->block_length = state->block_length;
    root->flags = APR_B3_KEYED | APR_B3_CHUNK_END | start_flag(state->blocks_in_chunk);
    uint64_t counter = state->chunks;
    for (uint32_t depth = state->stack_length; depth > 0; depth--) {
        uint32_t right[8];
        compress(root->cv, root->block, root->block_length, counter, root->flags, right);
        memcpy(root->block, state->stack[depth - 1], 32);
        memcpy(root->block + 32, right, 32);
        memcpy(root->cv, state->key, 32);
        root->block_length = APR_B3_BLOCK;
        root->flags = APR_B3_KEYED | APR_B3_PARENT;
        counter = 0;
    }
    root->flags |= APR_B3_ROOT;
}

void apr_blake3_root_output(const apr_blake3_root *root, uint64_t block, uint8_t out[64]) {
    expand(root->cv, root->block, root->block_length, block, root->flags, out);
}

void apr_blake3_output(const apr_blake3 *state, uint64_t block, uint8_t out[64]) {
    apr_blake3_root root;
    apr_blake3_finish(state, &root);
    apr_blake3_root_output(&root, block, out);
}

void apr_blake3_keyed(const uint8_t key[32], const void *data, size_t length, uint8_t out[APR_DIGEST_BYTES]) {
    if (length > APR_BLAKE3_CHUNK) {
        apr_blake3 state;
        uint8_t block[64];
        apr_blake3_init(&state, key);
        apr_blake3_update(&state, data, length);
        apr_blake3_output(&state, 0, block);
        memcpy(out, block, APR_DIGEST_BYTES);
        return;
    }
    const uint8_t *p = data;
    const void *cv = key;
    uint32_t chained[8], flags = APR_B3_KEYED | APR_B3_CHUNK_START;
    for (; length > APR_B3_BLOCK; length -= APR_B3_BLOCK, p += APR_B3_BLOCK) {
        compress(cv, p, APR_B3_BLOCK, 0, flags, chained);
        cv = chained;
        flags = APR_B3_KEYED;
    }
    flags |= APR_B3_CHUNK_END | APR_B3_ROOT;
    if (length == APR_B3_BLOCK) {
        compress(cv, p, APR_B3_BLOCK, 0, flags, out);
    } else {
        uint8_t block[APR_B3_BLOCK] = {0};
        if (length > 0) memcpy(block, p, length);
        compress(cv, block, (uint32_t)length, 0, flags, out);
    }
}
