/* Trees, caps and multi-proofs, exhaustively on small trees. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../csrc/merkle.h"

#define CHECK(condition)                                                        \
    do {                                                                        \
        if (!(condition)) {                                                     \
            printf("FAILED %s:%d %s\n", __FILE__, __LINE__, #condition);        \
            exit(1);                                                            \
        }                                                                       \
    } while (0)

#define MAX_LEAVES 4096
static uint8_t nodes[2 * MAX_LEAVES * 32], sliced[2 * MAX_LEAVES * 32];

static uint64_t random_state = 88172645463325252u;
static uint32_t random_word(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

static apr_tree random_tree(const apr_hash_kernels *kernels, uint32_t log_leaves, uint32_t log_cap) {
    apr_tree tree = {nodes, log_leaves, log_cap, 0};
    for (size_t i = 0; i < (size_t)32 << log_leaves; i++) nodes[i] = (uint8_t)random_word();
    for (uint32_t level = 1; level <= log_leaves - log_cap; level++)
        apr_tree_hash_level(kernels, &tree, level, 0, (size_t)1 << (log_leaves - level));
    return tree;
}

/* A node from the leaves alone. */
static void slow_node(const uint8_t *leaves, uint32_t level, size_t index, uint8_t out[32]) {
    uint8_t pair[64];
    if (level == 0) {
        memcpy(out, leaves + 32 * index, 32);
        return;
    }
    slow_node(leaves, level - 1, 2 * index, pair);
    slow_node(leaves, level - 1, 2 * index + 1, pair + 32);
    apr_blake3_keyed(apr_key_node, pair, 64, out);
}

/* Every node of every level is H(K_NODE, left || right), the cap is the level with 2^log_cap nodes, and the tree has the bytes
 * it says; slices of a level give the same nodes. */
static void test_trees(const apr_hash_kernels *kernels) {
    for (uint32_t d = 0; d <= 7; d++)
        for (uint32_t cap = 0; cap <= d; cap++) {
            size_t bytes = apr_tree_bytes(d, cap), seen = 0;
            memset(nodes, 0xa5, sizeof nodes);
            apr_tree tree = random_tree(kernels, d, cap);
            for (uint32_t level = 0; level <= d - cap; level++)
                for (size_t i = 0; i < (size_t)1 << (d - level); i++, seen += 32) {
                    uint8_t expected[32];
                    slow_node(nodes, level, i, expected);
                    CHECK(apr_tree_node(&tree, level, i) == nodes + seen);
                    CHECK(memcmp(nodes + seen, expected, 32) == 0);
                }
            CHECK(seen == bytes);
            CHECK(apr_tree_cap(&tree) == nodes + bytes - ((size_t)32 << cap));
            for (size_t i = bytes; i < bytes + 64; i++) CHECK(nodes[i] == 0xa5);

            apr_tree copy = {sliced, d, cap, 0};
            memcpy(sliced, nodes, (size_t)32 << d);
            for (uint32_t level = 1; level <= d - cap; level++) {
                size_t width = (size_t)1 << (d - level), first = 0;
                while (first < width) {
                    size_t count = 1 + random_word() % (width - first);
                    apr_tree_hash_level(kernels, &copy, level, first, count);
                    first += count;
                }
            }
            CHECK(memcmp(sliced, nodes, bytes) == 0);
        }
}

/* The multi-proof of docs/protocol.md section 6, with a table of which nodes are known. */
static size_t slow_multiproof(const apr_tree *tree, const uint32_t *indices, size_t count, uint8_t *out) {
    uint8_t known[MAX_LEAVES] = {0};
    size_t length = 0;
    for (size_t i = 0; i < count; i++) known[indices[i]] = 1;
    for (uint32_t level = 0; level < tree->log_leaves - tree->log_cap; level++) {
        size_t width = (size_t)1 << (tree->log_leaves - level);
        for (size_t i = 0; i < width; i++)
            if (known[i] && !known[i ^ 1]) memcpy(out + 32 * length++, apr_tree_node(tree, level, i ^ 1), 32);
        for (size_t i = 0; i < width / 2; i++) known[i] = known[2 * i] || known[2 * i + 1];
    }
    return length;
}

typedef struct {
    uint32_t indices[MAX_LEAVES];
    size_t count;
    uint8_t digests[MAX_LEAVES * 32];
    uint8_t proof[MAX_LEAVES * 32];
    size_t proof_length;
    uint8_t cap[2 * 256 * 32]; /* twice: what stands behind a cap may be made to fit */
    uint32_t log_leaves, log_cap;
} opening;

static int accepts(const apr_hash_kernels *kernels, const opening *o) {
    static uint32_t scratch[MAX_LEAVES * 17];
    static uint8_t digests[MAX_LEAVES * 32];
    CHECK(apr_multiproof_scratch_bytes(o->count) <= sizeof scratch);
    memcpy(digests, o->digests, o->count * 32);
    if (apr_multiproof_length(o->indices, o->count, o->log_leaves, o->log_cap, scratch) != o->proof_length) return 0;
    return apr_multiproof_verify(kernels, digests, o->indices, o->count, o->log_leaves, o->log_cap, o->proof, o->cap, scratch);
}

/* Without its lowest levels, which are made again where a leaf is opened, a tree gives the same multi-proof. */
static void open_upper_levels(const apr_hash_kernels *kernels, const apr_tree *tree, const opening *o) {
    static uint32_t scratch[MAX_LEAVES];
    static uint8_t written[MAX_LEAVES * 32], subtrees[MAX_LEAVES / APR_SUBTREE_LEAVES * APR_SUBTREE_BYTES];
    if (tree->log_leaves - tree->log_cap < APR_TREE_LOWEST) return;
    const apr_tree upper = {apr_tree_node(tree, APR_TREE_LOWEST, 0), tree->log_leaves, tree->log_cap, APR_TREE_LOWEST};
    uint8_t *subtree = subtrees, top[32];
    for (size_t i = 0; i < o->count; i++) {
        const size_t number = o->indices[i] / APR_SUBTREE_LEAVES;
        if (i > 0 && number == o->indices[i - 1] / APR_SUBTREE_LEAVES) continue;
        memcpy(subtree, apr_tree_node(tree, 0, number * APR_SUBTREE_LEAVES), 32 * APR_SUBTREE_LEAVES);
        apr_subtree_hash(kernels, subtree, top);
        CHECK(memcmp(top, apr_tree_node(&upper, APR_TREE_LOWEST, number), 32) == 0);
        subtree += APR_SUBTREE_BYTES;
    }
    CHECK(apr_tree_cap(&upper) == apr_tree_cap(tree));
    CHECK(apr_multiproof_write(&upper, o->indices, o->count, subtrees, scratch, written) == 32 * o->proof_length);
    CHECK(memcmp(written, o->proof, 32 * o->proof_length) == 0);
}

static void open_tree(const apr_hash_kernels *kernels, const apr_tree *tree, opening *o) {
    static uint32_t scratch[MAX_LEAVES];
    static uint8_t expected[MAX_LEAVES * 32];
    o->log_leaves = tree->log_leaves;
    o->log_cap = tree->log_cap;
    for (size_t i = 0; i < o->count; i++) memcpy(o->digests + 32 * i, apr_tree_node(tree, 0, o->indices[i]), 32);
    memcpy(o->cap, apr_tree_cap(tree), (size_t)32 << tree->log_cap);
    memcpy(o->cap + ((size_t)32 << tree->log_cap), o->cap, (size_t)32 << tree->log_cap);
    o->proof_length = apr_multiproof_length(o->indices, o->count, tree->log_leaves, tree->log_cap, scratch);
    CHECK(apr_multiproof_write(tree, o->indices, o->count, NULL, scratch, o->proof) == 32 * o->proof_length);
    CHECK(slow_multiproof(tree, o->indices, o->count, expected) == o->proof_length);
    CHECK(memcmp(expected, o->proof, 32 * o->proof_length) == 0);
    open_upper_levels(kernels, tree, o);
}

static void flip(const apr_hash_kernels *kernels, const opening *o, uint8_t *at) {
    *at ^= (uint8_t)(1u << random_word() % 8);
    CHECK(!accepts(kernels, o));
}

/* One bit of a leaf, of a proof digest or of a cap node above a leaf is changed, a leaf is claimed at another index, two leaves
 * change places, or one claim is left out: rejected each time. */
static void check_lies(const apr_hash_kernels *kernels, opening *o) {
    size_t i = random_word() % o->count;
    uint8_t *leaf = o->digests + 32 * i + random_word() % 32, was = *leaf;
    flip(kernels, o, leaf);
    *leaf = was;
    if (o->proof_length > 0) {
        uint8_t *digest = o->proof + random_word() % (32 * o->proof_length);
        was = *digest;
        flip(kernels, o, digest);
        *digest = was;
    }
    uint8_t *top = o->cap + 32 * (o->indices[i] >> (o->log_leaves - o->log_cap)) + random_word() % 32;
    was = *top;
    flip(kernels, o, top);
    *top = was;
    uint32_t index = o->indices[i];
    for (uint32_t bit = 0; bit < o->log_leaves; bit++) {
        o->indices[i] = index ^ (uint32_t)1 << bit;
        CHECK(!accepts(kernels, o));
    }
    o->indices[i] = index + ((uint32_t)1 << o->log_leaves);
    CHECK(!accepts(kernels, o));
    o->indices[i] = index;
    if (o->count > 1) {
        uint8_t swap[32];
        memcpy(swap, o->digests, 32);
        memmove(o->digests, o->digests + 32, 32);
        memcpy(o->digests + 32, swap, 32);
        CHECK(!accepts(kernels, o));
        memcpy(swap, o->digests, 32);
        memmove(o->digests, o->digests + 32, 32);
        memcpy(o->digests + 32, swap, 32);
    }
    CHECK(accepts(kernels, o));
}

/* Every subset of the leaves of every tree up to 2^log_most leaves, under every cap, round-trips; the empty one is never
 * accepted. */
static void test_all_subsets(const apr_hash_kernels *kernels, uint32_t log_most) {
    static opening o;
    for (uint32_t d = 0; d <= log_most; d++)
        for (uint32_t cap = 0; cap <= d; cap++) {
            apr_tree tree = random_tree(kernels, d, cap);
            uint32_t leaves = (uint32_t)1 << d;
            for (uint32_t subset = 0; subset < (uint32_t)1 << leaves; subset++) {
                o.count = 0;
                for (uint32_t i = 0; i < leaves; i++)
                    if (subset >> i & 1) o.indices[o.count++] = i;
                open_tree(kernels, &tree, &o);
                CHECK(accepts(kernels, &o) == (subset != 0));
                if (subset != 0 && (d < 4 || random_word() % 20 == 0)) check_lies(kernels, &o);
            }
        }
}

/* Random subsets of a larger tree: more than eight nodes a level, and counts that are no multiple of eight. */
static void test_large_tree(const apr_hash_kernels *kernels) {
    static opening o;
    for (uint32_t cap = 0; cap <= 8; cap += 4) {
        apr_tree tree = random_tree(kernels, 12, cap);
        for (int round = 0; round < 30; round++) {
            uint32_t one_in = 1 + random_word() % 200;
            o.count = 0;
            for (uint32_t i = 0; i < MAX_LEAVES; i++)
                if (random_word() % one_in == 0 || (i == MAX_LEAVES - 1 && o.count == 0)) o.indices[o.count++] = i;
            open_tree(kernels, &tree, &o);
            CHECK(accepts(kernels, &o));
            check_lies(kernels, &o);
        }
    }
}

int main(void) {
    static const enum apr_path paths[3] = {APR_PATH_PORTABLE, APR_PATH_AVX2, APR_PATH_AVX512};
    for (int p = 0; p < 3; p++) {
        const apr_hash_kernels *kernels = apr_hash_kernels_for(paths[p]);
        test_trees(kernels);
        test_all_subsets(kernels, paths[p] == APR_PATH_PORTABLE ? 3 : 4);
        test_large_tree(kernels);
    }
    printf("ok merkle\n");
    return 0;
}
