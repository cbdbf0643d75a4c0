"""What is looked at while a run goes on: spikes, divergence, samples, and where else its numbers go."""
