/* Merkle trees with caps and multi-proofs, docs/protocol.md section 6. */
#ifndef APROVER_MERKLE_H
#define APROVER_MERKLE_H

#include "blake3.h"

/* A tree in memory: level after level from `lowest` to the cap; 32 bytes a node. Of a tall tree the lowest levels, which are nearly all of
 * it, are not kept: each of its nodes on level `lowest` can be made again from 2^lowest leaves. */
typedef struct {
    uint8_t *nodes;
    uint32_t log_leaves;
    uint32_t log_cap; /* already min(cap_log, log_leaves) */
    uint32_t lowest;  /* 0 (the leaves' level) or APR_TREE_LOWEST */
} apr_tree;

enum {
    APR_TREE_LOWEST = 5,
    APR_TREE_TALL = 16, /* log_leaves from which the lowest levels are left out: below that they are a megabyte at most */
    APR_SUBTREE_LEAVES = 1 << APR_TREE_LOWEST,
    APR_SUBTREE_BYTES = 2 * APR_DIGEST_BYTES * (APR_SUBTREE_LEAVES - 1) /* levels 0 .. APR_TREE_LOWEST - 1 */
};
static inline uint32_t apr_tree_lowest(uint32_t log_leaves) { return log_leaves < APR_TREE_TALL ? 0 : APR_TREE_LOWEST; }

/* Bytes that `nodes` must have. */
size_t apr_tree_bytes(uint32_t log_leaves, uint32_t log_cap);
/* Where the node (level 0 = leaves) stands; level >= lowest. */
uint8_t *apr_tree_node(const apr_tree *tree, uint32_t level, size_t index);
const uint8_t *apr_tree_cap(const apr_tree *tree);
/* Hash nodes first .. first + count - 1 of `level` > lowest from the level below; a caller can so work in slices. */
void apr_tree_hash_level(const apr_hash_kernels *kernels, const apr_tree *tree, uint32_t level, size_t first, size_t count);

/* The number of digests in the multi-proof of `count` distinct ascending leaf indices. scratch: `count` words. */
size_t apr_multiproof_length(const uint32_t *indices, size_t count, uint32_t log_leaves, uint32_t log_cap, uint32_t *scratch);
/* The levels below `lowest` over the leaves whose digests `subtree` begins with: these levels one after the other, and, if `top` is not
 * NULL, the node above them. subtree: APR_SUBTREE_BYTES. */
void apr_subtree_hash(const apr_hash_kernels *kernels, uint8_t *subtree, uint8_t *top);
/* Write that multi-proof; returns the bytes written (32 * length). scratch: `count` words. subtrees: if lowest > 0, those that hold the
 * indices, in order, each once. */
size_t apr_multiproof_write(const apr_tree *tree, const uint32_t *indices, size_t count, const uint8_t *subtrees, uint32_t *scratch,
                            uint8_t *out);
/* Whether the leaves' digests (count * 32 bytes, overwritten) and the multi-proof lead to the cap. No leaves, and indices
 * that are not ascending, distinct and below 2^log_leaves, lead nowhere.
 * The caller has checked that the proof has exactly apr_multiproof_length digests.
 * scratch: apr_multiproof_scratch_bytes(count) bytes, aligned for uint32_t. */
int apr_multiproof_verify(const apr_hash_kernels *kernels, uint8_t *digests, const uint32_t *indices, size_t count,
                          uint32_t log_leaves, uint32_t log_cap, const uint8_t *proof, const uint8_t *cap, void *scratch);
size_t apr_multiproof_scratch_bytes(size_t count);

#endif
