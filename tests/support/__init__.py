"""What the soundness tests stand on: a slow prover that can lie, and the programs it lies about."""
