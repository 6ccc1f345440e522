//! Plonky3 on the statement of `aprover.Fibonacci`: two columns, from 1 and 1, the last row's second value public.
//!
//!     peer-plonky3 log_rows=10 log_blowup=1 queries=100 grinding=0 extension=4 log_arity=1 log_final=0

use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_blake3::Blake3;
use p3_challenger::{HashChallenger, SerializingChallenger32};
use p3_commit::ExtensionMmcs;
use p3_dft::Radix2DitParallel;
use p3_field::PrimeCharacteristicRing;
use p3_field::extension::{BinomialExtensionField, QuinticTrinomialExtensionField};
use p3_fri::{FriParameters, TwoAdicFriPcs};
use p3_koala_bear::KoalaBear;
use p3_matrix::dense::RowMajorMatrix;
use p3_merkle_tree::MerkleTreeMmcs;
use p3_symmetric::{CompressionFunctionFromHasher, SerializingHasher};
use p3_uni_stark::{Proof, StarkConfig, prove, verify};
use peer_harness::{Arguments, Peer, serve};

type Val = KoalaBear;
type LeafHash = SerializingHasher<Blake3>;
type NodeHash = CompressionFunctionFromHasher<Blake3, 2, 32>;
type Mmcs = MerkleTreeMmcs<Val, u8, LeafHash, NodeHash, 2, 32>;
type Challenger = SerializingChallenger32<Val, HashChallenger<u8, Blake3, 32>>;
type Dft = Radix2DitParallel<Val>;
type Pcs<E> = TwoAdicFriPcs<Val, Dft, Mmcs, ExtensionMmcs<Val, E, Mmcs>>;
type Config<E> = StarkConfig<Pcs<E>, E, Challenger>;

const COLUMNS: usize = 2;

struct FibonacciAir;

impl<F> BaseAir<F> for FibonacciAir {
    fn width(&self) -> usize {
        COLUMNS
    }

    fn num_public_values(&self) -> usize {
        1
    }

    fn max_constraint_degree(&self) -> Option<usize> {
        Some(2) // a selector times a value
    }
}

impl<B: AirBuilder> Air<B> for FibonacciAir {
    fn eval(&self, builder: &mut B) {
        let main = builder.main();
        let output = builder.public_values()[0];
        let (left, right) = (main.current_slice()[0], main.current_slice()[1]);
        let (next_left, next_right) = (main.next_slice()[0], main.next_slice()[1]);
        builder.when_first_row().assert_one(left);
        builder.when_first_row().assert_one(right);
        builder.when_transition().assert_eq(next_left, right);
        builder.when_transition().assert_eq(next_right, left + right);
        builder.when_last_row().assert_eq(right, output);
    }
}

fn trace(rows: usize) -> RowMajorMatrix<Val> {
    let mut values = Vec::with_capacity(COLUMNS * rows);
    let (mut a, mut b) = (Val::ONE, Val::ONE);
    for _ in 0..rows {
        values.extend([a, b]);
        (a, b) = (b, a + b);
    }
    RowMajorMatrix::new(values, COLUMNS)
}

struct Plonky3<C> {
    config: C,
    rows: usize,
    output: Val,
}

macro_rules! peer {
    ($extension:ty) => {
        impl Peer for Plonky3<Config<$extension>> {
            fn prove(&self) -> Vec<u8> {
                let proof = prove(&self.config, &FibonacciAir, trace(self.rows), &[self.output]).expect("a proof");
                postcard::to_allocvec(&proof).expect("bytes")
            }

            fn verify(&self, bytes: &[u8], wrong: bool) -> bool {
                let output = if wrong { self.output + Val::ONE } else { self.output };
                let Ok(proof) = postcard::from_bytes::<Proof<Config<$extension>>>(bytes) else { return false };
                verify(&self.config, &FibonacciAir, &proof, &[output]).is_ok()
            }
        }
    };
}

type Quartic = BinomialExtensionField<Val, 4>;
type Quintic = QuinticTrinomialExtensionField<Val>;
peer!(Quartic);
peer!(Quintic);

/// Everything but the extension field.
fn plonky3<E: Clone>(arguments: &Arguments) -> Plonky3<Config<E>> {
    let rows = 1 << arguments.number("log_rows");
    let mmcs = Mmcs::new(LeafHash::new(Blake3), NodeHash::new(Blake3), 0);
    let fri = FriParameters {
        log_blowup: arguments.number("log_blowup"),
        log_final_poly_len: arguments.number("log_final"),
        max_log_arity: arguments.number("log_arity"),
        num_queries: arguments.number("queries"),
        batch_proof_of_work_bits: 0,
        commit_proof_of_work_bits: 0,
        query_proof_of_work_bits: arguments.number("grinding"),
        mmcs: ExtensionMmcs::new(mmcs.clone()),
    };
    let pcs = Pcs::new(Dft::default(), mmcs, fri);
    let config = Config::new(pcs, Challenger::from_hasher(vec![], Blake3));
    let output = trace(rows).values[COLUMNS * rows - 1];
    Plonky3 { config, rows, output }
}

fn main() {
    let arguments = Arguments::read();
    match arguments.number("extension") {
        4 => serve(&plonky3::<Quartic>(&arguments)),
        5 => serve(&plonky3::<Quintic>(&arguments)),
        other => panic!("extension={other} is neither 4 nor 5"),
    }
}
