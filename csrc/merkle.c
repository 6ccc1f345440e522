#include "merkle.h"

#include <string.h>

#define NODE APR_DIGEST_BYTES

/* Nodes on the levels from `lowest` to below `level`. */
static size_t nodes_below(uint32_t log_leaves, uint32_t lowest, uint32_t level) {
    return ((size_t)2 << (log_leaves - lowest)) - ((size_t)2 << (log_leaves - level));
}

size_t apr_tree_bytes(uint32_t log_leaves, uint32_t log_cap) {
    return NODE * (((size_t)2 << log_leaves) - ((size_t)1 << log_cap));
}

uint8_t *apr_tree_node(const apr_tree *tree, uint32_t level, size_t index) {
    return tree->nodes + NODE * (nodes_below(tree->log_leaves, tree->lowest, level) + index);
}

const uint8_t *apr_tree_cap(const apr_tree *tree) { return apr_tree_node(tree, tree->log_leaves - tree->log_cap, 0); }

void apr_tree_hash_level(const apr_hash_kernels *kernels, const apr_tree *tree, uint32_t level, size_t first, size_t count) {
    kernels->hash_many(apr_key_node, apr_tree_node(tree, level - 1, 2 * first), 2 * NODE, 2 * NODE, count,
                       apr_tree_node(tree, level, first));
}

/* Whether the sibling of index i stands right after it in the ascending list. */
static int has_sibling_next(const uint32_t *indices, size_t count, size_t i) {
    return i + 1 < count && indices[i + 1] == (indices[i] ^ 1);
}

/* Halve the indices of one level in place, dropping repetitions; returns how many are left. */
static size_t ascend(uint32_t *indices, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t parent = indices[i] >> 1;
        if (kept == 0 || indices[kept - 1] != parent) indices[kept++] = parent;
    }
    return kept;
}

size_t apr_multiproof_length(const uint32_t *indices, size_t count, uint32_t log_leaves, uint32_t log_cap, uint32_t *scratch) {
    size_t length = 0;
    if (count > 0) memcpy(scratch, indices, count * sizeof *scratch);
    for (uint32_t level = 0; level < log_leaves - log_cap; level++) {
        size_t parents = ascend(scratch, count);
        length += 2 * parents - count;
        count = parents;
    }
    return length;
}

void apr_subtree_hash(const apr_hash_kernels *kernels, uint8_t *subtree, uint8_t *top) {
    for (size_t count = APR_SUBTREE_LEAVES / 2; count > 1; count /= 2, subtree += 4 * NODE * count)
        kernels->hash_many(apr_key_node, subtree, 2 * NODE, 2 * NODE, count, subtree + 2 * NODE * count);
    if (top != NULL) kernels->hash_many(apr_key_node, subtree, 2 * NODE, 2 * NODE, 1, top);
}

/* The node of a subtree; subtree: how many of them come before it. */
static const uint8_t *subtree_node(const uint8_t *subtrees, size_t subtree, uint32_t level, uint32_t index) {
    const uint32_t log_nodes = APR_TREE_LOWEST - level;
    return subtrees + APR_SUBTREE_BYTES * subtree + NODE * (nodes_below(APR_TREE_LOWEST, 0, level) + (index & ((1u << log_nodes) - 1)));
}

size_t apr_multiproof_write(const apr_tree *tree, const uint32_t *indices, size_t count, const uint8_t *subtrees, uint32_t *scratch,
                            uint8_t *out) {
    uint8_t *p = out;
    if (count > 0) memcpy(scratch, indices, count * sizeof *scratch);
    for (uint32_t level = 0; level < tree->log_leaves - tree->log_cap; level++) {
        const uint32_t above = level < tree->lowest ? tree->lowest - level : 0;
        for (size_t i = 0, subtree = 0; i < count; i++) {
            if (i > 0 && scratch[i] >> above != scratch[i - 1] >> above) subtree++;
            if (has_sibling_next(scratch, count, i)) {
                i++;
                continue;
            }
            const uint32_t sibling = scratch[i] ^ 1;
            memcpy(p, above > 0 ? subtree_node(subtrees, subtree, level, sibling) : apr_tree_node(tree, level, sibling), NODE);
            p += NODE;
        }
        count = ascend(scratch, count);
    }
    return (size_t)(p - out);
}

static int is_ascending_below(const uint32_t *indices, size_t count, uint32_t log_leaves) {
    for (size_t i = 1; i < count; i++)
        if (indices[i - 1] >= indices[i]) return 0;
    return count > 0 && indices[count - 1] < (uint64_t)1 << log_leaves;
}

size_t apr_multiproof_scratch_bytes(size_t count) { return count * (sizeof(uint32_t) + 2 * NODE); }

int apr_multiproof_verify(const apr_hash_kernels *kernels, uint8_t *digests, const uint32_t *indices, size_t count,
                          uint32_t log_leaves, uint32_t log_cap, const uint8_t *proof, const uint8_t *cap, void *scratch) {
    if (!is_ascending_below(indices, count, log_leaves)) return 0;
    uint32_t *at = scratch;
    uint8_t *pairs = (uint8_t *)(at + count);
    memcpy(at, indices, count * sizeof *at);
    for (uint32_t level = 0; level < log_leaves - log_cap; level++) {
        uint8_t *pair = pairs;
        for (size_t i = 0; i < count; i++, pair += 2 * NODE) {
            const uint8_t *own = digests + NODE * i;
            if (has_sibling_next(at, count, i)) {
                memcpy(pair, own, 2 * NODE);
                i++;
                continue;
            }
            size_t side = at[i] & 1;
            memcpy(pair + NODE * side, own, NODE);
            memcpy(pair + NODE * (1 - side), proof, NODE);
            proof += NODE;
        }
        count = ascend(at, count);
        kernels->hash_many(apr_key_node, pairs, 2 * NODE, 2 * NODE, count, digests);
    }
    for (size_t i = 0; i < count; i++)
        if (memcmp(digests + NODE * i, cap + NODE * at[i], NODE) != 0) return 0;
    return 1;
}
