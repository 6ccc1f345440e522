//! What the programs that measure other provers share: their arguments, and the loop that a driver talks to.
//!
//! A driver keeps one such process for each thing that it measures, and asks them in turn: so all of them are warm,
//! and what disturbs the machine disturbs all of them alike. Each line on standard input is a number of proofs to
//! make; the answer is one line of JSON.

mod clock;
mod heap;

use std::collections::HashMap;
use std::io::{self, BufRead, Write};

/// The `name=value` words of the command line.
pub struct Arguments(HashMap<String, String>);

impl Arguments {
    /// From this process's command line. Panics where a word is not `name=value`.
    pub fn read() -> Self {
        let pair = |word: String| match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => panic!("{word:?} is not name=value"),
        };
        Self(std::env::args().skip(1).map(pair).collect())
    }

    /// The word of that name. Panics if there is none.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("{name}=... is missing"))
    }

    /// The number of that name. Panics if there is none.
    pub fn number(&self, name: &str) -> usize {
        self.text(name).parse().unwrap_or_else(|_| panic!("{name} is not a number"))
    }
}

/// One way to prove one statement.
pub trait Peer {
    /// Makes the trace and a proof of it, as bytes.
    fn prove(&self) -> Vec<u8>;

    /// Whether `bytes` prove the statement; with `wrong`, the statement with another output.
    fn verify(&self, bytes: &[u8], wrong: bool) -> bool;
}

/// Answers until standard input ends. Times are nanoseconds of this thread's work, memory is KiB of heap for one proof.
///
/// Panics if a proof does not verify, or also verifies a wrong statement.
pub fn serve(peer: &impl Peer) {
    let (mut proof, peak) = heap::peak(|| peer.prove());
    assert!(!peer.verify(&proof, true), "a wrong statement verifies");
    for line in io::stdin().lock().lines() {
        let count: usize = line.expect("standard input").trim().parse().expect("a number of proofs");
        let (mut prove, mut verify) = (Vec::new(), Vec::new());
        for _ in 0..count {
            drop(proof);
            let begun = clock::nanoseconds();
            proof = peer.prove();
            prove.push((clock::nanoseconds() - begun).to_string());
        }
        for _ in 0..count {
            let begun = clock::nanoseconds();
            let valid = peer.verify(&proof, false);
            verify.push((clock::nanoseconds() - begun).to_string());
            assert!(valid, "the proof does not verify");
        }
        let (prove, verify, bytes) = (prove.join(","), verify.join(","), proof.len());
        let peak = peak.div_ceil(1024);
        println!("{{\"prove\":[{prove}],\"verify\":[{verify}],\"bytes\":{bytes},\"peak_kib\":{peak}}}");
        io::stdout().flush().expect("standard output");
    }
}
