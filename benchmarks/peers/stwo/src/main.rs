//! Stwo on the statement of `aprover.Fibonacci`: two columns, from 1 and 1, the last row's second value public.
//!
//!     peer-stwo log_rows=10 log_blowup=1 queries=100 grinding=0 fold_step=1 log_final=0
//!
//! Stwo has no selectors: a preprocessed column that is 1 in the first row stands for them. It is the same for all
//! proofs of a size, so it is committed once, and its root is the verifier's own. The crate's prover uses unstable
//! features and needs a nightly compiler.

use num_traits::{One, Zero};
use peer_harness::{serve, Arguments, Peer};
use stwo::core::air::Component;
use stwo::core::channel::{Blake2sChannel, Channel};
use stwo::core::fields::m31::BaseField;
use stwo::core::fields::qm31::SecureField;
use stwo::core::fri::FriConfig;
use stwo::core::pcs::{CommitmentSchemeVerifier, PcsConfig};
use stwo::core::poly::circle::CanonicCoset;
use stwo::core::proof::StarkProof;
use stwo::core::utils::{bit_reverse_coset_to_circle_domain_order, MaybeOwned};
use stwo::core::vcs_lifted::blake2_merkle::{Blake2sMerkleChannel, Blake2sMerkleHasher};
use stwo::core::verifier::verify;
use stwo::prover::backend::simd::SimdBackend;
use stwo::prover::poly::circle::{CircleEvaluation, PolyOps};
use stwo::prover::poly::twiddles::TwiddleTree;
use stwo::prover::poly::BitReversedOrder;
use stwo::prover::{prove, CommitmentSchemeProver, CommitmentTreeProver};
use stwo_constraint_framework::preprocessed_columns::PreProcessedColumnId;
use stwo_constraint_framework::{
    EvalAtRow, FrameworkComponent, FrameworkEval, TraceLocationAllocator, ORIGINAL_TRACE_IDX,
};

type Scheme<'a> = CommitmentSchemeProver<'a, SimdBackend, Blake2sMerkleChannel>;
type Tree = CommitmentTreeProver<SimdBackend, Blake2sMerkleChannel>;
type Column = CircleEvaluation<SimdBackend, BaseField, BitReversedOrder>;

struct Fibonacci {
    log_rows: u32,
    output: BaseField,
}

impl FrameworkEval for Fibonacci {
    fn log_size(&self) -> u32 {
        self.log_rows
    }

    fn max_constraint_log_degree_bound(&self) -> u32 {
        self.log_rows + 1
    }

    fn evaluate<E: EvalAtRow>(&self, mut eval: E) -> E {
        let first = eval.get_preprocessed_column(first_row());
        // Rows are cyclic: before the first comes the last.
        let [left_before, left] = eval.next_interaction_mask(ORIGINAL_TRACE_IDX, [-1, 0]);
        let [right_before, right] = eval.next_interaction_mask(ORIGINAL_TRACE_IDX, [-1, 0]);
        let other = E::F::one() - first.clone();
        eval.add_constraint(first.clone() * (left.clone() - E::F::one()));
        eval.add_constraint(first.clone() * (right.clone() - E::F::one()));
        eval.add_constraint(first * (right_before.clone() - E::F::from(self.output)));
        eval.add_constraint(other.clone() * (left - right_before.clone()));
        eval.add_constraint(other * (right - left_before - right_before));
        eval
    }
}

fn first_row() -> PreProcessedColumnId {
    PreProcessedColumnId { id: "first row".to_owned() }
}

fn column(log_rows: u32, mut values: Vec<BaseField>) -> Column {
    bit_reverse_coset_to_circle_domain_order(&mut values);
    Column::new(CanonicCoset::new(log_rows).circle_domain(), values.into_iter().collect())
}

fn trace(log_rows: u32) -> (Vec<BaseField>, Vec<BaseField>) {
    let (mut a, mut b) = (BaseField::one(), BaseField::one());
    (0..1 << log_rows)
        .map(|_| {
            let row = (a, b);
            (a, b) = (b, a + b);
            row
        })
        .unzip()
}

fn component(log_rows: u32, output: BaseField) -> FrameworkComponent<Fibonacci> {
    let mut allocator = TraceLocationAllocator::new_with_preprocessed_columns(&[first_row()]);
    FrameworkComponent::new(&mut allocator, Fibonacci { log_rows, output }, SecureField::zero())
}

struct Stwo {
    log_rows: u32,
    config: PcsConfig,
    twiddles: TwiddleTree<SimdBackend>,
    preprocessed: Tree,
    output: BaseField,
}

impl Stwo {
    fn channel(&self, output: BaseField) -> Blake2sChannel {
        let mut channel = Blake2sChannel::default();
        self.config.mix_into(&mut channel);
        channel.mix_u64(u64::from(self.log_rows));
        channel.mix_u64(u64::from(output.0));
        channel
    }
}

impl Peer for Stwo {
    fn prove(&self) -> Vec<u8> {
        let mut channel = self.channel(self.output);
        let mut scheme = Scheme::new(self.config, &self.twiddles);
        scheme.commit_tree(MaybeOwned::Borrowed(&self.preprocessed), &mut channel);
        let (left, right) = trace(self.log_rows);
        let mut builder = scheme.tree_builder();
        builder.extend_evals(vec![column(self.log_rows, left), column(self.log_rows, right)]);
        builder.commit(&mut channel);
        let component = component(self.log_rows, self.output);
        let proof = prove(&[&component], &mut channel, scheme).expect("a proof");
        postcard::to_allocvec(&proof).expect("bytes")
    }

    fn verify(&self, bytes: &[u8], wrong: bool) -> bool {
        let output = if wrong { self.output + BaseField::one() } else { self.output };
        let Ok(proof) = postcard::from_bytes::<StarkProof<Blake2sMerkleHasher>>(bytes) else { return false };
        let component = component(self.log_rows, output);
        let sizes = component.trace_log_degree_bounds();
        let mut channel = self.channel(output);
        let mut scheme = CommitmentSchemeVerifier::<Blake2sMerkleChannel>::new(self.config);
        scheme.commit(self.preprocessed.commitment.root(), &sizes[0], &mut channel);
        scheme.commit(proof.commitments[1], &sizes[1], &mut channel);
        verify(&[&component], &mut channel, &mut scheme, proof).is_ok()
    }
}

fn preprocessed(log_rows: u32, config: PcsConfig, twiddles: &TwiddleTree<SimdBackend>) -> Tree {
    let mut values = vec![BaseField::zero(); 1 << log_rows];
    values[0] = BaseField::one();
    let mut scheme = Scheme::new(config, twiddles);
    let mut builder = scheme.tree_builder();
    builder.extend_evals(vec![column(log_rows, values)]);
    builder.commit(&mut Blake2sChannel::default());
    match scheme.trees.0.pop() {
        Some(MaybeOwned::Owned(tree)) => tree,
        _ => unreachable!("the scheme owns the tree that it has just committed"),
    }
}

fn main() {
    let arguments = Arguments::read();
    let log_rows = arguments.number("log_rows") as u32;
    let log_blowup = arguments.number("log_blowup") as u32;
    let config = PcsConfig {
        pow_bits: arguments.number("grinding") as u32,
        fri_config: FriConfig::new(
            arguments.number("log_final") as u32,
            log_blowup,
            arguments.number("queries"),
            arguments.number("fold_step") as u32,
        ),
        lifting_log_size: None,
    };
    let domain = CanonicCoset::new(log_rows + 1 + log_blowup).circle_domain();
    let twiddles = SimdBackend::precompute_twiddles(domain.half_coset);
    let preprocessed = preprocessed(log_rows, config, &twiddles);
    let output = trace(log_rows).1[(1 << log_rows) - 1];
    serve(&Stwo { log_rows, config, twiddles, preprocessed, output });
}
