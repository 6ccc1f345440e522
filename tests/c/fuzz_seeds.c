/* What `make fuzz` starts from, into the folder given: of each kind of honest proof its bytes, its AIR, and one change of each. */
#include "proofs.h"

static void write_seed(const char *folder, const char *name, uint32_t kind, uint8_t mode, const void *bytes, size_t length) {
    const uint8_t head[2] = {mode, (uint8_t)kind};
    char path[4096];
    CHECK(snprintf(path, sizeof path, "%s/%s-%u", folder, name, kind) < (int)sizeof path);
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK(fwrite(head, 1, sizeof head, file) == sizeof head && fwrite(bytes, 1, length, file) == length);
    CHECK(fclose(file) == 0);
}

/* The first byte chooses what LLVMFuzzerTestOneInput does with the rest. */
int main(int argc, char **argv) {
    static const uint8_t change[3] = {200, 0, 1};
    CHECK(argc == 2);
    for (uint32_t kind = 0; kind < PROOF_KINDS; kind++) {
        honest_proof p;
        make_proof(&p, kind, 0);
        write_seed(argv[1], "air", kind, 0, p.encoding.words, 4 * p.encoding.count);
        write_seed(argv[1], "changed-air", kind, 1, change, sizeof change);
        write_seed(argv[1], "proof", kind, 2, p.proof, p.length);
        write_seed(argv[1], "portable-proof", kind, 6, p.proof, p.length);
        write_seed(argv[1], "changed-proof", kind, 3, change, sizeof change);
        free_proof(&p);
    }
    return 0;
}
