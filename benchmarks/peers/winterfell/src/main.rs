//! Winterfell on the statement of `aprover.Fibonacci`: two columns, from 1 and 1, the last row's second value public.
//!
//!     peer-winterfell log_rows=10 blowup=8 queries=34 grinding=0 extension=2 folding=8 remainder=31

use peer_harness::{serve, Arguments, Peer};
use winterfell::{
    crypto::{hashers::Blake3_256, DefaultRandomCoin, MerkleTree},
    math::{fields::f64::BaseElement, FieldElement, ToElements},
    matrix::ColMatrix,
    verify, AcceptableOptions, Air, AirContext, Assertion, AuxRandElements, BatchingMethod, CompositionPoly,
    CompositionPolyTrace, ConstraintCompositionCoefficients, DefaultConstraintCommitment, DefaultConstraintEvaluator,
    DefaultTraceLde, EvaluationFrame, FieldExtension, PartitionOptions, Proof, ProofOptions, Prover, StarkDomain,
    Trace, TraceInfo, TracePolyTable, TraceTable, TransitionConstraintDegree,
};

type Hash = Blake3_256<BaseElement>;
type Coin = DefaultRandomCoin<Hash>;
type Tree = MerkleTree<Hash>;

/// The output; the inputs are 1 and 1.
#[derive(Clone, Copy)]
struct Output(BaseElement);

impl ToElements<BaseElement> for Output {
    fn to_elements(&self) -> Vec<BaseElement> {
        vec![self.0]
    }
}

struct FibonacciAir {
    context: AirContext<BaseElement>,
    output: BaseElement,
}

impl Air for FibonacciAir {
    type BaseField = BaseElement;
    type PublicInputs = Output;

    fn new(trace_info: TraceInfo, output: Output, options: ProofOptions) -> Self {
        let degrees = vec![TransitionConstraintDegree::new(1); 2];
        Self { context: AirContext::new(trace_info, degrees, 3, options), output: output.0 }
    }

    fn context(&self) -> &AirContext<BaseElement> {
        &self.context
    }

    fn evaluate_transition<E: FieldElement<BaseField = BaseElement>>(
        &self,
        frame: &EvaluationFrame<E>,
        _periodic_values: &[E],
        result: &mut [E],
    ) {
        let (now, next) = (frame.current(), frame.next());
        result[0] = next[0] - now[1];
        result[1] = next[1] - now[0] - now[1];
    }

    fn get_assertions(&self) -> Vec<Assertion<BaseElement>> {
        vec![
            Assertion::single(0, 0, BaseElement::ONE),
            Assertion::single(1, 0, BaseElement::ONE),
            Assertion::single(1, self.trace_length() - 1, self.output),
        ]
    }
}

struct FibonacciProver(ProofOptions);

impl Prover for FibonacciProver {
    type BaseField = BaseElement;
    type Air = FibonacciAir;
    type Trace = TraceTable<BaseElement>;
    type HashFn = Hash;
    type VC = Tree;
    type RandomCoin = Coin;
    type TraceLde<E: FieldElement<BaseField = BaseElement>> = DefaultTraceLde<E, Hash, Tree>;
    type ConstraintCommitment<E: FieldElement<BaseField = BaseElement>> = DefaultConstraintCommitment<E, Hash, Tree>;
    type ConstraintEvaluator<'a, E: FieldElement<BaseField = BaseElement>> =
        DefaultConstraintEvaluator<'a, FibonacciAir, E>;

    fn get_pub_inputs(&self, trace: &Self::Trace) -> Output {
        Output(trace.get(1, trace.length() - 1))
    }

    fn options(&self) -> &ProofOptions {
        &self.0
    }

    fn new_trace_lde<E: FieldElement<BaseField = BaseElement>>(
        &self,
        trace_info: &TraceInfo,
        main_trace: &ColMatrix<BaseElement>,
        domain: &StarkDomain<BaseElement>,
        partitions: PartitionOptions,
    ) -> (Self::TraceLde<E>, TracePolyTable<E>) {
        DefaultTraceLde::new(trace_info, main_trace, domain, partitions)
    }

    fn build_constraint_commitment<E: FieldElement<BaseField = BaseElement>>(
        &self,
        composition: CompositionPolyTrace<E>,
        columns: usize,
        domain: &StarkDomain<BaseElement>,
        partitions: PartitionOptions,
    ) -> (Self::ConstraintCommitment<E>, CompositionPoly<E>) {
        DefaultConstraintCommitment::new(composition, columns, domain, partitions)
    }

    fn new_evaluator<'a, E: FieldElement<BaseField = BaseElement>>(
        &self,
        air: &'a FibonacciAir,
        auxiliary: Option<AuxRandElements<E>>,
        coefficients: ConstraintCompositionCoefficients<E>,
    ) -> Self::ConstraintEvaluator<'a, E> {
        DefaultConstraintEvaluator::new(air, auxiliary, coefficients)
    }
}

fn trace(rows: usize) -> TraceTable<BaseElement> {
    let (mut left, mut right) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let (mut a, mut b) = (BaseElement::ONE, BaseElement::ONE);
    for _ in 0..rows {
        left.push(a);
        right.push(b);
        (a, b) = (b, a + b);
    }
    TraceTable::init(vec![left, right])
}

struct Winterfell {
    rows: usize,
    prover: FibonacciProver,
    output: BaseElement,
    acceptable: AcceptableOptions,
}

impl Peer for Winterfell {
    fn prove(&self) -> Vec<u8> {
        self.prover.prove(trace(self.rows)).expect("a proof").to_bytes()
    }

    fn verify(&self, bytes: &[u8], wrong: bool) -> bool {
        let output = if wrong { self.output + BaseElement::ONE } else { self.output };
        let Ok(proof) = Proof::from_bytes(bytes) else { return false };
        verify::<FibonacciAir, Hash, Coin, Tree>(proof, Output(output), &self.acceptable).is_ok()
    }
}

fn main() {
    let arguments = Arguments::read();
    let rows = 1 << arguments.number("log_rows");
    let extension = match arguments.number("extension") {
        2 => FieldExtension::Quadratic,
        3 => FieldExtension::Cubic,
        other => panic!("extension={other} is neither 2 nor 3"),
    };
    let options = ProofOptions::new(
        arguments.number("queries"),
        arguments.number("blowup"),
        arguments.number("grinding") as u32,
        extension,
        arguments.number("folding"),
        arguments.number("remainder"),
        // Independent coefficients, as the crate's documentation has them; the errors are then the smallest.
        BatchingMethod::Linear,
        BatchingMethod::Linear,
    );
    serve(&Winterfell {
        rows,
        output: trace(rows).get(1, rows - 1),
        acceptable: AcceptableOptions::OptionSet(vec![options.clone()]),
        prover: FibonacciProver(options),
    });
}
